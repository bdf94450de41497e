// When a worker trains a dictionary for its chunks (design section 4, "Codec"). Pure.
#ifndef SPILLWAY_WORKER_INGEST_DICTIONARY_POLICY_H_
#define SPILLWAY_WORKER_INGEST_DICTIONARY_POLICY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace spillway::ingest {

// Sizes were chosen by measurement: 16 KiB from 1,000 spans take 50 ms once; more of either made
// chunks at most a twentieth smaller.
struct DictionaryLimits {
  size_t bytes = 0;  // of a dictionary; 0: none is used
  // Trained with the last spans, of each at most so much: with at most this many, or as many as
  // have so many bytes together.
  size_t sample_spans = 1'000;
  size_t sample_bytes = 1u << 20;
  size_t bytes_of_a_sample = 4u << 10;
  size_t sample_every = 16;  // spans, once there is a dictionary
  // Trained again when a window of so many spans takes so many times the space that the first one
  // took after the dictionary had come, and that was so long ago.
  uint64_t window_spans = 5'000;
  double worse = 1.3;
  Duration interval = std::chrono::minutes(10);
};

// Of one dictionary after the other. Not thread-safe.
class DictionaryPolicy {
 public:
  explicit DictionaryPolicy(const DictionaryLimits& limits) : limits_(limits) {}

  // Another one is in use, trained or found.
  void OnChanged(Instant now);
  // Training came to nothing.
  void OnFailed(Instant now) { tried_at_ = now; }
  // So much was encoded, before and after compression.
  void OnEncoded(uint64_t spans, uint64_t body_bytes, uint64_t stored_bytes);

  // Whether to train now, given samples enough. A window that is as good as the first one takes a
  // worse one back.
  bool ShouldTrain(Instant now) const;

 private:
  const DictionaryLimits limits_;
  bool has_one_ = false;
  std::optional<Instant> tried_at_;
  uint64_t spans_ = 0, body_bytes_ = 0, stored_bytes_ = 0;  // of the window under way
  std::optional<double> first_ratio_;
  bool is_worse_ = false;
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_DICTIONARY_POLICY_H_
