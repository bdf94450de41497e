// Several flush workers, one Redis and one Kafka with faults, from one seed: whatever happens,
// every span leaves, nothing is acknowledged before it is delivered, and what leaves twice is
// explained.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/flush/test_world.h"

namespace spillway::flush {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using kafka::Delivery;
using std::chrono::milliseconds;

constexpr int kShards = 3;
constexpr int kWorkers = 3;
constexpr int kSteps = 600;

struct FaultRates {
  double store = 0;
  double delivery = 0;
  double ambiguous = 0;  // of the reports at fault: those that cannot tell
  double crash = 0;
  double move = 0;
  double hold = 0;  // Kafka takes its time
};

class Simulation {
 public:
  Simulation(uint64_t seed, FaultRates rates)
      : world_(seed), rates_(rates), is_explained_(rates.crash == 0 && rates.move == 0) {
    options_.lease = milliseconds(3'000);
    options_.drain_timeout = milliseconds(1'000);
    options_.max_inflight_bytes = 20'000;
    options_.claim_bytes = 3'000;
    options_.load_bytes = 1'000;
    for (int i = 0; i < kShards; ++i) world_.Create(ShardId{i});
    world_.UseFaults([this](StoreCall, ShardId) { return NextFault(); });
    for (int i = 0; i < kWorkers; ++i) Start(i);
    for (int i = 0; i < kShards; ++i) Assign(i, i % kWorkers);
  }

  void Run() {
    for (int step = 0; step < kSteps; ++step) {
      Act();
      if (step % 40 == 0) CheckNothingIsLost();
      if (testing::Test::HasFailure()) return;
    }
    rates_ = {};
    while (world_.store.delayed_calls() > 0) world_.store.RunDelayed();
    for (auto& worker : workers_) worker->producer.Unhold();
    for (int i = 0; i < 400 && !IsQuiet(); ++i) Pass(milliseconds(50));
    CheckEnd();
  }

 private:
  struct Worker : Flusher {
    using Flusher::Flusher;
    std::set<ShardId> wanted;
  };

  StoreFault NextFault() {
    if (!world_.random.Chance(rates_.store)) return StoreFault::kNone;
    constexpr StoreFault kFaults[] = {StoreFault::kLoseRequest, StoreFault::kLoseReply,
                                      StoreFault::kDelay, StoreFault::kMoving};
    return kFaults[world_.random.Below(4)];
  }

  void Start(int index) {
    workers_.resize(kWorkers);
    workers_[static_cast<size_t>(index)] = std::make_unique<Worker>(world_, options_);
    workers_[static_cast<size_t>(index)]->producer.set_policy(
        [this](const std::string& topic, const kafka::OutgoingMessage& message) {
          return NextOutcome(topic, message.payload);
        });
  }

  kafka::FakeProducer::Outcome NextOutcome(const std::string& topic, const std::string& payload) {
    if (!world_.random.Chance(rates_.delivery)) return {{Delivery::kDelivered, ""}, false};
    if (world_.random.Chance(rates_.ambiguous)) {
      const bool is_persisted = world_.random.Chance(0.5);
      if (is_persisted) repeatable_ += TagsIn(payload).size();
      return {{Delivery::kPossiblyPersisted, ""}, is_persisted};
    }
    // The dead letter topic takes anything, so that no span goes without its bytes.
    const bool is_refused = topic == "buffered-segments" && world_.random.Chance(0.5);
    return {{is_refused ? Delivery::kRefused : Delivery::kNotDelivered, ""}, false};
  }

  void Assign(int shard, int to) {
    for (int i = 0; i < kWorkers; ++i) {
      Worker& worker = *workers_[static_cast<size_t>(i)];
      const bool is_changed = i == to ? worker.wanted.insert(ShardId{shard}).second
                                      : worker.wanted.erase(ShardId{shard}) > 0;
      if (is_changed) worker.Own({worker.wanted.begin(), worker.wanted.end()});
    }
  }

  void Act() {
    auto& random = world_.random;
    if (random.Chance(0.4)) AddPart(ShardId{static_cast<int32_t>(random.Below(kShards))});
    if (random.Chance(rates_.move)) {
      Assign(static_cast<int>(random.Below(kShards)), static_cast<int>(random.Below(kWorkers)));
    }
    if (random.Chance(rates_.crash)) Crash(random.Below(kWorkers));
    auto& producer = workers_[random.Below(kWorkers)]->producer;
    if (random.Chance(rates_.hold)) producer.Hold();
    if (random.Chance(0.2)) producer.Unhold();
    if (world_.store.delayed_calls() > 0 && random.Chance(0.2)) {
      world_.store.RunDelayed(random.Below(world_.store.delayed_calls()));
    }
    Pass(milliseconds(random.Below(60)));
  }

  void AddPart(ShardId shard) {
    std::vector<std::string> spans;
    for (uint64_t n = 1 + world_.random.Below(6); n > 0; --n) {
      const std::string tag = absl::StrCat(",\"tag\":\"<", added_.size(), ">\"");
      added_.insert(absl::StrCat("<", added_.size(), ">"));
      spans.push_back(SpanJson(n == 1 ? 'b' : 'a', n == 1 ? ' ' : 'b', tag));
    }
    world_.AddPart(shard, spans);
  }

  // The process is gone with all it knew; another takes its place and its shards.
  void Crash(size_t index) {
    const auto wanted = workers_[index]->wanted;
    Start(static_cast<int>(index));
    workers_[index]->wanted = wanted;
    workers_[index]->Own({wanted.begin(), wanted.end()});
  }

  void Pass(milliseconds time) {
    world_.clock.Advance(time);
    world_.store.Advance(time);
    for (auto& worker : workers_) {
      // A few steps each, so that workers overtake each other.
      for (uint64_t n = world_.random.Below(12); n > 0; --n) {
        worker->PollIfDue();
        if (world_.random.Chance(0.7)) world_.store.RunOneCallback();
        if (world_.random.Chance(0.7)) world_.kafka.RunOne();
      }
    }
    if (rates_.store == 0) {
      for (auto& worker : workers_) worker->RunNow();
    }
  }

  static std::vector<std::string> TagsIn(const std::string& payload) {
    std::vector<std::string> tags;
    for (size_t at = payload.find("\"<"); at != std::string::npos;
         at = payload.find("\"<", at + 1)) {
      tags.push_back(payload.substr(at + 1, payload.find('>', at) - at));
    }
    return tags;
  }

  std::map<std::string, int> Left() const {
    std::map<std::string, int> left;
    for (const char* topic : {"buffered-segments", "ingest-spans-dlq"}) {
      for (const std::string& payload : world_.Payloads(topic)) {
        for (const std::string& tag : TagsIn(payload)) ++left[tag];
      }
    }
    return left;
  }

  // A span is in Redis or it has left.
  void CheckNothingIsLost() {
    uint64_t live = 0;
    for (int i = 0; i < kShards; ++i) {
      const buffer::FakeShard& shard = *world_.store.shard(ShardId{i});
      live += shard.ledger.accepted - shard.ledger.acknowledged - shard.ledger.dead_lettered;
      ASSERT_EQ(world_.Residual(ShardId{i}), 0);
    }
    ASSERT_GE(live + Left().size(), added_.size()) << "acknowledged before it was delivered";
  }

  bool IsQuiet() {
    for (int i = 0; i < kShards; ++i) {
      if (!world_.IsEmpty(ShardId{i})) return false;
    }
    return true;
  }

  void CheckEnd() {
    EXPECT_TRUE(IsQuiet()) << "something is left behind";
    const auto left = Left();
    EXPECT_EQ(left.size(), added_.size());
    if (!is_explained_) return;
    uint64_t repeated = 0;
    for (const auto& [tag, times] : left) repeated += static_cast<uint64_t>(times - 1);
    EXPECT_LE(repeated, repeatable_);
  }

  World world_;
  FlushOptions options_;
  FaultRates rates_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::set<std::string> added_;
  uint64_t repeatable_ = 0;  // spans in messages that arrived although their report could not tell
  const bool is_explained_;  // only those may leave twice
};

class FlushSimulation : public testing::TestWithParam<int> {};

TEST_P(FlushSimulation, LosesNothingUnderAnyFault) {
  Simulation(
      static_cast<uint64_t>(GetParam()),
      {.store = 0.15, .delivery = 0.1, .ambiguous = 0.5, .crash = 0.01, .move = 0.04, .hold = 0.1})
      .Run();
}

// Lost replies, late copies, refusals and certain failures alone never make a span leave twice.
TEST_P(FlushSimulation, RepeatsNothingIfEveryReportIsCertain) {
  Simulation(static_cast<uint64_t>(GetParam()), {.store = 0.2, .delivery = 0.2}).Run();
}

// Conformance K10.
TEST_P(FlushSimulation, RepeatsNoMoreThanReportsCouldNotTell) {
  Simulation(static_cast<uint64_t>(GetParam()), {.store = 0.2, .delivery = 0.2, .ambiguous = 0.5})
      .Run();
}

INSTANTIATE_TEST_SUITE_P(Seeds, FlushSimulation, testing::Range(1, 41));

}  // namespace
}  // namespace spillway::flush
