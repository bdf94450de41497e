// What WatchFleet tells: the fleet as it is, or what has changed since a sequence. No gRPC.
#ifndef SPILLWAY_SERVER_RPC_WATCH_FLEET_H_
#define SPILLWAY_SERVER_RPC_WATCH_FLEET_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/supervisor/snapshot.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

// Remembers for every resource when it was changed last; one for all readers, each of which is no
// more than the sequence that it knows. Thread-safe.
class FleetChanges {
 public:
  // Names that are gone and still told; a reader who knows less is told everything anew.
  static constexpr size_t kMaxRemoved = 1000;

  // Sequences rise from `first` on: choose it higher than any of an earlier server's (a wall clock
  // in µs), so that none of them is taken for one of this.
  explicit FleetChanges(uint64_t first) : oldest_(first), sequence_(first) {}

  // Puts into `response` what differs in the newest snapshot of all that were given from what was
  // told up to `known`, and brings `known` up to date; false if there is nothing. Everything if
  // `known` is 0, of another server, or too old. Ages alone are no change.
  bool Compose(const supervisor::SnapshotPtr& snapshot, Instant now, uint64_t& known,
               v1::WatchFleetResponse& response);

 private:
  struct Told {
    std::string text;  // ages left out
    uint64_t changed = 0;
  };

  void Update(const supervisor::SnapshotPtr& snapshot, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Note(const std::string& name, std::string text, uint64_t next,
            std::map<std::string, Told>& gone) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsNews(const std::string& name, uint64_t known) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  supervisor::SnapshotPtr newest_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Told> told_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<uint64_t, std::string>> removed_ ABSL_GUARDED_BY(mutex_);  // oldest first
  uint64_t oldest_ ABSL_GUARDED_BY(mutex_);  // who knows this or more can be told the rest
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_WATCH_FLEET_H_
