// ShardSession: from a batch of parsed spans to Redis, and what Redis says.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "worker/ingest/shard_session.h"

namespace spillway::ingest {

using buffer::ShardFigures;
using buffer::StoreCode;
using buffer::StoreResult;

namespace {
// How late a rule may end after its time.
constexpr Duration kRulesCheckInterval = std::chrono::seconds(1);
}  // namespace

void ShardSession::Work(Instant now) {
  if (call_ == Call::kAdd) SPILLWAY_FAILPOINT("ingest.add.sent");
  if (IsCallLost() && now >= send_again_at_) SendAgain();
  UpdateGate(now);
  if (!is_draining_) {
    MaybeChangeRules(now);
    Collect();
    if (phase_ != Phase::kLive) return;
    StartBatch(now);
    if (!IsHungry()) {
      others_turn_.reset();
    } else if (!others_turn_) {
      others_turn_ = now;
    }
  }
  if (call_ == Call::kNone && now >= next_tick_ && !is_draining_) SendTick(now);
}

// ---- batches

void ShardSession::StartBatch(Instant now) {
  if (current_.empty() && !collecting_.empty() &&
      (IsFull(collecting_) || now >= collecting_.started + parts_.options.batch_time)) {
    std::swap(current_, collecting_);
  }
  if (current_.empty() || current_.letters_waiting > 0 || call_ != Call::kNone ||
      gate_.is_closed() || now < next_batch_) {
    return;
  }
  next_batch_ = gate_.state() == wire::GateState::kSlow ? now + parts_.options.slow_interval : now;
  parts_.dictionaries.Learn(current_);
  parts_.encoder.UseDictionary(parts_.dictionaries.current());
  retiring_.OnUse(CurrentDictionary(), LastDeadlineOfNow());
  const segment::BatchPlan plan = PlanBatch(*index_, current_, RedisNow());
  sent_add_ = std::make_shared<const buffer::AddRequest>(
      RequestFor(epoch_, plan, current_, parts_.encoder));
  parts_.dictionaries.OnEncoded(plan.accepted, parts_.encoder.totals());
  SPILLWAY_FAILPOINT("ingest.add.planned");
  SendAdd();
  // The next batch is parsed while Redis works on this one.
  parts_.host.RequestTurn(shard_);
}

void ShardSession::SendAdd() {
  call_ = Call::kAdd;
  before_.sent = sent_add_->new_watermark;
  if (SPILLWAY_FORGETS("ingest.add.forgotten")) return;
  parts_.store.Add(
      shard_, sent_add_,
      [this, attempt = std::weak_ptr<bool>(attempt_)](StoreResult<ShardFigures> result) {
        if (!attempt.expired()) OnAdded(std::move(result));
      });
}

void ShardSession::SendAgain() {
  if (call_ == Call::kAddLost) return SendAdd();
  if (call_ == Call::kRulesLost) return SendRules();
  call_ = Call::kTick;
  parts_.store.Tick(
      shard_, sent_tick_,
      [this, attempt = std::weak_ptr<bool>(attempt_)](StoreResult<ShardFigures> result) {
        if (!attempt.expired()) OnTicked(std::move(result));
      });
}

void ShardSession::OnAdded(StoreResult<ShardFigures> result) {
  SPILLWAY_FAILPOINT("ingest.add.answered");
  const Instant now = parts_.clock.Now();
  activity_.Enter(wire::Activity::kEncode, now);
  if (result.code == StoreCode::kWatermark && result.value.watermark == sent_add_->new_watermark) {
    // Our own W: a copy of this call had been executed, its answer lost. The figures come with a
    // tick.
    call_ = Call::kNone;
    BatchApplied();
    inputs_.is_redis_silent = inputs_.is_redis_moving = false;
    next_tick_ = now;
  } else if (result.code == StoreCode::kMemory) {
    call_ = Call::kNone;
    index_->AbortBatch();
    inputs_.is_redis_silent = inputs_.is_redis_moving = false;
    inputs_.is_memory_refused = true;
    memory_refused_at_ = now;
    next_tick_ = std::min(next_tick_, now);
  } else if (result.ok()) {
    if (result.value.watermark != sent_add_->new_watermark) {
      return GiveUp("the watermark of the answer is not ours", NextBackoff());
    }
    call_ = Call::kNone;
    BatchApplied();
    Observe(result.value);
  } else {
    OnRefused(result, Call::kAddLost);
    if (phase_ != Phase::kLive) return;
  }
  if (is_draining_ && call_ != Call::kAdd) return FinishDrain();
  Pump();
}

void ShardSession::BatchApplied() {
  index_->CommitBatch();
  before_.watermark = sent_add_->new_watermark;
  parts_.totals.spans += sent_add_->ledger.accepted;
  parts_.totals.rejected += sent_add_->ledger.rejected;
  parts_.totals.deduplicated += sent_add_->ledger.deduplicated;
  ++parts_.totals.progress;
  current_.Clear();
  sent_add_.reset();
  SPILLWAY_FAILPOINT("ingest.add.applied");
}

// ---- ticks

// Without moving the clock it only brings the figures, so that a closed gate can reopen.
void ShardSession::SendTick(Instant now) {
  next_tick_ = now + parts_.options.tick_interval;
  sent_tick_ = {.epoch = epoch_,
                .expected_watermark = index_->watermark(),
                .expected_clock = index_->clock(),
                .moves_clock = IsAtEnd() || (gate_.wants_clock() && !is_paused_)};
  call_ = Call::kTickLost;
  SendAgain();
}

void ShardSession::OnTicked(StoreResult<ShardFigures> result) {
  SPILLWAY_FAILPOINT("ingest.tick.answered");
  if (result.ok()) {
    if (result.value.watermark != index_->watermark()) {
      return GiveUp("the watermark of the answer is not ours", NextBackoff());
    }
    call_ = Call::kNone;
    Observe(result.value);
  } else {
    OnRefused(result, Call::kTickLost);
    if (phase_ != Phase::kLive) return;
  }
  if (is_draining_ && call_ != Call::kTick) return FinishDrain();
  Pump();
}

// ---- drop rules

std::optional<DropHistory> ShardSession::NextRules() const {
  if (rules_ == nullptr || (rules_->empty() && history_.empty())) return std::nullopt;
  return history_.With(*rules_, parts_.clock.Wall(), position_, committed_);
}

// Before a message is judged by a rule Redis knows that it is in force there: whoever takes the
// shard next judges alike.
void ShardSession::MaybeChangeRules(Instant now) {
  if (call_ != Call::kNone || now < next_rules_check_) return;
  next_rules_check_ = now + kRulesCheckInterval;
  std::optional<DropHistory> next = NextRules();
  if (!next) return;
  next_history_ = *std::move(next);
  SendRules();
}

void ShardSession::SendRules() {
  call_ = Call::kRules;
  parts_.store.StoreDropRules(
      shard_, {.epoch = epoch_, .revision = drop_revision_ + 1, .rules = next_history_.ToText()},
      [this, attempt = std::weak_ptr<bool>(attempt_)](const StoreResult<bool>& result) {
        if (!attempt.expired()) OnRulesStored(result);
      });
}

void ShardSession::OnRulesStored(const StoreResult<bool>& result) {
  if (result.ok()) {
    call_ = Call::kNone;
    parts_.host.OnRedisAnswer(true);
    trouble_.clear();
    inputs_.is_redis_silent = inputs_.is_redis_moving = false;
    history_ = std::move(next_history_);
    ++drop_revision_;
    Log(LogLevel::kInfo, "drop rules changed",
        {{"shard", shard_.value}, {"from", position_}, {"periods", history_.periods().size()}});
  } else {
    OnRefused({.code = result.code, .value = {}, .message = result.message}, Call::kRulesLost);
    if (phase_ != Phase::kLive) return;
  }
  if (is_draining_ && call_ != Call::kRules) return FinishDrain();
  Pump();
}

// ---- answers

void ShardSession::OnRefused(const StoreResult<ShardFigures>& result, Call lost) {
  switch (result.code) {
    case StoreCode::kUnavailable:
    case StoreCode::kMoving:
      // Sent again as it was: the compare-and-set tells whether it had been executed.
      parts_.host.OnRedisAnswer(result.code == StoreCode::kMoving);
      inputs_.is_redis_silent = result.code == StoreCode::kUnavailable;
      inputs_.is_redis_moving = result.code == StoreCode::kMoving;
      trouble_ = absl::StrCat("Redis: ", result.message);
      call_ = lost;
      send_again_at_ = parts_.clock.Now() + NextBackoff();
      return;
    case StoreCode::kFenced:
      parts_.host.OnRedisAnswer(true);
      return OnFenced();
    case StoreCode::kInvalid:
      parts_.host.OnRedisAnswer(true);
      return GiveUp(absl::StrCat("Redis: ", result.message), parts_.options.last_backoff);
    default:
      parts_.host.OnRedisAnswer(true);
      before_.was_set_back =
          result.code == StoreCode::kClock ||
          (result.code == StoreCode::kWatermark && result.value.watermark < index_->watermark());
      return GiveUp(absl::StrCat("Redis does not hold what was expected: ", result.message),
                    NextBackoff());
  }
}

void ShardSession::Observe(const ShardFigures& figures) {
  const Instant now = parts_.clock.Now();
  parts_.host.OnRedisAnswer(true);
  trouble_.clear();
  if (now - live_since_ >= parts_.options.settled_after) backoff_ = parts_.options.first_backoff;
  redis_time_ = figures.redis_time;
  redis_time_at_ = now;
  next_tick_ = now + parts_.options.tick_interval;
  inputs_.is_redis_silent = inputs_.is_redis_moving = false;
  inputs_.lateness = figures.lateness;
  inputs_.backlog = figures.backlog;
  inputs_.memory_ratio = figures.memory_ratio;
  inputs_.has_outstanding = figures.lowest_outstanding.has_value();
  const bool is_relieved =
      figures.memory_ratio > 0 && figures.memory_ratio < parts_.options.gate.redis_memory.close;
  if (is_relieved || now - memory_refused_at_ >= parts_.options.memory_retry)
    inputs_.is_memory_refused = false;
  index_->Observe(figures.clock, figures.lowest_outstanding);
  MaybeCommit();
  MaybeDropDictionary(figures.lowest_outstanding);
  UpdateGate(now);
}

// ---- dictionaries

void ShardSession::TakeDictionaries(const buffer::TakeReply& reply) {
  last_taken_deadline_ = reply.clock;
  for (const buffer::LivePartRecord& part : reply.live) {
    last_taken_deadline_ = std::max(last_taken_deadline_, part.deadline);
  }
  // Not the index's clock, which still has to come there.
  retiring_.OnTaken(reply.dictionaries,
                    std::max(last_taken_deadline_, reply.clock + parts_.options.limits.max_age));
  if (!parts_.dictionaries.wants_one() || reply.dictionaries.empty()) return;
  is_adopting_ = true;
  parts_.store.ReadDictionary(shard_, reply.dictionaries.front(),
                              [this, attempt = std::weak_ptr<bool>(attempt_)](
                                  StoreResult<std::shared_ptr<const buffer::Dictionary>> result) {
                                if (attempt.expired()) return;
                                is_adopting_ = false;
                                if (result.ok()) parts_.dictionaries.Adopt(std::move(result.value));
                              });
}

// What its next batch is encoded with; 0: none.
uint32_t ShardSession::CurrentDictionary() const {
  const auto& current = parts_.dictionaries.current();
  return current == nullptr ? 0 : current->id();
}

// No part that has been opened so far gets a deadline above this: it is due max_age after its first
// span at the latest, but for those that were live at take under other limits.
EventTime ShardSession::LastDeadlineOfNow() const {
  return std::max(last_taken_deadline_, index_->clock() + parts_.options.limits.max_age);
}

// Right after figures; the script looks again. No call is under way, so W is what we know, and an
// add that comes later finds out by itself if it needs what is dropped here.
void ShardSession::MaybeDropDictionary(std::optional<EventTime> lowest_outstanding) {
  if (is_adopting_ || is_dropping_) return;
  const auto retired = retiring_.Droppable(lowest_outstanding, CurrentDictionary());
  if (!retired.has_value()) return;
  is_dropping_ = true;
  parts_.store.DropDictionary(shard_,
                              {.epoch = epoch_,
                               .expected_watermark = index_->watermark(),
                               .id = retired->id,
                               .last_deadline = retired->last_deadline},
                              [this, id = retired->id, attempt = std::weak_ptr<bool>(attempt_)](
                                  const StoreResult<bool>& result) {
                                if (attempt.expired()) return;
                                is_dropping_ = false;
                                if (!result.ok() || !result.value) return;
                                retiring_.OnDropped(id);
                                parts_.dictionaries.OnDropped();
                              });
}

// Only right after figures that proved our epoch and W (invariant 9).
void ShardSession::MaybeCommit() {
  const Instant now = parts_.clock.Now();
  const Offset low = index_->LowWatermark();
  // A commit whose answer was lost may have counted: never ask for less than before.
  if (low <= committed_ || low < highest_asked_ || is_committing_ || now < next_commit_) return;
  SPILLWAY_FAILPOINT("ingest.commit.begun");
  is_committing_ = true;
  highest_asked_ = low;
  next_commit_ = now + parts_.options.commit_interval;
  parts_.consumer.Commit(
      shard_, low,
      [this, low, attempt = std::weak_ptr<bool>(attempt_)](const absl::Status& status) {
        if (attempt.expired()) return;
        SPILLWAY_FAILPOINT("ingest.commit.answered");
        is_committing_ = false;
        parts_.host.OnKafkaAnswer(status.code() != absl::StatusCode::kUnavailable);
        if (status.ok()) committed_ = std::max(committed_, low);
      });
  SPILLWAY_FAILPOINT("ingest.commit.sent");
}

void ShardSession::UpdateGate(Instant now) {
  inputs_.index_bytes = index_bytes();
  inputs_.max_index_bytes = index_limit_;
  const auto is_stuck = [&](const WorkBatch& batch) {
    return batch.letters_waiting > 0 &&
           now - batch.letters_since >= parts_.options.delivery_timeout;
  };
  inputs_.has_stuck_letters = is_stuck(current_) || is_stuck(collecting_);
  if (gate_.Update(inputs_, now, parts_.clock.Wall())) {
    Log(gate_.is_closed() ? LogLevel::kWarning : LogLevel::kInfo, "gate",
        {{"shard", shard_.value},
         {"state", gate_.is_closed()                         ? "closed"
                   : gate_.state() == wire::GateState::kSlow ? "slow"
                                                             : "open"},
         {"cause", wire::CauseName(gate_.cause())}});
  }
  ApplyReading();
}

// While the index is rebuilt the partition is read whatever the gate and the operator say: that is
// no new input.
void ShardSession::ApplyReading() {
  const bool may_take = !is_paused_ && !gate_.is_closed();
  const bool wanted = !is_draining_ && (phase_ != Phase::kLive || may_take);
  if (wanted == is_reading_) return;
  is_reading_ = wanted;
  if (wanted) {
    parts_.consumer.Resume(shard_);
  } else {
    parts_.consumer.Pause(shard_);
  }
}

}  // namespace spillway::ingest
