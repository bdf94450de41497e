// What a generated trace consists of, before any text is written.
#ifndef SPILLWAY_TESTS_LOAD_TRACE_PLAN_H_
#define SPILLWAY_TESTS_LOAD_TRACE_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/support/seeded_random.h"

namespace spillway::load {

// What the traffic looks like.
enum class Shape {
  kRealistic,  // services calling each other, 1 to 500 spans a trace, 0.5 to 4 kB a span
  kOne,        // 1 span a segment, 1 kB spans
  kFive,       // 5 spans a segment, arriving together, 1 kB spans
  kTwenty,     // 20 spans a segment, arriving together, 1 kB spans
  kSpread,     // 20 spans a segment, arriving one by one, far apart
};

struct TrafficOptions {
  uint64_t seed = 1;
  uint64_t spans = 0;
  Shape shape = Shape::kRealistic;
  double spans_per_second = 0;  // 0: as fast as possible; here it only scales the spread
  double spread_seconds = 1;    // a 20-span trace takes about this long, larger ones longer
  double invalid_ratio = 0;     // invalid messages per span
  double duplicate_ratio = 0;   // exact duplicates per span
  double rootless_ratio = 0;    // traces (kRealistic) with segments that have no segment span
  int64_t base_time_ms = 0;     // start of the spans' own timestamps, Unix epoch

  bool operator==(const TrafficOptions&) const = default;
};

// How a span's message spells the two things that Spillway edits.
enum class IsSegmentForm : uint8_t { kMissing, kNull, kFalse, kTrue };
enum class AttributesForm : uint8_t {
  kMissing,
  kNull,
  kWithoutId,  // an object, perhaps empty, without sentry.segment.id
  kIdNull,     // an object with "sentry.segment.id":null
  kWithId,     // an object with the attribute and a value
};
enum class TraceIdForm : uint8_t { kPlain, kDashes, kUpperCase };

struct PlannedSpan {
  uint64_t id = 0;
  uint64_t parent_id = 0;
  uint64_t segment_id = 0;  // value of the attribute for kWithId, unless it is opaque
  uint32_t index = 0;       // in the trace; seeds the text
  uint8_t service = 0;      // index into the table of services
  bool has_parent = false;
  bool is_opaque = false;  // the attribute is the opaque name OpaqueSegmentId()
  bool is_empty = false;   // kWithoutId only: `{}`
  IsSegmentForm is_segment = IsSegmentForm::kMissing;
  AttributesForm attributes = AttributesForm::kWithoutId;
};

struct Trace {
  uint64_t high = 0;
  uint64_t low = 0;
  uint64_t seed = 0;  // of the spans' text
  TraceIdForm id_form = TraceIdForm::kPlain;
  int64_t start_us = 0;  // Unix epoch
  std::vector<PlannedSpan> spans;
  std::vector<uint32_t> order;  // of arrival: indices into spans; a repeated one is a duplicate
  std::vector<bool> sent;       // by index into spans
  size_t next = 0;              // in order
};

struct Service {
  absl::string_view name;
  absl::string_view address;
  uint64_t project_id;
};
const Service& ServiceOf(const PlannedSpan& span);
inline constexpr uint64_t kOrganizationId = 1;

std::string OpaqueSegmentId(const PlannedSpan& span);

// Plans traces. Stateless but for tables made once.
class TracePlanner {
 public:
  explicit TracePlanner(const TrafficOptions& options);

  // Fills `trace` (its vectors are reused) with a new one of at most `max_spans` spans.
  void Plan(test_support::SeededRandom& random, uint64_t max_spans, Trace& trace) const;

 private:
  size_t TraceSize(test_support::SeededRandom& random) const;
  void PlanRealistic(test_support::SeededRandom& random, size_t count, Trace& trace) const;
  void PlanFixed(test_support::SeededRandom& random, size_t count, Trace& trace) const;
  void PlanOrder(test_support::SeededRandom& random, Trace& trace) const;

  TrafficOptions options_;
  std::vector<double> size_distribution_;  // cumulative, of sizes 1, 2, …
};

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_TRACE_PLAN_H_
