// When a wait ends, judged without a server.
#include "client/commands/goal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/output/printer.h"
#include "client/output/text.h"
#include "server/rpc/watch_fleet.h"
#include "tests/support/sample_fleet.h"

namespace spillway::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using State = Verdict::State;

const Instant kNow = Instant(std::chrono::hours(24));

FleetState StateOf(const supervisor::FleetSnapshot& snapshot) {
  v1::WatchFleetResponse response;
  uint64_t known = 0;
  rpc::FleetChanges(1).Compose(std::make_shared<const supervisor::FleetSnapshot>(snapshot), kNow,
                               known, response);
  FleetState state;
  state.Apply(response);
  return state;
}

supervisor::FleetSnapshot SettledFleet() {
  supervisor::FleetSnapshot fleet = HealthyFleet(kNow);
  fleet.shards[1].flush_worker = fleet.shards[1].flush_worker_desired;
  return fleet;
}

const Goal kHealthy = {Goal::Kind::kHealthy, "pools/flush", std::nullopt};
const Goal kStopped = {Goal::Kind::kStopped, "pools/flush", std::nullopt};

TEST(JudgeTest, HealthyNeedsTheShardsInTheirPlacesToo) {
  EXPECT_EQ(Judge(kHealthy, StateOf(SettledFleet())).state, State::kReached);
  const Verdict moving = Judge(kHealthy, StateOf(HealthyFleet(kNow)));
  EXPECT_EQ(moving.state, State::kWaiting);
  EXPECT_EQ(moving.text, "flush: 2 of 2 ready, 2 running, HEALTHY, 1 shards on their way");
}

TEST(JudgeTest, ASnapshotFromBeforeTheResizeDoesNotCount) {
  Goal goal = kHealthy;
  goal.desired = 3;

  EXPECT_EQ(Judge(goal, StateOf(SettledFleet())).state, State::kWaiting);
}

TEST(JudgeTest, AWorkerTooManyIsNotHealthyYet) {
  supervisor::FleetSnapshot fleet = SettledFleet();
  fleet.pools[1].observed = 3;

  EXPECT_EQ(Judge(kHealthy, StateOf(fleet)).state, State::kWaiting);
}

TEST(JudgeTest, CrashLoopAndAStoppedPoolEndTheWaitForHealth) {
  const Verdict crash = Judge(kHealthy, StateOf(SampleFleet(kNow)));
  EXPECT_EQ(crash.state, State::kImpossible);
  EXPECT_EQ(crash.exit_code, kExitFailed);
  EXPECT_THAT(crash.text, HasSubstr("exited with 1"));

  supervisor::FleetSnapshot fleet = SettledFleet();
  fleet.pools[1].state = fleet::PoolState::kStopped;
  const Verdict stopped = Judge(kHealthy, StateOf(fleet));
  EXPECT_EQ(stopped.state, State::kImpossible);
  EXPECT_EQ(stopped.exit_code, kExitRefused);
}

TEST(JudgeTest, StoppedNeedsTheProcessesGone) {
  supervisor::FleetSnapshot fleet = SettledFleet();
  fleet.pools[1].state = fleet::PoolState::kStopped;
  EXPECT_EQ(Judge(kStopped, StateOf(fleet)).state, State::kWaiting);
  fleet.pools[1].observed = 0;
  EXPECT_EQ(Judge(kStopped, StateOf(fleet)).state, State::kReached);
}

TEST(JudgeTest, DrainedMeansNoWorkerOfThePoolHoldsAShard) {
  const Goal drained = {Goal::Kind::kDrained, "pools/flush", std::nullopt};
  supervisor::FleetSnapshot fleet = SettledFleet();
  EXPECT_EQ(Judge(drained, StateOf(fleet)).state, State::kWaiting);
  fleet.workers[1].shards.clear();
  const Verdict meant = Judge(drained, StateOf(fleet));
  EXPECT_EQ(meant.state, State::kWaiting) << "the shards still name the pool's workers";
  EXPECT_EQ(meant.text, "flush: 0 workers hold shards, 2 shards are theirs, 10 parts in flight");
  for (auto& shard : fleet.shards) shard.flush_worker_desired.clear();
  fleet.shards[1].flush_worker.clear();
  EXPECT_EQ(Judge(drained, StateOf(fleet)).state, State::kWaiting) << "shard 0 is still reported";
  fleet.shards[0].flush_worker.clear();
  EXPECT_EQ(Judge(drained, StateOf(fleet)).state, State::kReached);
}

TEST(JudgeTest, NoSuchPool) {
  const Verdict verdict =
      Judge({Goal::Kind::kHealthy, "pools/none", std::nullopt}, StateOf(SettledFleet()));
  EXPECT_EQ(verdict.state, State::kImpossible);
  EXPECT_EQ(verdict.exit_code, kExitNotFound);
}

TEST(FleetStateTest, AppliesChangesAndBeginsAnewWithAFullAnswer) {
  FleetState state = StateOf(SettledFleet());
  v1::WatchFleetResponse change;
  change.set_sequence(2);
  change.add_removed("pools/flush/workers/1");
  state.Apply(change);
  EXPECT_EQ(state.workers.size(), 2u);

  v1::WatchFleetResponse anew;
  anew.set_is_full(true);
  state.Apply(anew);
  EXPECT_TRUE(state.pools.empty());
}

TEST(TextTest, DurationsAreReadAndShown) {
  EXPECT_EQ(ParseDuration("90s"), seconds(90));
  EXPECT_EQ(ParseDuration("2m"), seconds(120));
  EXPECT_EQ(ParseDuration("1.5"), milliseconds(1'500));
  EXPECT_EQ(ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(ParseDuration("0s"), seconds(0));
  for (const char* bad : {"", "s", "-1s", "5 s", "5d", "nan"})
    EXPECT_EQ(ParseDuration(bad), std::nullopt) << bad;
  google::protobuf::Duration duration;
  duration.set_seconds(200);
  EXPECT_EQ(Text(duration), "3 m 20 s");
  EXPECT_EQ(BytesText(64 << 20), "64.0 MiB");
}

TEST(TextTest, AValueNewerThanThisBuildIsItsNumber) {
  EXPECT_EQ(Text(static_cast<v1::Role>(9)), "9");
  EXPECT_EQ(Text(static_cast<v1::WorkerState>(77)), "77");
}

TEST(TextTest, WhatIsNotToldIsAQuestionMark) {
  EXPECT_EQ(Text(v1::ROLE_UNSPECIFIED), "?");
  EXPECT_EQ(Text(v1::POOL_STATE_UNSPECIFIED), "?");
  EXPECT_EQ(Text(v1::WORKER_STATE_UNSPECIFIED), "?");
  EXPECT_EQ(Text(v1::SCALE_OWNER_UNSPECIFIED), "?");
  EXPECT_EQ(Text(v1::AUDIT_OUTCOME_UNSPECIFIED), "?");
  EXPECT_EQ(Text(v1::Health()), "?");
  EXPECT_EQ(Text(v1::Gate()), "?");
}

TEST(YamlTest, KeepsTextsAsTexts) {
  EXPECT_EQ(YamlOf(R"({"a": "42", "b": 42, "c": [], "d": [{"e": true}]})"),
            "a: \"42\"\nb: 42\nc: []\nd:\n  - e: true\n");
}

TEST(JudgeTest, AShardIsRestartedWhenBothItsEpochsHaveRisen) {
  supervisor::FleetSnapshot fleet = SettledFleet();
  wire::ShardReport report;
  report.epoch = {4, 40};
  fleet.shards[0].ingest = report;
  report.epoch = {7, 70};
  fleet.shards[0].flush = report;
  Goal goal{Goal::Kind::kShardRestarted, "", std::nullopt};
  goal.shard = StateOf(fleet).shards.at("shards/0");
  EXPECT_EQ(Judge(goal, StateOf(fleet)).state, State::kWaiting);

  fleet.shards[0].ingest->epoch = {5, 41};
  const Verdict half = Judge(goal, StateOf(fleet));
  EXPECT_EQ(half.state, State::kWaiting);
  EXPECT_EQ(half.text, "shards/0: ingest epoch 4 -> 5, flush epoch 7 -> 7");
  fleet.shards[0].flush.reset();
  EXPECT_EQ(Judge(goal, StateOf(fleet)).state, State::kWaiting) << "handed over, not given yet";
  fleet.shards[0].flush = report;
  fleet.shards[0].flush->epoch = {8, 71};
  EXPECT_EQ(Judge(goal, StateOf(fleet)).state, State::kReached);

  goal.shard.set_name("shards/99");
  EXPECT_EQ(Judge(goal, StateOf(fleet)).exit_code, kExitNotFound);
}

}  // namespace
}  // namespace spillway::client
