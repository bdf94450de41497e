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

// Why a message is a dead letter. `reason` is a stable word for headers and metric labels
// (for example "not_json", "missing_field", "wrong_type", "out_of_range"), `field` the member it is
// about or empty, `message` a sentence for a person.
struct Rejection {
  std::string reason;
  std::string field;
  std::string message;
};

// Validates whole documents. Holds reusable buffers. Not thread-safe.
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
