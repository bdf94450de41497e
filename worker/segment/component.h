// What the index knows of one segment.
#ifndef SPILLWAY_WORKER_SEGMENT_COMPONENT_H_
#define SPILLWAY_WORKER_SEGMENT_COMPONENT_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "worker/segment/slot_pool.h"

namespace spillway::segment {

// A span id, or the number of an opaque name in OpaqueNames: what the graph calls its nodes.
struct NodeId {
  uint64_t value = 0;
  bool is_opaque = false;
  bool operator==(const NodeId&) const = default;
};

// Opening offsets of the lists a part refers to. Most parts refer to none, so an empty one is a
// null pointer. A value: copies own their own.
class ReferenceList {
 public:
  ReferenceList() = default;
  ReferenceList(const ReferenceList& other)
      : offsets_(other.offsets_ ? std::make_unique<std::vector<Offset>>(*other.offsets_)
                                : nullptr) {}
  ReferenceList(ReferenceList&&) noexcept = default;
  ReferenceList& operator=(const ReferenceList& other) { return *this = ReferenceList(other); }
  ReferenceList& operator=(ReferenceList&&) noexcept = default;

  void Append(Offset offset) {
    if (!offsets_) offsets_ = std::make_unique<std::vector<Offset>>();
    offsets_->push_back(offset);
  }
  const Offset* begin() const { return offsets_ ? offsets_->data() : nullptr; }
  const Offset* end() const { return begin() + size(); }
  size_t size() const { return offsets_ ? offsets_->size() : 0; }

 private:
  std::unique_ptr<std::vector<Offset>> offsets_;
};

// The part that a component's spans go to now; stays behind as the last one when it is cut.
struct Part {
  Offset offset = kNoOffset;   // of the span that opened its list: the list's name
  EventTime first_event_time;  // references included
  ReferenceList references;
  uint32_t bytes = 0;  // of its spans, references included; less than 2^31
  uint32_t number = 0;
  uint32_t chunk_count = 0;  // of its own list
  uint32_t absorbed_count =
      0;                 // parts merged into it; those with a list of their own are references
  Slot write = kNoSlot;  // its PartWrite in the batch that touched the component last

  // "Opened first" must not depend on which of two merged lists went on. (A part that was absorbed
  // without a reference was opened later than its host.)
  Offset LowestOffset() const {
    return std::min(offset, references.size() == 0
                                ? offset
                                : *std::min_element(references.begin(), references.end()));
  }
};

// Spans of one trace that are connected through effective parents. Its nodes are a linked list.
//
// Open: `part` takes spans until `deadline`. Cut: `part` has left or is about to, `deadline` was
// its deadline; a late span opens the next part. Once a part of it was cut or sealed it is sticky:
// its name stays, and it never joins a higher segment. Expired: past its late window, so it has no
// nodes any more, but it holds the low watermark back until its parts have left.
struct Component {
  NodeId name;  // topmost known parent
  EventTime deadline;
  Part part;
  uint64_t ticket = kNoTicket;  // of its lowest offset in LiveOffsets
  EventTime scheduled_at;       // where DeadlineQueue will look at it next; -1: nowhere
  Slot first_node = kNoSlot;
  uint32_t node_count = 0;
  Slot next_in_trace = kNoSlot;  // SegmentGraph's
  uint32_t next_number = 0;      // of its next part
  uint32_t touched_in = 0;       // number of the batch that changed it last
  bool is_alive = false;         // false: a free slot
  bool is_open = false;
  bool is_sticky = false;
  bool has_segment_span = false;
  bool is_expired = false;

  static constexpr uint64_t kNoTicket = UINT64_MAX;
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_COMPONENT_H_
