// Kafka in memory for tests and simulations: topics, committed offsets, and a Consumer and a
// Producer over them. Deterministic: nothing happens but what a test does and RunPending performs.
#ifndef SPILLWAY_TESTS_SUPPORT_FAKE_KAFKA_H_
#define SPILLWAY_TESTS_SUPPORT_FAKE_KAFKA_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/loop.h"
#include "kafka/consumer.h"
#include "kafka/producer.h"

namespace spillway::kafka {

struct FakeRecord {
  std::string payload;
  std::string key;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<EventTime> timestamp;
  bool is_tombstone = false;
};

// One partition's log. Offsets start at `log_start`.
struct FakePartition {
  Offset log_start = 0;
  std::deque<FakeRecord> records;
  Offset log_end() const { return log_start + static_cast<Offset>(records.size()); }
};

// The broker. Outlives the consumers and producers made over it. One thread.
class FakeKafka {
 public:
  // How callbacks reach the loop thread. Default: they wait for RunPending.
  using Poster = std::function<void(Task)>;

  FakeKafka();
  explicit FakeKafka(Loop& loop);  // callbacks are posted to `loop`

  void CreateTopic(const std::string& topic, int32_t partitions);
  // Creates the topic with one partition where it is missing. Returns the record's offset.
  Offset Append(const std::string& topic, int32_t partition, FakeRecord record);
  FakePartition& partition(const std::string& topic, int32_t partition);
  // Everything in a topic, partition by partition.
  std::vector<FakeRecord> Records(const std::string& topic) const;

  std::map<int32_t, Offset>& committed() { return committed_; }  // of the one group

  // Runs what is waiting, and what that makes, until nothing is. Returns how many ran.
  size_t RunPending();
  // Runs only the callback that has waited longest. False: none waits.
  bool RunOne();
  size_t pending() const { return pending_.size(); }
  void Post(Task task) { poster_(std::move(task)); }

  // Faults; consumers and producers look at them at each call.
  bool is_reachable = true;  // false: Committed, Extent, Identity, MaxMessageBytes are UNAVAILABLE
  bool commits_fail = false;
  bool has_leaders = true;  // false: nothing can be fetched, and nobody says so
  std::string cluster_id = "fake-cluster";
  std::string topic_id;
  size_t max_message_bytes = 1u << 20;

 private:
  std::map<std::string, std::map<int32_t, FakePartition>> topics_;
  std::map<int32_t, Offset> committed_;
  std::deque<Task> pending_;
  Poster poster_;
};

// Delivers at once (at the next RunPending) unless told otherwise.
class FakeProducer final : public Producer {
 public:
  // What happens to a message. kDelivered appends it; kPossiblyPersisted appends it too if
  // `is_persisted`. Called when the message's turn comes.
  struct Outcome {
    DeliveryReport report{Delivery::kDelivered, ""};
    bool is_persisted = false;
  };
  using Policy = std::function<Outcome(const std::string& topic, const OutgoingMessage& message)>;

  explicit FakeProducer(FakeKafka& kafka) : kafka_(kafka) {}
  ~FakeProducer() override;

  absl::Status Produce(const std::string& topic, OutgoingMessage& message,
                       absl::AnyInvocable<void(DeliveryReport)>& done) override;
  size_t queued_messages() const override { return queued_messages_; }
  size_t queued_bytes() const override { return queued_bytes_; }
  absl::StatusOr<size_t> MaxMessageBytes(const std::string& topic, Duration timeout) override;

  void set_policy(Policy policy) { policy_ = std::move(policy); }
  // Sees every message before it is queued; what it throws goes through Produce.
  using Sight = std::function<void(const std::string& topic, const OutgoingMessage& message)>;
  void set_sight(Sight sight) { sight_ = std::move(sight); }
  // While held, messages wait (Kafka is slow); DeliverHeld resolves the oldest n of them, 0: all.
  void Hold() { is_held_ = true; }
  void DeliverHeld(size_t n = 0);
  void Unhold();
  size_t held() const { return held_.size(); }
  // Produce answers RESOURCE_EXHAUSTED at this many queued messages.
  void set_queue_limit(size_t messages) { queue_limit_ = messages; }

 private:
  struct Queued {
    std::string topic;
    OutgoingMessage message;
    absl::AnyInvocable<void(DeliveryReport)> done;
  };
  void Schedule(Queued queued);
  void Resolve(Queued queued);

  FakeKafka& kafka_;
  Policy policy_;
  Sight sight_;
  std::deque<Queued> held_;
  bool is_held_ = false;
  size_t queue_limit_ = 1'000'000;
  size_t queued_messages_ = 0;
  size_t queued_bytes_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// A group member whose assignment the test decides.
class FakeConsumer final : public Consumer {
 public:
  FakeConsumer(FakeKafka& kafka, std::string topic, ConsumerListener& listener);
  ~FakeConsumer() override;

  // The group's decisions; the listener is told inside the call.
  void Assign(const std::vector<ShardId>& shards);
  void Revoke(const std::vector<ShardId>& shards, bool lost);
  // The group has given the shards to others and this member does not know yet: it reads on, and
  // its commits fail, until Revoke tells it.
  void Evict(const std::vector<ShardId>& shards);
  // Tells the listener of what can be read, as arriving messages would.
  void Notify();

  absl::Status StartAt(ShardId shard, Offset offset) override;
  std::unique_ptr<Batch> Read(ShardId shard, size_t max_messages, size_t max_bytes) override;
  bool IsAtEnd(ShardId shard) const override;
  std::optional<Offset> LogEnd(ShardId shard) const override;
  void Pause(ShardId shard) override;
  void Resume(ShardId shard) override;
  void Commit(ShardId shard, Offset offset, absl::AnyInvocable<void(absl::Status)> done) override;
  void Committed(ShardId shard, Duration timeout,
                 absl::AnyInvocable<void(absl::StatusOr<Offset>)> done) override;
  void Extent(ShardId shard, Duration timeout,
              absl::AnyInvocable<void(absl::StatusOr<PartitionExtent>)> done) override;
  void Identity(Duration timeout,
                absl::AnyInvocable<void(absl::StatusOr<TopicIdentity>)> done) override;
  void Close() override;

  bool is_closed() const { return is_closed_; }
  bool is_paused(ShardId shard) const;
  bool is_assigned(ShardId shard) const { return assigned_.contains(shard); }

 private:
  struct Assigned {
    std::optional<Offset> position;  // next to hand out; empty: not started
    bool is_paused = false;
    bool is_evicted = false;
  };
  // Posts `call` so that it runs only while this consumer lives and is open.
  void PostGuarded(Task call);

  FakeKafka& kafka_;
  const std::string topic_;
  ConsumerListener& listener_;
  std::map<ShardId, Assigned> assigned_;
  bool is_closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::kafka

#endif  // SPILLWAY_TESTS_SUPPORT_FAKE_KAFKA_H_
