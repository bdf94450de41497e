// What `make` leaves behind for `check`: how to make the same messages again, and when they were
// sent.
#ifndef SPILLWAY_TESTS_LOAD_MANIFEST_H_
#define SPILLWAY_TESTS_LOAD_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/load/trace_plan.h"

namespace spillway::load {

// From this message on, messages carry this Kafka timestamp.
struct TimeMark {
  uint64_t first_message = 0;
  int64_t timestamp_ms = 0;
  bool operator==(const TimeMark&) const = default;
};

struct Manifest {
  TrafficOptions traffic;
  uint64_t messages_sent = 0;  // fewer than the stream has if `make` was interrupted
  uint64_t spans_sent = 0;     // without duplicates and invalid messages
  uint64_t duplicates_sent = 0;
  uint64_t invalid_sent = 0;
  uint64_t bytes_sent = 0;
  uint64_t content_hash = 0;    // of all messages sent, in order (ContentHash)
  std::vector<TimeMark> marks;  // ascending in both

  bool operator==(const Manifest&) const = default;
};

// Folds the next message into the hash of those before it.
uint64_t ContentHash(uint64_t hash, absl::string_view message);

// realistic | k1 | k5 | k20 | spread. INVALID_ARGUMENT for anything else.
absl::StatusOr<Shape> ParseShape(absl::string_view name);
absl::string_view ShapeName(Shape shape);

std::string ManifestJson(const Manifest& manifest);
// INVALID_ARGUMENT naming the key that is missing or wrong.
absl::StatusOr<Manifest> ParseManifest(const std::string& json);

// Writing replaces the file at once or not at all. UNAVAILABLE, NOT_FOUND with the file's name.
absl::Status WriteManifest(const std::string& path, const Manifest& manifest);
absl::StatusOr<Manifest> ReadManifest(const std::string& path);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_MANIFEST_H_
