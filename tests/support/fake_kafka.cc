#include "tests/support/fake_kafka.h"

#include <algorithm>

#include "base/check.h"

namespace spillway::kafka {
namespace {

// Copies, so that the log may grow while a batch lives.
class FakeBatch final : public Batch {
 public:
  void Add(Offset offset, const FakeRecord& record) {
    records_.push_back(record);
    const FakeRecord& kept = records_.back();
    messages_.push_back(Message{.offset = offset,
                                .timestamp = kept.timestamp,
                                .payload = kept.payload,
                                .key = kept.key,
                                .is_tombstone = kept.is_tombstone});
  }
  const std::vector<Message>& messages() const override { return messages_; }

 private:
  std::deque<FakeRecord> records_;  // stable addresses
  std::vector<Message> messages_;
};

absl::Status Unreachable() { return absl::UnavailableError("fake Kafka is not reachable"); }

}  // namespace

FakeKafka::FakeKafka() {
  poster_ = [this](Task task) { pending_.push_back(std::move(task)); };
}

FakeKafka::FakeKafka(Loop& loop) {
  poster_ = [&loop](Task task) { loop.Post(std::move(task)); };
}

void FakeKafka::CreateTopic(const std::string& topic, int32_t partitions) {
  for (int32_t p = 0; p < partitions; ++p) topics_[topic][p];
}

Offset FakeKafka::Append(const std::string& topic, int32_t partition, FakeRecord record) {
  FakePartition& log = topics_[topic][partition];
  log.records.push_back(std::move(record));
  return log.log_end() - 1;
}

FakePartition& FakeKafka::partition(const std::string& topic, int32_t partition) {
  return topics_[topic][partition];
}

std::vector<FakeRecord> FakeKafka::Records(const std::string& topic) const {
  std::vector<FakeRecord> all;
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return all;
  for (const auto& [number, log] : found->second) {
    all.insert(all.end(), log.records.begin(), log.records.end());
  }
  return all;
}

bool FakeKafka::RunOne() {
  if (pending_.empty()) return false;
  Task task = std::move(pending_.front());
  pending_.pop_front();
  task();
  return true;
}

size_t FakeKafka::RunPending() {
  size_t ran = 0;
  while (RunOne()) ++ran;
  return ran;
}

FakeProducer::~FakeProducer() { *alive_ = false; }

absl::Status FakeProducer::Produce(const std::string& topic, OutgoingMessage& message,
                                   absl::AnyInvocable<void(DeliveryReport)>& done) {
  if (queued_messages_ >= queue_limit_) return absl::ResourceExhaustedError("queue full");
  if (sight_) sight_(topic, message);
  ++queued_messages_;
  queued_bytes_ += message.payload.size();
  Queued queued{topic, std::move(message), std::move(done)};
  if (is_held_) {
    held_.push_back(std::move(queued));
  } else {
    Schedule(std::move(queued));
  }
  return absl::OkStatus();
}

void FakeProducer::Schedule(Queued queued) {
  kafka_.Post([this, alive = alive_, waiting = std::move(queued)]() mutable {
    if (*alive) Resolve(std::move(waiting));
  });
}

void FakeProducer::Resolve(Queued queued) {
  Outcome outcome;
  if (policy_) outcome = policy_(queued.topic, queued.message);
  const Delivery delivery = outcome.report.delivery;
  --queued_messages_;
  queued_bytes_ -= queued.message.payload.size();
  if (delivery == Delivery::kDelivered ||
      (delivery == Delivery::kPossiblyPersisted && outcome.is_persisted)) {
    kafka_.Append(queued.topic, 0,
                  FakeRecord{.payload = std::move(queued.message.payload),
                             .key = std::move(queued.message.key),
                             .headers = std::move(queued.message.headers),
                             .timestamp = std::nullopt,
                             .is_tombstone = false});
  }
  queued.done(std::move(outcome.report));
}

void FakeProducer::DeliverHeld(size_t n) {
  if (n == 0) n = held_.size();
  for (; n > 0 && !held_.empty(); --n) {
    Schedule(std::move(held_.front()));
    held_.pop_front();
  }
}

void FakeProducer::Unhold() {
  is_held_ = false;
  DeliverHeld();
}

absl::StatusOr<size_t> FakeProducer::MaxMessageBytes(const std::string&, Duration) {
  if (!kafka_.is_reachable) return Unreachable();
  return kafka_.max_message_bytes;
}

FakeConsumer::FakeConsumer(FakeKafka& kafka, std::string topic, ConsumerListener& listener)
    : kafka_(kafka), topic_(std::move(topic)), listener_(listener) {}

FakeConsumer::~FakeConsumer() { *alive_ = false; }

void FakeConsumer::PostGuarded(Task call) {
  kafka_.Post([this, alive = alive_, guarded = std::move(call)]() mutable {
    if (*alive && !is_closed_) guarded();
  });
}

void FakeConsumer::Assign(const std::vector<ShardId>& shards) {
  if (is_closed_) return;
  for (const ShardId shard : shards) assigned_[shard] = Assigned{};
  listener_.OnAssigned(shards);
}

void FakeConsumer::Revoke(const std::vector<ShardId>& shards, bool lost) {
  if (is_closed_) return;
  listener_.OnRevoked(shards, lost);
  for (const ShardId shard : shards) assigned_.erase(shard);
}

void FakeConsumer::Evict(const std::vector<ShardId>& shards) {
  for (const ShardId shard : shards) {
    if (const auto found = assigned_.find(shard); found != assigned_.end())
      found->second.is_evicted = true;
  }
}

void FakeConsumer::Notify() {
  std::vector<ShardId> readable;
  for (const auto& [shard, state] : assigned_) {
    if (state.position.has_value() && !state.is_paused) readable.push_back(shard);
  }
  for (const ShardId shard : readable) {
    if (!is_closed_ && assigned_.contains(shard)) listener_.OnReadable(shard);
  }
}

absl::Status FakeConsumer::StartAt(ShardId shard, Offset offset) {
  const auto found = assigned_.find(shard);
  if (found == assigned_.end()) return absl::FailedPreconditionError("not assigned");
  found->second.position = std::max(offset, kafka_.partition(topic_, shard.value).log_start);
  PostGuarded([this, shard] {
    if (assigned_.contains(shard)) listener_.OnReadable(shard);
  });
  return absl::OkStatus();
}

std::unique_ptr<Batch> FakeConsumer::Read(ShardId shard, size_t max_messages, size_t max_bytes) {
  const auto found = assigned_.find(shard);
  if (is_closed_ || found == assigned_.end() || !found->second.position ||
      found->second.is_paused || !kafka_.has_leaders) {
    return nullptr;
  }
  const FakePartition& log = kafka_.partition(topic_, shard.value);
  Offset& position = *found->second.position;
  auto batch = std::make_unique<FakeBatch>();
  size_t bytes = 0;
  for (; position < log.log_end() && batch->messages().size() < max_messages; ++position) {
    const FakeRecord& record = log.records[static_cast<size_t>(position - log.log_start)];
    if (!batch->messages().empty() && bytes + record.payload.size() > max_bytes) break;
    bytes += record.payload.size();
    batch->Add(position, record);
  }
  if (batch->messages().empty()) return nullptr;
  return batch;
}

bool FakeConsumer::IsAtEnd(ShardId shard) const {
  const auto found = assigned_.find(shard);
  if (found == assigned_.end() || !found->second.position || !kafka_.is_reachable) return false;
  return *found->second.position >= kafka_.partition(topic_, shard.value).log_end();
}

std::optional<Offset> FakeConsumer::LogEnd(ShardId shard) const {
  if (!assigned_.contains(shard)) return std::nullopt;
  return kafka_.partition(topic_, shard.value).log_end();
}

void FakeConsumer::Pause(ShardId shard) {
  if (const auto found = assigned_.find(shard); found != assigned_.end())
    found->second.is_paused = true;
}

void FakeConsumer::Resume(ShardId shard) {
  const auto found = assigned_.find(shard);
  if (found == assigned_.end() || !found->second.is_paused) return;
  found->second.is_paused = false;
  PostGuarded([this, shard] {
    if (assigned_.contains(shard)) listener_.OnReadable(shard);
  });
}

bool FakeConsumer::is_paused(ShardId shard) const {
  const auto found = assigned_.find(shard);
  return found != assigned_.end() && found->second.is_paused;
}

void FakeConsumer::Commit(ShardId shard, Offset offset,
                          absl::AnyInvocable<void(absl::Status)> done) {
  absl::Status status = absl::OkStatus();
  const auto found = assigned_.find(shard);
  if (found == assigned_.end() || found->second.is_evicted) {
    status = absl::FailedPreconditionError("not assigned");
  } else if (kafka_.commits_fail || !kafka_.is_reachable) {
    status = Unreachable();
  } else {
    kafka_.committed()[shard.value] = offset;
  }
  PostGuarded([callback = std::move(done), status]() mutable { callback(status); });
}

void FakeConsumer::Committed(ShardId shard, Duration,
                             absl::AnyInvocable<void(absl::StatusOr<Offset>)> done) {
  PostGuarded([this, shard, callback = std::move(done)]() mutable {
    if (!kafka_.is_reachable) return callback(Unreachable());
    const auto found = kafka_.committed().find(shard.value);
    callback(found == kafka_.committed().end() ? kNoOffset : found->second);
  });
}

void FakeConsumer::Extent(ShardId shard, Duration,
                          absl::AnyInvocable<void(absl::StatusOr<PartitionExtent>)> done) {
  PostGuarded([this, shard, callback = std::move(done)]() mutable {
    if (!kafka_.is_reachable) return callback(Unreachable());
    const FakePartition& log = kafka_.partition(topic_, shard.value);
    callback(PartitionExtent{.log_start = log.log_start, .log_end = log.log_end()});
  });
}

void FakeConsumer::Identity(Duration,
                            absl::AnyInvocable<void(absl::StatusOr<TopicIdentity>)> done) {
  PostGuarded([this, callback = std::move(done)]() mutable {
    if (!kafka_.is_reachable) return callback(Unreachable());
    callback(TopicIdentity{
        .cluster_id = kafka_.cluster_id, .topic = topic_, .topic_id = kafka_.topic_id});
  });
}

void FakeConsumer::Close() {
  if (is_closed_) return;
  is_closed_ = true;
  assigned_.clear();
}

}  // namespace spillway::kafka
