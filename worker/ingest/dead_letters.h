// Invalid messages on their way to the dead letter topic (design section 5, rule 9): produced until
// Kafka has acknowledged them, however long that takes.
#ifndef SPILLWAY_WORKER_INGEST_DEAD_LETTERS_H_
#define SPILLWAY_WORKER_INGEST_DEAD_LETTERS_H_

#include <deque>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "base/ids.h"
#include "base/log_limiter.h"
#include "kafka/producer.h"
#include "worker/span/span.h"

namespace spillway::ingest {

// One message that will never be a span. `payload` and `key` are copied: they may outlive the batch
// they came with.
struct DeadLetter {
  ShardId shard;
  Offset offset = kNoOffset;
  span::Rejection rejection;
  std::string payload;
  std::string key;  // empty: none
};

// The letters of all shards of a worker. Loop thread only.
//
// What Kafka does not take is tried again at the next Retry, at-least-once. A broker refuses
// batches: a letter it refuses is sent again while no other such letter is. One that the topic
// refuses then (too large with its headers) goes without payload and key and says so: the input
// topic has the original as long as it is retained. How many wait is bounded by the batches they
// belong to: a shard has at most two.
class DeadLetterOutbox {
 public:
  // `producer` outlives this.
  DeadLetterOutbox(kafka::Producer& producer, std::string input_topic,
                   std::string dead_letter_topic);
  ~DeadLetterOutbox();

  // `acknowledged` is called once Kafka has it, never inside this call. Who waits holds `interest`
  // alive: when it has gone, the letter is neither tried again nor acknowledged.
  void Send(DeadLetter letter, std::weak_ptr<void> interest,
            absl::AnyInvocable<void()> acknowledged);
  void Retry();

  size_t waiting() const { return waiting_; }     // produced or to be tried again
  LogLimiter& log_limit() { return log_limit_; }  // of lines about messages that become letters
  const std::string& last_failure() const { return last_failure_; }  // empty: none since a success

 private:
  struct Waiting;
  void Produce(std::unique_ptr<Waiting> letter);
  void OnReport(std::unique_ptr<Waiting> letter, kafka::DeliveryReport report);
  void SendNextAlone();

  kafka::Producer& producer_;
  const std::string input_topic_;
  const std::string dead_letter_topic_;
  std::deque<std::unique_ptr<Waiting>> again_;
  std::deque<std::unique_ptr<Waiting>> alone_;  // refused once; one of them is sent at a time
  bool is_sending_alone_ = false;
  size_t waiting_ = 0;
  std::string last_failure_;
  LogLimiter log_limit_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_DEAD_LETTERS_H_
