// The dictionaries that a shard holds beside the one its owner uses, and how long parts may name
// them. Pure.
#ifndef SPILLWAY_WORKER_INGEST_RETIRING_DICTIONARIES_H_
#define SPILLWAY_WORKER_INGEST_RETIRING_DICTIONARIES_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace spillway::ingest {

class RetiringDictionaries {
 public:
  struct Retired {
    uint32_t id = 0;
    EventTime last_deadline;  // of parts that may name it, at most
    bool operator==(const Retired&) const = default;
  };

  // The shard was taken with those; parts as they are now have deadlines up to `last_deadline`, and
  // will always.
  void OnTaken(const std::vector<uint32_t>& ids, EventTime last_deadline) {
    retired_.clear();
    in_use_ = 0;
    for (const uint32_t id : ids) retired_[id] = last_deadline;
  }

  // From now on chunks are written with `id`; 0: without. Parts that have chunks written before
  // have deadlines up to `last_deadline`, and will always.
  void OnUse(uint32_t id, EventTime last_deadline) {
    if (id == in_use_) return;
    if (in_use_ != 0) retired_[in_use_] = last_deadline;
    in_use_ = id;
    retired_.erase(id);
  }

  // One that no part can name any more, given the lowest deadline that is due or in flight. `kept`
  // is about to be used.
  std::optional<Retired> Droppable(std::optional<EventTime> lowest_outstanding,
                                   uint32_t kept) const {
    const auto found = std::ranges::find_if(retired_, [&](const auto& entry) {
      return entry.first != kept &&
             (!lowest_outstanding.has_value() || *lowest_outstanding > entry.second);
    });
    if (found == retired_.end()) return std::nullopt;
    return Retired{found->first, found->second};
  }

  void OnDropped(uint32_t id) { retired_.erase(id); }

 private:
  uint32_t in_use_ = 0;                    // 0: none
  std::map<uint32_t, EventTime> retired_;  // id → highest deadline of what may name it
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_RETIRING_DICTIONARIES_H_
