// A change of the configuration that workers run with, as a value in the fleet (docs/design.md,
// section 6, "Configuration generations"): what is left of it is decided anew after every event.
// Pure.
#ifndef SPILLWAY_SERVER_FLEET_CONFIG_ROLLOUT_H_
#define SPILLWAY_SERVER_FLEET_CONFIG_ROLLOUT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "server/fleet/limits.h"
#include "server/fleet/worker_machine.h"

namespace spillway::fleet {

struct Fleet;

// So many deaths of the same kind in a row, each soon after its start, condemn a generation before
// the restart budget is spent.
inline constexpr int kIdenticalDeaths = 3;

struct ConfigGeneration {
  uint64_t number = 0;  // counted by the record, from 1; 0: nobody counts them
  uint64_t digest = 0;  // config::SettingsDigest; 0: not known
  bool operator==(const ConfigGeneration&) const = default;
};

// How a process ended, as far as two ends can be the same.
struct Ending {
  Exited::Kind kind = Exited::Kind::kUnknown;
  int value = 0;
  bool operator==(const Ending&) const = default;
};

struct ConfigRollout {
  enum class State {
    kTrying,     // not every worker has served under it for restart.healthy_after yet
    kProven,     // they have
    kTakenBack,  // what was tried was not: `rejected`, `detail`
  };
  State state = State::kProven;
  ConfigGeneration wanted;  // what workers are started with
  // While it is tried: the newest that was proven, which is gone back to. Empty: there is none.
  std::optional<ConfigGeneration> former{};
  std::optional<ConfigGeneration> rejected{};
  std::string detail{};  // why it was

  // The newest early deaths under `wanted`: how they were, and how many in a row were so.
  std::optional<Ending> last_ending{};
  int identical = 0;
  std::map<std::string, uint64_t> restarts{};  // by pool: the number of the one begun for `wanted`
};

// Whether the worker's process, or its last one, has another configuration than one that is started
// now would have. Of one that has not said which: no.
bool IsOutdated(const Fleet& fleet, const Worker& worker);

// The worker's process has ended, and the worker does not know it yet.
void NoteEnd(ConfigRollout& rollout, const Worker& ended, const Exited& exit, Instant now,
             const Limits& limits);

// Judges what is tried, and restarts launched workers that are outdated: one pool at a time, one
// worker at a time. Idempotent.
//   Taken back, if there is something to go back to: a worker that runs it is in CRASH_LOOP, or not
//   ready health.startup_timeout after its start; a restart has halted; or kIdenticalDeaths.
//   Proven: all launched workers that are wanted, and there is one, run it and have served for
//   restart.healthy_after.
void AdvanceConfig(Fleet& fleet, Instant now, const Limits& limits);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_CONFIG_ROLLOUT_H_
