// What a command waits for, and whether the fleet is there. Pure.
#ifndef SPILLWAY_CLIENT_COMMANDS_GOAL_H_
#define SPILLWAY_CLIENT_COMMANDS_GOAL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "client/exit_code.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::client {

// The fleet as WatchFleet has told it so far.
struct FleetState {
  std::map<std::string, v1::Pool> pools;  // by name, as all of these
  std::map<std::string, v1::Worker> workers;
  std::map<std::string, v1::Shard> shards;

  void Apply(const v1::WatchFleetResponse& response);
};

struct Goal {
  enum class Kind {
    kHealthy,  // runs, as many ready workers as desired, all healthy, each shard where it shall be
    kStopped,  // stopped, and no process is left
    kPaused,   // paused, every process has said so, and nothing is in flight
    kResumed,  // runs, and no process is paused any more
    kShardRestarted,  // `shard` is had under higher epochs than it was
    kDrained,         // no worker of the pool holds a shard, and no shard is meant for one
  };
  Kind kind = Kind::kHealthy;
  std::string pool;                // "pools/flush"
  std::optional<int32_t> desired;  // the size that was asked for: earlier snapshots do not count
  v1::Shard shard{};               // kShardRestarted: as it was before; no pool is named
};

struct Verdict {
  enum class State { kWaiting, kReached, kImpossible };
  State state = State::kWaiting;
  std::string text;                  // how far it is, or why it cannot be: one line
  ExitCode exit_code = kExitFailed;  // if impossible
};

Verdict Judge(const Goal& goal, const FleetState& fleet);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_COMMANDS_GOAL_H_
