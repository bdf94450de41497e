#include "tests/support/reference_forest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "tests/support/seeded_random.h"

namespace spillway::test_support {
namespace {

std::string RowId(absl::string_view text) {
  CHECK(!text.empty(), "a row's id is a letter or an opaque name");
  return text.size() == 1 ? RowSpanId(text[0]) : std::string(text);
}

// Takes the text between `text`'s start and the next mark off its front.
absl::string_view TakeWord(absl::string_view& text) {
  const absl::string_view word = text.substr(0, text.find_first_of("*>@~"));
  text.remove_prefix(word.size());
  return word;
}

ReferenceSpan RowSpan(absl::string_view text) {
  ReferenceSpan span;
  span.trace_id = RowTraceId('a');
  span.span_id = RowId(TakeWord(text));
  while (!text.empty()) {
    const char mark = text[0];
    text.remove_prefix(1);
    const absl::string_view word = TakeWord(text);
    if (mark == '*') span.is_segment = true;
    if (mark == '>') span.parent_span_id = RowId(word);
    if (mark == '~') span.segment_id = RowId(word);
    if (mark == '@') CHECK(absl::SimpleAtoi(word, &span.project_id), "a project is a number");
  }
  span.content = SpanMessage(span);
  return span;
}

// Makes the spans of one trace.
class TraceMaker {
 public:
  TraceMaker(SeededRandom& random, const ForestOptions& options)
      : random_(random), options_(options) {}

  std::vector<ReferenceSpan> Make() {
    const uint64_t high = random_.Next();
    trace_id_ = absl::StrFormat("%016x%016x", high, random_.Next());
    project_ = 1 + random_.Below(options_.projects);
    const size_t count = 1 + random_.Below(options_.max_spans_per_trace);
    for (size_t i = 0; i < count; ++i) ids_.push_back(absl::StrFormat("%016x", random_.Next()));
    for (size_t i = 0; i < count; ++i) AddSpan(i);
    if (random_.Chance(0.1)) AddCycle();
    if (random_.Chance(0.1)) AddSharedId();
    return std::move(spans_);
  }

 private:
  void AddSpan(size_t i) {
    ReferenceSpan span;
    span.project_id = random_.Chance(0.1) ? 1 + random_.Below(options_.projects) : project_;
    span.trace_id = SpelledTraceId();
    span.span_id = ids_[i];
    if (i > 0 || random_.Chance(0.3)) span.parent_span_id = ParentFor(i);
    span.is_segment = random_.Chance(i == 0 ? 0.6 : 0.15);
    if (random_.Chance(0.15)) span.segment_id = SomeSegmentId();
    if (random_.Chance(0.03)) span.span_id = absl::AsciiStrToUpper(span.span_id);
    Push(std::move(span));
  }

  // Usually an earlier span; sometimes one that never comes, or the span itself.
  std::string ParentFor(size_t i) {
    if (i == 0 || random_.Chance(0.08)) return absl::StrFormat("%016x", random_.Next());
    if (random_.Chance(0.03)) return ids_[i];
    std::string parent = ids_[random_.Below(i)];
    return random_.Chance(0.03) ? absl::AsciiStrToUpper(parent) : parent;
  }

  std::string SomeSegmentId() {
    switch (random_.Below(4)) {
      case 0:
        return absl::StrCat("checkout-", random_.Below(3));
      case 1:
        return absl::AsciiStrToUpper(ids_[0]);
      case 2:
        return absl::StrFormat("%016x", 7 + random_.Below(2));
      default:
        return ids_[random_.Below(ids_.size())];
    }
  }

  // A ring of 2 to 5 spans, no segment span among them, and some that hang below it.
  void AddCycle() {
    std::vector<std::string> ring;
    const size_t length = 2 + random_.Below(4);
    for (size_t i = 0; i < length; ++i) ring.push_back(absl::StrFormat("%016x", random_.Next()));
    for (size_t i = 0; i < length; ++i) Push(Plain(ring[i], ring[(i + 1) % length]));
    Push(Plain(absl::StrFormat("%016x", random_.Next()), ring[random_.Below(length)]));
  }

  // Another span with an id that is there already: other bytes, often another parent.
  void AddSharedId() {
    ReferenceSpan span = spans_[random_.Below(spans_.size())];
    if (random_.Chance(0.5)) span.parent_span_id = ids_[random_.Below(ids_.size())];
    span.is_segment = random_.Chance(0.3);
    Push(std::move(span));
  }

  ReferenceSpan Plain(const std::string& id, const std::string& parent) {
    ReferenceSpan span;
    span.project_id = project_;
    span.trace_id = SpelledTraceId();
    span.span_id = id;
    span.parent_span_id = parent;
    return span;
  }

  std::string SpelledTraceId() {
    if (random_.Chance(0.03)) return absl::AsciiStrToUpper(trace_id_);
    if (!random_.Chance(0.03)) return trace_id_;
    const absl::string_view t = trace_id_;
    return absl::StrCat(t.substr(0, 8), "-", t.substr(8, 4), "-", t.substr(12, 4), "-",
                        t.substr(16, 4), "-", t.substr(20));
  }

  void Push(ReferenceSpan span) {
    span.content = SpanMessage(span, random_.Below(1'000'000));
    spans_.push_back(span);
    if (random_.Chance(0.05)) spans_.push_back(std::move(span));
  }

  SeededRandom& random_;
  const ForestOptions& options_;
  std::string trace_id_;
  uint64_t project_ = 0;
  std::vector<std::string> ids_;
  std::vector<ReferenceSpan> spans_;
};

}  // namespace

std::string RowSpanId(char letter) { return std::string(16, letter); }
std::string RowTraceId(char letter) { return std::string(32, letter); }

std::vector<ReferenceSpan> SpansOfRow(absl::string_view row) {
  std::vector<ReferenceSpan> spans;
  for (const absl::string_view word :
       absl::StrSplit(row, absl::ByAnyChar(", "), absl::SkipEmpty())) {
    spans.push_back(RowSpan(word));
  }
  return spans;
}

std::string SpanMessage(const ReferenceSpan& span, uint64_t variant) {
  std::string text = absl::StrCat(
      R"({"organization_id":1,"project_id":)", span.project_id, R"(,"trace_id":")", span.trace_id,
      R"(","span_id":")", span.span_id,
      R"(","start_timestamp":1700000000.25,"end_timestamp":1700000000.5,"received":1700000001.0,)",
      R"("retention_days":90,"status":"ok","name":"variant )", variant, "\"");
  if (!span.parent_span_id.empty()) {
    absl::StrAppend(&text, R"(,"parent_span_id":")", span.parent_span_id, "\"");
  } else if (variant % 3 != 0) {  // the two other ways to have no parent
    absl::StrAppend(&text, R"(,"parent_span_id":)", variant % 3 == 1 ? "null" : R"("")");
  }
  if (span.is_segment) {
    absl::StrAppend(&text, R"(,"is_segment":true)");
  } else if (variant % 2 == 1) {
    absl::StrAppend(&text, R"(,"is_segment":false)");
  }
  if (!span.segment_id.empty()) {
    absl::StrAppend(&text, R"(,"attributes":{"sentry.segment.id":{"type":"string","value":")",
                    span.segment_id, R"("}})");
  } else if (variant % 5 == 1) {
    absl::StrAppend(&text, R"(,"attributes":null)");
  } else if (variant % 5 == 2) {
    absl::StrAppend(&text, R"(,"attributes":{"a":{"type":"integer","value":1}})");
  }
  text += "}";
  return text;
}

std::vector<ReferenceSpan> RandomForest(const ForestOptions& options) {
  SeededRandom random(options.seed);
  std::vector<ReferenceSpan> forest;
  for (size_t i = 0; i < options.traces; ++i) {
    std::vector<ReferenceSpan> trace = TraceMaker(random, options).Make();
    std::move(trace.begin(), trace.end(), std::back_inserter(forest));
  }
  random.Shuffle(forest);
  return forest;
}

}  // namespace spillway::test_support
