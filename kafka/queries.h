// Questions to the brokers. They block up to their timeout: for pool threads. Internal to kafka/.
#ifndef SPILLWAY_KAFKA_QUERIES_H_
#define SPILLWAY_KAFKA_QUERIES_H_

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kafka/consumer.h"
#include "kafka/metadata.h"

namespace spillway::kafka {

// What brokers use where nobody set max.message.bytes.
inline constexpr size_t kDefaultTopicMessageBytes = 1'048'588;

// Errors of all: UNAVAILABLE, NOT_FOUND, PERMISSION_DENIED.
absl::StatusOr<PartitionExtent> AskExtent(rd_kafka_t* handle, const std::string& topic,
                                          ShardId shard, int timeout_ms);
absl::StatusOr<int32_t> AskPartitionCount(rd_kafka_t* handle, const std::string& topic,
                                          int timeout_ms);
// The topic's max.message.bytes: bytes of a record batch. A broker that cannot describe
// configurations (an old one, librdkafka's mock) counts as having Kafka's default.
absl::StatusOr<size_t> AskMaxMessageBytes(rd_kafka_t* handle, const std::string& topic,
                                          int timeout_ms);
// See MetadataClient.
absl::StatusOr<std::optional<std::chrono::milliseconds>> AskRetention(rd_kafka_t* handle,
                                                                      const std::string& topic,
                                                                      int timeout_ms);
absl::StatusOr<std::vector<GroupMember>> AskGroupMembers(rd_kafka_t* handle,
                                                         const std::string& group, int timeout_ms);

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_QUERIES_H_
