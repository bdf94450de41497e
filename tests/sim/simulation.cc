#include "tests/sim/simulation.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace spillway::sim {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using kafka::Delivery;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kSteps = 400;
// Peace: about so many rounds of at least a second, with all that happens in them. Deadly parts
// take turns, each some rounds for each of its deaths.
constexpr int kShortRounds = 150, kPoisonRounds = 1000;
constexpr int kLongRounds = 300;

const char* NameOf(StoreCall call) {
  static constexpr const char* kNames[] = {"take",
                                           "add",
                                           "tick",
                                           "acquire",
                                           "peek",
                                           "claim",
                                           "load",
                                           "acknowledge",
                                           "release",
                                           "summary",
                                           "audit",
                                           "list shards",
                                           "read dictionary",
                                           "store dictionary",
                                           "drop dictionary"};
  return kNames[static_cast<size_t>(call)];
}
const char* NameOf(StoreFault fault) {
  static constexpr const char* kNames[] = {"",     "request lost",       "reply lost", "delayed",
                                           "held", "refused for memory", "moving"};
  return kNames[static_cast<size_t>(fault)];
}

}  // namespace

Simulation::Simulation(const Mix& mix, uint64_t seed, bool is_traced)
    : mix_(mix),
      is_traced_(is_traced),
      random_(seed),
      plane_(
          random_, [this](const std::string& topic, const auto&) { return NextOutcome(topic); },
          [this](const std::string& payload) { return IsDeadly(payload); }),
      input_(plane_.world.kafka),
      checks_(mix_, plane_, input_) {
  ChooseLimits();
  plane_.world.kafka.CreateTopic(kOutput, 1);
  plane_.world.kafka.topic_id = "topic";
  plane_.world.store.SetFaults([this](StoreCall call, ShardId) { return NextStoreFault(call); });
  plane_.on_death = [this](const std::optional<ClaimInHand>& in_hand) {
    Trace(absl::StrCat("a flush worker dies of ",
                       in_hand ? in_hand->claim.ToString() : "what it has not noted"));
    checks_.OnDeath(in_hand);
  };
  plane_.AssignIngest(0, DataPlane::Notice::kRevoked);
  plane_.AssignFlush(0);
}

bool Simulation::IsDeadly(const std::string& payload) const {
  if (!mix_.has_poison) return false;
  const std::vector<size_t> tags = TagsIn(payload);
  return std::any_of(tags.begin(), tags.end(), [&](size_t tag) { return input_.IsPoison(tag); });
}

void Simulation::ChooseLimits() {
  ingest::Options& options = plane_.world.options;
  options.batch_messages = 1 + random_.Below(8);
  options.delivery_timeout = seconds(3);
  segment::Limits& limits = options.limits;
  limits.root_timeout = mix_.is_generous ? milliseconds(hours(1)) : milliseconds(2'000);
  limits.idle_timeout = mix_.is_generous ? milliseconds(hours(1)) : milliseconds(6'000);
  limits.max_age = mix_.is_generous ? milliseconds(hours(1)) : milliseconds(20'000);
  limits.late_window = mix_.is_generous ? milliseconds(minutes(5)) : milliseconds(3'000);
  limits.max_part_bytes = mix_.is_generous ? 10u << 20 : 3'000;
  if (!mix_.is_generous && random_.Chance(0.3)) limits.max_references = 2;

  flush::FlushOptions& flush = plane_.flush_options;
  flush.output.max_age = limits.max_age;
  flush.max_inflight_bytes = 20'000;
  // A process that has just begun takes parts for large: deadly ones have neighbours nevertheless.
  flush.claim_bytes = mix_.has_poison ? 40'000 : 3'000;
  flush.load_bytes = 1'000;
  // A lease that ends under a living owner is one more reason for duplicates.
  const bool is_short = mix_.PermitsDuplicates() && !mix_.ProvesEveryDeath();
  flush.lease = is_short ? milliseconds(3'000) : milliseconds(hours(1));
  flush.drain_timeout = is_short ? milliseconds(1'000) : milliseconds(hours(1));
}

std::string Simulation::Run() {
  for (step_ = 0; step_ < kSteps && checks_.wrong().empty(); ++step_) {
    Step();
    checks_.AfterStep();
  }
  if (checks_.wrong().empty()) Converge();
  return checks_.wrong();
}

void Simulation::Step() {
  const uint64_t dice = random_.Below(100);
  if (dice < 22) {
    for (uint64_t n = 1 + random_.Below(3); n > 0; --n) {
      input_.Append(random_, plane_.world.now());
    }
    Trace(absl::StrCat("input up to ", input_.end()));
  } else if (dice < 60) {
    RunSome(40);
  } else if (dice < 84) {
    plane_.Advance(milliseconds(random_.Below(1'500)));
    RunSome(30);
  } else {
    Disturb();
  }
}

void Simulation::RunSome(uint64_t most) {
  for (uint64_t n = random_.Below(most); n > 0 && plane_.StepOnce(); --n) checks_.AfterStep();
}

void Simulation::Disturb() {
  MoveOwners();
  CrashOwners();
  TroubleKafka();
  TroubleRedis();
  if (!has_new_log_ && input_.end() > 5 && random_.Chance(mix_.new_log)) NewLog();
}

void Simulation::MoveOwners() {
  using Notice = DataPlane::Notice;
  if (random_.Chance(mix_.rebalance)) {
    const size_t to = random_.Below(DataPlane::kOwners);
    const Notice notice = random_.Chance(0.3) ? Notice::kLost : Notice::kRevoked;
    Trace(absl::StrCat("ingest ", plane_.ingest_owner(), " gives to ", to,
                       notice == Notice::kLost ? ", lost" : ""));
    plane_.AssignIngest(to, notice);
  }
  if (random_.Chance(mix_.eviction)) {
    const size_t to = random_.Below(DataPlane::kOwners);
    Trace(absl::StrCat("ingest ", plane_.ingest_owner(), " is evicted for ", to));
    plane_.AssignIngest(to, Notice::kLater);
  } else if (random_.Chance(0.3)) {
    plane_.TellEvicted();
  }
  if (random_.Chance(mix_.flush_move)) {
    const size_t to = random_.Below(DataPlane::kOwners);
    Trace(absl::StrCat("flush goes from ", plane_.flush_owner(), " to ", to));
    plane_.AssignFlush(to);
  }
}

void Simulation::CrashOwners() {
  if (random_.Chance(mix_.ingest_crash)) {
    const size_t owner =
        random_.Chance(0.7) ? plane_.ingest_owner() : random_.Below(DataPlane::kOwners);
    Trace(absl::StrCat("ingest ", owner, " crashes"));
    plane_.CrashIngest(owner);
  }
  if (random_.Chance(mix_.flush_crash)) {
    const size_t owner =
        random_.Chance(0.7) ? plane_.flush_owner() : random_.Below(DataPlane::kOwners);
    const bool is_proven = mix_.proven_dead > 0 && random_.Chance(mix_.proven_dead);
    Trace(absl::StrCat("flush ", owner, " crashes", is_proven ? ", proven" : ""));
    plane_.CrashFlush(owner, is_proven);
  }
}

void Simulation::TroubleKafka() {
  kafka::FakeKafka& kafka = plane_.world.kafka;
  if (random_.Chance(kafka.is_reachable ? mix_.kafka : 0.6)) {
    kafka.is_reachable = !kafka.is_reachable;
    Trace(kafka.is_reachable ? "kafka is back" : "kafka is away");
  }
  if (random_.Chance(kafka.commits_fail ? 0.6 : mix_.kafka)) {
    kafka.commits_fail = !kafka.commits_fail;
    Trace(kafka.commits_fail ? "commits fail" : "commits succeed");
  }
  auto& producer = plane_.flusher(random_.Below(DataPlane::kOwners)).producer;
  if (random_.Chance(mix_.hold)) {
    producer.Hold();
  } else if (random_.Chance(0.3)) {
    producer.Unhold();
  }
}

void Simulation::TroubleRedis() {
  buffer::FakeShardStore& store = plane_.world.store;
  if (store.delayed_calls() > 0 && random_.Chance(0.5)) {
    Trace("a delayed call arrives");
    store.RunDelayed(random_.Below(store.delayed_calls()));
  }
  if (random_.Chance(is_memory_full_ ? 0.3 : mix_.memory / 2)) SetMemoryFull(!is_memory_full_);
  if (!mix_.Forgets()) return;
  if (const buffer::FakeShard* shard = store.shard(ingest::kShard);
      shard != nullptr && random_.Chance(0.3)) {
    Trace(absl::StrCat("snapshot ", snapshots_.size(), ", W ", shard->watermark));
    snapshots_.emplace_back(shard->watermark, store.Snapshot());
  }
  if (random_.Chance(mix_.rollback) && !snapshots_.empty()) Rollback();
  if (random_.Chance(mix_.loss)) {
    Trace("redis loses everything");
    checks_.OnLoss();
    store.LoseEverything();
    snapshots_.clear();
  }
}

void Simulation::SetMemoryFull(bool is_full) {
  is_memory_full_ = is_full;
  Trace(is_full ? "redis is full" : "redis has room");
  plane_.world.store.SetMemoryFull(is_full);
  plane_.world.store.SetMemoryRatio(is_full ? 1.0 : 0.1);
}

// Later snapshots never were, then.
void Simulation::Rollback() {
  const Offset low = plane_.committed();
  size_t below = 0;  // snapshots are ordered by W, but for what a rollback did
  while (below < snapshots_.size() && snapshots_[below].first < low) ++below;
  const size_t chosen =
      below > 0 && random_.Chance(0.7) ? random_.Below(below) : random_.Below(snapshots_.size());
  const Offset watermark = snapshots_[chosen].first;
  if (watermark < low) ++dangerous_rollbacks_;
  Trace(absl::StrCat("redis is set back to snapshot ", chosen, ", W ", watermark, ", C ", low));
  plane_.world.store.Restore(snapshots_[chosen].second);
  snapshots_.resize(chosen + 1);
}

void Simulation::NewLog() {
  has_new_log_ = true;
  const buffer::FakeShard* shard = plane_.world.store.shard(ingest::kShard);
  const Offset watermark = shard == nullptr ? 0 : shard->watermark;
  Trace(absl::StrCat("the input is made anew, W ", watermark));
  plane_.TellEvicted();
  plane_.world.worker(plane_.ingest_owner()).consumer.Revoke({ingest::kShard}, true);
  input_.Recreate(watermark);
  checks_.OnNewLog();
  plane_.AssignIngest(random_.Below(DataPlane::kOwners), DataPlane::Notice::kLost);
}

void Simulation::Converge() {
  Trace("peace");
  is_over_ = true;
  kafka::FakeKafka& kafka = plane_.world.kafka;
  kafka.is_reachable = true;
  kafka.commits_fail = false;
  SetMemoryFull(false);
  plane_.TellEvicted();
  for (size_t i = 0; i < DataPlane::kOwners; ++i) plane_.flusher(i).producer.Unhold();
  while (plane_.world.store.delayed_calls() > 0) plane_.world.store.RunDelayed();
  const int short_rounds = mix_.has_poison ? kPoisonRounds : kShortRounds;
  for (int i = 0; i < short_rounds + kLongRounds && !checks_.IsQuiet(); ++i, ++step_) {
    plane_.Advance(i < short_rounds ? seconds(1) : seconds(30));
    while (plane_.StepOnce()) checks_.AfterStep();
    if (!checks_.wrong().empty()) return;
  }
  checks_.AtEnd();
  if (mix_.ProvesEveryDeath()) checks_.NoLeaseWasWaitedFor(step_ - kSteps < short_rounds);
}

StoreFault Simulation::NextStoreFault(StoreCall call) {
  StoreFault fault = StoreFault::kNone;
  if (is_over_) {
    // No more.
  } else if (call == StoreCall::kAdd && random_.Chance(mix_.memory)) {
    fault = StoreFault::kRefuseMemory;
  } else if (random_.Chance(mix_.net)) {
    static constexpr StoreFault kFaults[] = {StoreFault::kLoseRequest, StoreFault::kLoseReply,
                                             StoreFault::kDelay, StoreFault::kMoving};
    fault = kFaults[random_.Below(4)];
  }
  if (is_traced_) Trace(absl::StrCat("  ", NameOf(call), " ", NameOf(fault)));
  return fault;
}

kafka::FakeProducer::Outcome Simulation::NextOutcome(const std::string& topic) {
  kafka::FakeProducer::Outcome outcome;
  if (is_over_) {
    // All arrives.
  } else if (random_.Chance(mix_.delivery)) {
    outcome.report = {Delivery::kNotDelivered, "away"};
  } else if (random_.Chance(mix_.ambiguous)) {
    outcome = {{Delivery::kPossiblyPersisted, "away"}, random_.Chance(0.5)};
  } else if (topic == kOutput && random_.Chance(mix_.refused)) {
    outcome.report = {Delivery::kRefused, "too large"};
  }
  if (is_traced_) {
    Trace(absl::StrCat("  message to ", topic,
                       outcome.report.delivery == Delivery::kDelivered ? "" : ", not delivered",
                       outcome.is_persisted ? ", but there" : ""));
  }
  return outcome;
}

void Simulation::Trace(absl::string_view what) {
  if (!is_traced_) return;
  std::printf("%4d C %3ld  %s\n", step_, static_cast<long>(plane_.committed()),
              std::string(what).c_str());
  std::fflush(stdout);  // in order with the log, and complete if a CHECK fails
}

}  // namespace spillway::sim
