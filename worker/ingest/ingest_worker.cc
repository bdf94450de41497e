#include "worker/ingest/ingest_worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "worker/ingest/group_check.h"

namespace spillway::ingest {

IngestWorker::IngestWorker(WorkerParts parts, const Options& options)
    : parts_(std::move(parts)),
      options_(options),
      letters_(parts_.producer, options.input_topic, options.dead_letter_topic),
      encoder_(options.codec, options.compression_level),
      dictionaries_(options.dictionary, {.clock = parts_.clock,
                                         .offload =
                                             [&loop = parts_.loop](Task work, Task done) {
                                               loop.Offload(std::move(work), std::move(done));
                                             }}),
      wake_timer_(parts_.loop, [this] { OnWakeTimer(); }),
      housekeeping_(parts_.loop, [this] { OnHousekeeping(); }),
      drain_timer_(parts_.loop, [this] {
        FinishDrain(absl::DeadlineExceededError("shards were still waiting for Redis or Kafka"));
      }) {}

IngestWorker::~IngestWorker() {
  *alive_ = false;
  sessions_.clear();
  consumer_.reset();
}

void IngestWorker::PostGuarded(Task call) {
  parts_.loop.Post([alive = alive_, guarded = std::move(call)]() mutable {
    if (*alive) guarded();
  });
}

// ---- start

void IngestWorker::Start() {
  housekeeping_.Start(kHousekeeping);
  AskLimit();
}

// The part size depends on what the output topic takes, so nothing begins before that is known.
void IngestWorker::AskLimit() {
  is_asking_ = true;
  auto answer = std::make_shared<absl::StatusOr<size_t>>(absl::UnknownError("not asked"));
  parts_.loop.Offload(
      [answer, &producer = parts_.producer, output = options_.output_topic,
       letters = options_.dead_letter_topic, timeout = options_.query_timeout] {
        *answer = producer.MaxMessageBytes(output, timeout);
        // Keeps batches of dead letters below that topic's limit; it may be missing, or made later.
        if (answer->ok()) (void)producer.MaxMessageBytes(letters, timeout);
      },
      [this, alive = alive_, answer] {
        if (*alive) OnLimit(*answer);
      });
}

void IngestWorker::OnLimit(const absl::StatusOr<size_t>& limit) {
  is_asking_ = false;
  if (is_draining_) return;
  uint64_t topic_limit = 0;
  if (limit.ok()) {
    topic_limit = *limit;
  } else if (absl::IsPermissionDenied(limit.status())) {
    constexpr uint64_t kBrokerDefault = 1'000'000;
    topic_limit = kBrokerDefault;
    Log(LogLevel::kWarning, "output topic's limit unknown",
        {{"error", limit.status()}, {"assumed", topic_limit}});
  } else {
    start_trouble_ = absl::StrCat("Kafka: ", limit.status().message());
    return;  // asked again by OnHousekeeping
  }
  options_.limits.max_part_bytes = EffectivePartBytes(options_.max_segment_bytes, topic_limit);
  if (options_.limits.max_part_bytes < kMinPartBytes) {
    start_trouble_ = absl::StrCat(
        "output.topic: ", options_.output_topic, " takes messages of ", topic_limit,
        " bytes and segments.max_bytes is ", options_.max_segment_bytes, ", which leaves ",
        options_.limits.max_part_bytes, " bytes for a part's spans; at least ", kMinPartBytes,
        " are needed: raise the topic's max.message.bytes or segments.max_bytes");
    return parts_.on_misconfigured(absl::FailedPreconditionError(start_trouble_));
  }
  Log(LogLevel::kInfo, "part size",
      {{"bytes", options_.limits.max_part_bytes}, {"topic_limit", topic_limit}});
  is_limit_known_ = true;
  is_kafka_ok_ = true;
  CheckGroup();
}

// Another implementation that still reads with our group's name would share the partitions with us.
// It may be on its way out, or its session may outlive it: so a refusal is not the end.
void IngestWorker::CheckGroup() {
  if (!parts_.group_members) return Join();
  is_asking_ = true;
  if (start_trouble_.empty()) start_trouble_ = "Kafka: the consumer group's members";
  using Members = absl::StatusOr<std::vector<kafka::GroupMember>>;
  auto answer = std::make_shared<Members>(absl::UnknownError("not asked"));
  parts_.loop.Offload([answer, ask = parts_.group_members, group = options_.group,
                       timeout = options_.query_timeout] { *answer = ask(group, timeout); },
                      [this, alive = alive_, answer] {
                        if (*alive) OnGroup(*answer);
                      });
}

void IngestWorker::OnGroup(const absl::StatusOr<std::vector<kafka::GroupMember>>& members) {
  is_asking_ = false;
  if (is_draining_) return;
  if (absl::IsPermissionDenied(members.status())) {
    Log(LogLevel::kWarning, "consumer group's members unknown", {{"error", members.status()}});
    return Join();
  }
  if (!members.ok()) {
    start_trouble_ = absl::StrCat("Kafka: ", members.status().message());
    return;  // asked again by OnHousekeeping
  }
  const std::string foreign = ForeignMembers(options_.group, options_.client_prefix, *members);
  if (foreign.empty()) return Join();
  if (foreign != start_trouble_) {
    Log(LogLevel::kError, "consumer group refused", {{"problem", foreign}});
  }
  start_trouble_ = foreign;
}

void IngestWorker::Join() {
  absl::StatusOr<std::unique_ptr<kafka::Consumer>> made = parts_.make_consumer(*this);
  if (!made.ok()) return parts_.on_misconfigured(made.status());
  consumer_ = *std::move(made);
  start_trouble_.clear();
}

// After a fatal error of the client; its shards are lost already.
void IngestWorker::Rejoin() {
  if (is_draining_) return;
  while (!sessions_.empty()) Retire(sessions_.begin()->first);
  consumer_.reset();
  CheckGroup();
}

// ---- the group

ShardSession* IngestWorker::Find(ShardId shard) {
  const auto found = sessions_.find(shard);
  return found == sessions_.end() ? nullptr : found->second.get();
}

void IngestWorker::OnAssigned(const std::vector<ShardId>& shards) {
  OnKafkaAnswer(true);
  if (is_draining_) return;
  for (const ShardId shard : shards) {
    Retire(shard);
    Log(LogLevel::kInfo, "shard assigned", {{"shard", shard.value}});
    auto session =
        std::make_unique<ShardSession>(shard, SessionParts{.options = options_,
                                                           .clock = parts_.clock,
                                                           .store = parts_.store,
                                                           .consumer = *consumer_,
                                                           .letters = letters_,
                                                           .parser = parser_,
                                                           .encoder = encoder_,
                                                           .dictionaries = dictionaries_,
                                                           .host = *this,
                                                           .totals = totals_[shard],
                                                           .highest_epoch = highest_epoch_});
    if (is_paused_) session->SetPaused(true);
    session->SetDropRules(drop_rules_);
    sessions_[shard] = std::move(session);
    RequestTurn(shard);
  }
  ShareIndexLimit();
}

void IngestWorker::OnRevoked(const std::vector<ShardId>& shards, bool lost) {
  for (const ShardId shard : shards) {
    ShardSession* session = Find(shard);
    if (session == nullptr) continue;
    Log(LogLevel::kInfo, "shard revoked", {{"shard", shard.value}, {"lost", lost}});
    session->OnRevoked(lost);
    Retire(shard);
  }
  ShareIndexLimit();
}

void IngestWorker::Retire(ShardId shard) {
  const auto found = sessions_.find(shard);
  if (found == sessions_.end()) return;
  const auto blocked = found->second->gate().Blocked(parts_.clock.Now());
  for (size_t i = 0; i < blocked.size(); ++i) retired_blocked_[i] += blocked[i];
  sessions_.erase(found);
  WakeAt(shard, Instant::max());
}

void IngestWorker::OnReadable(ShardId shard) {
  if (ShardSession* session = Find(shard); session != nullptr) session->Pump();
}

void IngestWorker::OnError(const absl::Status& status, bool fatal) {
  Log(fatal ? LogLevel::kError : LogLevel::kWarning, "kafka consumer", {{"error", status}});
  if (absl::IsUnavailable(status)) is_kafka_ok_ = false;
  kafka_trouble_ = std::string(status.message());
  if (fatal) PostGuarded([this] { Rejoin(); });
}

void IngestWorker::OnKafkaAnswer(bool is_answered) {
  is_kafka_ok_ = is_answered;
  if (is_answered) kafka_trouble_.clear();
}

// ---- turns and times

void IngestWorker::RequestTurn(ShardId shard) {
  turns_.insert(shard);
  if (are_turns_posted_) return;
  are_turns_posted_ = true;
  // Twice: what was written to sockets in this turn of the loop goes out in between.
  PostGuarded([this] { PostGuarded([this] { RunTurns(); }); });
}

void IngestWorker::RunTurns() {
  are_turns_posted_ = false;
  for (const ShardId shard : std::exchange(turns_, {})) {
    if (ShardSession* session = Find(shard); session != nullptr) session->Pump();
  }
}

void IngestWorker::WakeAt(ShardId shard, Instant when) {
  if (const auto found = wishes_.find(shard); found != wishes_.end()) {
    if (found->second == when) return;
    wakes_.erase({found->second, shard});
    wishes_.erase(found);
  }
  if (when != Instant::max()) {
    wishes_.emplace(shard, when);
    wakes_.insert({when, shard});
  }
  ArmWakeTimer();
}

void IngestWorker::ArmWakeTimer() {
  if (wakes_.empty()) return wake_timer_.Stop();
  wake_timer_.Start(std::max(Duration(0), wakes_.begin()->first - parts_.clock.Now()));
}

void IngestWorker::OnWakeTimer() {
  const Instant now = parts_.clock.Now();
  std::vector<ShardId> due;
  while (!wakes_.empty() && wakes_.begin()->first <= now) {
    due.push_back(wakes_.begin()->second);
    wishes_.erase(wakes_.begin()->second);
    wakes_.erase(wakes_.begin());
  }
  for (const ShardId shard : due) {
    if (ShardSession* session = Find(shard); session != nullptr) session->Pump();
  }
  ArmWakeTimer();
}

void IngestWorker::OnHousekeeping() {
  housekeeping_.Start(kHousekeeping);
  letters_.Retry();
  ShareIndexLimit();
  ProbeKafka();
  if (consumer_ != nullptr || is_asking_ || is_draining_) return;
  is_limit_known_ ? CheckGroup() : AskLimit();
}

// A shard may use its even share, or what the others leave of the limit.
void IngestWorker::ShareIndexLimit() {
  if (sessions_.empty() || options_.max_index_bytes == 0) return;
  uint64_t total = 0;
  for (const auto& [shard, session] : sessions_) total += session->index_bytes();
  const uint64_t share = options_.max_index_bytes / sessions_.size();
  for (const auto& [shard, session] : sessions_) {
    const uint64_t others = total - session->index_bytes();
    const uint64_t left = options_.max_index_bytes - std::min(others, options_.max_index_bytes);
    session->set_index_limit(std::max(share, left));
  }
}

// A worker whose shards are quiet would not notice that Kafka is back.
void IngestWorker::ProbeKafka() {
  if (consumer_ == nullptr || is_kafka_ok_ || is_probing_) return;
  is_probing_ = true;
  const ShardId shard = sessions_.empty() ? ShardId{0} : sessions_.begin()->first;
  consumer_->Extent(shard, options_.query_timeout,
                    [this](const absl::StatusOr<kafka::PartitionExtent>& extent) {
                      is_probing_ = false;
                      OnKafkaAnswer(!absl::IsUnavailable(extent.status()));
                    });
}

// ---- orders, reports, the end

void IngestWorker::Obey(const wire::Order& order) {
  if (order.sequence < order_sequence_) return;
  order_sequence_ = order.sequence;
  for (const wire::HeldShard& retake : order.retake) {
    const auto session = sessions_.find(retake.shard);
    if (session != sessions_.end()) session->second->Retake(retake.epoch);
  }
  SetDropRules(order.drop_rules);
  if (order.pause == is_paused_) return;
  is_paused_ = order.pause;
  for (const auto& [shard, session] : sessions_) session->SetPaused(is_paused_);
}

void IngestWorker::SetDropRules(const DropRules& rules) {
  if (drop_rules_ != nullptr && *drop_rules_ == rules) return;
  drop_rules_ = std::make_shared<const DropRules>(rules);
  for (const auto& [shard, session] : sessions_) session->SetDropRules(drop_rules_);
}

wire::WorkerReport IngestWorker::Report() const {
  constexpr size_t kTroubles = 3;  // a few are enough for a person
  wire::WorkerReport report;
  report.blocked = retired_blocked_;
  for (const auto& [shard, session] : sessions_) {
    report.shards.push_back(session->Report());
    const auto blocked = session->gate().Blocked(parts_.clock.Now());
    for (size_t i = 0; i < blocked.size(); ++i) report.blocked[i] += blocked[i];
    if (!session->trouble().empty() && report.waiting_for.size() < kTroubles) {
      report.waiting_for.push_back(absl::StrCat("shard ", shard.value, ": ", session->trouble()));
    }
  }
  if (!start_trouble_.empty()) report.waiting_for.push_back(start_trouble_);
  if (!kafka_trouble_.empty() && !is_kafka_ok_) report.waiting_for.push_back(kafka_trouble_);
  if (!letters_.last_failure().empty()) {
    report.waiting_for.push_back(absl::StrCat("dead letters for ", options_.dead_letter_topic, ": ",
                                              letters_.last_failure()));
  }
  report.compression = dictionaries_.Report();
  report.is_redis_ok = is_redis_ok_.value_or(true);
  report.is_kafka_ok = is_kafka_ok_;
  report.is_ready = consumer_ != nullptr && report.is_redis_ok && report.is_kafka_ok;
  report.order_sequence = order_sequence_;
  report.is_draining = is_draining_;
  report.is_drained = is_drained_;
  report.is_paused = is_paused_;
  return report;
}

void IngestWorker::Drain(absl::AnyInvocable<void(absl::Status)> drained) {
  if (is_draining_) return;
  is_draining_ = true;
  drained_ = std::move(drained);
  drain_timer_.Start(options_.drain_timeout);
  sessions_draining_ = sessions_.size() + 1;
  for (const auto& [shard, session] : sessions_) {
    session->Drain([this] { OnSessionDrained(); });
  }
  OnSessionDrained();
}

// Later: a session may say so from inside its own calls.
void IngestWorker::OnSessionDrained() {
  if (--sessions_draining_ > 0) return;
  PostGuarded([this] { FinishDrain(absl::OkStatus()); });
}

void IngestWorker::FinishDrain(const absl::Status& status) {
  if (!drained_) return;
  drain_timer_.Stop();
  wake_timer_.Stop();
  housekeeping_.Stop();
  while (!sessions_.empty()) Retire(sessions_.begin()->first);
  if (consumer_ != nullptr) consumer_->Close();
  is_drained_ = true;
  auto drained = std::exchange(drained_, nullptr);
  drained(status);
}

}  // namespace spillway::ingest
