#include "worker/ingest/options.h"

#include "absl/strings/str_cat.h"

namespace spillway::ingest {

std::string ClientPrefix(const std::string& name_space) {
  return absl::StrCat("spillway/", name_space, "/");
}

Options OptionsFrom(const config::Config& config) {
  Options options;
  options.input_topic = config.input.topic;
  options.dead_letter_topic = config.input.dead_letter_topic;
  options.output_topic = config.output.topic;
  options.group = config.input.group;
  const auto client_id = config.kafka.properties.find("client.id");
  options.client_prefix = client_id == config.kafka.properties.end()
                              ? ClientPrefix(config.name_space)
                              : client_id->second;
  options.limits.root_timeout = config.segments.root_timeout;
  options.limits.idle_timeout = config.segments.idle_timeout;
  options.limits.max_age = config.segments.max_age;
  options.limits.late_window = config.segments.late_window;
  options.gate = config.gate;
  options.max_segment_bytes = config.segments.max_bytes;
  options.max_index_bytes = config.ingest.max_index_bytes;
  options.batch_bytes = config.ingest.batch_bytes;
  options.batch_time = config.ingest.batch_time;
  options.delivery_timeout = config.output.delivery_timeout;
  options.drain_timeout = config.flush.drain_timeout;
  options.codec = config.ingest.compression == "none" ? buffer::Codec::kNone : buffer::Codec::kZstd;
  if (options.codec != buffer::Codec::kNone) {
    options.dictionary.bytes = config.ingest.dictionary_bytes;
  }
  options.compression_level = config.ingest.compression_level;
  return options;
}

uint64_t EffectivePartBytes(uint64_t max_segment_bytes, uint64_t topic_limit) {
  constexpr uint64_t kCeiling = 10u << 20;
  constexpr uint64_t kEnvelopeBytes =
      4096;  // of a segment's JSON around its spans, and its headers
  const uint64_t room = topic_limit > kEnvelopeBytes ? (topic_limit - kEnvelopeBytes) / 10 * 7 : 0;
  return std::min({max_segment_bytes, kCeiling, room});
}

}  // namespace spillway::ingest
