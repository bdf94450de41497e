#include "base/failpoint.h"

#ifdef SPILLWAY_FAILPOINTS

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>

#include "absl/strings/match.h"

// Made by the linker around the section; null if no point is linked in.
extern "C" {
extern const char* const __start_spillway_failpoints[] __attribute__((weak));
extern const char* const __stop_spillway_failpoints[] __attribute__((weak));
}

namespace spillway {

// Not in an unnamed namespace: its name is what a captured stack shows.
[[gnu::noinline]] void HangsInFailpoint() {
  static volatile bool is_hanging = true;
  while (is_hanging) {
  }
}

namespace {

const char* Folder() {
  static const char* const folder = std::getenv("SPILLWAY_FAILPOINT_DIR");
  return folder;
}

}  // namespace

void ReachFailpoint(const char* name) {
  const char* const folder = Folder();
  if (folder == nullptr) return;
  static auto* const reached = new std::map<std::string, uint64_t>();
  const std::string path = std::string(folder) + "/" + name;
  uint64_t wanted = 0;
  std::string how;
  std::ifstream file(path);
  if (!(file >> wanted)) {
    reached->erase(name);
    return;
  }
  file >> how;
  if (++(*reached)[name] < wanted || unlink(path.c_str()) != 0) return;
  if (how == "hang") HangsInFailpoint();
  std::raise(SIGKILL);
}

void TastePoison(const char* name, absl::string_view bytes) {
  const char* const folder = Folder();
  if (folder == nullptr) return;
  std::ifstream file(std::string(folder) + "/" + name + ".poison");
  int number = 0;
  std::string poison;
  if (!(file >> number >> poison) || !absl::StrContains(bytes, poison)) return;
  std::signal(number, SIG_DFL);
  std::raise(number);
}

bool ForgetsStep(const char* name) {
  const char* const folder = Folder();
  return folder != nullptr && unlink((std::string(folder) + "/" + name).c_str()) == 0;
}

std::vector<std::string> AllFailpoints() {
  std::vector<std::string> names(__start_spillway_failpoints, __stop_spillway_failpoints);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace spillway

#endif  // SPILLWAY_FAILPOINTS
