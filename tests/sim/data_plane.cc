#include "tests/sim/data_plane.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace spillway::sim {

FlushOwner::FlushOwner(ingest::Harness& world, test_support::SeededRandom& random,
                       const flush::FlushOptions& options, const Kills& kills)
    : producer(world.kafka),
      world_(world),
      engine_({.clock = world.clock,
               .store = world.store,
               .producer = producer,
               .random = [&random] { return random.Next(); },
               .note_in_hand =
                   [this](const std::optional<ClaimInHand>& in_hand) {
                     if (!is_dead_) in_hand_ = in_hand;
                   }},
              options, [this](Instant when) { wake_ = when; }) {
  producer.set_sight([this, &kills](const std::string& topic, const auto& message) {
    if (topic != kOutput || !kills || !kills(message.payload)) return;
    is_dead_ = true;
    throw Died{this};
  });
}

void FlushOwner::Order(bool owns_shard, const std::vector<wire::DeadEpoch>& dead) {
  wire::Order order;
  order.sequence = ++sequence_;
  if (owns_shard) {
    order.shards = {ingest::kShard};
    order.dead = dead;
  }
  engine_.Obey(order);
}

void FlushOwner::Report() {
  for (const wire::ShardReport& shard : engine_.Report().shards) {
    const bool is_known = std::find(reported_epochs_.begin(), reported_epochs_.end(),
                                    shard.epoch) != reported_epochs_.end();
    if (shard.epoch.number > 0 && !is_known) reported_epochs_.push_back(shard.epoch);
  }
}

bool FlushOwner::PollIfDue() {
  if (!wake_ || world_.clock.Now() < *wake_) return false;
  wake_.reset();
  engine_.Poll();
  return true;
}

namespace {

// As the control plane has it (server/fleet/worker.h).
constexpr size_t kMaxDeadEpochs = 16;

// Dictionaries come and go within seconds, and serve well below what they cost elsewhere.
ingest::Options OptionsOf(test_support::SeededRandom& random) {
  ingest::Options options;
  options.codec = random.Chance(0.8) ? buffer::Codec::kZstd : buffer::Codec::kNone;
  ingest::DictionaryLimits& dictionary = options.dictionary;
  dictionary.bytes = options.codec == buffer::Codec::kZstd ? 500 : 0;
  dictionary.sample_spans = 1 + random.Below(8);
  dictionary.sample_every = 1 + random.Below(3);
  dictionary.window_spans = 1 + random.Below(8);
  dictionary.worse = 1.0;
  dictionary.interval = std::chrono::seconds(random.Below(10));
  return options;
}

}  // namespace

DataPlane::DataPlane(test_support::SeededRandom& random, Policy policy, Kills kills)
    : world{random.Next(), static_cast<int>(kOwners), OptionsOf(random)},
      random_(random),
      policy_(std::move(policy)),
      kills_(std::move(kills)),
      flushers_(kOwners) {
  for (size_t i = 0; i < kOwners; ++i) world.worker(i).producer.set_policy(policy_);
}

void DataPlane::AssignIngest(size_t to, Notice notice) {
  if (ingest_owner_ < kOwners) {
    kafka::FakeConsumer& before = world.worker(ingest_owner_).consumer;
    if (notice != Notice::kLater || to == ingest_owner_) {
      before.Revoke({ingest::kShard}, notice == Notice::kLost);
    } else {
      before.Evict({ingest::kShard});
      evicted_.push_back(ingest_owner_);
    }
  }
  ingest_owner_ = to;
  // One that gets the shard back learns first that it had lost it.
  if (std::erase(evicted_, to) > 0) world.worker(to).consumer.Revoke({ingest::kShard}, true);
  world.worker(to).consumer.Assign({ingest::kShard});
}

void DataPlane::TellEvicted() {
  for (const size_t owner : std::exchange(evicted_, {})) {
    world.worker(owner).consumer.Revoke({ingest::kShard}, true);
  }
}

void DataPlane::CrashIngest(size_t owner) {
  std::erase(evicted_, owner);
  world.ReplaceWorker(owner);
  world.worker(owner).producer.set_policy(policy_);
  if (owner != ingest_owner_) return;
  ingest_owner_ = kOwners;
  AssignIngest(random_.Below(kOwners), Notice::kRevoked);
}

void DataPlane::StartFlush(size_t owner) {
  flushers_[owner] = std::make_unique<FlushOwner>(world, random_, flush_options, kills_);
  flushers_[owner]->producer.set_policy(policy_);
}

void DataPlane::AssignFlush(size_t to) {
  for (size_t i = 0; i < kOwners; ++i) {
    if (flushers_[i] == nullptr) StartFlush(i);
  }
  const size_t before = std::exchange(flush_owner_, to);
  if (before == to) return;
  if (before < kOwners) flushers_[before]->Order(false, {});
  flushers_[to]->Order(true, dead_);
}

void DataPlane::CrashFlush(size_t owner, bool is_proven) {
  if (is_proven) {
    for (const Epoch& epoch : flushers_[owner]->reported_epochs()) {
      KeepDead({ingest::kShard, epoch, {}});
    }
    if (const auto& in_hand = flushers_[owner]->in_hand()) {
      KeepDead({in_hand->shard, in_hand->epoch, in_hand->claim});
    }
  }
  StartFlush(owner);
  // A new process, or the death of one that had the shard before.
  if (owner == flush_owner_ || is_proven) flushers_[flush_owner_]->Order(true, dead_);
}

// What is known already learns what was in hand.
void DataPlane::KeepDead(const wire::DeadEpoch& dead) {
  const auto found = std::find_if(dead_.begin(), dead_.end(),
                                  [&](const auto& known) { return known.epoch == dead.epoch; });
  if (found != dead_.end()) {
    if (dead.in_hand) found->in_hand = dead.in_hand;
    return;
  }
  if (dead_.size() >= kMaxDeadEpochs) dead_.erase(dead_.begin());
  dead_.push_back(dead);
}

void DataPlane::Bury(const FlushOwner::Died& died) {
  const auto found = std::find_if(flushers_.begin(), flushers_.end(),
                                  [&](const auto& owner) { return owner.get() == died.owner; });
  if (on_death) on_death((*found)->in_hand());
  CrashFlush(static_cast<size_t>(found - flushers_.begin()), /*is_proven=*/true);
}

bool DataPlane::StepOnce() {
  constexpr uint64_t kKinds = 2 + 2 * kOwners;
  const uint64_t first = random_.Below(kKinds);
  for (uint64_t i = 0; i < kKinds; ++i) {
    const uint64_t kind = (first + i) % kKinds;
    bool has_run = true;
    try {
      has_run = kind == 0            ? world.kafka.RunOne()
                : kind == 1          ? world.store.RunOneCallback()
                : kind < 2 + kOwners ? world.worker(kind - 2).RunDue()
                                     : flushers_[kind - 2 - kOwners]->PollIfDue();
    } catch (const FlushOwner::Died& died) {
      Bury(died);
    }
    if (!has_run) continue;
    for (const auto& flusher : flushers_) flusher->Report();
    return true;
  }
  return false;
}

void DataPlane::Settle() {
  for (int steps = 0; StepOnce(); ++steps) CHECK(steps < 1'000'000, "the data plane must rest");
}

void DataPlane::Advance(Duration time) {
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(time);
  world.clock.Advance(whole);
  world.store.Advance(whole);
  for (size_t i = 0; i < kOwners; ++i) world.worker(i).consumer.Notify();
}

Offset DataPlane::committed() { return world.committed().value_or(0); }

}  // namespace spillway::sim
