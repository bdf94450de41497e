#include "worker/ingest/shard_session.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "worker/ingest/taken_state.h"

namespace spillway::ingest {

using wire::Cause;

ShardSession::ShardSession(ShardId shard, const SessionParts& parts)
    : shard_(shard),
      parts_(parts),
      gate_(parts.options.gate, parts.clock.Now(), parts.clock.Wall()),
      activity_(parts.clock.Now(), wire::Activity::kOwnership),
      retry_at_(parts.clock.Now()),
      backoff_(parts.options.first_backoff) {}

ShardSession::~ShardSession() = default;

void ShardSession::Pump() {
  const Instant now = parts_.clock.Now();
  activity_.Enter(wire::Activity::kEncode, now);
  switch (phase_) {
    case Phase::kWaiting:
      if (!is_draining_ && now >= retry_at_) TryAgain();
      break;
    case Phase::kProving:
    case Phase::kTaking:
      break;
    case Phase::kReplaying:
      Replay();
      break;
    case Phase::kLive:
      Work(now);
      break;
  }
  Schedule();
}

void ShardSession::Schedule() {
  Instant wake = Instant::max();
  if (phase_ == Phase::kWaiting && !is_draining_) wake = retry_at_;
  if (phase_ == Phase::kLive) {
    if (call_ == Call::kNone) {
      wake = next_tick_;
      if (!collecting_.empty() && current_.empty()) {
        wake = std::min(wake, collecting_.started + parts_.options.batch_time);
      }
      if (!current_.empty()) wake = std::min(wake, std::max(next_batch_, parts_.clock.Now()));
    } else if (IsCallLost()) {
      wake = send_again_at_;
    }
    // Closed, or waiting for letters: what reopens it calls Pump; a tick looks once a second.
    if (gate_.is_closed() || current_.letters_waiting > 0) {
      wake = call_ == Call::kNone ? next_tick_ : wake;
    }
  }
  parts_.host.WakeAt(shard_, wake);
  const Instant now = parts_.clock.Now();
  activity_.Enter(PresentActivity(now), now);
}

// ---- taking

void ShardSession::TryAgain() {
  // Not below what was asked for and not answered: it may have counted.
  const Offset proof = std::max(committed_, highest_asked_);
  if (!must_prove_ || proof == kNoOffset) return Take();
  // Fenced by somebody: are we still the one that Kafka has assigned?
  phase_ = Phase::kProving;
  others_turn_ = parts_.clock.Now();
  parts_.consumer.Commit(
      shard_, proof, [this, attempt = std::weak_ptr<bool>(attempt_)](const absl::Status& status) {
        if (attempt.expired()) return;
        parts_.host.OnKafkaAnswer(status.code() != absl::StatusCode::kUnavailable);
        if (status.ok()) return Take();
        GiveUp(status.message(), parts_.options.fenced_backoff,
               status.code() == absl::StatusCode::kUnavailable ? Cause::kKafka : Cause::kNone);
      });
}

void ShardSession::Take() {
  SPILLWAY_FAILPOINT("ingest.take.begun");
  phase_ = Phase::kTaking;
  others_turn_ = parts_.clock.Now();
  ShardTaking::Request request{.shard = shard_,
                               .proposed_number = parts_.highest_epoch,
                               .draw_owner = [this] { return parts_.host.RandomNumber(); },
                               .query_timeout = parts_.options.query_timeout};
  if (!before_.is_counted) {
    request.reached = before_.watermark;
    request.reached_at_most = before_.was_fenced ? kNoOffset : before_.sent;
    request.was_set_back = before_.was_set_back;
  }
  taking_ = std::make_unique<ShardTaking>(
      request, parts_.consumer, parts_.store,
      ShardTaking::Callbacks{
          .taken = [this](TakenShard taken) { OnTaken(std::move(taken)); },
          .failed = [this](const TakeFailure& failure) { OnTakeFailed(failure); }});
  taking_->Start();
}

void ShardSession::OnTakeFailed(const TakeFailure& failure) {
  before_.was_created = before_.was_created || failure.has_created;
  before_.is_counted = before_.is_counted || failure.has_counted;
  // A take whose answer was lost may have been executed.
  ++parts_.highest_epoch;
  parts_.host.OnKafkaAnswer(failure.cause != Cause::kKafka);
  if (failure.cause != Cause::kKafka) parts_.host.OnRedisAnswer(failure.cause != Cause::kRedis);
  const Duration backoff = failure.needs_person ? parts_.options.last_backoff : NextBackoff();
  const std::string message = failure.message;
  const Cause cause = failure.cause;
  GiveUp(message, backoff, cause);  // destroys `failure`'s owner
}

void ShardSession::OnTaken(TakenShard taken) {
  parts_.host.OnKafkaAnswer(true);
  parts_.host.OnRedisAnswer(true);
  const buffer::TakeReply& reply = taken.reply;
  epoch_ = reply.epoch;
  parts_.highest_epoch = std::max(parts_.highest_epoch, epoch_.number);
  committed_ = taken.committed;
  if (reply.is_new_log) highest_asked_ = kNoOffset;
  TellIncidents(shard_, before_, taken, parts_.totals.incidents);
  before_ = {.watermark = reply.watermark, .sent = reply.watermark};
  redis_time_ = reply.redis_time;
  redis_time_at_ = parts_.clock.Now();
  take_cause_ = inputs_.take_cause = Cause::kNone;
  must_prove_ = false;

  const segment::TakenState state =
      TakenStateOf(reply, [this](const PartName& part, const absl::Status& error) {
        Log(LogLevel::kWarning, "chunk header unreadable",
            {{"shard", shard_.value}, {"part", part.ToString()}, {"error", error}});
      });
  index_ = std::make_unique<segment::ShardIndex>(parts_.options.limits, state);
  TakeDictionaries(reply);
  auto history = DropHistory::FromText(reply.drop_rules);
  if (!history.ok()) return GiveUp(history.status().message(), parts_.options.last_backoff);
  history_ = *std::move(history);
  drop_revision_ = reply.drop_revision;
  position_ = taken.start;
  Log(LogLevel::kInfo, "shard taken",
      {{"shard", shard_.value},
       {"epoch", epoch_.number},
       {"start", taken.start},
       {"watermark", reply.watermark},
       {"live_parts", reply.live.size()}});
  ++parts_.totals.progress;
  const Offset start = taken.start;
  const Offset watermark = reply.watermark;
  taking_.reset();  // `taken` and `reply` may end here

  if (const absl::Status status = parts_.consumer.StartAt(shard_, start); !status.ok()) {
    return GiveUp(status.message(), NextBackoff());
  }
  phase_ = Phase::kReplaying;
  others_turn_ = parts_.clock.Now();
  if (start >= watermark) FinishReplay();
  parts_.host.RequestTurn(shard_);
}

// ---- replaying

// One batch a turn, so that other shards and the group get theirs.
void ShardSession::Replay() {
  const Offset watermark = index_->watermark();
  std::unique_ptr<kafka::Batch> batch =
      parts_.consumer.Read(shard_, parts_.options.batch_messages, parts_.options.batch_bytes);
  if (batch == nullptr) {
    // The last offsets below W may not exist any more (compaction, transaction marks).
    if (parts_.consumer.IsAtEnd(shard_)) {
      FinishReplay();
      parts_.host.RequestTurn(shard_);
    }
    return;
  }
  SPILLWAY_FAILPOINT("ingest.replay.read");
  parts_.host.OnKafkaAnswer(true);
  others_turn_ = parts_.clock.Now();
  ++parts_.totals.progress;
  const EventTime redis_now = RedisNow();
  size_t next = 0;
  for (const kafka::Message& message : batch->messages()) {
    if (HasOffsetsFallen(message.offset)) return;
    if (message.offset >= watermark) break;
    ++next;
    position_ = message.offset + 1;
    ParsedMessage parsed{.offset = message.offset,
                         .timestamp = message.timestamp,
                         .bytes = message.payload,
                         .is_valid = false,
                         .span = {}};
    auto read = parts_.parser.Parse(message.payload);
    if (!std::holds_alternative<span::Span>(read)) continue;  // its dead letter is acknowledged
    parsed.span = std::get<span::Span>(std::move(read));
    if (IsFiltered(message.offset, parsed.span.trace)) continue;
    index_->Replay(RecordOf(parsed, redis_now));
  }
  const bool has_more = next < batch->messages().size();
  if (has_more && (is_paused_ || NextRules())) {  // what follows is new: it is read when it may be
    const absl::Status status = parts_.consumer.StartAt(shard_, batch->messages()[next].offset);
    if (!status.ok()) return GiveUp(status.message(), NextBackoff());
    FinishReplay();
  } else if (has_more) {
    FinishReplay();
    CollectFrom(std::move(batch), next);
  } else if (position_ >= watermark) {
    FinishReplay();
  }
  parts_.host.RequestTurn(shard_);
}

void ShardSession::FinishReplay() {
  index_->Reconcile();
  SPILLWAY_FAILPOINT("ingest.replay.finished");
  phase_ = Phase::kLive;
  trouble_.clear();
  position_ = std::max(position_, index_->watermark());
  const Instant now = parts_.clock.Now();
  others_turn_.reset();
  live_since_ = now;
  next_tick_ = now;  // the first figures
  next_batch_ = now;
  next_commit_ = now;
  next_rules_check_ = now;
  inputs_ = GateInputs{};
  inputs_.is_owned = true;
  UpdateGate(now);
}

// ---- giving up

void ShardSession::OnFenced() {
  Log(LogLevel::kWarning, "shard fenced", {{"shard", shard_.value}, {"epoch", epoch_.number}});
  must_prove_ = before_.was_fenced = true;
  GiveUp("another owner has taken the shard",
         std::max(parts_.options.fenced_backoff, NextBackoff()));
}

void ShardSession::GiveUp(absl::string_view why, Duration backoff, Cause cause) {
  trouble_ = std::string(why);
  if (phase_ == Phase::kLive || phase_ == Phase::kReplaying) {
    Log(LogLevel::kWarning, "shard given up", {{"shard", shard_.value}, {"why", trouble_}});
  }
  attempt_ = std::make_shared<bool>(true);
  taking_.reset();
  index_.reset();
  collecting_.Clear();
  current_.Clear();
  sent_add_.reset();
  call_ = Call::kNone;
  is_committing_ = is_adopting_ = is_dropping_ = false;
  phase_ = Phase::kWaiting;
  // Jitter: owners that fence each other must not go on in step.
  const auto jitter =
      Duration(static_cast<int64_t>(parts_.host.RandomNumber() % 512) * backoff.count() / 1024);
  const Instant now = parts_.clock.Now();
  retry_at_ = now + backoff + jitter;
  take_cause_ = cause;
  inputs_ = GateInputs{};
  inputs_.take_cause = cause;
  UpdateGate(now);
  if (is_draining_) FinishDrain();
  Schedule();
}

Duration ShardSession::NextBackoff() {
  return std::exchange(backoff_, std::min(backoff_ * 2, parts_.options.last_backoff));
}

// ---- the group, the operator

void ShardSession::OnRevoked(bool lost) {
  if (lost || phase_ != Phase::kLive) return;
  const Offset low = index_->LowWatermark();
  SPILLWAY_FAILPOINT("ingest.revoke.begun");
  if (low > committed_ && low >= highest_asked_) {
    parts_.consumer.Commit(shard_, low, [](const absl::Status&) {});
    SPILLWAY_FAILPOINT("ingest.revoke.commit_sent");
  }
}

void ShardSession::SetPaused(bool is_paused) {
  is_paused_ = is_paused;
  ApplyReading();
  parts_.host.RequestTurn(shard_);
}

void ShardSession::Retake(const Epoch& epoch) {
  const bool is_held = phase_ == Phase::kLive || phase_ == Phase::kReplaying;
  if (!is_held || epoch_ != epoch || is_draining_) return;
  GiveUp("a person restarts it", Duration(0));
}

void ShardSession::SetDropRules(std::shared_ptr<const DropRules> rules) {
  rules_ = std::move(rules);
  next_rules_check_ = parts_.clock.Now();
  parts_.host.RequestTurn(shard_);
}

void ShardSession::Drain(absl::AnyInvocable<void()> drained) {
  is_draining_ = true;
  drained_ = std::move(drained);
  collecting_.Clear();
  ApplyReading();
  if (phase_ != Phase::kLive) {
    attempt_ = std::make_shared<bool>(true);
    taking_.reset();
    index_.reset();
    phase_ = Phase::kWaiting;
  }
  if (IsCallUnderWay()) return;  // its answer goes on
  FinishDrain();
}

void ShardSession::FinishDrain() {
  if (!drained_) return;
  SPILLWAY_FAILPOINT("ingest.drain.finishing");
  auto drained = std::exchange(drained_, nullptr);
  const Offset low = phase_ == Phase::kLive ? index_->LowWatermark() : kNoOffset;
  if (low <= committed_ || low < highest_asked_) return drained();
  parts_.consumer.Commit(shard_, low,
                         [done = std::move(drained)](const absl::Status&) mutable { done(); });
}

wire::ShardReport ShardSession::Report() const {
  wire::ShardReport report;
  report.shard = shard_;
  report.stage = is_draining_             ? wire::ShardStage::kReleasing
                 : phase_ == Phase::kLive ? wire::ShardStage::kOwned
                                          : wire::ShardStage::kAcquiring;
  if (index_ != nullptr) {
    report.epoch = epoch_;
    report.watermark = index_->watermark();
    report.event_clock = index_->clock();
    report.index_bytes = index_->memory_bytes();
    report.input_lag = InputLag();
    report.has_work = phase_ != Phase::kLive || !current_.empty() || !collecting_.empty() ||
                      (report.input_lag > 0 && !is_paused_);
  } else {
    report.has_work = true;
  }
  report.low_watermark = committed_;
  report.unwritten = current_.messages.size() + collecting_.messages.size();
  if (index_ != nullptr) {
    const Offset low = index_->LowWatermark();
    report.is_committed = low <= committed_ || low < highest_asked_;
  }
  report.backlog = inputs_.backlog;
  report.lateness = inputs_.lateness;
  report.gate = gate_.Report();
  report.times = activity_.Until(parts_.clock.Now());
  report.blocked_cause = BlockedCause();
  report.progress = parts_.totals.progress;
  report.spans = parts_.totals.spans;
  report.rejected = parts_.totals.rejected;
  report.deduplicated = parts_.totals.deduplicated;
  const IncidentCounts& incidents = parts_.totals.incidents;
  report.redis_losses = incidents.redis_losses;
  report.redis_rollbacks = incidents.redis_rollbacks;
  report.replaced_logs = incidents.replaced_logs;
  report.unreplayable = incidents.unreplayable;
  return report;
}

int64_t ShardSession::InputLag() const {
  if (index_ != nullptr && IsAtEnd()) return 0;  // the last offsets may be marks of transactions
  const std::optional<Offset> end = parts_.consumer.LogEnd(shard_);
  if (index_ == nullptr || !end.has_value()) return -1;
  return std::max<int64_t>(0, *end - index_->watermark());
}

bool ShardSession::IsHungry() const {
  return is_reading_ && current_.empty() && collecting_.empty() && InputLag() > 0;
}

wire::Activity ShardSession::PresentActivity(Instant now) const {
  using wire::Activity;
  switch (phase_) {
    case Phase::kWaiting:
      return Activity::kOwnership;
    case Phase::kProving:
      return Activity::kBroker;
    case Phase::kTaking:
      return taking_->waits_for() == Cause::kRedis ? Activity::kRedis : Activity::kBroker;
    case Phase::kReplaying:
      return Activity::kKafkaQueue;
    case Phase::kLive:
      break;
  }
  if (IsCallLost() || call_ == Call::kRules) return Activity::kRedis;
  if (!current_.empty()) {
    if (current_.letters_waiting > 0) return Activity::kBroker;
    if (call_ != Call::kNone) return Activity::kRedis;
    return gate_.is_closed() || now < next_batch_ ? Activity::kGate : Activity::kEncode;
  }
  if (is_paused_) return Activity::kPaused;
  if (gate_.is_closed()) return Activity::kGate;
  return HasAllOfLog() ? Activity::kIdle : Activity::kKafkaQueue;
}

// All that Kafka has is in our hands, be it in Redis or not yet: a batch that still waits for more
// (ingest.batch_time) waits in vain. A log of which the end is not known is yet to be fetched.
bool ShardSession::HasAllOfLog() const {
  const std::optional<Offset> end = parts_.consumer.LogEnd(shard_);
  return parts_.consumer.IsAtEnd(shard_) || (end.has_value() && position_ >= *end);
}

Cause ShardSession::BlockedCause() const {
  if (phase_ == Phase::kWaiting) return take_cause_;
  if (phase_ == Phase::kLive && gate_.is_closed()) return gate_.cause();
  const Instant now = parts_.clock.Now();
  const Duration slow = parts_.options.slow_answer;
  for (const WorkBatch* batch : {&current_, &collecting_}) {
    if (batch->letters_waiting > 0 && now - batch->letters_since > slow) return Cause::kDeadLetter;
  }
  if (parts_.store.KeepsWaiting(shard_)) return Cause::kRedis;
  if (!others_turn_ || now - *others_turn_ <= slow) return Cause::kNone;
  return phase_ == Phase::kTaking ? taking_->waits_for() : Cause::kKafka;
}

EventTime ShardSession::RedisNow() const {
  const auto since =
      std::chrono::duration_cast<std::chrono::microseconds>(parts_.clock.Now() - redis_time_at_);
  return EventTimeOf(WallTime{redis_time_.us + since.count()});
}

}  // namespace spillway::ingest
