#include "kafka/group_consumer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kafka/queries.h"

namespace spillway::kafka {
namespace {

Settings SettingsFor(const ConsumerConfig& config) {
  Settings settings(config.client);
  settings
      .Default("session.timeout.ms", "10000")
      // Enough for what is read in one go; when it has been, fetching goes on at once.
      .Default("queued.max.messages.kbytes", "16384")
      .Default("fetch.queue.backoff.ms", "10")
      .Default("fetch.wait.max.ms", "100")  // how long a newly started partition may have to wait
      .Require("group.id", config.group)
      .Require("partition.assignment.strategy", "cooperative-sticky")
      .Require("auto.offset.reset", "earliest")
      .Require("enable.auto.commit", "false")
      .Require("enable.auto.offset.store", "false")
      .Require("enable.partition.eof", "true");
  return settings;
}

absl::Status NotOurs(ShardId shard) {
  return absl::FailedPreconditionError(
      absl::StrCat("shard ", shard.value, " is not assigned to us"));
}

bool IsBrokerLoss(int error) {
  return error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__RESOLVE;
}

std::vector<ShardId> ShardsOf(const rd_kafka_topic_partition_list_t* list) {
  std::vector<ShardId> shards;
  shards.reserve(static_cast<size_t>(list->cnt));
  for (int i = 0; i < list->cnt; ++i) shards.push_back(ShardId{list->elems[i].partition});
  return shards;
}

}  // namespace

void GroupConsumer::Partition::DropCarried() {
  for (; carried_from < carried.size(); ++carried_from)
    rd_kafka_message_destroy(carried[carried_from]);
  carried.clear();
  carried_from = 0;
}

absl::StatusOr<std::unique_ptr<Consumer>> GroupConsumer::Make(const ConsumerConfig& config,
                                                              Loop& loop,
                                                              ConsumerListener& listener) {
  std::unique_ptr<GroupConsumer> consumer(new GroupConsumer(config, loop, listener));
  if (absl::Status status = consumer->Open(config); !status.ok()) return status;
  return consumer;
}

GroupConsumer::GroupConsumer(const ConsumerConfig& config, Loop& loop, ConsumerListener& listener)
    : loop_(loop),
      listener_(listener),
      topic_(config.topic),
      poll_timer_(loop, [this] { OnPollTimer(); }) {}

absl::Status GroupConsumer::Open(const ConsumerConfig& config) {
  Settings settings = SettingsFor(config);
  rd_kafka_conf_set_opaque(settings.native(), this);
  rd_kafka_conf_set_rebalance_cb(settings.native(), OnRebalance);
  rd_kafka_conf_set_error_cb(settings.native(), OnClientError);
  absl::StatusOr<std::shared_ptr<Client>> client =
      Client::Create(RD_KAFKA_CONSUMER, std::move(settings));
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  rd_kafka_poll_set_consumer(client_->get());
  waker_ =
      std::make_unique<Waker>(loop_, [this](const std::vector<int32_t>& keys) { OnWake(keys); });
  group_queue_ = std::make_unique<Waker::Watch>(
      *waker_, QueuePtr(rd_kafka_queue_get_consumer(client_->get())), kGroupQueue);
  const PartitionListPtr topics = ListOf(topic_, RD_KAFKA_PARTITION_UA, RD_KAFKA_OFFSET_INVALID);
  const rd_kafka_resp_err_t error = rd_kafka_subscribe(client_->get(), topics.get());
  poll_timer_.Start(kPollInterval);
  return StatusOf(error, absl::StrCat("subscribe to ", topic_));
}

GroupConsumer::~GroupConsumer() {
  Close();
  *alive_ = false;
}

void GroupConsumer::Close() {
  if (is_closed_) return;
  is_closed_ = true;
  poll_timer_.Stop();
  for (auto& [shard, partition] : partitions_) partition.DropCarried();
  if (client_ != nullptr) {
    const QueuePtr closing(rd_kafka_queue_new(client_->get()));
    const absl::Status asked =
        TakeError(rd_kafka_consumer_close_queue(client_->get(), closing.get()), "leave the group");
    const Instant deadline = SystemClock().Now() + kLeaveTimeout;
    while (asked.ok() && rd_kafka_consumer_closed(client_->get()) == 0 &&
           SystemClock().Now() < deadline) {
      rd_kafka_queue_poll_callback(closing.get(), 20);
    }
  }
  partitions_.clear();
  group_queue_.reset();
  waker_.reset();
  commits_.clear();
  client_.reset();
}

// ---- the group's decisions

void GroupConsumer::OnRebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                                rd_kafka_topic_partition_list_t* list, void* opaque) {
  auto* self = static_cast<GroupConsumer*>(opaque);
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) return self->Assigned(list);
  self->Revoked(list, rd_kafka_assignment_lost(handle) != 0);
}

void GroupConsumer::Assigned(const rd_kafka_topic_partition_list_t* list) {
  // Accepts without fetching anything: see the class comment.
  const absl::Status accepted = AddToAssignment({});
  if (is_closed_) return;
  if (!accepted.ok()) listener_.OnError(accepted, false);
  const std::vector<ShardId> shards = ShardsOf(list);
  RestartAll();
  for (const ShardId shard : shards) partitions_.try_emplace(shard);
  if (!shards.empty()) listener_.OnAssigned(shards);
}

void GroupConsumer::Revoked(const rd_kafka_topic_partition_list_t* list, bool lost) {
  const std::vector<ShardId> shards = ShardsOf(list);
  if (!is_closed_ && !shards.empty()) listener_.OnRevoked(shards, lost);
  const absl::Status given_back = RemoveFromAssignment(shards);
  for (const ShardId shard : shards) {
    const auto found = partitions_.find(shard);
    if (found == partitions_.end()) continue;
    found->second.DropCarried();
    partitions_.erase(found);
  }
  if (is_closed_) return;
  if (!given_back.ok()) listener_.OnError(given_back, false);
  RestartAll();
}

// librdkafka pauses everything while the group decides, and goes on from the offset behind what it
// has handed out last. The end of a partition counts as one offset there, so it would leave out the
// next message (2.8). Started anew, each goes on where we know it stands.
void GroupConsumer::RestartAll() {
  std::vector<ShardId> started;
  for (const auto& [shard, partition] : partitions_) {
    if (partition.is_started()) started.push_back(shard);
  }
  Restart(started);
}

void GroupConsumer::Restart(const std::vector<ShardId>& shards) {
  if (shards.empty()) return;
  for (const ShardId shard : shards) {
    Partition& partition = partitions_.at(shard);
    partition.DropCarried();
    if (partition.is_at_end) partition.is_end_doubtful = true;  // until told again
  }
  absl::Status status = RemoveFromAssignment(shards);
  if (status.ok()) status = AddToAssignment(shards);
  if (!status.ok()) listener_.OnError(status, false);
}

absl::Status GroupConsumer::AddToAssignment(const std::vector<ShardId>& shards) {
  const PartitionListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(shards.size())));
  for (const ShardId shard : shards) {
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), shard.value)->offset =
        *partitions_.at(shard).next;
  }
  return TakeError(rd_kafka_incremental_assign(client_->get(), list.get()), "start partitions");
}

absl::Status GroupConsumer::RemoveFromAssignment(const std::vector<ShardId>& shards) {
  const PartitionListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(shards.size())));
  for (const ShardId shard : shards) {
    const auto found = partitions_.find(shard);
    if (found == partitions_.end() || !found->second.is_started()) continue;
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), shard.value);
  }
  return TakeError(rd_kafka_incremental_unassign(client_->get(), list.get()), "stop partitions");
}

void GroupConsumer::OnClientError(rd_kafka_t* handle, int error, const char* reason, void* opaque) {
  auto* self = static_cast<GroupConsumer*>(opaque);
  if (self->is_closed_) return;
  if (IsBrokerLoss(error)) self->DoubtEnds();
  const bool is_fatal = error == RD_KAFKA_RESP_ERR__FATAL;
  char text[512] = "";
  if (is_fatal) rd_kafka_fatal_error(handle, text, sizeof(text));
  self->listener_.OnError(
      StatusOf(static_cast<rd_kafka_resp_err_t>(error), is_fatal ? text : reason), is_fatal);
}

// ---- waking

void GroupConsumer::OnWake(const std::vector<int32_t>& keys) {
  const std::shared_ptr<bool> alive = alive_;
  for (const int32_t key : keys) {
    if (!*alive || is_closed_) return;
    if (key == kGroupQueue) {
      PollGroup();
    } else if (const Partition* partition = Find(ShardId{key});
               partition != nullptr && partition->is_started() && !partition->is_paused) {
      listener_.OnReadable(ShardId{key});
    }
  }
}

void GroupConsumer::OnPollTimer() {
  poll_timer_.Start(kPollInterval);
  ConfirmEnds();
  PollGroup();
}

void GroupConsumer::PollGroup() {
  while (!is_closed_) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(client_->get(), 0);
    if (message == nullptr) return;
    const absl::Status status = StatusOf(message->err, rd_kafka_message_errstr(message));
    rd_kafka_message_destroy(message);
    if (!status.ok()) listener_.OnError(status, false);
  }
}

void GroupConsumer::DoubtEnds() {
  for (auto& [shard, partition] : partitions_) {
    if (!partition.is_at_end || partition.is_end_doubtful) continue;
    partition.is_end_doubtful = true;
    doubtful_.push_back(shard);
  }
}

// librdkafka tells an end once. Started anew where it stands, a partition tells it again as soon as
// its broker has answered.
void GroupConsumer::ConfirmEnds() {
  std::vector<ShardId> again;
  for (const ShardId shard : std::exchange(doubtful_, {})) {
    const Partition* partition = Find(shard);
    if (partition != nullptr && partition->is_end_doubtful && !partition->has_carried()) {
      again.push_back(shard);
    }
  }
  Restart(again);
}

// ---- reading

GroupConsumer::Partition* GroupConsumer::Find(ShardId shard) {
  const auto found = partitions_.find(shard);
  return found == partitions_.end() ? nullptr : &found->second;
}

absl::Status GroupConsumer::StartAt(ShardId shard, Offset offset) {
  Partition* partition = Find(shard);
  if (partition == nullptr) return NotOurs(shard);
  if (partition->is_started()) {
    if (absl::Status status = RemoveFromAssignment({shard}); !status.ok()) return status;
    partition->DropCarried();
  } else {
    QueuePtr queue(rd_kafka_queue_get_partition(client_->get(), topic_.c_str(), shard.value));
    if (queue == nullptr) return absl::InternalError("no queue for the partition");
    rd_kafka_queue_forward(queue.get(), nullptr);
    partition->watch = std::make_unique<Waker::Watch>(*waker_, std::move(queue), shard.value);
  }
  partition->next = offset;
  partition->is_at_end = false;
  partition->is_end_doubtful = false;
  absl::Status status = AddToAssignment({shard});
  if (!status.ok()) {
    partition->next.reset();
    partition->watch.reset();
  }
  return status;
}

std::unique_ptr<Batch> GroupConsumer::Read(ShardId shard, size_t max_messages, size_t max_bytes) {
  Partition* partition = Find(shard);
  if (is_closed_ || partition == nullptr || !partition->is_started() || partition->is_paused)
    return nullptr;
  std::unique_ptr<MessageBatch> batch;
  while (batch == nullptr || batch->messages().size() < max_messages) {
    const size_t wanted = batch == nullptr ? max_messages : max_messages - batch->messages().size();
    if (!partition->has_carried() && !Fetch(*partition, wanted)) break;
    rd_kafka_message_t* message = partition->carried[partition->carried_from];
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++partition->carried_from;
      TakeEvent(*partition, message);
      continue;
    }
    if (batch != nullptr && batch->payload_bytes() + message->len > max_bytes) break;
    ++partition->carried_from;
    if (batch == nullptr) batch = std::make_unique<MessageBatch>(client_, pool_);
    partition->next = message->offset + 1;
    partition->is_at_end = false;
    batch->Add(message);
  }
  return batch;
}

// Takes up to `limit` of what librdkafka has fetched. False: nothing was there.
bool GroupConsumer::Fetch(Partition& partition, size_t limit) {
  partition.carried.resize(std::min(limit, kChunk));
  partition.carried_from = 0;
  const ssize_t count = rd_kafka_consume_batch_queue(
      partition.watch->queue(), 0, partition.carried.data(), partition.carried.size());
  partition.carried.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return count > 0;
}

// The end of the partition, or an error of it.
void GroupConsumer::TakeEvent(Partition& partition, rd_kafka_message_t* message) {
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    partition.is_at_end = true;
    partition.is_end_doubtful = false;
  } else {
    const absl::Status status = StatusOf(
        message->err,
        absl::StrCat("read shard ", message->partition, ": ", rd_kafka_message_errstr(message)));
    PostGuarded([this, status] { listener_.OnError(status, false); });
  }
  rd_kafka_message_destroy(message);
}

bool GroupConsumer::IsAtEnd(ShardId shard) const {
  const auto found = partitions_.find(shard);
  if (found == partitions_.end()) return false;
  const Partition& partition = found->second;
  return partition.is_at_end && !partition.is_end_doubtful && !partition.has_carried() &&
         rd_kafka_queue_length(partition.watch->queue()) == 0;
}

std::optional<Offset> GroupConsumer::LogEnd(ShardId shard) const {
  if (is_closed_ || !partitions_.contains(shard)) return std::nullopt;
  int64_t low = RD_KAFKA_OFFSET_INVALID, high = RD_KAFKA_OFFSET_INVALID;
  rd_kafka_get_watermark_offsets(client_->get(), topic_.c_str(), shard.value, &low, &high);
  if (high < 0) return std::nullopt;
  return high;
}

void GroupConsumer::Pause(ShardId shard) {
  if (Partition* partition = Find(shard); partition != nullptr) partition->is_paused = true;
}

void GroupConsumer::Resume(ShardId shard) {
  Partition* partition = Find(shard);
  if (partition == nullptr || !partition->is_paused) return;
  partition->is_paused = false;
  waker_->Wake(shard.value);
}

// ---- offsets and identity

void GroupConsumer::Commit(ShardId shard, Offset offset,
                           absl::AnyInvocable<void(absl::Status)> done) {
  absl::Status status = NotOurs(shard);
  if (!is_closed_ && Find(shard) != nullptr) {
    const PartitionListPtr list = ListOf(topic_, shard.value, offset);
    const uintptr_t id = ++last_commit_;
    const rd_kafka_resp_err_t error = rd_kafka_commit_queue(
        client_->get(), list.get(), group_queue_->queue(), OnCommitted,
        reinterpret_cast<void*>(id));  // NOLINT: a number in a pointer's place
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      commits_.emplace(id, std::move(done));
      return;
    }
    status = StatusOf(error, "commit");
  }
  PostGuarded([callback = std::move(done), status]() mutable { callback(status); });
}

void GroupConsumer::OnCommitted(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                                rd_kafka_topic_partition_list_t* list, void* opaque) {
  auto* self = static_cast<GroupConsumer*>(rd_kafka_opaque(handle));
  const auto found = self->commits_.find(reinterpret_cast<uintptr_t>(opaque));
  if (found == self->commits_.end()) return;
  absl::AnyInvocable<void(absl::Status)> done = std::move(found->second);
  self->commits_.erase(found);
  if (self->is_closed_) return;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && list != nullptr && list->cnt > 0)
    error = list->elems[0].err;
  done(StatusOf(error, "commit"));
}

void GroupConsumer::PostGuarded(Task call) {
  loop_.Post([this, alive = alive_, guarded = std::move(call)]() mutable {
    if (*alive && !is_closed_) guarded();
  });
}

template <typename T>
void GroupConsumer::Ask(std::function<absl::StatusOr<T>(rd_kafka_t*)> ask,
                        absl::AnyInvocable<void(absl::StatusOr<T>)> done) {
  if (is_closed_) return;
  auto answer = std::make_shared<absl::StatusOr<T>>(absl::UnknownError("not asked"));
  loop_.Offload(
      [client = client_, answer, question = std::move(ask)] { *answer = question(client->get()); },
      [this, alive = alive_, answer, callback = std::move(done)]() mutable {
        if (*alive && !is_closed_) callback(*std::move(answer));
      });
}

void GroupConsumer::Committed(ShardId shard, Duration timeout,
                              absl::AnyInvocable<void(absl::StatusOr<Offset>)> done) {
  Ask<Offset>(
      [topic = topic_, shard,
       ms = TimeoutMs(timeout)](rd_kafka_t* handle) -> absl::StatusOr<Offset> {
        const PartitionListPtr list = ListOf(topic, shard.value, RD_KAFKA_OFFSET_INVALID);
        rd_kafka_resp_err_t error = rd_kafka_committed(handle, list.get(), ms);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
        if (absl::Status status = StatusOf(error, "read the committed offset"); !status.ok())
          return status;
        return list->elems[0].offset < 0 ? kNoOffset : list->elems[0].offset;
      },
      std::move(done));
}

void GroupConsumer::Extent(ShardId shard, Duration timeout,
                           absl::AnyInvocable<void(absl::StatusOr<PartitionExtent>)> done) {
  Ask<PartitionExtent>([topic = topic_, shard, ms = TimeoutMs(timeout)](
                           rd_kafka_t* handle) { return AskExtent(handle, topic, shard, ms); },
                       std::move(done));
}

void GroupConsumer::Identity(Duration timeout,
                             absl::AnyInvocable<void(absl::StatusOr<TopicIdentity>)> done) {
  Ask<TopicIdentity>(
      [topic = topic_,
       ms = TimeoutMs(timeout)](rd_kafka_t* handle) -> absl::StatusOr<TopicIdentity> {
        char* cluster = rd_kafka_clusterid(handle, ms);
        if (cluster == nullptr) return absl::UnavailableError("the cluster's id is not known yet");
        TopicIdentity identity{.cluster_id = cluster, .topic = topic, .topic_id = ""};
        rd_kafka_mem_free(handle, cluster);
        return identity;
      },
      std::move(done));
}

absl::StatusOr<std::unique_ptr<Consumer>> MakeConsumer(const ConsumerConfig& config, Loop& loop,
                                                       ConsumerListener& listener) {
  return GroupConsumer::Make(config, loop, listener);
}

}  // namespace spillway::kafka
