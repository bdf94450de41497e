// Messages of one shard from reading to their acceptance by Redis.
#ifndef SPILLWAY_WORKER_INGEST_WORK_BATCH_H_
#define SPILLWAY_WORKER_INGEST_WORK_BATCH_H_

#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "buffer/chunk/chunk.h"
#include "buffer/shard_store.h"
#include "kafka/consumer.h"
#include "worker/segment/shard_index.h"
#include "worker/span/span.h"

namespace spillway::ingest {

struct ParsedMessage {
  Offset offset = kNoOffset;
  std::optional<EventTime> timestamp;  // as the message has it
  absl::string_view bytes;             // borrowed from a source of the batch
  bool is_valid = false;               // to be accepted: `span` is meaningful
  span::Span span;
};

// Keeps the messages' memory: a batch that was refused is planned again from them.
struct WorkBatch {
  std::vector<std::unique_ptr<kafka::Batch>> sources;
  std::vector<ParsedMessage> messages;
  size_t bytes = 0;
  size_t letters_waiting = 0;  // dead letters that Kafka has not acknowledged
  size_t filtered = 0;         // messages that a drop rule leaves out
  Instant started;             // when its first message was read
  Instant letters_since;       // when the oldest of them was sent

  bool empty() const { return messages.empty(); }
  Offset end() const { return messages.back().offset + 1; }  // REQUIRES: !empty()
  void Clear();                                              // keeps the arrays' memory
};

// A message's time for the index: its timestamp clamped to Redis TIME, or that where it has none
// (invariant 8).
EventTime ClampedTime(std::optional<EventTime> timestamp, EventTime redis_now);

segment::SpanRecord RecordOf(const ParsedMessage& message, EventTime redis_now);

// Asks the index what to do with `batch`. `index` is left between EndBatch and Commit/AbortBatch.
segment::BatchPlan PlanBatch(segment::ShardIndex& index, const WorkBatch& batch,
                             EventTime redis_now);

// The call that carries out `plan`. Chunk spans are borrowed from the batch and copied by encoding.
buffer::AddRequest RequestFor(Epoch epoch, const segment::BatchPlan& plan, const WorkBatch& batch,
                              buffer::ChunkEncoder& encoder);

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_WORK_BATCH_H_
