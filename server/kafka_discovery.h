// The shards are the partitions of the input topic: asks Kafka for their number.
#ifndef SPILLWAY_SERVER_KAFKA_DISCOVERY_H_
#define SPILLWAY_SERVER_KAFKA_DISCOVERY_H_

#include <memory>
#include <string>
#include <utility>

#include "kafka/metadata.h"
#include "server/supervisor/shard_discovery.h"

namespace spillway::server {

class KafkaDiscovery final : public supervisor::ShardDiscovery {
 public:
  KafkaDiscovery(std::unique_ptr<kafka::MetadataClient> client, std::string topic)
      : client_(std::move(client)), topic_(std::move(topic)) {}
  absl::StatusOr<int32_t> ShardCount(Duration timeout) override {
    return client_->PartitionCount(topic_, timeout);
  }

 private:
  const std::unique_ptr<kafka::MetadataClient> client_;
  const std::string topic_;
};

}  // namespace spillway::server

#endif  // SPILLWAY_SERVER_KAFKA_DISCOVERY_H_
