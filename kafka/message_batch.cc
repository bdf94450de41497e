#include "kafka/message_batch.h"

#include <utility>

namespace spillway::kafka {

BatchArrays BatchPool::Get() {
  if (free_.empty()) return {};
  BatchArrays arrays = std::move(free_.back());
  free_.pop_back();
  return arrays;
}

void BatchPool::Put(BatchArrays arrays) {
  if (free_.size() >= kLimit) return;
  arrays.owned.clear();
  arrays.messages.clear();
  free_.push_back(std::move(arrays));
}

MessageBatch::MessageBatch(std::shared_ptr<Client> client, std::shared_ptr<BatchPool> pool)
    : client_(std::move(client)), pool_(std::move(pool)), arrays_(pool_->Get()) {}

MessageBatch::~MessageBatch() {
  for (rd_kafka_message_t* message : arrays_.owned) rd_kafka_message_destroy(message);
  pool_->Put(std::move(arrays_));
}

void MessageBatch::Add(rd_kafka_message_t* message) {
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const int64_t timestamp = rd_kafka_message_timestamp(message, &type);
  arrays_.owned.push_back(message);
  Message& view = arrays_.messages.emplace_back();
  view.offset = message->offset;
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0)
    view.timestamp = EventTime{timestamp};
  view.is_tombstone = message->payload == nullptr;
  if (message->payload != nullptr) {
    view.payload = absl::string_view(static_cast<const char*>(message->payload), message->len);
  }
  if (message->key != nullptr) {
    view.key = absl::string_view(static_cast<const char*>(message->key), message->key_len);
  }
  payload_bytes_ += message->len;
}

}  // namespace spillway::kafka
