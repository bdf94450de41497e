#include "tests/sim/data_plane.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace spillway::sim {

FlushOwner::FlushOwner(ingest::Harness& world, test_support::SeededRandom& random,
                       const flush::FlushOptions& options)
    : producer(world.kafka),
      world_(world),
      engine_({.clock = world.clock,
               .store = world.store,
               .producer = producer,
               .random = [&random] { return random.Next(); }},
              options, [this](Instant when) { wake_ = when; }) {}

void FlushOwner::Order(bool owns_shard, const std::vector<Epoch>& dead) {
  wire::Order order;
  order.sequence = ++sequence_;
  if (owns_shard) {
    order.shards = {ingest::kShard};
    for (const Epoch& epoch : dead) order.dead.push_back({ingest::kShard, epoch, {}});
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

DataPlane::DataPlane(test_support::SeededRandom& random, Policy policy)
    : world{random.Next(), static_cast<int>(kOwners), OptionsOf(random)},
      random_(random),
      policy_(std::move(policy)),
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
  flushers_[owner] = std::make_unique<FlushOwner>(world, random_, flush_options);
  flushers_[owner]->producer.set_policy(policy_);
}

void DataPlane::AssignFlush(size_t to) {
  for (size_t i = 0; i < kOwners; ++i) {
    if (flushers_[i] == nullptr) StartFlush(i);
  }
  const size_t before = std::exchange(flush_owner_, to);
  if (before == to) return;
  if (before < kOwners) flushers_[before]->Order(false, {});
  flushers_[to]->Order(true, dead_epochs_);
}

void DataPlane::CrashFlush(size_t owner, bool is_proven) {
  if (is_proven) {
    const std::vector<Epoch>& epochs = flushers_[owner]->reported_epochs();
    dead_epochs_.insert(dead_epochs_.end(), epochs.begin(), epochs.end());
  }
  StartFlush(owner);
  // A new process, or the death of one that had the shard before.
  if (owner == flush_owner_ || is_proven) flushers_[flush_owner_]->Order(true, dead_epochs_);
}

bool DataPlane::StepOnce() {
  constexpr uint64_t kKinds = 2 + 2 * kOwners;
  const uint64_t first = random_.Below(kKinds);
  for (uint64_t i = 0; i < kKinds; ++i) {
    const uint64_t kind = (first + i) % kKinds;
    const bool has_run = kind == 0            ? world.kafka.RunOne()
                         : kind == 1          ? world.store.RunOneCallback()
                         : kind < 2 + kOwners ? world.worker(kind - 2).RunDue()
                                              : flushers_[kind - 2 - kOwners]->PollIfDue();
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
