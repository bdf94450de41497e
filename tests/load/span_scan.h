// Reads output messages as text, to see whether spans came through byte for byte. Deliberately not
// a JSON library and not the product's parser: a parsed and re-written span would hide a changed
// byte.
#ifndef SPILLWAY_TESTS_LOAD_SPAN_SCAN_H_
#define SPILLWAY_TESTS_LOAD_SPAN_SCAN_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tests/load/trace_plan.h"

namespace spillway::load {

// Where a member of an object stands in the span's text; of duplicate keys the first.
struct Member {
  size_t begin = 0;  // the key's opening quote
  size_t value_begin = 0;
  size_t end = 0;  // behind the value
  bool found = false;
};

struct ScannedSpan {
  absl::string_view text;
  Member project_id;
  Member trace_id;
  Member span_id;
  Member is_segment;
  Member attributes;
  Member segment_id;  // "sentry.segment.id" within attributes

  // The text of a member's value; empty if it was not found.
  absl::string_view Value(const Member& member) const;
};

struct ScannedMessage {
  std::vector<ScannedSpan> spans;  // views of the message
  std::optional<bool> skip_enrichment;
  absl::string_view flush_id;  // without quotes; empty if missing
};

// Finds the parts of one span object. INVALID_ARGUMENT if it is none.
absl::Status ScanSpan(absl::string_view text, ScannedSpan& span);

// Finds the parts of an output message. INVALID_ARGUMENT saying what is wrong with it.
absl::Status ScanMessage(absl::string_view text, ScannedMessage& message);

// Takes Spillway's two edits out of an output span again, given how the input spelled them, and
// puts the result, which must equal the input, into `original`. INVALID_ARGUMENT if an edit is
// missing or stands where the rules do not put it.
absl::Status UndoEdits(const ScannedSpan& span, IsSegmentForm is_segment, AttributesForm attributes,
                       std::string& original);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_SPAN_SCAN_H_
