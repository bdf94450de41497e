// The graph of one shard: which span belongs to which part of which segment, when each part is due,
// what Redis has to be told (design sections 4 and 5). Pure: values in, a plan out.
#ifndef SPILLWAY_WORKER_SEGMENT_SHARD_INDEX_H_
#define SPILLWAY_WORKER_SEGMENT_SHARD_INDEX_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "buffer/chunk/chunk.h"

namespace spillway::segment {

struct Limits {
  std::chrono::milliseconds root_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds max_age{300'000};
  std::chrono::milliseconds late_window{30'000};
  uint64_t max_part_bytes = 10u << 20;  // effective part size (rule 5)
  uint32_t max_references = 1024;       // above: the part is sealed
};

// One valid span of the input log.
struct SpanRecord {
  Offset offset = kNoOffset;
  TraceKey trace;
  SpanId id;
  SegmentId parent;  // effective; the own id for a segment span
  bool is_segment_span = false;
  uint64_t content_hash = 0;
  uint32_t bytes = 0;
  // The message's timestamp, already clamped to Redis TIME (or Redis TIME if it has none). The
  // index takes max(event clock, this) as the event time (invariant 8).
  EventTime timestamp;
};

// Everything one batch does to one part's list, in order: references are appended, then one chunk.
// A part that was opened and absorbed within the batch is not there: its spans go to its host's
// list.
struct PartWrite {
  PartName part;
  std::vector<PartName> references;  // newly absorbed lists, flat; they leave `due`
  bool has_chunk = false;            // spans, or an empty chunk that seals or renumbers
  std::vector<uint32_t> spans;       // which spans of the batch (n-th call of Add), in offset order
  buffer::ChunkHeader header;        // if has_chunk; span_count = spans.size()
  bool is_absorbed = false;          // leaves `due`: another part of this plan refers to it
  EventTime deadline;                // else: its score in `due`
};

// What one `add` call must do. Offsets are half open: [from, to).
struct BatchPlan {
  Offset from = kNoOffset;
  Offset to = kNoOffset;
  EventTime clock_before;  // compared in the call
  EventTime clock_after;
  uint64_t accepted = 0;  // valid spans, the deduplicated included
  uint64_t deduplicated = 0;
  uint64_t rejected = 0;          // dead letters
  std::vector<PartWrite> writes;  // each part at most once; an absorbed part before its host
};

// A part that was due or in flight in Redis at take.
struct LivePart {
  PartName name;
  EventTime deadline;
  bool is_in_due = false;  // else in flight
  std::vector<PartName> references;
  std::optional<buffer::ChunkHeader>
      last_header;  // of the last chunk of its own list, if it is open
};

// What take told about the shard.
struct TakenState {
  uint32_t incarnation = 0;
  Offset watermark = 0;  // W
  EventTime clock;
  std::vector<LivePart> live;
};

// Not thread-safe. One instance from take to loss of the shard; after any doubt throw it away and
// take the shard from nothing.
//
//   rebuild:  Replay(span)… for offsets [C, W), then Reconcile(taken)
//   batches:  BeginBatch, (Add | Reject)…, EndBatch → send → CommitBatch | AbortBatch
class ShardIndex {
 public:
  // `taken.live` only matters to Reconcile; replay uses its clock as the upper bound of event
  // times.
  ShardIndex(const Limits& limits, const TakenState& taken);
  ~ShardIndex();
  ShardIndex(const ShardIndex&) = delete;
  ShardIndex& operator=(const ShardIndex&) = delete;

  // Rebuilding, below W: no plan, no payload.
  void Replay(const SpanRecord& record);
  void Reconcile();

  // One batch. Between EndBatch and CommitBatch/AbortBatch only const calls are allowed.
  void BeginBatch(Offset from);
  void Add(const SpanRecord& record);
  void Reject(Offset offset);  // a message that became a dead letter
  BatchPlan EndBatch(Offset to);
  void CommitBatch();  // the call was applied
  void AbortBatch();   // the call was refused whole: as if never planned

  // What a successful add or tick said: the shard's clock and its lowest deadline still due or in
  // flight (none: nothing is). Forgets what has left and is past its late window.
  void Observe(EventTime clock, std::optional<EventTime> lowest_outstanding);

  // C of invariant 9 as of the last Observe: nothing below it is needed any more.
  Offset LowWatermark() const;

  EventTime clock() const;
  Offset watermark() const;                        // W: next offset to add
  size_t memory_bytes() const;                     // close estimate of what the index holds
  size_t live_spans() const;                       // remembered span ids
  std::optional<EventTime> next_deadline() const;  // lowest of the open parts it knows

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_SHARD_INDEX_H_
