#include "worker/flush/flush_engine.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/log.h"

namespace spillway::flush {
namespace {

using buffer::StoreCode;
using buffer::StoreResult;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr Duration kProbeInterval = std::chrono::seconds(1);
// Messages that have had no report for so long are held up by Kafka, not by us.
constexpr Duration kKafkaIsSlow = std::chrono::seconds(2);

void AfterAnswer(const Acquired&) { SPILLWAY_FAILPOINT("flush.acquire.answered"); }
void AfterAnswer(const Peeked&) { SPILLWAY_FAILPOINT("flush.peek.answered"); }
void AfterAnswer(const Claimed&) { SPILLWAY_FAILPOINT("flush.claim.answered"); }
void AfterAnswer(const StoreResult<bool>&) { SPILLWAY_FAILPOINT("flush.stale.answered"); }

}  // namespace

struct FlushEngine::Shard {
  Shard(const FlushOptions& options, const RandomSource& random, uint64_t number, Instant now)
      : flusher(options, random), serial(number), activity(now, wire::Activity::kOwnership) {}

  ShardFlusher flusher;
  const uint64_t serial;
  wire::ActivityAccount activity;  // before `runs`, which use it
  std::map<buffer::ClaimId, std::shared_ptr<ClaimRun>> runs;
  ClaimRun::Counts counts;                 // of ended claims
  uint64_t progress = 0;                   // of ended claims
  wire::Cause cause = wire::Cause::kNone;  // as of the last poll
};

FlushEngine::FlushEngine(Parts parts, const FlushOptions& options,
                         std::function<void(Instant)> wake_at)
    : parts_(std::move(parts)),
      options_(options),
      wake_at_(std::move(wake_at)),
      is_alive_(std::make_shared<bool>(true)) {}

FlushEngine::~FlushEngine() {
  *is_alive_ = false;
  is_polling_ = true;  // claims that go now ask for no poll
  shards_.clear();
}

bool FlushEngine::MayClaim(ShardId id) const {
  const bool is_idle = std::find(order_.idle.begin(), order_.idle.end(), id) != order_.idle.end();
  return !order_.pause && !is_idle;
}

FlusherRoom FlushEngine::Room(ShardId id) const {
  return {.may_claim =
              MayClaim(id) && !is_draining_ && bytes_in_flight_ < options_.max_inflight_bytes};
}

void FlushEngine::Poll() {
  is_polling_ = true;
  is_poll_requested_ = false;
  wake_.reset();
  const Instant now = parts_.clock.Now();
  // Turn by turn: another shard is first each time.
  std::vector<ShardId> turn;
  turn.reserve(shards_.size());
  for (const auto& [id, shard] : shards_) turn.push_back(id);
  const auto first = std::upper_bound(turn.begin(), turn.end(), polled_first_);
  std::rotate(turn.begin(), first, turn.end());
  if (!turn.empty()) polled_first_ = turn.front();

  Instant wake = Instant::max();
  for (const ShardId id : turn) {
    Shard& shard = *shards_.at(id);
    PollShard(id, shard, now);
    if (shard.flusher.is_gone()) {
      shards_.erase(id);
      continue;
    }
    wake = std::min(wake, shard.flusher.wake());
    for (const auto& [claim, run] : shard.runs) wake = std::min(wake, run->wake());
  }
  ProbeRedis(now);
  if (shards_.empty() && !is_draining_) wake = std::min(wake, next_probe_);
  AccountBlocked(now);
  FinishDrain();
  is_polling_ = false;
  if (is_poll_requested_) wake = now;
  if (wake != Instant::max()) {
    wake_ = wake;
    wake_at_(wake);
  }
}

void FlushEngine::PollShard(ShardId id, Shard& shard, Instant now) {
  shard.activity.Enter(wire::Activity::kEncode, parts_.clock.Now());
  for (auto it = shard.runs.begin(); it != shard.runs.end();) {
    const std::shared_ptr<ClaimRun> run = it->second;
    run->Continue(now);
    if (!run->ended()) {
      ++it;
      continue;
    }
    it = shard.runs.erase(it);
    CountClaim(shard, *run);
    Step(id, shard, *run->ended());
  }
  Step(id, shard, Tick{});
  // Claims that were made in this poll begin at once.
  for (const auto& [claim, run] : shard.runs) run->Continue(now);
  shard.cause = BlockedCause(id, shard, now);
  shard.activity.Enter(PresentActivity(id, shard, now), parts_.clock.Now());
}

// Of several claims the one furthest on its way counts: those behind it wait for the same, or
// would.
wire::Activity FlushEngine::PresentActivity(ShardId id, const Shard& shard, Instant now) const {
  using wire::Activity;
  const auto is_any = [&shard](Activity wanted) {
    return std::any_of(shard.runs.begin(), shard.runs.end(),
                       [wanted](const auto& run) { return run.second->activity() == wanted; });
  };
  for (const Activity activity :
       {Activity::kKafkaQueue, Activity::kBroker, Activity::kRedis, Activity::kRoom}) {
    if (is_any(activity)) return activity;
  }
  const Activity activity = shard.flusher.activity(now, Room(id));
  const bool is_paused = !MayClaim(id) || is_draining_;
  return activity == Activity::kRoom && is_paused ? Activity::kPaused : activity;
}

void FlushEngine::CountClaim(Shard& shard, const ClaimRun& run) {
  const ClaimRun::Counts& counts = run.counts();
  shard.counts.spans += counts.spans;
  shard.counts.segments += counts.segments;
  shard.counts.dead_lettered_spans += counts.dead_lettered_spans;
  shard.counts.quarantined_spans += counts.quarantined_spans;
  shard.counts.possibly_persisted += counts.possibly_persisted;
  shard.progress += run.progress();
  for (const std::chrono::microseconds lateness : run.lateness()) lateness_.Record(lateness);
}

void FlushEngine::Step(ShardId id, Shard& shard, FlusherEvent event) {
  for (FlusherAction& action : shard.flusher.Step(std::move(event), parts_.clock.Now(), Room(id))) {
    Perform(id, shard, std::move(action));
  }
}

template <typename Event, typename Value>
buffer::Done<Value> FlushEngine::ToEvent(ShardId id, const Shard& shard) {
  return [this, alive = is_alive_, id, serial = shard.serial](StoreResult<Value> result) {
    if (!*alive) return;
    if (result.ok()) AfterAnswer(result);
    OnStoreCode(result.code);
    const auto found = shards_.find(id);
    if (found == shards_.end() || found->second->serial != serial) return;
    if constexpr (std::is_same_v<Event, StaleReleased>) {
      Step(id, *found->second, StaleReleased{result.code});
    } else {
      Step(id, *found->second, std::move(result));
    }
    RequestPoll();
  };
}

void FlushEngine::Perform(ShardId id, Shard& shard, FlusherAction action) {
  if (const auto* acquire = std::get_if<DoAcquire>(&action)) {
    SPILLWAY_FAILPOINT("flush.acquire.begun");
    parts_.store.Acquire(id, acquire->request, ToEvent<Acquired, Epoch>(id, shard));
  } else if (const auto* peek = std::get_if<DoPeek>(&action)) {
    parts_.store.Peek(id, peek->epoch, peek->limit, ToEvent<Peeked, buffer::PeekReply>(id, shard));
  } else if (auto* claim = std::get_if<DoClaim>(&action)) {
    SPILLWAY_FAILPOINT("flush.claim.chosen");
    if (SPILLWAY_FORGETS("flush.claim.forgotten")) return;
    parts_.store.ClaimParts(id, std::move(claim->request),
                            ToEvent<Claimed, buffer::Claim>(id, shard));
  } else if (const auto* stale = std::get_if<DoReleaseStale>(&action)) {
    Log(stale->counts_attempt ? LogLevel::kWarning : LogLevel::kInfo,
        stale->counts_attempt  ? "releasing the claim that its owner was working on when it died"
        : stale->is_owner_dead ? "releasing a dead owner's claim"
                               : "releasing a claim nobody holds",
        {{"shard", id.value}, {"claim", stale->id.ToString()}});
    SPILLWAY_FAILPOINT("flush.stale.begun");
    parts_.store.Release(id, {.id = stale->id, .counts_attempt = stale->counts_attempt},
                         ToEvent<StaleReleased, bool>(id, shard));
  } else if (auto* run = std::get_if<RunClaim>(&action)) {
    SPILLWAY_FAILPOINT("flush.claim.held");
    const buffer::ClaimId claim_id = run->claim.id;
    shard.runs[claim_id] = std::make_shared<ClaimRun>(
        ClaimRun::Context{parts_.store, parts_.producer, *this, decoder_, shelf_, log_limit_,
                          parts_.note_in_hand, options_, id, parts_.random, shard.activity,
                          parts_.clock},
        std::move(*run));
    RequestPoll();
  } else if (std::holds_alternative<StopClaims>(action)) {
    for (const auto& [claim_id, held] : shard.runs) held->Stop();
    RequestPoll();
  } else {
    Log(LogLevel::kWarning, "leaving claims to their leases",
        {{"shard", id.value}, {"claims", shard.runs.size()}});
    forgotten_claims_ += shard.runs.size();
  }
}

void FlushEngine::Obey(const wire::Order& order) {
  if (order.sequence < order_.sequence) return;
  order_ = order;
  if (is_draining_) return RequestPoll();
  for (const ShardId id : order.shards) {
    std::unique_ptr<Shard>& shard = shards_[id];
    // One that is gone waits for the next poll to be thrown away: it cannot be owned again.
    if (!shard || shard->flusher.is_gone()) {
      shard = std::make_unique<Shard>(options_, parts_.random, next_serial_++, parts_.clock.Now());
    }
    Wanted wanted;
    for (const wire::DeadEpoch& dead : order.dead) {
      if (dead.shard == id) wanted.dead.push_back(dead);
    }
    Step(id, *shard, std::move(wanted));
  }
  for (const auto& [id, shard] : shards_) {
    const bool is_wanted =
        std::find(order.shards.begin(), order.shards.end(), id) != order.shards.end();
    if (!is_wanted) Step(id, *shard, Wanted{false});
  }
  if (order.drain) Drain([](const absl::Status&) {});
  RequestPoll();
}

void FlushEngine::Drain(absl::AnyInvocable<void(absl::Status)> drained) {
  drained_.push_back(std::move(drained));
  is_draining_ = true;
  for (const auto& [id, shard] : shards_) Step(id, *shard, Wanted{false});
  RequestPoll();
}

void FlushEngine::FinishDrain() {
  if (!is_draining_ || !shards_.empty()) return;
  absl::Status status = absl::OkStatus();
  if (forgotten_claims_ > 0) {
    status = absl::DeadlineExceededError(absl::StrCat("flush.drain_timeout: ", forgotten_claims_,
                                                      " claims are left to their leases"));
  }
  for (auto& done : std::exchange(drained_, {})) done(status);
}

bool FlushEngine::TryReserve(uint64_t bytes) {
  if (bytes_in_flight_ > 0 && bytes_in_flight_ + bytes > options_.max_inflight_bytes) return false;
  bytes_in_flight_ += bytes;
  return true;
}

void FlushEngine::Unreserve(uint64_t bytes) {
  if (bytes == 0) return;
  bytes_in_flight_ -= bytes;
  RequestPoll();
}

void FlushEngine::RequestPoll() {
  const bool is_requested = std::exchange(is_poll_requested_, true);
  if (is_polling_ || is_requested) return;
  wake_at_(parts_.clock.Now());
}

void FlushEngine::OnStoreCode(StoreCode code) {
  is_redis_ok_ = code != StoreCode::kUnavailable;
  was_redis_ok_ = was_redis_ok_ || *is_redis_ok_;
}

void FlushEngine::OnDelivery(kafka::Delivery delivery) {
  SetKafkaOk(delivery == kafka::Delivery::kDelivered || delivery == kafka::Delivery::kRefused);
}

void FlushEngine::SetKafkaOk(bool is_ok) {
  is_kafka_ok_ = is_ok;
  was_kafka_ok_ = was_kafka_ok_ || is_ok;
}

// A worker without shards makes no calls: it asks for any shard, to know whether Redis answers.
void FlushEngine::ProbeRedis(Instant now) {
  if (!shards_.empty() || is_draining_ || is_probing_redis_ || now < next_probe_) return;
  is_probing_redis_ = true;
  next_probe_ = Instant::max();
  parts_.store.Peek(ShardId{0}, Epoch{}, 1,
                    [this, alive = is_alive_](const StoreResult<buffer::PeekReply>& result) {
                      if (!*alive) return;
                      OnStoreCode(result.code);
                      is_probing_redis_ = false;
                      next_probe_ = parts_.clock.Now() + kProbeInterval;
                      RequestPoll();
                    });
}

wire::Cause FlushEngine::BlockedCause(ShardId id, const Shard& shard, Instant now) const {
  if (const wire::Cause cause = shard.flusher.blocked_cause(); cause != wire::Cause::kNone) {
    return cause;
  }
  for (const auto& [claim, run] : shard.runs) {
    if (run->cause() != wire::Cause::kNone) return run->cause();
    const std::optional<Instant> since = run->waits_for_kafka_since();
    if (since && now - *since > kKafkaIsSlow) return wire::Cause::kKafka;
  }
  return parts_.store.KeepsWaiting(id) ? wire::Cause::kRedis : wire::Cause::kNone;
}

void FlushEngine::AccountBlocked(Instant now) {
  std::array<bool, wire::kCauseCount> is_blocked{};
  for (const auto& [id, shard] : shards_) is_blocked[static_cast<size_t>(shard->cause)] = true;
  for (size_t i = 1; i < wire::kCauseCount; ++i) {  // 0 is kNone
    std::optional<Instant>& since = blocked_since_[i];
    if (is_blocked[i] && !since) since = now;
    if (is_blocked[i] || !since) continue;
    blocked_[i] += now - *since;
    since.reset();
  }
}

wire::WorkerReport FlushEngine::Report() const {
  const Instant now = parts_.clock.Now();
  wire::WorkerReport report;
  for (const auto& [id, shard] : shards_) {
    const ShardFlusher& flusher = shard->flusher;
    const buffer::PeekReply& peek = flusher.last_peek();
    wire::ShardReport& out = report.shards.emplace_back();
    out.shard = id;
    out.stage = flusher.stage();
    out.epoch = flusher.epoch();
    out.in_flight = flusher.parts_in_flight();
    out.claims_of_others = flusher.claims_of_others();
    out.backlog = peek.due_count + out.in_flight;
    out.lateness = peek.lateness;
    out.event_clock = peek.clock;
    out.progress = flusher.steps() + shard->progress;
    for (const auto& [claim, run] : shard->runs) out.progress += run->progress();
    const bool may_claim = flusher.stage() == wire::ShardStage::kOwned && MayClaim(id);
    out.has_work = out.in_flight > 0 || (may_claim && peek.due_count > 0);
    out.blocked_cause = BlockedCause(id, *shard, now);
    out.spans = shard->counts.spans;
    out.segments = shard->counts.segments;
    out.times = shard->activity.Until(now);
    out.rejected = shard->counts.dead_lettered_spans + shard->counts.quarantined_spans;
    out.possibly_persisted = shard->counts.possibly_persisted;
  }
  for (size_t i = 0; i < wire::kCauseCount; ++i) {
    const Duration open = blocked_since_[i] ? now - *blocked_since_[i] : Duration::zero();
    report.blocked[i] = duration_cast<milliseconds>(blocked_[i] + open);
  }
  report.is_redis_ok = is_redis_ok_.value_or(false);
  report.is_kafka_ok = is_kafka_ok_.value_or(false);
  report.is_ready = was_redis_ok_ && was_kafka_ok_;
  if (!was_redis_ok_) report.waiting_for.push_back("Redis has not answered yet");
  if (!was_kafka_ok_) report.waiting_for.push_back("Kafka has not answered yet");
  report.order_sequence = order_.sequence;
  report.is_draining = is_draining_;
  report.is_drained = is_draining_ && shards_.empty();
  report.is_paused = order_.pause;
  report.lateness = lateness_;
  return report;
}

}  // namespace spillway::flush
