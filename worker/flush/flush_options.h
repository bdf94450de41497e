// What the flush worker takes from the configuration (design section 7).
#ifndef SPILLWAY_WORKER_FLUSH_FLUSH_OPTIONS_H_
#define SPILLWAY_WORKER_FLUSH_FLUSH_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "config/config.h"
#include "worker/flush/assemble.h"

namespace spillway::flush {

// The configured part, then limits that nobody had to change so far.
struct FlushOptions {
  std::string input_topic = "ingest-spans";  // named in dead letters
  std::string output_topic = "buffered-segments";
  std::string dead_letter_topic = "ingest-spans-dlq";
  OutputOptions output;
  uint64_t max_inflight_bytes = 64u << 20;  // span bytes loaded and not yet delivered, all shards
  std::chrono::milliseconds lease{60'000};
  std::chrono::milliseconds drain_timeout{20'000};  // of a hand-over, too

  // A claim aims at this many span bytes, judged by the parts seen before, and never has more
  // parts.
  uint64_t claim_bytes = 2u << 20;
  uint32_t max_claim_parts = 500;
  uint32_t max_claims = 4;            // in flight per shard
  uint64_t load_bytes = 1u << 20;     // span bytes that one load aims at
  uint32_t lonely_attempts = 2;       // from so many attempts on, a part is claimed alone
  uint32_t dead_letter_attempts = 5;  // from so many on, it goes to the dead letter topic
  Duration min_peek = std::chrono::milliseconds(50);  // while the shard's clock moves
  Duration max_peek = std::chrono::seconds(1);        // while it stands still
  Duration backoff_initial = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(5);
};

inline FlushOptions FlushOptionsFrom(const config::Config& config) {
  FlushOptions options;
  options.input_topic = config.input.topic;
  options.output_topic = config.output.topic;
  options.dead_letter_topic = config.input.dead_letter_topic;
  options.output = {.headers = config.output.headers,
                    .key_is_trace_id = config.output.key == "trace_id",
                    .max_age = config.segments.max_age};
  options.max_inflight_bytes = config.flush.max_inflight_bytes;
  options.lease = config.flush.lease;
  options.drain_timeout = config.flush.drain_timeout;
  return options;
}

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_FLUSH_OPTIONS_H_
