#include "server/fleet/registered_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::fleet {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using S = WorkerState;

std::shared_ptr<const wire::WorkerReport> Report(bool is_ready = true, bool has_work = false) {
  auto report = std::make_shared<wire::WorkerReport>();
  report->is_ready = is_ready;
  if (has_work) {
    wire::ShardReport shard;
    shard.shard = ShardId{3};
    shard.has_work = true;
    report->shards = {shard};
  }
  return report;
}

class Driver {
 public:
  Driver() {
    worker.key = {"flush", 0};
    worker.role = wire::Role::kFlush;
    worker.generation = Generation{1};
    worker.is_registered = true;
  }
  Driver& Do(const WorkerEvent& event) {
    WorkerTransition transition = Step(std::move(worker), event, now, limits);
    worker = std::move(transition.worker);
    for (const Action& action : transition.actions) {
      ExpectNote(action);
      if (const auto* note = std::get_if<Note>(&action)) notes.push_back(note->event);
    }
    return *this;
  }
  Driver& Register() { return Do(Want{}).Do(Registered{7, "u", "1"}); }
  Driver& Advance(Duration d) {
    now += d;
    return Do(Tick{});
  }
  static Driver In(S state) {
    Driver d;
    if (state == S::kPending) return d;
    d.Register();
    if (state == S::kStarting) return d;
    d.Do(Reported{Report()});
    if (state == S::kDraining) d.Do(Restart{});
    if (state == S::kStopped) d.Do(Left{true});
    if (state == S::kLost) d.Do(Detached{}).Advance(seconds(15));
    return d;
  }

  Worker worker;
  std::vector<std::string> notes;
  Instant now = Instant(seconds(1000));
  Limits limits;

 private:
  // Nothing is ever done to a process that is not ours.
  static void ExpectNote(const Action& action) {
    EXPECT_TRUE(std::holds_alternative<Note>(action));
  }
};

struct Row {
  S state;
  // Next states, in the order of the columns below. Events of launched workers change none.
  S want, retire, restart, registered, ready, waits, detached, left, left_holding, tick;
};

class RegisteredTableTest : public ::testing::TestWithParam<Row> {};

TEST_P(RegisteredTableTest, EveryStateTimesEveryEvent) {
  const Row& row = GetParam();
  const auto after = [&](const WorkerEvent& event) {
    return Driver::In(row.state).Do(event).worker.state;
  };
  ASSERT_EQ(Driver::In(row.state).worker.state, row.state);
  EXPECT_EQ(after(Want{}), row.want) << "Want";
  EXPECT_EQ(after(Retire{}), row.retire) << "Retire";
  EXPECT_EQ(after(Restart{}), row.restart) << "Restart";
  EXPECT_EQ(after(Registered{7, "u", "1"}), row.registered) << "Registered";
  EXPECT_EQ(after(Reported{Report()}), row.ready) << "Reported, ready";
  EXPECT_EQ(after(Reported{Report(false)}), row.waits) << "Reported, waits";
  EXPECT_EQ(after(Detached{}), row.detached) << "Detached";
  EXPECT_EQ(after(Left{true}), row.left) << "Left";
  EXPECT_EQ(after(Left{false}), row.left_holding) << "Left, holding shards";
  EXPECT_EQ(after(Tick{}), row.tick) << "Tick at once";
  for (const WorkerEvent& of_launched : std::vector<WorkerEvent>{
           ResetBudget{}, Started{8}, StartFailed{"x"}, Adopted{8, Generation{9}},
           Attached{"v", "1"}, Exited{}, StacksCaptured{}}) {
    EXPECT_EQ(after(of_launched), row.state) << of_launched.index();
  }
}

// clang-format off
INSTANTIATE_TEST_SUITE_P(All, RegisteredTableTest, ::testing::Values(
    //   state          want          retire        restart       registered    ready         waits         detached      left          left holding  tick
    Row{S::kPending,   S::kPending,  S::kPending,  S::kPending,  S::kStarting, S::kPending,  S::kPending,  S::kPending,  S::kPending,  S::kPending,  S::kPending},
    Row{S::kStarting,  S::kStarting, S::kDraining, S::kDraining, S::kStarting, S::kReady,    S::kStarting, S::kStarting, S::kStopped,  S::kLost,     S::kStarting},
    Row{S::kReady,     S::kReady,    S::kDraining, S::kDraining, S::kReady,    S::kReady,    S::kReady,    S::kReady,    S::kStopped,  S::kLost,     S::kReady},
    Row{S::kDraining,  S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kDraining, S::kStopped,  S::kLost,     S::kDraining},
    Row{S::kStopped,   S::kStopped,  S::kStopped,  S::kStopped,  S::kStarting, S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped,  S::kStopped},
    Row{S::kLost,      S::kLost,     S::kStopped,  S::kStopped,  S::kStarting, S::kLost,     S::kLost,     S::kLost,     S::kStopped,  S::kLost,     S::kLost}),
    [](const auto& row) { return StateName(row.param.state); });
// clang-format on

TEST(RegisteredWorkerTest, SilenceLosesItAndItsReturnTakesItBack) {
  Driver d = Driver::In(S::kReady);
  d.Do(Detached{}).Advance(seconds(14));
  EXPECT_EQ(d.worker.state, S::kReady);
  d.Advance(seconds(1));
  EXPECT_EQ(d.worker.state, S::kLost);
  EXPECT_EQ(d.worker.health.reason, UnhealthyReason::kSilent);
  EXPECT_TRUE(d.worker.has_process) << "nobody has proven its end";
  d.Do(Registered{7, "u", "1"}).Do(Reported{Report()});
  EXPECT_EQ(d.worker.state, S::kReady);
  EXPECT_EQ(d.worker.health.state, HealthState::kHealthy);
  EXPECT_EQ(d.worker.generation, Generation{1});
}

TEST(RegisteredWorkerTest, AReportOnTheOldStreamTakesItBack) {
  Driver d = Driver::In(S::kReady);
  d.Advance(seconds(15));
  ASSERT_EQ(d.worker.state, S::kLost);
  EXPECT_EQ(d.Do(Reported{Report()}).worker.state, S::kReady);
}

TEST(RegisteredWorkerTest, OneThatNeverReportsIsLostAfterItsStartup) {
  Driver d = Driver::In(S::kStarting);
  d.Advance(seconds(60));
  EXPECT_EQ(d.worker.state, S::kLost);
  EXPECT_EQ(d.worker.health.reason, UnhealthyReason::kStartupTimeout);
}

TEST(RegisteredWorkerTest, AStalledOneIsToldToEnd) {
  Driver d = Driver::In(S::kReady);
  for (int i = 0; i <= 60; ++i) d.Do(Reported{Report(true, true)}).Advance(seconds(1));
  EXPECT_EQ(d.worker.state, S::kDraining);
  EXPECT_EQ(d.worker.health.reason, UnhealthyReason::kStalled);
  EXPECT_THAT(d.worker.health.evidence, HasSubstr("shards/3"));
  d.Do(Left{true});
  EXPECT_EQ(d.worker.state, S::kStopped);
}

TEST(RegisteredWorkerTest, OneThatDoesNotEndIsSaidOnceAndStays) {
  Driver d = Driver::In(S::kDraining);
  for (int i = 0; i < 60; ++i) d.Do(Reported{Report()}).Advance(seconds(1));
  EXPECT_EQ(d.worker.state, S::kDraining);
  EXPECT_EQ(std::count(d.notes.begin(), d.notes.end(), "worker does not end"), 1);
}

TEST(RegisteredWorkerTest, ALostOneIsForgottenInTheEndUnlessItsStreamStands) {
  Driver d = Driver::In(S::kLost);
  d.Advance(kLostKept - seconds(1));
  EXPECT_EQ(d.worker.state, S::kLost);
  EXPECT_EQ(NextTick(d.worker, d.limits), d.now + seconds(1));
  d.Advance(seconds(1));
  EXPECT_EQ(d.worker.state, S::kStopped);
  Driver stopped = Driver::In(S::kReady);
  stopped.Advance(seconds(15)).Advance(kLostKept);
  EXPECT_EQ(stopped.worker.state, S::kLost);
}

TEST(RegisteredWorkerTest, ABrokenStreamAloneChangesNothing) {
  Driver d = Driver::In(S::kReady);
  const auto report = d.worker.report;
  d.Do(Detached{}).Do(Registered{7, "u", "1"});
  EXPECT_EQ(d.worker.state, S::kReady);
  EXPECT_EQ(d.worker.report, report);
  EXPECT_TRUE(d.worker.is_attached);
  EXPECT_FALSE(d.worker.is_order_sent) << "the new stream has not had its order";
}

}  // namespace
}  // namespace spillway::fleet
