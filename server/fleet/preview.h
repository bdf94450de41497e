// What a change would do to the fleet as it is now, for whoever asks before doing it. Pure.
#ifndef SPILLWAY_SERVER_FLEET_PREVIEW_H_
#define SPILLWAY_SERVER_FLEET_PREVIEW_H_

#include <optional>
#include <string>
#include <vector>

#include "server/fleet/fleet.h"

namespace spillway::fleet {

// How long a shard usually stands still between two workers that both serve.
inline constexpr std::chrono::seconds kUsualHandover{1};

struct ShardMove {
  ShardId shard;
  std::optional<WorkerKey> from;  // empty: nobody has it
  std::optional<WorkerKey> to;    // empty: nobody, or whoever serves then: see the notes
  bool operator==(const ShardMove&) const = default;
};

struct Preview {
  std::vector<WorkerKey> starts;    // would get a process
  std::vector<WorkerKey> ends;      // whose process would finish and end
  std::vector<WorkerKey> restarts;  // whose process would be replaced
  std::vector<ShardMove> moves;     // of flush pools
  // How long the longest of the moves is expected to take, from the last claim here to the first
  // there. Empty: until somebody does something, see the notes.
  std::optional<Duration> pause = Duration(0);
  std::vector<std::string> notes;  // for a person: a sentence each
};

// REQUIRES: the event is a verb that is not refused.
Preview PreviewOf(const Fleet& fleet, const Event& event, const Limits& limits);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_PREVIEW_H_
