// Owners of librdkafka handles for tools: a writer and a reader of one topic, and topic management.
// Independent of the product's own Kafka library on purpose.
#ifndef SPILLWAY_TESTS_LOAD_KAFKA_IO_H_
#define SPILLWAY_TESTS_LOAD_KAFKA_IO_H_

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spillway::load {

// librdkafka's configuration properties; later ones win over a tool's own.
using Properties = std::map<std::string, std::string>;

template <auto destroy>
struct HandleDestroyer {
  template <typename Handle>
  void operator()(Handle* handle) const {
    destroy(handle);
  }
};
template <typename Handle, auto destroy>
using OwnedHandle = std::unique_ptr<Handle, HandleDestroyer<destroy>>;
using KafkaHandle = OwnedHandle<rd_kafka_t, rd_kafka_destroy>;

// INVALID_ARGUMENT naming the property that librdkafka refuses.
absl::StatusOr<KafkaHandle> MakeHandle(rd_kafka_type_t type, const Properties& properties);

// Asks the cluster. NOT_FOUND: no such topic; UNAVAILABLE: no answer, or a partition has no leader.
absl::StatusOr<int32_t> PartitionCount(rd_kafka_t* handle, const std::string& topic);

struct OutgoingMessage {
  absl::string_view value;
  bool is_tombstone = false;  // a null value instead
  absl::string_view key;      // none if empty
  int32_t partition = 0;
  int64_t timestamp_ms = 0;  // 0: now
};

// Idempotent producer onto one topic, lz4, acks=all: what it took, it delivers once and in order,
// or counts as failed. Not thread-safe.
class TopicWriter {
 public:
  static absl::StatusOr<std::unique_ptr<TopicWriter>> Open(const std::string& brokers,
                                                           const std::string& topic,
                                                           const Properties& extra = {});

  int32_t partition_count() const { return partition_count_; }

  // Copies the message; waits while librdkafka's queue is full.
  absl::Status Send(const OutgoingMessage& message);
  // Serves delivery reports; waits for one at most this long.
  void Poll(std::chrono::milliseconds wait);
  // Waits until everything was delivered. DEADLINE_EXCEEDED, or UNAVAILABLE with the first failure.
  absl::Status Flush(std::chrono::milliseconds timeout);

 private:
  struct Deliveries {
    uint64_t failed = 0;
    std::string first_failure;
  };
  TopicWriter() = default;
  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque);

  Deliveries deliveries_;  // outlives handle_
  KafkaHandle handle_;
  OwnedHandle<rd_kafka_topic_t, rd_kafka_topic_destroy> topic_;
  int32_t partition_count_ = 0;
};

struct IncomingMessage {
  absl::string_view value;  // empty for a null value
  int64_t timestamp_ms = 0;
};

// Reads all partitions of a topic from the beginning, outside any consumer group. Not thread-safe.
class TopicReader {
 public:
  static absl::StatusOr<std::unique_ptr<TopicReader>> Open(const std::string& brokers,
                                                           const std::string& topic,
                                                           const Properties& extra = {});
  ~TopicReader();

  // Hands over what has come, waiting at most this long if nothing has; how many that were.
  // UNAVAILABLE if reading failed for good.
  absl::StatusOr<size_t> Poll(std::chrono::milliseconds wait,
                              const std::function<void(const IncomingMessage&)>& take);

 private:
  TopicReader() = default;

  KafkaHandle handle_;
  OwnedHandle<rd_kafka_queue_t, rd_kafka_queue_destroy> queue_;
};

struct TopicSpec {
  std::string name;
  int32_t partitions = 0;
  std::map<std::string, std::string> config;
};

// NAME:PARTITIONS[:key=value,…]. INVALID_ARGUMENT quoting the text.
absl::StatusOr<TopicSpec> ParseTopicSpec(const std::string& text);

// Creates what is missing and waits until every partition has a leader. FAILED_PRECONDITION if a
// topic exists with another number of partitions.
absl::Status CreateTopics(const std::string& brokers, const std::vector<TopicSpec>& topics);
// Topics that do not exist are fine.
absl::Status DeleteTopics(const std::string& brokers, const std::vector<std::string>& names);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_KAFKA_IO_H_
