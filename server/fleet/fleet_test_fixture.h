// A fleet in a test's hands: its events, its workers' reports, and what it ordered.
#ifndef SPILLWAY_SERVER_FLEET_FLEET_TEST_FIXTURE_H_
#define SPILLWAY_SERVER_FLEET_FLEET_TEST_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "server/fleet/fleet.h"

namespace spillway::fleet {

inline config::Config TwoPools(int ingest, int flush) {
  config::Config config;
  config::Pool a, b;
  a.name = "ingest";
  a.replicas = ingest;
  b.name = "flush";
  b.role = config::Role::kFlush;
  b.replicas = flush;
  config.pools = {a, b};
  return config;
}

inline WorkerKey F(int slot) { return {"flush", slot}; }

class FleetTest : public ::testing::Test {
 protected:
  void Make(int ingest, int flush) {
    fleet_ = MakeFleet(TwoPools(ingest, flush), 1000, now_);
    Do(FoundLeftovers{});
  }
  void Do(const Event& event) {
    Transition transition = Step(std::move(fleet_), event, now_, limits_);
    fleet_ = std::move(transition.fleet);
    actions_ = std::move(transition.actions);
    for (const Action& action : actions_) {
      if (const auto* order = std::get_if<SendOrder>(&action))
        orders_[order->worker] = order->order;
    }
  }
  void OfThe(const WorkerKey& key, const WorkerEvent& event) {
    Do(OfWorker{key, fleet_.workers.at(key).generation, event});
  }
  void Start(const WorkerKey& key) { OfThe(key, Started{100 + key.slot}); }
  // The worker's next report: it has obeyed its newest order, unless told what it holds.
  void Says(const WorkerKey& key, std::vector<int> held, uint64_t order_sequence,
            const Epoch& epoch = {}) {
    auto report = std::make_shared<wire::WorkerReport>();
    report->is_ready = true;
    report->order_sequence = order_sequence;
    for (const int id : held) {
      wire::ShardReport shard;
      shard.shard = ShardId{id};
      shard.stage = wire::ShardStage::kOwned;
      shard.epoch = epoch;
      report->shards.push_back(shard);
    }
    OfThe(key, Reported{report});
  }
  void Obeys(const WorkerKey& key) {
    std::vector<int> held;
    for (const ShardId id : orders_[key].shards) held.push_back(id.value);
    Says(key, held, orders_[key].sequence);
  }
  void MakeReady(const WorkerKey& key) {
    Start(key);
    OfThe(key, Attached{"u", "1"});
    Says(key, {}, 0);
    Obeys(key);
  }
  std::vector<int> Ordered(const WorkerKey& key) {
    std::vector<int> shards;
    for (const ShardId id : orders_[key].shards) shards.push_back(id.value);
    return shards;
  }
  WorkerState StateOf(const WorkerKey& key) { return fleet_.workers.at(key).state; }
  template <typename T>
  std::vector<WorkerKey> Targets() {
    std::vector<WorkerKey> targets;
    for (const Action& action : actions_) {
      if (const T* of_kind = std::get_if<T>(&action)) targets.push_back(of_kind->worker);
    }
    return targets;
  }
  void Advance(Duration d) {
    for (; d > Duration(0); d -= std::chrono::milliseconds(500)) {
      now_ += std::chrono::milliseconds(500);
      Do(Tick{});
    }
  }

  Instant now_ = Instant(std::chrono::seconds(1000));
  Limits limits_;
  Fleet fleet_;
  std::vector<Action> actions_;
  std::map<WorkerKey, wire::Order> orders_;  // newest sent
};

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_FLEET_TEST_FIXTURE_H_
