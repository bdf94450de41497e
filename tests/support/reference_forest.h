// Inputs for comparisons with the reference model: rows of the conformance table, and seeded random
// forests with everything the rules of design section 5 mention.
#ifndef SPILLWAY_TESTS_SUPPORT_REFERENCE_FOREST_H_
#define SPILLWAY_TESTS_SUPPORT_REFERENCE_FOREST_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/support/reference_model.h"

namespace spillway::test_support {

// The spans of a row in the conformance table's notation, in its order: `x>p` span x with parent p,
// `x*` segment span, `x*>p` segment span with a parent, `@n` project, `~s` with segment id s; ids
// are the letter repeated, a segment id of more than one letter is taken as it is; separated by
// commas or spaces. `|` and what is not understood ends the process: rows are written by hand. The
// content of each is SpanMessage() of it.
std::vector<ReferenceSpan> SpansOfRow(absl::string_view row);

// A letter as the notation means it: 16 times for spans, 32 times for traces.
std::string RowSpanId(char letter);
std::string RowTraceId(char letter);

// A valid message of format `sentry-json` that says what `span` says; spans that differ only in
// `variant` share their id and differ in bytes. `span.content` is ignored.
std::string SpanMessage(const ReferenceSpan& span, uint64_t variant = 0);

struct ForestOptions {
  uint64_t seed = 1;
  size_t traces = 1000;
  size_t projects = 3;
  size_t max_spans_per_trace = 24;
};

// Random traces, all mixed in random order: several projects that share trace ids, segment spans in
// the middle, spans without any segment span above, parents that never come, segment ids by
// attribute (known, unknown, opaque, in upper case), shared span ids with different bytes, exact
// duplicates, cycles, spans that are their own parent, trace ids with dashes or in upper case. The
// same options give the same spans. `content` is a valid message.
std::vector<ReferenceSpan> RandomForest(const ForestOptions& options);

}  // namespace spillway::test_support

#endif  // SPILLWAY_TESTS_SUPPORT_REFERENCE_FOREST_H_
