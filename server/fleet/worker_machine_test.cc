#include "server/fleet/worker_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using S = WorkerState;

const Instant kStart = Instant(seconds(1000));

std::shared_ptr<const wire::WorkerReport> Report(bool is_ready = true) {
  auto report = std::make_shared<wire::WorkerReport>();
  report->sequence = 1;
  report->is_ready = is_ready;
  if (!is_ready) report->waiting_for = {"redis at 127.0.0.1:1: refused"};
  return report;
}

std::shared_ptr<const wire::WorkerReport> ShardReport(uint64_t progress, bool has_work,
                                                      wire::Cause blocked = wire::Cause::kNone) {
  auto report = std::make_shared<wire::WorkerReport>();
  report->is_ready = true;
  wire::ShardReport shard;
  shard.shard = ShardId{3};
  shard.progress = progress;
  shard.has_work = has_work;
  shard.blocked_cause = blocked;
  report->shards = {shard};
  return report;
}

// Drives one worker through events; time stands where the test puts it.
class Driver {
 public:
  Driver() {
    worker.key = {"flush", 0};
    worker.role = wire::Role::kFlush;
  }
  Driver& Do(const WorkerEvent& event) {
    WorkerTransition transition = Step(std::move(worker), event, now, limits);
    worker = std::move(transition.worker);
    actions = std::move(transition.actions);
    return *this;
  }
  Driver& Advance(Duration d) {
    now += d;
    return *this;
  }
  Driver& ToReady() {
    return Do(Want{}).Do(Started{42}).Do(Attached{"u", "1"}).Do(Reported{Report()});
  }
  // Brings a new worker to the state.
  static Driver In(S state) {
    Driver d;
    switch (state) {
      case S::kPending:
        return d.Do(Want{});
      case S::kStarting:
        return d.Do(Want{}).Do(Started{42});
      case S::kReady:
        return d.ToReady();
      case S::kDraining:
        return d.ToReady().Do(Retire{});
      case S::kStopping:
        return d.Do(Want{}).Do(Started{42}).Do(Retire{});
      case S::kStopped:
        return d.ToReady().Do(Retire{}).Do(Exit(0));
      case S::kBackoff:
        return d.ToReady().Do(Exit(1));
      case S::kCrashLoop:
        return d.ToReady().Do(Exit(78));
      case S::kLost:
        d.worker.state = S::kLost;  // of registered workers alone: registered_worker_test.cc
        return d;
    }
    return d;
  }
  static Exited Exit(int code) { return {Exited::Kind::kExited, code, {}}; }

  int Spawns() const { return Count<Spawn>(); }
  int Captures() const { return Count<CaptureStacks>(); }
  int Signals(bool kill) const {
    int count = 0;
    for (const Action& action : actions) {
      const auto* signal = std::get_if<Signal>(&action);
      count += signal != nullptr && signal->kill == kill;
    }
    return count;
  }

  Worker worker;
  std::vector<Action> actions;
  Instant now = kStart;
  Limits limits;

 private:
  template <typename T>
  int Count() const {
    int count = 0;
    for (const Action& action : actions) count += std::holds_alternative<T>(action);
    return count;
  }
};

struct Row {
  S state;
  // Next states, in the order of the columns below.
  S want, retire, reset, restart, started, start_failed, adopted, attached, ready, detached, exit0,
      exit78, tick;
  // StacksCaptured changes no state: who waits for it is in STOPPING, and stays there.
};

class WorkerTableTest : public ::testing::TestWithParam<Row> {};

TEST_P(WorkerTableTest, EveryStateTimesEveryEvent) {
  const Row& row = GetParam();
  const auto after = [&](const WorkerEvent& event) {
    return Driver::In(row.state).Do(event).worker.state;
  };
  ASSERT_EQ(Driver::In(row.state).worker.state, row.state);
  EXPECT_EQ(after(Want{}), row.want) << "Want";
  EXPECT_EQ(after(Retire{}), row.retire) << "Retire";
  EXPECT_EQ(after(ResetBudget{}), row.reset) << "ResetBudget";
  EXPECT_EQ(after(Restart{}), row.restart) << "Restart";
  EXPECT_EQ(after(Started{43}), row.started) << "Started";
  EXPECT_EQ(after(StartFailed{"x"}), row.start_failed) << "StartFailed";
  EXPECT_EQ(after(Adopted{44, Generation{5}}), row.adopted) << "Adopted";
  EXPECT_EQ(after(Attached{"v", "1"}), row.attached) << "Attached";
  EXPECT_EQ(after(Reported{Report()}), row.ready) << "Reported";
  EXPECT_EQ(after(Detached{}), row.detached) << "Detached";
  EXPECT_EQ(after(Driver::Exit(0)), row.exit0) << "Exited 0";
  EXPECT_EQ(after(Driver::Exit(78)), row.exit78) << "Exited 78";
  EXPECT_EQ(after(Tick{}), row.tick) << "Tick at once";
  const Driver told = Driver::In(row.state).Do(StacksCaptured{{"", "main", "/f"}});
  EXPECT_EQ(told.worker.state, row.state) << "StacksCaptured";
  EXPECT_EQ(told.actions.size(), 0u) << "nobody asked";
}

// clang-format off
INSTANTIATE_TEST_SUITE_P(All, WorkerTableTest, ::testing::Values(
    //   state          want          retire        reset         restart       started       start_failed  adopted       attached      ready         detached      exit0         exit78        tick
    Row{S::kPending,   S::kPending,  S::kPending,  S::kPending,  S::kPending,  S::kStarting, S::kBackoff,  S::kStarting, S::kPending,  S::kPending,  S::kPending,  S::kPending,  S::kPending,  S::kPending},
    Row{S::kStarting,  S::kStarting, S::kStopping, S::kStarting, S::kStopping, S::kStarting, S::kStarting, S::kStarting, S::kStarting, S::kReady,    S::kStarting, S::kBackoff,  S::kCrashLoop, S::kStarting},
    Row{S::kReady,     S::kReady,    S::kDraining, S::kReady,    S::kDraining, S::kReady,    S::kReady,    S::kReady,    S::kReady,    S::kReady,    S::kReady,    S::kBackoff,  S::kCrashLoop, S::kReady},
    Row{S::kDraining,  S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kStopped,  S::kStopped,  S::kDraining},
    Row{S::kStopping,  S::kStopping, S::kStopping, S::kStopping, S::kStopping, S::kStopping, S::kStopping, S::kStopping, S::kStopping, S::kStopping, S::kStopping, S::kStopped,  S::kStopped,  S::kStopping},
    Row{S::kStopped,   S::kPending,  S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped,  S::kStopping, S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped},
    Row{S::kBackoff,   S::kBackoff,  S::kStopped,  S::kPending,  S::kPending,  S::kBackoff,  S::kBackoff,  S::kStarting, S::kBackoff,  S::kBackoff,  S::kBackoff,  S::kBackoff,  S::kBackoff,  S::kBackoff},
    Row{S::kCrashLoop, S::kCrashLoop, S::kStopped, S::kPending,  S::kPending,  S::kCrashLoop, S::kCrashLoop, S::kStarting, S::kCrashLoop, S::kCrashLoop, S::kCrashLoop, S::kCrashLoop, S::kCrashLoop, S::kCrashLoop},
    Row{S::kLost,      S::kLost,     S::kStopped,  S::kLost,     S::kLost,     S::kLost,     S::kLost,     S::kStarting, S::kLost,     S::kLost,     S::kLost,     S::kLost,     S::kLost,     S::kLost}),
    [](const auto& row) { return StateName(row.param.state); });
// clang-format on

TEST(WorkerMachineTest, EveryStartIsANewGeneration) {
  Driver d;
  d.Do(Want{});
  EXPECT_EQ(d.Spawns(), 1);
  EXPECT_EQ(d.worker.generation, Generation{1});
  d.Do(Started{1}).Do(Driver::Exit(1)).Advance(seconds(2)).Do(Tick{});
  EXPECT_EQ(d.Spawns(), 1);
  EXPECT_EQ(d.worker.generation, Generation{2});
}

TEST(WorkerMachineTest, StartUpHasAGracePeriodThenATypedReason) {
  Driver d = Driver::In(S::kStarting);
  d.Advance(seconds(59)).Do(Tick{});
  EXPECT_EQ(d.worker.health.state, HealthState::kStarting);
  d.Advance(seconds(1)).Do(Tick{});
  EXPECT_EQ(d.worker.state, S::kStopping);
  EXPECT_EQ(d.worker.health.state, HealthState::kUnhealthy);
  EXPECT_EQ(d.worker.health.reason, UnhealthyReason::kStartupTimeout);
  EXPECT_EQ(d.Captures(), 1);
  EXPECT_EQ(d.Do(StacksCaptured{}).Signals(false), 1);
}

TEST(WorkerMachineTest, AWorkerThatWaitsForRedisIsLeftToWait) {
  Driver d = Driver::In(S::kStarting);
  for (int i = 0; i < 600; ++i) d.Advance(seconds(1)).Do(Reported{Report(false)}).Do(Tick{});
  EXPECT_EQ(d.worker.state, S::kStarting);
  EXPECT_EQ(d.worker.health.state, HealthState::kStarting);
  EXPECT_THAT(d.worker.health.evidence, HasSubstr("waits: redis at"));
  EXPECT_EQ(d.Do(Reported{Report()}).worker.state, S::kReady);
}

TEST(WorkerMachineTest, SilenceIsUnhealthy) {
  Driver d = Driver::In(S::kReady);
  d.Advance(seconds(14)).Do(Tick{});
  EXPECT_EQ(d.worker.health.state, HealthState::kHealthy);
  d.Advance(seconds(1)).Do(Tick{});
  EXPECT_EQ(d.worker.health.reason, UnhealthyReason::kSilent);
  EXPECT_EQ(d.worker.state, S::kStopping);
}

TEST(WorkerMachineTest, QuietIsHealthy) {
  Driver d = Driver::In(S::kReady);
  for (int i = 0; i < 300; ++i) d.Advance(seconds(1)).Do(Reported{ShardReport(7, false)});
  EXPECT_EQ(d.worker.health.state, HealthState::kHealthy);
}

TEST(WorkerMachineTest, WorkWithoutProgressIsAStall) {
  Driver d = Driver::In(S::kReady);
  for (int i = 0; i < 60; ++i) d.Do(Reported{ShardReport(7, true)}).Advance(seconds(1));
  EXPECT_EQ(d.worker.state, S::kReady);
  d.Do(Reported{ShardReport(7, true)});
  EXPECT_EQ(d.worker.health.reason, UnhealthyReason::kStalled);
  EXPECT_THAT(d.worker.health.evidence, HasSubstr("shards/3"));
  EXPECT_EQ(d.worker.state, S::kStopping);
}

TEST(WorkerMachineTest, SlowProgressIsNoStall) {
  Driver d = Driver::In(S::kReady);
  for (uint64_t i = 0; i < 300; ++i) {
    d.Do(Reported{ShardReport(i / 50, true)}).Advance(seconds(1));
  }
  EXPECT_EQ(d.worker.health.state, HealthState::kHealthy);
}

TEST(WorkerMachineTest, WaitingForKafkaIsNoStall) {
  Driver d = Driver::In(S::kReady);
  for (int i = 0; i < 300; ++i) {
    d.Do(Reported{ShardReport(7, true, wire::Cause::kKafka)}).Advance(seconds(1));
  }
  EXPECT_EQ(d.worker.state, S::kReady);
  EXPECT_EQ(d.worker.health.state, HealthState::kHealthy);
}

TEST(WorkerMachineTest, KillsAWorkerThatOverrunsItsDrain) {
  Driver d = Driver::In(S::kDraining);
  d.Advance(d.limits.drain_timeout).Do(Tick{});
  EXPECT_EQ(d.worker.state, S::kStopping);
  EXPECT_EQ(d.Signals(false), 1);
  d.Advance(d.limits.term_timeout).Do(Tick{});
  EXPECT_EQ(d.Signals(true), 1);
  EXPECT_EQ(d.worker.state, S::kStopping) << "not stopped before it is proven dead";
  d.Do(Exited{Exited::Kind::kSignaled, SIGKILL, {}});
  EXPECT_EQ(d.worker.state, S::kStopped);
  EXPECT_THAT(d.worker.last_death, HasSubstr("killed by SIGKILL"));
}

TEST(WorkerMachineTest, SignalsEachStepOnce) {
  Driver d = Driver::In(S::kStopping);
  d.Do(Tick{});
  EXPECT_EQ(d.Signals(false) + d.Signals(true), 0);
  d.Advance(d.limits.drain_timeout + d.limits.term_timeout).Do(Tick{});
  EXPECT_EQ(d.Signals(true), 1);
  d.Do(Tick{});
  EXPECT_EQ(d.Signals(true), 0);
}

TEST(WorkerMachineTest, AnUnhealthyWorkersSuccessorWaitsForItsProvenDeath) {
  Driver d = Driver::In(S::kReady);
  d.Advance(seconds(15)).Do(Tick{});
  for (int i = 0; i < 100; ++i) {
    d.Advance(seconds(1)).Do(Tick{});
    ASSERT_EQ(d.Spawns(), 0);
  }
  d.Do(Exited{Exited::Kind::kSignaled, SIGKILL, {}});
  EXPECT_EQ(d.worker.state, S::kBackoff);
  EXPECT_THAT(d.worker.last_death, HasSubstr("no report for"));
  EXPECT_THAT(d.worker.last_death, HasSubstr("killed by SIGKILL"));
}

TEST(WorkerMachineTest, AnUnhealthyWorkersStacksAreCapturedBeforeTerm) {
  Driver d = Driver::In(S::kReady);
  d.Advance(seconds(15)).Do(Tick{});
  EXPECT_EQ(d.Captures(), 1);
  EXPECT_EQ(d.Signals(false), 0);
  d.Advance(milliseconds(300)).Do(Tick{});
  EXPECT_EQ(d.Captures() + d.Signals(false), 0) << "waits for the answer";
  d.Do(StacksCaptured{{"", "Spin <- Run <- main", "/run/stacks/f.txt"}});
  EXPECT_EQ(d.Signals(false), 1);
  d.Do(StacksCaptured{});
  EXPECT_EQ(d.Signals(false), 0) << "once";
  d.Do(StacksCaptured{{"", "Spin <- Run <- main", "/run/stacks/f.txt"}});
  d.Do(Exited{Exited::Kind::kSignaled, SIGTERM, {}});
  EXPECT_EQ(d.worker.state, S::kBackoff);
  EXPECT_THAT(d.worker.last_death, HasSubstr("main thread: Spin <- Run <- main"));
  EXPECT_THAT(d.worker.last_death, HasSubstr("all threads: /run/stacks/f.txt"));
}

TEST(WorkerMachineTest, AWorkerThatDoesNotTellItsStacksIsEndedAtTheLimit) {
  Driver d = Driver::In(S::kReady);
  d.Advance(seconds(15)).Do(Tick{});
  EXPECT_EQ(NextTick(d.worker, d.limits), d.now + d.limits.capture_timeout);
  d.Advance(d.limits.capture_timeout).Do(Tick{});
  EXPECT_EQ(d.Signals(false), 1);
  d.Do(StacksCaptured{{"no answer within 3 s", "", ""}});
  EXPECT_EQ(d.Signals(false), 0) << "late, but kept";
  d.Advance(d.limits.term_timeout).Do(Tick{});
  EXPECT_EQ(d.Signals(true), 1);
  d.Do(Exited{Exited::Kind::kSignaled, SIGKILL, {}});
  EXPECT_THAT(d.worker.last_death, HasSubstr("stacks: no answer within 3 s"));
}

TEST(WorkerMachineTest, AWorkerThatEndsWhileItIsAskedIsDead) {
  Driver d = Driver::In(S::kReady);
  d.Advance(seconds(15)).Do(Tick{}).Do(Driver::Exit(1));
  EXPECT_EQ(d.worker.state, S::kBackoff);
  EXPECT_EQ(d.Do(StacksCaptured{{"", "main", ""}}).actions.size(), 0u);
  d.Do(ResetBudget{}).Do(Started{43});
  EXPECT_EQ(d.worker.stacks.summary, "") << "not the next one's";
  EXPECT_FALSE(d.worker.is_capturing);
}

TEST(WorkerMachineTest, ADeathNamesWhatTheProcessUsed) {
  Driver d = Driver::In(S::kStarting);
  Exited exit = Driver::Exit(3);
  exit.user_cpu = milliseconds(1250);
  exit.system_cpu = milliseconds(300);
  exit.max_rss_bytes = 45 << 20;
  d.Do(exit);
  EXPECT_THAT(d.worker.last_death, HasSubstr("used 1.25 s CPU + 0.30 s in the kernel, 45 MiB"));
}

TEST(WorkerMachineTest, ADeathForWantOfMemoryNamesTheLimit) {
  Driver d = Driver::In(S::kStarting);
  Exited exit{Exited::Kind::kSignaled, 9};
  exit.memory_kill = 512 << 20;
  d.Do(exit);
  EXPECT_THAT(d.worker.last_death, HasSubstr("killed by SIGKILL"));
  EXPECT_THAT(d.worker.last_death,
              HasSubstr(", by the kernel at its memory limit of 512 MiB (memory_max of its pool)"));
  d = Driver::In(S::kStarting);
  exit.memory_kill = 0;
  d.Do(exit);
  EXPECT_THAT(d.worker.last_death,
              HasSubstr(", by the kernel for want of memory, not at a limit of its own"));
}

TEST(WorkerMachineTest, AnEarlyExitNamesItsCodeAndLastLines) {
  Driver d = Driver::In(S::kStarting);
  d.Advance(milliseconds(200)).Do(Exited{Exited::Kind::kExited, 3, {"cannot open", "giving up"}});
  EXPECT_EQ(d.worker.state, S::kBackoff);
  EXPECT_EQ(d.worker.health.state, HealthState::kUnhealthy);
  EXPECT_EQ(d.worker.health.reason, UnhealthyReason::kDead);
  EXPECT_EQ(d.worker.last_death,
            "exited with 3 0.2 s after its start, before its first report; last "
            "lines: cannot open | giving up");
}

TEST(WorkerMachineTest, ABadConfigurationIsNeverRetried) {
  Driver d = Driver::In(S::kStarting);
  d.Do(Driver::Exit(78));
  EXPECT_EQ(d.worker.state, S::kCrashLoop);
  d.Advance(std::chrono::hours(1)).Do(Tick{});
  EXPECT_EQ(d.Spawns(), 0);
  d.Do(ResetBudget{});
  EXPECT_EQ(d.Spawns(), 1);
}

TEST(WorkerMachineTest, ARestartedWorkerFinishesEndsAndStartsAnew) {
  Driver d = Driver::In(S::kReady);
  d.Do(Restart{});
  EXPECT_EQ(d.worker.state, S::kDraining);
  EXPECT_TRUE(d.worker.is_wanted);
  EXPECT_EQ(d.Spawns(), 0) << "not before its end is proven";
  d.Do(Driver::Exit(0));
  EXPECT_EQ(d.worker.state, S::kPending);
  EXPECT_EQ(d.Spawns(), 1);
  EXPECT_TRUE(d.worker.history.deaths.empty());
}

TEST(WorkerMachineTest, ARestartOfWhatIsNotWantedStartsNothing) {
  Driver d = Driver::In(S::kDraining);
  d.Do(Restart{}).Do(Driver::Exit(0));
  EXPECT_EQ(d.worker.state, S::kStopped);
  EXPECT_EQ(Driver::In(S::kCrashLoop).Do(Retire{}).Do(Restart{}).worker.state, S::kStopped);
}

TEST(WorkerMachineTest, ARestartOfAnUnhealthyWorkerGivesItANewBudget) {
  Driver d = Driver::In(S::kBackoff);
  ASSERT_FALSE(d.worker.history.deaths.empty());
  d.Do(Restart{});
  EXPECT_EQ(d.Spawns(), 1);
  EXPECT_TRUE(d.worker.history.deaths.empty());
}

TEST(WorkerMachineTest, ABudgetSpentIsACrashLoop) {
  Driver d;
  d.Do(Want{});
  int spawns = d.Spawns();
  for (int i = 0; i < 1000 && d.worker.state != S::kCrashLoop; ++i) {
    d.Do(Started{1}).Do(Driver::Exit(1));
    d.now = std::max(d.now, d.worker.next_start == kNever ? d.now : d.worker.next_start);
    d.Do(Tick{});
    spawns += d.Spawns();
  }
  EXPECT_EQ(d.worker.state, S::kCrashLoop);
  EXPECT_EQ(spawns, 6) << "the first start and five restarts";
}

TEST(WorkerMachineTest, LongHealthForgetsDeaths) {
  Driver d = Driver::In(S::kBackoff);
  d.Advance(seconds(1)).Do(Tick{}).Do(Started{43}).Do(Attached{"u", "1"});
  for (int i = 0; i <= 121; ++i) d.Do(Reported{Report()}).Advance(seconds(1));
  EXPECT_TRUE(d.worker.history.deaths.empty());
}

TEST(WorkerMachineTest, WantedAgainWhileItEndsStartsAnewWithoutPenalty) {
  Driver d = Driver::In(S::kDraining);
  d.Do(Want{}).Do(Driver::Exit(0));
  EXPECT_EQ(d.worker.state, S::kPending);
  EXPECT_EQ(d.Spawns(), 1);
  EXPECT_TRUE(d.worker.history.deaths.empty());
}

TEST(WorkerMachineTest, RetiredBeforeItsStartIsEndedAfterIt) {
  Driver d = Driver::In(S::kPending);
  d.Do(Retire{}).Do(Started{42});
  EXPECT_EQ(d.worker.state, S::kStopping);
  EXPECT_EQ(d.Signals(false), 1);
}

TEST(WorkerMachineTest, AnAdoptedWorkerThatHoldsShardsIsReady) {
  Driver d;
  d.Do(Adopted{7, Generation{9}});
  EXPECT_EQ(d.worker.state, S::kStarting);
  EXPECT_EQ(d.worker.generation, Generation{9});
  auto report = std::make_shared<wire::WorkerReport>(*ShardReport(1, false));
  report->is_ready = false;
  d.Do(Attached{"u", "1"}).Do(Reported{report});
  EXPECT_EQ(d.worker.state, S::kReady);
}

TEST(WorkerMachineTest, AnAdoptedWorkerThatNeverDialsInIsEnded) {
  Driver d;
  d.Do(Adopted{7, Generation{9}}).Advance(d.limits.health.startup_timeout).Do(Tick{});
  EXPECT_EQ(d.worker.state, S::kStopping);
  d.Do(Exited{});
  EXPECT_EQ(d.worker.state, S::kBackoff);
}

TEST(WorkerMachineTest, WantsATickWhenSomethingMayChange) {
  Driver d = Driver::In(S::kReady);
  EXPECT_EQ(NextTick(d.worker, d.limits), d.now + d.limits.health.silence_timeout);
  EXPECT_EQ(NextTick(Driver::In(S::kBackoff).worker, d.limits),
            Driver::In(S::kBackoff).worker.next_start);
  EXPECT_EQ(NextTick(Driver::In(S::kDraining).worker, d.limits), kStart + d.limits.drain_timeout);
  EXPECT_EQ(NextTick(Driver::In(S::kStopped).worker, d.limits), kNever);
}

}  // namespace
}  // namespace spillway::fleet
