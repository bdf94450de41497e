// An idempotent producer with a report for every message.
#ifndef SPILLWAY_KAFKA_PRODUCER_H_
#define SPILLWAY_KAFKA_PRODUCER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/loop.h"
#include "kafka/consumer.h"

namespace spillway::kafka {

enum class Delivery {
  kDelivered,
  kNotDelivered,       // certainly not in the log; may be tried again
  kPossiblyPersisted,  // the deadline passed or the connection broke after it was sent
  kRefused,            // the broker will never take it (too large, invalid record)
};
struct DeliveryReport {
  Delivery delivery = Delivery::kNotDelivered;
  std::string message;  // for a person; empty when delivered
};

struct OutgoingMessage {
  std::string payload;
  std::string key;  // empty: none
  std::vector<std::pair<std::string, std::string>> headers;
};

// Loop thread only, but for what says otherwise. Destruction drops what is still queued, without
// calls: wait for the reports first.
//
// After a fatal error (an idempotent producer that the broker has lost track of) every queued
// message is reported kNotDelivered or kPossiblyPersisted, and a new client takes over by itself.
class Producer {
 public:
  virtual ~Producer() = default;
  // Takes the message over. `done` is called exactly once on the loop thread, never inside this
  // call, at the latest about delivery_timeout later. RESOURCE_EXHAUSTED: the client's queue is
  // full, `message` and `done` are untouched; try again after a report.
  virtual absl::Status Produce(const std::string& topic, OutgoingMessage& message,
                               absl::AnyInvocable<void(DeliveryReport)>& done) = 0;
  virtual size_t queued_messages() const = 0;
  virtual size_t queued_bytes() const = 0;
  // Largest message (payload, key, headers) that the client and `topic` take, uncompressed. Asks
  // the broker and blocks up to `timeout`; thread-safe, for a pool thread at start-up. The client's
  // batches are kept below the lowest answer from then on, so that a batch is never refused for
  // being one; and the client learns who leads the topic, up to a second longer, so that the first
  // message need not wait for that. Errors: UNAVAILABLE; NOT_FOUND (no such topic; asking makes it
  // where brokers do that); PERMISSION_DENIED (to describe it).
  virtual absl::StatusOr<size_t> MaxMessageBytes(const std::string& topic, Duration timeout) = 0;
};

struct ProducerConfig {
  ClientConfig client;
  std::string compression = "lz4";
  Duration delivery_timeout = std::chrono::seconds(30);
};

// Sets acks=all, enable.idempotence, message.timeout.ms = delivery_timeout, and raises
// message.max.bytes to librdkafka's maximum so that the topic's limit is the one that counts;
// linger.ms=5 and a queue of 100,000 messages or 256 MiB unless the properties say otherwise.
// `loop` must outlive the producer. Errors: INVALID_ARGUMENT naming the property.
absl::StatusOr<std::unique_ptr<Producer>> MakeProducer(const ProducerConfig& config, Loop& loop);

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_PRODUCER_H_
