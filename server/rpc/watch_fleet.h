// What changed between two answers of WatchFleet. No gRPC.
#ifndef SPILLWAY_SERVER_RPC_WATCH_FLEET_H_
#define SPILLWAY_SERVER_RPC_WATCH_FLEET_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/clock.h"
#include "server/supervisor/snapshot.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

// Remembers what one reader was told. Not thread-safe.
class FleetChanges {
 public:
  // Appends to `response` every resource that differs from what was told before, and the names that
  // are gone; false if there is nothing. Ages alone are no change. The first call tells everything.
  bool Compose(const supervisor::FleetSnapshot& snapshot, Instant now,
               v1::WatchFleetResponse& response);

 private:
  std::map<std::string, std::string> told_;  // name → what was told, ages left out
  uint64_t sequence_ = 0;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_WATCH_FLEET_H_
