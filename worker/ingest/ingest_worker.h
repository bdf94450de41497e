// The ingest role of a worker: a member of the input topic's consumer group with one ShardSession
// for each shard that the group has given it.
#ifndef SPILLWAY_WORKER_INGEST_INGEST_WORKER_H_
#define SPILLWAY_WORKER_INGEST_INGEST_WORKER_H_

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "base/loop.h"
#include "buffer/shard_store.h"
#include "config/config.h"
#include "kafka/consumer.h"
#include "kafka/metadata.h"
#include "kafka/producer.h"
#include "worker/control/worker_role.h"
#include "worker/ingest/dead_letters.h"
#include "worker/ingest/options.h"
#include "worker/ingest/shard_session.h"
#include "worker/span/span.h"

namespace spillway::ingest {

// What it needs; the references outlive the worker.
struct WorkerParts {
  Loop& loop;
  const Clock& clock;
  buffer::IngestStore& store;
  kafka::Producer& producer;  // for dead letters, and to ask for the output topic's limit
  // Called once Kafka has told that limit: kafka::MakeConsumer with the configuration bound.
  std::function<absl::StatusOr<std::unique_ptr<kafka::Consumer>>(kafka::ConsumerListener&)>
      make_consumer;
  // Asks who is in a group, as kafka::MetadataClient; called on pool threads. Null: not asked.
  std::function<absl::StatusOr<std::vector<kafka::GroupMember>>(const std::string& group,
                                                                Duration timeout)>
      group_members;
  std::function<uint64_t()> random;  // 64 random bits a call
  // The configuration cannot work (the message says why): the process ends with exit code 78.
  std::function<void(const absl::Status&)> on_misconfigured;
};

// See WorkerRole for the interface. Loop thread only. Destroying it leaves the group at once: Drain
// first.
class IngestWorker final : public worker::WorkerRole,
                           private kafka::ConsumerListener,
                           private SessionHost {
 public:
  IngestWorker(WorkerParts parts, const Options& options);
  ~IngestWorker() override;

  void Start() override;
  void Obey(const wire::Order& order) override;
  wire::WorkerReport Report() const override;
  void Drain(absl::AnyInvocable<void(absl::Status)> drained) override;

 private:
  static constexpr Duration kHousekeeping = std::chrono::seconds(1);

  // kafka::ConsumerListener
  void OnAssigned(const std::vector<ShardId>& shards) override;
  void OnRevoked(const std::vector<ShardId>& shards, bool lost) override;
  void OnReadable(ShardId shard) override;
  void OnError(const absl::Status& status, bool fatal) override;
  // SessionHost
  void WakeAt(ShardId shard, Instant when) override;
  void RequestTurn(ShardId shard) override;
  uint64_t RandomNumber() override { return parts_.random(); }
  void OnRedisAnswer(bool is_answered) override { is_redis_ok_ = is_answered; }
  void OnKafkaAnswer(bool is_answered) override;

  void SetDropRules(const DropRules& rules);
  void AskLimit();
  void OnLimit(const absl::StatusOr<size_t>& limit);
  void CheckGroup();
  void OnGroup(const absl::StatusOr<std::vector<kafka::GroupMember>>& members);
  void Join();
  void Rejoin();
  void RunTurns();
  void OnWakeTimer();
  void ArmWakeTimer();
  void OnHousekeeping();
  void ShareIndexLimit();
  void ProbeKafka();
  void Retire(ShardId shard);
  void OnSessionDrained();
  void FinishDrain(const absl::Status& status);
  ShardSession* Find(ShardId shard);
  // Runs `call` later on the loop thread, if this still lives.
  void PostGuarded(Task call);

  WorkerParts parts_;
  Options options_;
  DeadLetterOutbox letters_;
  span::SpanParser parser_;
  buffer::ChunkEncoder encoder_;
  DictionaryKeeper dictionaries_;
  uint64_t highest_epoch_ = 0;
  std::map<ShardId, ShardTotals> totals_;
  std::array<std::chrono::milliseconds, wire::kCauseCount>
      retired_blocked_{};  // of sessions that ended

  std::unique_ptr<kafka::Consumer> consumer_;  // once the limit is known
  std::map<ShardId, std::unique_ptr<ShardSession>> sessions_;
  std::map<ShardId, Instant> wishes_;
  std::set<std::pair<Instant, ShardId>> wakes_;  // the same, by time
  std::set<ShardId> turns_;
  bool are_turns_posted_ = false;
  Timer wake_timer_;
  Timer housekeeping_;

  // Why there is no consumer yet; empty once there is.
  std::string start_trouble_ = "Kafka: the output topic's limit";
  bool is_limit_known_ = false;
  bool is_asking_ = false;  // for the limit or for the group's members
  std::optional<bool> is_redis_ok_;
  bool is_kafka_ok_ = false;
  bool is_probing_ = false;
  std::string kafka_trouble_;
  uint64_t order_sequence_ = 0;
  bool is_paused_ = false;
  std::shared_ptr<const DropRules> drop_rules_;  // null: no order has come yet

  bool is_draining_ = false;
  bool is_drained_ = false;
  size_t sessions_draining_ = 0;
  absl::AnyInvocable<void(absl::Status)> drained_;
  Timer drain_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_INGEST_WORKER_H_
