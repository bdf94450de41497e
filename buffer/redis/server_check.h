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
  std::string name;     // the server's URL
  std::string mode;     // redis_mode: standalone, cluster, sentinel; empty: not said
  std::string version;  // of Redis' protocol: what Valkey calls redis_version
  MemoryInfo memory;
  bool requires_full_coverage = false;  // of a cluster's node: cluster-require-full-coverage
};

// From the text of INFO. Missing lines leave fields empty.
MemoryInfo ParseMemoryInfo(absl::string_view info);
void ParseServerInfo(absl::string_view info, ServerCheck& check);

struct ServerDemands {
  bool allows_eviction = false;
  bool is_cluster = false;  // redis.url names one
};
// FAILED_PRECONDITION naming what is found and what would be right: a version below 6.2, a policy
// that evicts unless that is allowed, a node of a cluster where a server was meant, or a sentinel.
absl::Status CheckUsable(const ServerCheck& check, const ServerDemands& demands);
// For the log; empty if there is nothing to warn of.
std::vector<std::string> WarningsFor(const ServerCheck& check);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_SERVER_CHECK_H_
