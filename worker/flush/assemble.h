// From what a part's lists hold to the message it leaves as (design section 5, rules 5 and 8).
// Pure: the same part gives the same bytes, whenever and by whomever it is claimed.
#ifndef SPILLWAY_WORKER_FLUSH_ASSEMBLE_H_
#define SPILLWAY_WORKER_FLUSH_ASSEMBLE_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "buffer/chunk/chunk.h"
#include "buffer/shard_store.h"
#include "kafka/producer.h"

namespace spillway::flush {

// A claimed part, decoded. Movable.
struct Part {
  PartName name;
  EventTime deadline;
  buffer::ChunkHeader header;            // of the last chunk of the part's own list
  std::vector<buffer::Chunk> chunks;     // own the bytes
  std::vector<buffer::ChunkSpan> spans;  // of all lists, in input offset order
};

// Errors: DATA_LOSS if an entry is no chunk, or the own list says nothing about the part.
absl::StatusOr<Part> DecodePart(const buffer::LoadedPart& loaded, EventTime deadline,
                                buffer::ChunkDecoder& decoder);

// Why the part left, as far as its own content tells, so that a repeated claim tells the same. The
// first that applies:
//   size  it was sealed by size or references, or the broker made us split it
//   age   its deadline is its first event time + max_age
//   late  it is a further part of a segment that was cut before
//   root  it holds the segment's root span
//   idle  else
// "drain" is for parts that an operator's drain cuts, which nothing does yet.
const char* ReasonOf(const Part& part, std::chrono::milliseconds max_age);

// Spans [from, to) of a part: all of it, or a half where the broker refused the whole.
struct SpanRange {
  size_t from = 0;
  size_t to = 0;
  bool is_half = false;
  bool operator==(const SpanRange&) const = default;
};
inline SpanRange WholeOf(const Part& part) { return {.from = 0, .to = part.spans.size()}; }
// Two ranges of about the same number of bytes. REQUIRES: at least two spans.
std::pair<SpanRange, SpanRange> Halves(const Part& part);

// 32 hex digits: XXH128 over the segment's id, the part's number and the offsets and ids of the
// range's spans. A half has an id of its own.
std::string FlushId(const Part& part, const SpanRange& range);

struct OutputOptions {
  bool headers = true;           // spillway-shard, -epoch, -part, -reason
  bool key_is_trace_id = false;  // else no key
  std::chrono::milliseconds max_age{300'000};
};

// `epoch` is the flush owner's; it only appears in a header. A half says skip_enrichment as a part
// cut by size does. REQUIRES: the range is not empty.
kafka::OutgoingMessage Assemble(const Part& part, const SpanRange& range, ShardId shard,
                                Epoch epoch, const OutputOptions& options);

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_ASSEMBLE_H_
