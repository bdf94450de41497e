// What must come out of Spillway for a given input, worked out the plainest way: an oracle for
// tests, written from the rules of docs/design.md, section 5 (1–3, 7 and 11) alone and sharing no
// code with the product. It covers the case without cuts: everything arrives in time and no part is
// too large.
#ifndef SPILLWAY_TESTS_SUPPORT_REFERENCE_MODEL_H_
#define SPILLWAY_TESTS_SUPPORT_REFERENCE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace spillway::test_support {

// One span message as the rules see it. Ids in any spelling the rules allow.
struct ReferenceSpan {
  uint64_t project_id = 1;
  std::string trace_id;        // 32 hex digits, dashes and upper case tolerated
  std::string span_id;         // 16 hex digits
  std::string parent_span_id;  // empty: absent, null or ""
  std::string segment_id;   // value of attributes["sentry.segment.id"]; empty: absent, null or ""
  bool is_segment = false;  // whether the message says `is_segment: true`
  std::string content;      // the message's bytes: same id and same content = the same span
};

// One segment that must leave.
struct ReferenceSegment {
  uint64_t project_id = 0;
  std::string trace_id;           // lower case, no dashes
  std::string name;               // the segment id
  std::vector<size_t> spans;      // positions in the input, ascending; second copies left out
  bool has_segment_span = false;  // decides between root_timeout and idle_timeout

  bool operator==(const ReferenceSegment&) const = default;
};

struct ReferenceResult {
  std::vector<ReferenceSegment> segments;  // ordered by project, trace, name
  uint64_t deduplicated = 0;               // spans that are second copies and leave nowhere
};

// The segments that `spans`, in arrival order, must form. Pure.
// Compare what a shard put out with `segments`: every segment once, exactly these spans, in this
// order, `is_segment` true for those whose lower-case id is `name`.
ReferenceResult ExpectedSegments(const std::vector<ReferenceSpan>& spans);

// A message that left: its segment id and its spans' positions in the input, at least one.
struct LeftSegment {
  std::string name;
  std::vector<size_t> spans;
};
// What left, in the words and the order of ReferenceResult::segments: trace and project are those
// of each one's first span.
std::vector<ReferenceSegment> InModelWords(std::vector<LeftSegment> left,
                                           const std::vector<ReferenceSpan>& spans);

// Rules 1 and 2.
bool IsSegmentSpan(const ReferenceSpan& span);
std::string EffectiveParent(const ReferenceSpan& span);

// Rule 11: lower case without dashes; and lower case if it looks like a span id, else as it is.
std::string NormalTraceId(absl::string_view trace_id);
std::string NormalSegmentId(absl::string_view id);

}  // namespace spillway::test_support

#endif  // SPILLWAY_TESTS_SUPPORT_REFERENCE_MODEL_H_
