// What a Redis server says about itself, and whether Spillway can live with it (design section 4,
// invariant 12).
#ifndef SPILLWAY_BUFFER_REDIS_SERVER_CHECK_H_
#define SPILLWAY_BUFFER_REDIS_SERVER_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace spillway::buffer {

struct MemoryInfo {
  uint64_t used_bytes = 0;
  uint64_t max_bytes = 0;  // 0: no limit
  std::string policy;      // maxmemory-policy
  double ratio() const;    // 0 without a limit
};

struct ServerCheck {
  std::string version;  // of Redis' protocol: what Valkey calls redis_version
  MemoryInfo memory;
};

// From the text of INFO. Missing lines leave fields empty.
MemoryInfo ParseMemoryInfo(absl::string_view info);
ServerCheck ParseServerInfo(absl::string_view info);

// FAILED_PRECONDITION naming what is found and what would be right: a version below 6.2, or a
// policy that evicts unless that is allowed.
absl::Status CheckUsable(const ServerCheck& check, bool allow_eviction);
// For the log; empty if there is nothing to warn of.
std::vector<std::string> WarningsFor(const ServerCheck& check);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_SERVER_CHECK_H_
