#include "worker/ingest/work_batch.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace spillway::ingest {

void WorkBatch::Clear() {
  messages.clear();
  sources.clear();
  bytes = 0;
  letters_waiting = 0;
  filtered = 0;
}

EventTime ClampedTime(std::optional<EventTime> timestamp, EventTime redis_now) {
  return timestamp.has_value() ? std::min(*timestamp, redis_now) : redis_now;
}

segment::SpanRecord RecordOf(const ParsedMessage& message, EventTime redis_now) {
  const span::Span& span = message.span;
  return {.offset = message.offset,
          .trace = span.trace,
          .id = span.id,
          .parent = span.parent,
          .is_segment_span = span.is_segment_span,
          .content_hash = span.content_hash,
          .bytes = static_cast<uint32_t>(message.bytes.size()),
          .timestamp = ClampedTime(message.timestamp, redis_now)};
}

segment::BatchPlan PlanBatch(segment::ShardIndex& index, const WorkBatch& batch,
                             EventTime redis_now) {
  index.BeginBatch(index.watermark());
  for (const ParsedMessage& message : batch.messages) {
    if (message.is_valid) {
      index.Add(RecordOf(message, redis_now));
    } else {
      index.Reject(message.offset);
    }
  }
  return index.EndBatch(batch.end());
}

namespace {

// Positions of the batch's valid messages: a plan counts spans by calls of Add.
std::vector<const ParsedMessage*> ValidOf(const WorkBatch& batch) {
  std::vector<const ParsedMessage*> valid;
  valid.reserve(batch.messages.size());
  for (const ParsedMessage& message : batch.messages) {
    if (message.is_valid) valid.push_back(&message);
  }
  return valid;
}

// The plan names an absorbed part only where it is written to; the call must be told of every one
// that leaves `due`. (Those that were absorbed long ago and are only passed on have left it: no
// harm.)
void AddAbsorbed(const segment::BatchPlan& plan, std::vector<buffer::AddPart>& parts) {
  absl::flat_hash_set<PartName> written;
  for (const segment::PartWrite& write : plan.writes) {
    if (write.references.empty()) continue;
    if (written.empty()) {
      for (const segment::PartWrite& other : plan.writes) written.insert(other.part);
    }
    for (const PartName& reference : write.references) {
      if (!written.insert(reference).second) continue;
      buffer::AddPart& part = parts.emplace_back();
      part.name = reference;
      part.is_absorbed = true;
    }
  }
}

}  // namespace

buffer::AddRequest RequestFor(Epoch epoch, const segment::BatchPlan& plan, const WorkBatch& batch,
                              buffer::ChunkEncoder& encoder) {
  const std::vector<const ParsedMessage*> valid = ValidOf(batch);
  buffer::AddRequest request;
  request.epoch = epoch;
  request.expected_watermark = plan.from;
  request.new_watermark = plan.to;
  request.expected_clock = plan.clock_before;
  request.new_clock = plan.clock_after;
  request.ledger.messages = plan.accepted + plan.rejected;
  request.ledger.accepted = plan.accepted;
  request.ledger.deduplicated = plan.deduplicated;
  request.ledger.filtered = batch.filtered;
  request.ledger.rejected = plan.rejected - batch.filtered;
  request.dictionary = encoder.dictionary();
  request.parts.reserve(plan.writes.size());
  AddAbsorbed(plan, request.parts);
  std::vector<buffer::ChunkSpan> spans;
  for (const segment::PartWrite& write : plan.writes) {
    buffer::AddPart& part = request.parts.emplace_back();
    part.name = write.part;
    part.references = write.references;
    part.is_absorbed = write.is_absorbed;
    part.deadline = write.deadline;
    if (!write.has_chunk) continue;
    spans.clear();
    for (const uint32_t number : write.spans) {
      const ParsedMessage& message = *valid[number];
      spans.push_back({.id = message.span.id,
                       .offset = message.offset,
                       .is_segment = message.span.is_segment,
                       .segment_id = message.span.segment_id,
                       .bytes = message.bytes});
    }
    encoder.Encode(write.header, spans, part.chunk);
  }
  return request;
}

}  // namespace spillway::ingest
