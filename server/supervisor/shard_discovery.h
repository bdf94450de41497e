// Which shards there are. The supervisor asks every few seconds from a pool thread.
#ifndef SPILLWAY_SERVER_SUPERVISOR_SHARD_DISCOVERY_H_
#define SPILLWAY_SERVER_SUPERVISOR_SHARD_DISCOVERY_H_

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace spillway::supervisor {

class ShardDiscovery {
 public:
  virtual ~ShardDiscovery() = default;
  // Partitions of the input topic. May block up to `timeout`; called from one thread at a time, not
  // the loop's. Errors: UNAVAILABLE, NOT_FOUND (no such topic); the message is for a person.
  virtual absl::StatusOr<int32_t> ShardCount(Duration timeout) = 0;
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_SHARD_DISCOVERY_H_
