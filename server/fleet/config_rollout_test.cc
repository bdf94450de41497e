#include "server/fleet/config_rollout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "server/fleet/fleet_test_fixture.h"

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using State = ConfigRollout::State;

constexpr ConfigGeneration kOld{1, 11}, kNew{2, 22};
const WorkerKey kIngest{"ingest", 0};

// Workers live by the configuration that they were started with.
class ConfigRolloutTest : public ::testing::Test {
 protected:
  // Workers of an earlier server that run with kOld; this one wants kNew.
  void Make(int ingest, int flush) {
    fleet_ = MakeFleet(TwoPools(ingest, flush), 1000, now_);
    fleet_.config.state = State::kTrying;
    fleet_.config.wanted = kNew;
    fleet_.config.former = kOld;
    FoundLeftovers found;
    for (int slot = 0; slot < ingest; ++slot) found.leftovers.push_back(Running({"ingest", slot}));
    for (int slot = 0; slot < flush; ++slot) found.leftovers.push_back(Running(F(slot)));
    Do(found);
    Do(ShardsFound{4});
  }
  Leftover Running(const WorkerKey& key) {
    started_with_[key] = kOld.number;
    return {key, Generation{1}, ++last_pid_};
  }
  void Do(const Event& event) {
    Transition transition = Step(std::move(fleet_), event, now_, limits_);
    fleet_ = std::move(transition.fleet);
    for (const Action& action : transition.actions) {
      if (const auto* order = std::get_if<SendOrder>(&action))
        orders_[order->worker] = order->order;
      if (const auto* spawn = std::get_if<Spawn>(&action)) {
        started_with_[spawn->worker] = spawn->config_generation;
        starts_of_[spawn->config_generation]++;
      }
      if (const auto* signal = std::get_if<Signal>(&action)) signalled_.insert(signal->worker);
    }
    int down = 0;
    for (const auto& [key, worker] : fleet_.workers) down += !Serves(worker);
    if (is_settled_) worst_ = std::max(worst_, down);
  }
  void OfThe(const WorkerKey& key, const WorkerEvent& event) {
    Do(OfWorker{key, fleet_.workers.at(key).generation, event});
  }
  void Turn() {
    now_ += milliseconds(500);
    Do(Tick{});
    std::vector<WorkerKey> keys;
    for (const auto& [key, worker] : fleet_.workers) keys.push_back(key);
    for (const WorkerKey& key : keys) Live(key);
  }
  void Pass(Duration time) {
    for (const Instant end = now_ + time; now_ < end;) Turn();
  }
  void Live(const WorkerKey& key) {
    const Worker& worker = fleet_.workers.at(key);
    if (worker.state == WorkerState::kPending) return OfThe(key, Started{++last_pid_});
    if (!worker.has_process) return;
    const bool is_new = started_with_[key] == kNew.number;
    if (signalled_.erase(key) > 0) return End(key, {Exited::Kind::kExited, 0});
    const bool dies = is_new ? fault_ && !serves_first_ : old_fault_;
    if (dies) return End(key, is_new ? *fault_ : Exited{Exited::Kind::kExited, 1});
    if (!worker.is_attached) {
      orders_.erase(key);
      return OfThe(key, Attached{"u", "1", is_new ? kNew.digest : kOld.digest});
    }
    if (orders_[key].drain) return End(key, {Exited::Kind::kExited, 0});
    if (is_new && fault_ && Serves(worker)) return End(key, *fault_);
    auto report = std::make_shared<wire::WorkerReport>();
    report->is_ready = !is_new || !hangs_;
    report->order_sequence = orders_[key].sequence;
    OfThe(key, Reported{report});
  }
  void End(const WorkerKey& key, const Exited& exit) { OfThe(key, exit); }
  const ConfigRollout& rollout() const { return fleet_.config; }
  std::set<uint64_t> Running() {
    std::set<uint64_t> running;
    for (const auto& [key, worker] : fleet_.workers) {
      running.insert(Serves(worker) ? started_with_[key] : 0);
    }
    return running;
  }

  Instant now_ = Instant(seconds(1000));
  Limits limits_;
  Fleet fleet_;
  std::map<WorkerKey, wire::Order> orders_;
  std::map<WorkerKey, uint64_t> started_with_;
  std::map<uint64_t, int> starts_of_;
  std::set<WorkerKey> signalled_;
  std::optional<Exited> fault_;  // how workers of kNew end
  bool serves_first_ = false;    // before they do
  bool hangs_ = false;           // workers of kNew are never ready
  bool old_fault_ = false;       // workers of kOld exit with 1
  bool is_settled_ = false;
  int worst_ = 0;
  int64_t last_pid_ = 100;
};

TEST_F(ConfigRolloutTest, ReplacesOneWorkerOfTheFleetAtATime) {
  Make(2, 3);
  for (int i = 0; i < 4; ++i) Turn();
  EXPECT_EQ(Running(), (std::set<uint64_t>{kOld.number, 0})) << "one has been asked to restart";
  is_settled_ = true;
  Pass(seconds(60));
  EXPECT_EQ(Running(), std::set<uint64_t>{kNew.number});
  EXPECT_EQ(starts_of_[kNew.number], 5);
  EXPECT_EQ(worst_, 1);
  EXPECT_EQ(rollout().state, State::kTrying);
  EXPECT_EQ(rollout().former, kOld);
}

TEST_F(ConfigRolloutTest, IsProvenOnceAllHaveServedForLong) {
  Make(1, 2);
  Pass(seconds(30));
  ASSERT_EQ(Running(), std::set<uint64_t>{kNew.number});
  Pass(limits_.restart.healthy_after - seconds(30));
  EXPECT_EQ(rollout().state, State::kTrying);
  Pass(seconds(60));
  EXPECT_EQ(rollout().state, State::kProven);
  EXPECT_EQ(rollout().wanted, kNew);
  EXPECT_EQ(rollout().former, std::nullopt);
}

TEST_F(ConfigRolloutTest, ThreeIdenticalEarlyDeathsTakeItBack) {
  fault_ = Exited{Exited::Kind::kSignaled, SIGSEGV};
  Make(1, 3);
  Pass(seconds(20));
  EXPECT_EQ(rollout().state, State::kTakenBack);
  EXPECT_EQ(rollout().wanted, kOld);
  EXPECT_EQ(rollout().rejected, kNew);
  EXPECT_EQ(rollout().detail, "3 processes in a row killed by SIGSEGV soon after their start");
  EXPECT_EQ(starts_of_[kNew.number], 3);
  Pass(seconds(10));
  EXPECT_EQ(Running(), std::set<uint64_t>{kOld.number});
  EXPECT_EQ(starts_of_[kOld.number], 1) << "the others were never touched";
  Pass(minutes(10));
  EXPECT_EQ(starts_of_[kNew.number], 3) << "and it is not tried again";
}

TEST_F(ConfigRolloutTest, DeathsSoonAfterItHasServedCountToo) {
  fault_ = Exited{Exited::Kind::kExited, 1};
  serves_first_ = true;
  Make(1, 1);
  Pass(minutes(1));
  EXPECT_EQ(rollout().state, State::kTakenBack);
  EXPECT_THAT(rollout().detail, HasSubstr("exited with 1"));
  EXPECT_EQ(Running(), std::set<uint64_t>{kOld.number});
}

TEST_F(ConfigRolloutTest, AnExitThatSaysBadConfigurationTakesItBackAtOnce) {
  fault_ = Exited{Exited::Kind::kExited, kBadConfigurationExit};
  Make(0, 2);
  Pass(seconds(20));
  EXPECT_EQ(rollout().state, State::kTakenBack);
  EXPECT_THAT(rollout().detail,
              AllOf(HasSubstr("pools/flush/workers/0 is CRASH_LOOP"), HasSubstr("exited with 78")));
  EXPECT_EQ(starts_of_[kNew.number], 1);
  EXPECT_EQ(Running(), std::set<uint64_t>{kOld.number});
}

TEST_F(ConfigRolloutTest, WorkersThatDoNotBecomeReadyTakeItBack) {
  hangs_ = true;
  Make(1, 2);
  Pass(limits_.drain_timeout + 2 * limits_.term_timeout + limits_.health.startup_timeout +
       seconds(5));
  EXPECT_EQ(rollout().state, State::kTakenBack);
  Pass(minutes(2));
  EXPECT_EQ(Running(), std::set<uint64_t>{kOld.number});
  EXPECT_EQ(starts_of_[kOld.number], 1);
}

// Found by the simulation: the restart of the pool waited for one that it had not started.
TEST_F(ConfigRolloutTest, OneThatWasStartedAfterADeathIsNotWaitedForForEver) {
  hangs_ = true;
  Make(0, 2);
  End(F(1), {Exited::Kind::kUnknown, 0});
  Pass(limits_.health.startup_timeout + seconds(5));
  EXPECT_EQ(rollout().state, State::kTakenBack);
  EXPECT_THAT(rollout().detail, HasSubstr("pools/flush/workers/1 is not ready"));
  Pass(seconds(30));
  EXPECT_EQ(Running(), std::set<uint64_t>{kOld.number});
}

TEST_F(ConfigRolloutTest, KillsFromOutsideProveNothing) {
  Make(0, 2);
  Pass(seconds(30));
  ASSERT_EQ(Running(), std::set<uint64_t>{kNew.number});
  for (int i = 0; i < 4; ++i) {
    End(F(0), {Exited::Kind::kSignaled, SIGKILL});
    Pass(seconds(20));
  }
  EXPECT_EQ(rollout().state, State::kTrying);
  EXPECT_EQ(rollout().wanted, kNew);
}

TEST_F(ConfigRolloutTest, DeathsThatOthersDieTooProveNothing) {
  Make(0, 3);
  const auto dies = [&](const WorkerKey& key) { End(key, {Exited::Kind::kExited, 1}); };
  while (started_with_[F(0)] == kOld.number || !Serves(fleet_.workers.at(F(0)))) Turn();
  ASSERT_EQ(started_with_[F(2)], kOld.number);
  dies(F(0));
  dies(F(2));
  for (int i = 0; i < 2; ++i) {
    while (!Serves(fleet_.workers.at(F(0)))) Turn();
    dies(F(0));
  }
  EXPECT_EQ(rollout().state, State::kTrying);
}

TEST_F(ConfigRolloutTest, OneThatHasStoodClearsTheDeathsBeforeIt) {
  Make(0, 3);
  Pass(seconds(30));
  const auto dies = [&](const WorkerKey& key) { End(key, {Exited::Kind::kExited, 1}); };
  dies(F(0));
  Pass(seconds(5));
  dies(F(0));
  Pass(limits_.restart.healthy_after - seconds(10));
  ASSERT_EQ(rollout().state, State::kTrying) << "F(0) has not served for long enough";
  dies(F(0));
  Turn();
  EXPECT_EQ(rollout().state, State::kTrying);
}

TEST_F(ConfigRolloutTest, WithoutAFormerNothingIsTakenBack) {
  fault_ = Exited{Exited::Kind::kExited, 1};
  fleet_ = MakeFleet(TwoPools(1, 1), 1000, now_);
  fleet_.config.state = State::kTrying;
  fleet_.config.wanted = kNew;
  Do(FoundLeftovers{});
  Pass(minutes(10));
  EXPECT_EQ(rollout().wanted, kNew);
  EXPECT_EQ(rollout().state, State::kTrying);
  EXPECT_EQ(fleet_.workers.at(F(0)).state, WorkerState::kCrashLoop);
}

TEST_F(ConfigRolloutTest, OneThatDoesNotSayWhatItRunsIsLeftAlone) {
  fleet_ = MakeFleet(TwoPools(0, 1), 1000, now_);
  fleet_.config.wanted = kNew;
  Do(FoundLeftovers{{{F(0), Generation{1}, 7}}});
  OfThe(F(0), Attached{"u", "0.9"});
  auto report = std::make_shared<wire::WorkerReport>();
  report->is_ready = true;
  OfThe(F(0), Reported{report});
  EXPECT_FALSE(IsOutdated(fleet_, fleet_.workers.at(F(0))));
  EXPECT_FALSE(FindPool(fleet_, "flush")->restart);
}

TEST_F(ConfigRolloutTest, ARestartThatAPersonHasAskedForGoesFirst) {
  Make(0, 3);
  for (int i = 0; i < 2; ++i) Turn();
  Do(PoolRestarted{"flush", RestartScope::kAll, 3});
  const uint64_t number = FindPool(fleet_, "flush")->restart->number;
  Pass(seconds(30));
  EXPECT_EQ(Running(), std::set<uint64_t>{kNew.number});
  EXPECT_EQ(FindPool(fleet_, "flush")->restart->number, number) << "there was nothing left to do";
}

TEST_F(ConfigRolloutTest, StoppedPoolsAreNotWaitedFor) {
  Make(1, 2);
  Do(PoolStopped{"flush"});
  Pass(limits_.restart.healthy_after + seconds(60));
  EXPECT_EQ(rollout().state, State::kProven);
  Do(PoolStarted{"flush"});
  Pass(seconds(30));
  EXPECT_EQ(Running(), std::set<uint64_t>{kNew.number});
}

TEST_F(ConfigRolloutTest, WhenTheFormerFailsTooAPersonHasToCome) {
  fault_ = Exited{Exited::Kind::kExited, 1};
  Make(0, 2);
  for (int i = 0; i < 4; ++i) Turn();
  old_fault_ = true;
  Pass(minutes(15));
  EXPECT_EQ(rollout().state, State::kTakenBack);
  EXPECT_EQ(rollout().wanted, kOld);
  EXPECT_EQ(fleet_.workers.at(F(0)).state, WorkerState::kCrashLoop);
  EXPECT_LE(starts_of_[kOld.number], 2 * (limits_.restart.max_restarts + 1));
}

}  // namespace
}  // namespace spillway::fleet
