// Writes planned spans as messages of format `sentry-json`.
#ifndef SPILLWAY_TESTS_LOAD_SPAN_TEXT_H_
#define SPILLWAY_TESTS_LOAD_SPAN_TEXT_H_

#include <cstddef>
#include <string>

#include "tests/load/trace_plan.h"

namespace spillway::load {

// The size of every message of the shapes other than kRealistic.
inline constexpr size_t kFixedSpanBytes = 1000;

// Replaces `out` with the message of `span`. A function of its arguments: writing a span again
// gives the same bytes. kRealistic messages have 0.4 to 4 kB, now and then with escapes, text
// beyond ASCII, unusual number spellings, unknown nested fields, white space, and keys in another
// order.
void WriteSpan(Shape shape, const Trace& trace, const PlannedSpan& span, std::string& out);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_SPAN_TEXT_H_
