#include "worker/segment/deadline_queue.h"

#include <algorithm>

namespace spillway::segment {

void DeadlineQueue::MovePassed(EventTime clock) {
  while (!ahead_.empty() && ahead_.begin()->first <= clock.ms) {
    const EventTime key{ahead_.begin()->first};
    const std::vector<Slot> slots = std::move(ahead_.begin()->second);
    ahead_.erase(ahead_.begin());
    for (const Slot slot : slots) {
      Component& component = components_[slot];
      if (!component.is_alive || component.scheduled_at != key) continue;
      component.scheduled_at = EventTime{};
      if (component.deadline > key) {
        Schedule(slot);  // it has moved; this loop may still come to it
      } else {
        passed_.push_back({component.deadline, slot});
      }
    }
  }
}

std::optional<EventTime> DeadlineQueue::Next() const {
  std::optional<EventTime> next;
  for (const auto& [key, slots] : ahead_) {
    if (next && next->ms <= key) break;
    for (const Slot slot : slots) {
      const Component& component = components_[slot];
      if (!component.is_alive || !component.is_open || component.scheduled_at.ms != key) continue;
      if (!next || component.deadline < *next) next = component.deadline;
    }
  }
  return next;
}

size_t DeadlineQueue::memory_bytes() const {
  constexpr size_t kBucketBytes = 96;  // tree entry and the vector's block, about
  return components_.size() * sizeof(Slot) + ahead_.size() * kBucketBytes +
         passed_.size() * sizeof(Passed);
}

}  // namespace spillway::segment
