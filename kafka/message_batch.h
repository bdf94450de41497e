// Messages as librdkafka hands them out, without copying them. Internal to kafka/.
#ifndef SPILLWAY_KAFKA_MESSAGE_BATCH_H_
#define SPILLWAY_KAFKA_MESSAGE_BATCH_H_

#include <librdkafka/rdkafka.h>

#include <memory>
#include <vector>

#include "kafka/client.h"
#include "kafka/consumer.h"

namespace spillway::kafka {

// The arrays of a batch, kept for the next one.
struct BatchArrays {
  std::vector<rd_kafka_message_t*> owned;
  std::vector<Message> messages;
};

// Arrays that wait for their next use: at most kLimit, more are freed.
class BatchPool {
 public:
  static constexpr size_t kLimit = 16;

  BatchArrays Get();
  void Put(BatchArrays arrays);

 private:
  std::vector<BatchArrays> free_;
};

// Owns librdkafka's messages, so the memory of the fetch responses they lie in. Loop thread only.
class MessageBatch final : public Batch {
 public:
  MessageBatch(std::shared_ptr<Client> client, std::shared_ptr<BatchPool> pool);
  ~MessageBatch() override;

  const std::vector<Message>& messages() const override { return arrays_.messages; }
  // Takes `message` over.
  void Add(rd_kafka_message_t* message);
  size_t payload_bytes() const { return payload_bytes_; }

 private:
  std::shared_ptr<Client> client_;  // destroyed only after its messages
  std::shared_ptr<BatchPool> pool_;
  BatchArrays arrays_;
  size_t payload_bytes_ = 0;
};

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_MESSAGE_BATCH_H_
