#include "server/rpc/address.h"

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace spillway::rpc {

std::string UnixSocketPath(absl::string_view address) {
  if (!absl::ConsumePrefix(&address, "unix:")) return "";
  absl::ConsumePrefix(&address, "//");
  return std::string(address);
}

bool IsLocal(absl::string_view address) {
  if (!UnixSocketPath(address).empty()) return true;
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

}  // namespace spillway::rpc
