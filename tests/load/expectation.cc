#include "tests/load/expectation.h"

#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "xxhash.h"

namespace spillway::load {
namespace {

using test_support::ReferenceSpan;

// A trace whose messages are still coming.
struct OpenTrace {
  TraceKey key;                      // without the project
  std::vector<ReferenceSpan> facts;  // what the model is told
  std::vector<ExpectedSpan> spans;   // the same positions
  std::vector<uint32_t> bytes;       // the same positions
};

ReferenceSpan FactsOf(const Message& message, uint64_t content_hash) {
  const PlannedSpan& span = *message.span;
  ReferenceSpan facts;
  facts.project_id = ServiceOf(span).project_id;
  facts.trace_id = absl::StrCat(HexText(message.trace->high), HexText(message.trace->low));
  facts.span_id = HexText(span.id);
  if (span.has_parent) facts.parent_span_id = HexText(span.parent_id);
  if (span.attributes == AttributesForm::kWithId) {
    facts.segment_id = span.is_opaque ? OpaqueSegmentId(span) : HexText(span.segment_id);
  }
  facts.is_segment = span.is_segment == IsSegmentForm::kTrue;
  facts.content = std::string(reinterpret_cast<const char*>(&content_hash), sizeof content_hash);
  return facts;
}

class ExpectationBuilder {
 public:
  void Add(const Message& message, uint32_t arrival, int64_t timestamp_ms) {
    if (message.kind == MessageKind::kInvalid) return;
    if (message.trace_slot >= open_.size()) open_.resize(message.trace_slot + 1);
    OpenTrace& trace = open_[message.trace_slot];
    trace.key = {
        .project_id = 0, .trace_high = message.trace->high, .trace_low = message.trace->low};
    const uint64_t content_hash = ContentHashOf(message.bytes);
    trace.facts.push_back(FactsOf(message, content_hash));
    trace.bytes.push_back(static_cast<uint32_t>(message.bytes.size()));
    ExpectedSpan span;
    span.id = message.span->id;
    span.content_hash = content_hash;
    span.timestamp_ms = timestamp_ms;
    span.arrival = arrival;
    span.is_segment = message.span->is_segment;
    span.attributes = message.span->attributes;
    trace.spans.push_back(span);
    if (message.ends_trace) Close(trace);
  }

  Expectation Finish() {
    for (OpenTrace& trace : open_) Close(trace);
    return std::move(result_);
  }

 private:
  void Close(OpenTrace& trace) {
    std::vector<bool> is_first(trace.spans.size());
    for (auto& found : test_support::ExpectedSegments(trace.facts).segments) {
      ExpectedSegment segment;
      segment.trace = trace.key;
      segment.trace.project_id = found.project_id;
      segment.name = std::move(found.name);
      segment.span_count = static_cast<uint32_t>(found.spans.size());
      segment.has_segment_span = found.has_segment_span;
      for (const size_t i : found.spans) {
        is_first[i] = true;
        segment.bytes += trace.bytes[i];
        AddSpan(trace.spans[i], segment.trace);
      }
      result_.segments.push_back(std::move(segment));
    }
    for (size_t i = 0; i < trace.spans.size(); ++i) {
      if (!is_first[i]) NoteCopy(trace.spans[i], trace.facts[i].project_id, trace.key);
    }
    trace.facts.clear();
    trace.spans.clear();
    trace.bytes.clear();
  }

  void AddSpan(ExpectedSpan span, const TraceKey& key) {
    const uint32_t index = static_cast<uint32_t>(result_.spans.size());
    span.segment = static_cast<uint32_t>(result_.segments.size());
    const auto [at, is_new] = result_.by_key.try_emplace(KeyHash(key, span.id), index);
    if (!is_new) {
      span.next_same_id = at->second;
      at->second = index;
    }
    result_.spans.push_back(span);
  }

  void NoteCopy(const ExpectedSpan& copy, uint64_t project_id, TraceKey key) {
    key.project_id = project_id;
    uint32_t at = result_.by_key.at(KeyHash(key, copy.id));
    while (result_.spans[at].content_hash != copy.content_hash) at = result_.spans[at].next_same_id;
    result_.later_arrivals[at].push_back(copy.arrival);
  }

  std::vector<OpenTrace> open_;  // by slot
  Expectation result_;
};

// Finds the timestamp of message after message.
class MarkCursor {
 public:
  explicit MarkCursor(const std::vector<TimeMark>& marks) : marks_(marks) {}

  int64_t TimestampOf(uint64_t message) {
    while (next_ < marks_.size() && marks_[next_].first_message <= message) {
      timestamp_ms_ = marks_[next_++].timestamp_ms;
    }
    return timestamp_ms_;
  }

 private:
  const std::vector<TimeMark>& marks_;
  size_t next_ = 0;
  int64_t timestamp_ms_ = 0;
};

}  // namespace

uint64_t KeyHash(const TraceKey& trace, uint64_t span_id) {
  const uint64_t parts[] = {trace.project_id, trace.trace_high, trace.trace_low, span_id};
  return XXH3_64bits(parts, sizeof parts);
}

uint64_t ContentHashOf(absl::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

absl::StatusOr<Expectation> ExpectationOf(const Manifest& manifest) {
  Traffic traffic(manifest.traffic);
  ExpectationBuilder builder;
  MarkCursor marks(manifest.marks);
  Message message;
  uint64_t hash = 0;
  uint64_t count = 0;
  for (; count < manifest.messages_sent && traffic.Next(message); ++count) {
    hash = ContentHash(hash, message.bytes);
    builder.Add(message, static_cast<uint32_t>(count), marks.TimestampOf(count));
  }
  if (count != manifest.messages_sent || hash != manifest.content_hash) {
    return absl::FailedPreconditionError(
        "the manifest's messages cannot be made again: it is from another version of this tool");
  }
  Expectation expectation = builder.Finish();
  if (!manifest.marks.empty()) expectation.first_timestamp_ms = manifest.marks[0].timestamp_ms;
  return expectation;
}

}  // namespace spillway::load
