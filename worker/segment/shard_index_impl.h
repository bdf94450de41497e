// Inside of ShardIndex. Only shard_index.cc, grouping.cc, parts.cc and rebuild.cc see it.
#ifndef SPILLWAY_WORKER_SEGMENT_SHARD_INDEX_IMPL_H_
#define SPILLWAY_WORKER_SEGMENT_SHARD_INDEX_IMPL_H_

#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "worker/segment/deadline_queue.h"
#include "worker/segment/live_offsets.h"
#include "worker/segment/segment_graph.h"
#include "worker/segment/shard_index.h"

namespace spillway::segment {

// The graph says what is connected, parts say where spans go, two queues say when to forget.
// Each span takes one Place: find or join its component (grouping.cc), then go to its part
// (parts.cc). Replay does the same without writes; Reconcile corrects it by what Redis holds.
class ShardIndex::Impl {
 public:
  Impl(const Limits& limits, const TakenState& taken);

  void Replay(const SpanRecord& record);
  void Reconcile();
  void BeginBatch(Offset from);
  void Add(const SpanRecord& record);
  void Reject() { ++plan_.rejected; }
  BatchPlan EndBatch(Offset to);
  void CommitBatch();
  void AbortBatch();
  void Observe(EventTime clock, std::optional<EventTime> lowest_outstanding);

  Offset LowWatermark() const;
  EventTime clock() const { return clock_; }
  Offset watermark() const { return watermark_; }
  size_t memory_bytes() const;
  size_t live_spans() const { return graph_.span_count(); }
  std::optional<EventTime> next_deadline() const { return deadlines_.Next(); }

 private:
  // What Replay needs to find the component of a live part again.
  struct Opening {
    TraceKey trace;
    SpanId id;
    bool was_replayed = false;
  };
  // Everything that AbortBatch restores beside the graph.
  struct BatchStart {
    EventTime clock;
    LiveOffsets::Ticket ticket_end = 0;
  };

  // grouping.cc: returns the span's node, or kNoSlot for a second copy.
  Slot Join(const SpanRecord& record, Slot trace);
  Slot Connect(const SpanRecord& record, Slot trace, Slot node);
  Slot Look(Slot node);  // cuts or expires its component if it is time
  void Merge(const SpanRecord& record, Slot parent, Slot child);
  void NoteOpening(const SpanRecord& record);

  // parts.cc
  bool Place(const SpanRecord& record, uint32_t span_number);  // false: a second copy
  void MergeParts(Component& parent, Component& child, uint64_t joining_bytes);
  void Absorb(Component& host, Part& other);
  void MoveSpans(Slot from, PartWrite& to);
  void OpenPart(Component& component, Offset offset);
  void AppendSpan(Component& component, const SpanRecord& record, uint32_t span_number);
  void Seal(Component& component);
  void Cut(Component& component);
  PartWrite& WriteOf(Component& component);
  void RefreshWrite(Component& component);
  void DropTicket(uint64_t ticket);

  // rebuild.cc
  Slot ComponentOf(const LivePart& part) const;
  void RenewLiveOffsets();
  void Reopen(Slot component, const LivePart& part, bool is_one_of_several);
  void Close(Slot component, const absl::flat_hash_map<Offset, EventTime>& live_deadlines);

  static constexpr uint64_t kMaxPartBytes = 1u << 31;  // far above any message: what Part can count

  void Forget(EventTime horizon);
  PartName NameOf(Offset offset) const { return {incarnation_, offset}; }

  const Limits limits_;
  const uint32_t incarnation_;
  SegmentGraph graph_;
  DeadlineQueue deadlines_;
  LiveOffsets live_offsets_;
  HeldParts held_parts_;
  EventTime clock_;
  Offset watermark_;

  // Until Reconcile.
  TakenState taken_;
  absl::flat_hash_map<Offset, Opening> openings_;  // of the live parts and their references
  uint64_t replayed_count_ = 0;

  // From BeginBatch to CommitBatch or AbortBatch.
  BatchPlan plan_;
  std::vector<bool> starts_list_;  // of plan_.writes: Redis has no such list yet
  bool has_moved_spans_ = false;
  size_t usual_writes_ = 0;
  uint32_t span_count_ = 0;  // calls of Add
  Offset end_ = kNoOffset;
  BatchStart start_;
  std::vector<uint64_t> dropped_tickets_;
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_SHARD_INDEX_IMPL_H_
