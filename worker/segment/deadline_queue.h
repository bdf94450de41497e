// Which components to look at as the event clock moves.
#ifndef SPILLWAY_WORKER_SEGMENT_DEADLINE_QUEUE_H_
#define SPILLWAY_WORKER_SEGMENT_DEADLINE_QUEUE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/clock.h"
#include "worker/segment/component.h"
#include "worker/segment/slot_pool.h"

namespace spillway::segment {

// Orders components by deadline. A deadline that moves later costs nothing until the old one has
// come; entries that no longer fit their component are skipped. Two stages: components with a
// deadline ahead, then those past it, waiting to be forgotten. Not thread-safe.
class DeadlineQueue {
 public:
  explicit DeadlineQueue(SlotPool<Component>& components) : components_(components) {}

  // To be called whenever the component's deadline was set.
  void Schedule(Slot slot) {
    Component& component = components_[slot];
    if (component.scheduled_at.ms >= 0 && component.scheduled_at <= component.deadline) return;
    component.scheduled_at = component.deadline;
    ahead_[component.deadline.ms].push_back(slot);
  }

  // Calls forget(slot) for every component whose deadline is below `horizon`.
  // REQUIRES: horizon <= clock.
  template <typename Forget>
  void Advance(EventTime clock, EventTime horizon, Forget&& forget) {
    MovePassed(clock);
    while (!passed_.empty() && passed_.front().deadline < horizon) {
      const Passed front = passed_.front();
      passed_.pop_front();
      const Component& component = components_[front.slot];
      if (component.is_alive && component.deadline == front.deadline) forget(front.slot);
    }
  }

  // Lowest deadline ahead. Not cached: costs time in proportion to the deadlines that have moved.
  std::optional<EventTime> Next() const;

  size_t memory_bytes() const;

 private:
  struct Passed {
    EventTime deadline;
    Slot slot;
  };
  void MovePassed(EventTime clock);

  SlotPool<Component>& components_;                    // the owner's
  absl::btree_map<int64_t, std::vector<Slot>> ahead_;  // by scheduled_at
  std::deque<Passed> passed_;                          // deadlines ascend
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_DEADLINE_QUEUE_H_
