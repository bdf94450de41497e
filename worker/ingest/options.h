// What the ingest role takes from the configuration, with the limits that have no key of their own.
#ifndef SPILLWAY_WORKER_INGEST_OPTIONS_H_
#define SPILLWAY_WORKER_INGEST_OPTIONS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "buffer/chunk/chunk.h"
#include "config/config.h"
#include "worker/ingest/dictionary_policy.h"
#include "worker/segment/shard_index.h"

namespace spillway::ingest {

struct Options {
  std::string input_topic, dead_letter_topic, output_topic, group;
  std::string client_prefix;  // with which the client ids of this fleet's ingest workers begin
  segment::Limits limits;     // max_part_bytes: EffectivePartBytes, once the topic has been asked
  config::Gate gate;
  uint64_t max_segment_bytes = 10u << 20;
  uint64_t max_index_bytes = 1u << 30;
  size_t batch_bytes = 4u << 20;
  Duration batch_time = std::chrono::milliseconds(50);
  Duration delivery_timeout = std::chrono::seconds(30);
  Duration drain_timeout = std::chrono::seconds(20);
  buffer::Codec codec = buffer::Codec::kZstd;
  int compression_level = 1;
  DictionaryLimits dictionary;

  // A batch ends here whatever its bytes: what one script call may have to do is bounded.
  size_t batch_messages = 10'000;
  Duration tick_interval = std::chrono::seconds(1);
  Duration commit_interval = std::chrono::seconds(1);
  // While the gate is SLOW a batch begins at most this often.
  Duration slow_interval = std::chrono::milliseconds(250);
  // After Redis refused for memory and says no more about it, it is tried again.
  Duration memory_retry = std::chrono::seconds(5);
  Duration query_timeout = std::chrono::seconds(5);  // of one question to Kafka
  // A shard that has waited for Kafka or Redis so long is held up by them, not by us.
  Duration slow_answer = std::chrono::seconds(2);
  Duration first_backoff = std::chrono::milliseconds(100);
  Duration last_backoff = std::chrono::seconds(10);
  Duration fenced_backoff =
      std::chrono::seconds(1);  // at least, after another owner took the shard
  Duration settled_after = std::chrono::seconds(10);  // live for so long: backoffs begin anew
};

Options OptionsFrom(const config::Config& config);

// What the client id of each of a namespace's workers begins with.
std::string ClientPrefix(const std::string& name_space);

// Below this the topic cannot hold segments: a configuration error (design section 5, rule 10).
inline constexpr uint64_t kMinPartBytes = 64u << 10;

// Rule 5. `topic_limit`: largest message that the output topic takes, uncompressed. What a span
// gains in the two edits is less than three tenths of the shortest valid span with them; the rest
// of the envelope is fixed.
uint64_t EffectivePartBytes(uint64_t max_segment_bytes, uint64_t topic_limit);

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_OPTIONS_H_
