// What holds the low watermark back.
#ifndef SPILLWAY_WORKER_SEGMENT_LIVE_OFFSETS_H_
#define SPILLWAY_WORKER_SEGMENT_LIVE_OFFSETS_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "worker/segment/shard_index.h"

namespace spillway::segment {

// The lowest offsets of the segments the index remembers, and the least of them. Offsets are
// appended in ascending order and removed in any; every step is amortised O(1). Not thread-safe.
class LiveOffsets {
 public:
  using Ticket = uint64_t;

  // REQUIRES: offset is above all appended before.
  Ticket Append(Offset offset);
  void Remove(Ticket ticket);  // REQUIRES: not removed yet
  Ticket end() const { return end_; }
  void Truncate(Ticket end);       // takes back the Appends from `end` on; none of them was removed
  Offset At(Ticket ticket) const;  // REQUIRES: not removed yet
  std::optional<Offset> Lowest() const;
  size_t memory_bytes() const;

 private:
  static constexpr Ticket kBlockSize = 256;
  struct Block {
    std::array<Offset, kBlockSize> offsets;  // kNoOffset: removed
    uint32_t live_count = 0;
  };
  Block& BlockOf(Ticket ticket) { return *blocks_[ticket / kBlockSize - first_block_]; }
  void SkipRemoved();

  std::deque<std::unique_ptr<Block>> blocks_;  // null: all of it was removed
  Ticket first_block_ = 0;                     // number of blocks_.front()
  Ticket begin_ = 0;                           // first one that is not removed
  Ticket end_ = 0;
  size_t block_count_ = 0;  // that are not null
};

// The live parts read at take, which hold the low watermark until the lowest outstanding deadline
// has passed them (invariant 9). Not thread-safe.
class HeldParts {
 public:
  // Only parts of `incarnation` count: offsets of older ones belong to another log.
  HeldParts(std::span<const LivePart> live, uint32_t incarnation);

  void PassedBy(EventTime lowest_outstanding);
  std::optional<Offset> Lowest() const;
  size_t memory_bytes() const { return held_.size() * sizeof(Held); }

 private:
  struct Held {
    EventTime deadline;
    Offset lowest;  // of this part and all with a later deadline
  };
  std::vector<Held> held_;  // latest deadline first, so that those passed by are popped
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_LIVE_OFFSETS_H_
