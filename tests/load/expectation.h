// What must come out for the messages of a manifest, in a form small enough for millions of spans.
#ifndef SPILLWAY_TESTS_LOAD_EXPECTATION_H_
#define SPILLWAY_TESTS_LOAD_EXPECTATION_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "tests/load/manifest.h"
#include "tests/load/traffic.h"
#include "tests/support/reference_model.h"

namespace spillway::load {

inline constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

struct ExpectedSpan {
  uint64_t id = 0;
  uint64_t content_hash = 0;      // of the bytes as they were sent
  int64_t timestamp_ms = 0;       // Kafka's, of the input message
  uint32_t arrival = 0;           // place in the stream
  uint32_t segment = 0;           // index into Expectation::segments
  uint32_t next_same_id = kNone;  // index of another span of this trace key and id
  uint32_t seen_in = kNone;       // the checker's: which output message had it first
  IsSegmentForm is_segment = IsSegmentForm::kMissing;
  AttributesForm attributes = AttributesForm::kMissing;
  bool has_right_copy = false;   // the checker's: one came with the right edits
  bool has_first_place = false;  // the checker's: one came where the span was first sent
};

struct ExpectedSegment {
  TraceKey trace;
  std::string name;
  uint64_t bytes = 0;
  uint32_t span_count = 0;
  bool has_segment_span = false;
};

struct Expectation {
  std::vector<ExpectedSpan> spans;
  std::vector<ExpectedSegment> segments;
  // Where the same bytes were sent again, ascending, by index into `spans`.
  absl::flat_hash_map<uint32_t, std::vector<uint32_t>> later_arrivals;
  // First span of each (trace key, span id), by KeyHash.
  absl::flat_hash_map<uint64_t, uint32_t> by_key;
  int64_t first_timestamp_ms = 0;
};

uint64_t KeyHash(const TraceKey& trace, uint64_t span_id);
uint64_t ContentHashOf(absl::string_view bytes);

// Makes the manifest's messages again and groups them with the reference model.
// FAILED_PRECONDITION if they are not the bytes that were sent (another version of the generator).
absl::StatusOr<Expectation> ExpectationOf(const Manifest& manifest);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_EXPECTATION_H_
