// kafka::Consumer over librdkafka. Internal to kafka/.
//
// Partitions that the group gives us join librdkafka's own assignment only in StartAt: so nothing
// is fetched before, nothing has to be sought or thrown away, and a second StartAt is a removal and
// an addition, which librdkafka orders by itself.
#ifndef SPILLWAY_KAFKA_GROUP_CONSUMER_H_
#define SPILLWAY_KAFKA_GROUP_CONSUMER_H_

#include <librdkafka/rdkafka.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kafka/client.h"
#include "kafka/consumer.h"
#include "kafka/message_batch.h"

namespace spillway::kafka {

class GroupConsumer final : public Consumer {
 public:
  static absl::StatusOr<std::unique_ptr<Consumer>> Make(const ConsumerConfig& config, Loop& loop,
                                                        ConsumerListener& listener);
  ~GroupConsumer() override;

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

 private:
  // Messages taken from librdkafka at once: an array that fits the stack's cache.
  static constexpr size_t kChunk = 512;
  // The group must hear from us, and a wake-up that got lost must not be lost for ever.
  static constexpr Duration kPollInterval = std::chrono::seconds(1);
  static constexpr int32_t kGroupQueue = -1;

  struct Partition {
    std::unique_ptr<Waker::Watch> watch;  // exists once started
    std::optional<Offset> next;    // offset after the last one handed out; empty: not started
    bool is_at_end = false;        // an end-of-partition event was the last thing read
    bool is_end_doubtful = false;  // a broker was lost since
    bool is_paused = false;
    // Fetched beyond what the last Read was allowed to hand out.
    std::vector<rd_kafka_message_t*> carried;
    size_t carried_from = 0;
    bool has_carried() const { return carried_from < carried.size(); }
    bool is_started() const { return next.has_value(); }
    void DropCarried();
  };

  GroupConsumer(const ConsumerConfig& config, Loop& loop, ConsumerListener& listener);
  absl::Status Open(const ConsumerConfig& config);

  static void OnRebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                          rd_kafka_topic_partition_list_t* list, void* opaque);
  static void OnClientError(rd_kafka_t* handle, int error, const char* reason, void* opaque);
  static void OnCommitted(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                          rd_kafka_topic_partition_list_t* list, void* opaque);
  void Assigned(const rd_kafka_topic_partition_list_t* list);
  void Revoked(const rd_kafka_topic_partition_list_t* list, bool lost);
  void OnWake(const std::vector<int32_t>& keys);
  void OnPollTimer();
  void PollGroup();
  void DoubtEnds();
  void ConfirmEnds();
  void RestartAll();
  void Restart(const std::vector<ShardId>& shards);
  bool Fetch(Partition& partition, size_t limit);
  void TakeEvent(Partition& partition, rd_kafka_message_t* message);
  absl::Status AddToAssignment(const std::vector<ShardId>& shards);
  absl::Status RemoveFromAssignment(const std::vector<ShardId>& shards);
  Partition* Find(ShardId shard);
  // Posts `call` so that it runs on the loop thread, later, if this consumer is still open then.
  void PostGuarded(Task call);
  // Runs `ask` on a pool thread and `done` with its answer on the loop, if still open then.
  template <typename T>
  void Ask(std::function<absl::StatusOr<T>(rd_kafka_t*)> ask,
           absl::AnyInvocable<void(absl::StatusOr<T>)> done);

  Loop& loop_;
  ConsumerListener& listener_;
  const std::string topic_;
  std::shared_ptr<BatchPool> pool_ = std::make_shared<BatchPool>();
  std::shared_ptr<Client> client_;
  std::unique_ptr<Waker> waker_;
  std::unique_ptr<Waker::Watch> group_queue_;
  std::map<ShardId, Partition> partitions_;  // what the group has given us
  Timer poll_timer_;
  std::vector<ShardId> doubtful_;  // starts anew at the next poll, to have its end confirmed
  std::map<uintptr_t, absl::AnyInvocable<void(absl::Status)>> commits_;  // asked, not answered
  uintptr_t last_commit_ = 0;
  bool is_closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_GROUP_CONSUMER_H_
