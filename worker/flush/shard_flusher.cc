#include "worker/flush/shard_flusher.h"

#include <algorithm>
#include <utility>

namespace spillway::flush {
namespace {

using buffer::StoreCode;

// An epoch held this long was not part of a quarrel: the next loss starts with a short pause.
constexpr Duration kSettled = std::chrono::seconds(30);
// So many more parts are peeked at than claimed: some may have to be claimed alone.
constexpr uint32_t kPeekMargin = 16;
constexpr Duration kShortestPeek = std::chrono::milliseconds(5);

wire::Cause CauseOf(StoreCode code) {
  switch (code) {
    case StoreCode::kOk:
      return wire::Cause::kNone;
    case StoreCode::kFenced:
    case StoreCode::kNoShard:
      return wire::Cause::kOwnership;
    case StoreCode::kMoving:
      return wire::Cause::kRedisMoving;
    case StoreCode::kMemory:
      return wire::Cause::kRedisMemory;
    default:
      return wire::Cause::kRedis;
  }
}

}  // namespace

ShardFlusher::ShardFlusher(const FlushOptions& options, RandomSource random)
    : options_(options),
      random_(std::move(random)),
      store_backoff_(options.backoff_initial, options.backoff_max),
      epoch_backoff_(options.backoff_initial, options.backoff_max),
      peek_interval_(options.min_peek),
      delivery_backoff_(options.backoff_initial, options.backoff_max) {}

ShardFlusher::Actions ShardFlusher::Step(FlusherEvent event, Instant now, FlusherRoom room) {
  actions_.clear();
  std::visit([&](auto& happened) { OnEvent(happened, now); }, event);
  if (!is_gone_) Decide(now, room);
  return std::move(actions_);
}

Instant ShardFlusher::wake() const {
  Instant wake = Instant::max();
  if (stop_at_) wake = std::min(wake, *stop_at_);
  if (forget_at_) wake = std::min(wake, *forget_at_);
  if (call_ != Call::kNone) return wake;
  const bool is_urgent = !epoch_ || pending_ || !stale_.empty();
  if (is_wanted_ || !stale_.empty()) {
    wake = std::min(wake, is_urgent ? not_before_ : std::max(not_before_, next_peek_));
  }
  return wake;
}

wire::ShardStage ShardFlusher::stage() const {
  if (!is_wanted_) return wire::ShardStage::kReleasing;
  return epoch_ ? wire::ShardStage::kOwned : wire::ShardStage::kAcquiring;
}

uint64_t ShardFlusher::parts_in_flight() const {
  uint64_t parts = 0;
  for (const auto& [id, count] : claims_) parts += count;
  return parts;
}

wire::Cause ShardFlusher::blocked_cause() const {
  return store_cause_ != wire::Cause::kNone ? store_cause_ : delivery_cause_;
}

wire::Activity ShardFlusher::activity(Instant now, FlusherRoom room) const {
  using wire::Activity;
  const bool is_peeking = call_ == Call::kPeek;
  if (call_ != Call::kNone && !is_peeking) return Activity::kRedis;
  if (store_cause_ == wire::Cause::kOwnership) return Activity::kOwnership;
  if (store_cause_ != wire::Cause::kNone) return Activity::kRedis;
  if (!is_wanted_) return Activity::kIdle;
  if (now < claim_not_before_) return Activity::kBroker;  // it has not delivered the last claim
  if (peek_.due_count == 0) return Activity::kIdle;       // looking is no work
  return is_peeking || room.may_claim ? Activity::kRedis : Activity::kRoom;
}

void ShardFlusher::OnEvent(const Wanted& event, Instant now) {
  if (event.is_wanted && event.dead != dead_) {
    dead_ = event.dead;
    next_peek_ = now;  // a death told late: its claims are there already
  }
  if (event.is_wanted == is_wanted_) return;
  is_wanted_ = event.is_wanted;
  if (is_wanted_) {
    stop_at_.reset();
    forget_at_.reset();
    return;
  }
  forget_at_ = now + options_.drain_timeout;
  stop_at_ = now + options_.drain_timeout * 9 / 10;
}

void ShardFlusher::OnEvent(Acquired& event, Instant now) {
  if (std::exchange(call_, Call::kNone) != Call::kAcquire) return;
  if (!event.ok()) return WaitAfter(event.code, now);
  WaitAfter(StoreCode::kOk, now);
  ++steps_;
  epoch_ = event.value;
  highest_number_ = std::max(highest_number_, epoch_->number);
  owned_since_ = now;
  next_peek_ = now;
}

void ShardFlusher::OnEvent(Peeked& event, Instant now) {
  if (std::exchange(call_, Call::kNone) != Call::kPeek) return;
  if (!event.ok()) return WaitAfter(event.code, now);
  WaitAfter(StoreCode::kOk, now);
  if (now - owned_since_ > kSettled) epoch_backoff_.Reset();
  const EventTime clock_before = peek_.clock;
  due_ = std::move(event.value.due);
  peek_ = std::move(event.value);
  FindStale();
  SchedulePeek(clock_before, now);
}

void ShardFlusher::OnEvent(Claimed& event, Instant now) {
  if (std::exchange(call_, Call::kNone) != Call::kClaim || !pending_) return;
  const bool is_gone_for_good = event.code == StoreCode::kOk || event.code == StoreCode::kFenced ||
                                event.code == StoreCode::kNoShard ||
                                event.code == StoreCode::kInvalid;
  if (!is_gone_for_good) return WaitAfter(event.code, now);  // then the same again
  const PendingClaim pending = *std::exchange(pending_, std::nullopt);
  WaitAfter(event.code, now);
  // Nothing of it was due any more: look again, but not at once for ever.
  if (!event.ok() || event.value.parts.empty()) {
    next_peek_ = now + options_.min_peek;
    return;
  }
  ++steps_;
  uint64_t bytes = 0;
  for (const buffer::ClaimedPart& part : event.value.parts) bytes += part.part_bytes;
  const uint64_t mean = std::max<uint64_t>(bytes / event.value.parts.size(), 1);
  usual_part_bytes_ = (3 * usual_part_bytes_ + mean) / 4;
  claims_[event.value.id] = event.value.parts.size();
  const bool has_more = peek_.due_count > event.value.parts.size();
  peek_.due_count -= std::min<uint64_t>(peek_.due_count, event.value.parts.size());
  if (has_more) next_peek_ = now;
  actions_.emplace_back(RunClaim{.claim = std::move(event.value),
                                 .epoch = pending.request.epoch,
                                 .to_dead_letters = pending.to_dead_letters});
}

void ShardFlusher::OnEvent(const StaleReleased& event, Instant now) {
  if (std::exchange(call_, Call::kNone) != Call::kReleaseStale || stale_.empty()) return;
  WaitAfter(event.code == StoreCode::kNoShard ? StoreCode::kOk : event.code, now);
  if (event.code != StoreCode::kOk && event.code != StoreCode::kNoShard) return;
  ++steps_;
  stale_.pop_back();
  next_peek_ = now;
}

void ShardFlusher::OnEvent(const ClaimEnded& event, Instant now) {
  const auto claim = claims_.find(event.id);
  if (claim == claims_.end()) return;
  const uint64_t parts = claim->second;
  claims_.erase(claim);
  if (event.how == ClaimEnded::How::kReleased) {
    peek_.due_count += parts;  // until the next look
    claim_not_before_ = now + delivery_backoff_.Next(random_());
    delivery_cause_ = event.cause;
    counts_entries_ = event.has_changed;
    next_peek_ = std::max(next_peek_, claim_not_before_);
    return;
  }
  delivery_backoff_.Reset();
  delivery_cause_ = wire::Cause::kNone;
  counts_entries_ = false;
  claim_not_before_ = now;
  if (peek_.due_count > 0) next_peek_ = now;
}

void ShardFlusher::Decide(Instant now, FlusherRoom room) {
  if (!is_wanted_) HandOver(now);
  if (is_gone_ || call_ != Call::kNone || now < not_before_) return;
  if (!stale_.empty()) {
    return Perform(Call::kReleaseStale, stale_.back());
  }
  if (!is_wanted_) return;
  if (!epoch_) {
    return Perform(Call::kAcquire,
                   DoAcquire{.request = {.proposed_number = highest_number_, .owner = random_()}});
  }
  if (!pending_ && room.may_claim) Choose(now);
  if (pending_) return Perform(Call::kClaim, DoClaim{.request = pending_->request});
  if (now < next_peek_) return;
  Perform(Call::kPeek, DoPeek{.epoch = *epoch_, .limit = options_.max_claim_parts + kPeekMargin});
}

// Nothing new; what is held ends by itself, at `stop_at_` is told to, at `forget_at_` is left to
// the leases. A claim whose reply is missing may exist: releasing it is harmless if it does not.
void ShardFlusher::HandOver(Instant now) {
  due_.clear();
  if (pending_ && call_ != Call::kClaim) {
    stale_.push_back({.id = pending_->request.id});
    pending_.reset();
  }
  if (forget_at_ && now >= *forget_at_) {
    if (!claims_.empty()) actions_.emplace_back(ForgetClaims{});
    is_gone_ = true;
    return;
  }
  if (stop_at_ && now >= *stop_at_) {
    stop_at_.reset();
    actions_.emplace_back(StopClaims{});
  }
  is_gone_ = claims_.empty() && stale_.empty() && !pending_ && call_ == Call::kNone;
}

// Claims in flight that nobody will end: of our epoch and not held (a lost reply, Redis restored to
// an earlier moment), of a dead owner's, or of an older one past its lease.
void ShardFlusher::FindStale() {
  claims_of_others_ = 0;
  for (const buffer::InflightClaim& claim : peek_.inflight) {
    if (claims_.contains(claim.id)) continue;
    ++claims_of_others_;
    const bool is_ours = epoch_ && claim.epoch == *epoch_;
    const wire::DeadEpoch* const dead = FindDead(claim.epoch);
    if (dead != nullptr || is_ours || claim.lease_end < peek_.redis_time) {
      stale_.push_back({.id = claim.id,
                        .is_owner_dead = dead != nullptr,
                        .counts_attempt = dead != nullptr && dead->in_hand == claim.id});
    }
  }
  peek_.inflight.clear();
}

// By number and owner: after a rollback of Redis a number may have been granted again.
const wire::DeadEpoch* ShardFlusher::FindDead(const Epoch& epoch) const {
  const auto found = std::find_if(dead_.begin(), dead_.end(),
                                  [&](const wire::DeadEpoch& dead) { return dead.epoch == epoch; });
  return found == dead_.end() ? nullptr : &*found;
}

// Makes the next claim of the parts peeked at. Parts that were tried too often go alone, so that
// one that is at fault does not hold up others.
void ShardFlusher::Choose(Instant now) {
  if (due_.empty() || claims_.size() >= options_.max_claims || now < claim_not_before_) return;
  const uint64_t by_bytes = std::max<uint64_t>(options_.claim_bytes / usual_part_bytes_, 1);
  const size_t limit = std::min<uint64_t>(by_bytes, options_.max_claim_parts);
  const auto is_lonely = [&](const buffer::PeekedPart& part) {
    return part.attempts >= options_.lonely_attempts;
  };
  size_t count = 1;
  if (!is_lonely(due_[0])) {
    while (count < std::min(limit, due_.size()) && !is_lonely(due_[count])) ++count;
  }
  pending_.emplace();
  pending_->to_dead_letters = due_[0].attempts >= options_.dead_letter_attempts;
  pending_->request = {.epoch = *epoch_,
                       .id = {.high = random_(), .low = random_()},
                       .lease = options_.lease,
                       .parts = {due_.begin(), due_.begin() + static_cast<std::ptrdiff_t>(count)},
                       .counts_entries = counts_entries_};
  due_.erase(due_.begin(), due_.begin() + static_cast<std::ptrdiff_t>(count));
}

// While the clock moves, in time for the next deadline; while it stands, less and less often.
void ShardFlusher::SchedulePeek(EventTime clock_before, Instant now) {
  const bool is_moving = peek_.clock > clock_before;
  peek_interval_ = is_moving ? options_.min_peek : std::min(2 * peek_interval_, options_.max_peek);
  Duration wait = peek_interval_;
  if (is_moving && peek_.next_deadline) {
    const Duration until = std::chrono::milliseconds(peek_.next_deadline->ms - peek_.clock.ms);
    wait = std::clamp(until, std::min(kShortestPeek, wait), wait);
  }
  next_peek_ = now + wait;
}

void ShardFlusher::LoseEpoch(Instant now) {
  epoch_.reset();
  pending_.reset();
  due_.clear();
  not_before_ = now + epoch_backoff_.Next(random_());
}

void ShardFlusher::WaitAfter(StoreCode code, Instant now) {
  store_cause_ = CauseOf(code);
  if (code == StoreCode::kOk) {
    store_backoff_.Reset();
  } else if (code == StoreCode::kFenced || code == StoreCode::kNoShard) {
    LoseEpoch(now);
  } else {
    not_before_ = now + store_backoff_.Next(random_());
  }
}

void ShardFlusher::Perform(Call call, FlusherAction action) {
  call_ = call;
  actions_.push_back(std::move(action));
}

}  // namespace spillway::flush
