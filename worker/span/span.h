// Reads one message of the input topic in format `sentry-json` (design section 5). Pure.
#ifndef SPILLWAY_WORKER_SPAN_SPAN_H_
#define SPILLWAY_WORKER_SPAN_SPAN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "buffer/chunk/chunk.h"

namespace spillway::span {

// What the rest of the worker knows of a span.
struct Span {
  TraceKey trace;
  SpanId id;
  SegmentId parent;              // effective parent (rule 2); the span's own id for a segment span
  bool is_segment_span = false;  // rule 1: its own segment's root
  uint64_t content_hash = 0;     // XXH3 of the bytes
  buffer::SpanEdit is_segment;
  buffer::SpanEdit segment_id;
};

// Why a message is a dead letter. `field` is the member it is about, or empty; `message` a phrase
// for a person. `reason` is a stable word for headers and metric labels:
//   empty          no bytes, or a tombstone
//   not_json       not one JSON document (a lone surrogate escape counts: it has no UTF-8 form)
//   invalid_utf8
//   too_deep       nested deeper than kMaxDepth
//   too_large      memory for parsing it cannot be had
//   not_object     valid JSON, but no object
//   missing_field  a required member is not there
//   wrong_type     a known member has a type the format does not allow (null where not allowed)
//   out_of_range   an unsigned member is negative or above 2^64 - 1
//   invalid_id     an id is not so many hex digits; a segment id attribute is longer than 64 bytes
//                  or has control characters
struct Rejection {
  std::string reason;
  std::string field;
  std::string message;
};

// Validates whole documents: a number that fits no machine type is valid JSON all the same. Of
// duplicate keys the first counts, keys are compared by what they mean ("is\u005fsegment" is
// is_segment), and `name` may be anything. Holds reusable buffers. Not thread-safe.
class SpanParser {
 public:
  static constexpr size_t kMaxDepth = 512;  // deeper nesting is rejected, reason "too_deep"

  SpanParser();
  ~SpanParser();
  SpanParser(const SpanParser&) = delete;
  SpanParser& operator=(const SpanParser&) = delete;

  // `message` need not be padded; a tombstone is passed as an empty message.
  std::variant<Span, Rejection> Parse(absl::string_view message);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace spillway::span

#endif  // SPILLWAY_WORKER_SPAN_SPAN_H_
