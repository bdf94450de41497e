// The shards are the partitions of the input topic: asks Kafka for their number.
#ifndef SPILLWAY_SERVER_KAFKA_DISCOVERY_H_
#define SPILLWAY_SERVER_KAFKA_DISCOVERY_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "config/config.h"
#include "kafka/metadata.h"
#include "server/supervisor/shard_discovery.h"

namespace spillway::server {

// For how long the input topic must keep a span: what is buffered is read again from there if Redis
// is lost, an hour later if need be.
std::chrono::milliseconds NeededRetention(const config::Segments& segments);

// A sentence for a person if the topic keeps messages for less; empty: it does not.
std::string RetentionWarning(const std::string& topic,
                             std::optional<std::chrono::milliseconds> retention,
                             std::chrono::milliseconds needed);

// The first time that the topic is there it also looks at its retention, and logs a warning if that
// is too short.
class KafkaDiscovery final : public supervisor::ShardDiscovery {
 public:
  KafkaDiscovery(std::unique_ptr<kafka::MetadataClient> client, std::string topic,
                 std::chrono::milliseconds needed_retention);
  absl::StatusOr<int32_t> ShardCount(Duration timeout) override;

 private:
  void CheckRetention(Duration timeout);

  const std::unique_ptr<kafka::MetadataClient> client_;
  const std::string topic_;
  const std::chrono::milliseconds needed_retention_;
  bool is_retention_checked_ = false;  // of whoever asks: one thread at a time
};

}  // namespace spillway::server

#endif  // SPILLWAY_SERVER_KAFKA_DISCOVERY_H_
