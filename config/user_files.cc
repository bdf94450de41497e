#include "config/user_files.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace spillway::config {

std::string UserConfigFile(const std::string& name) {
  const char* const xdg = std::getenv("XDG_CONFIG_HOME");
  if (xdg != nullptr && *xdg != '\0') return absl::StrCat(xdg, "/spillway/", name);
  const char* const home = std::getenv("HOME");
  return absl::StrCat(home == nullptr ? "" : home, "/.config/spillway/", name);
}

}  // namespace spillway::config
