// Changes and what they wait for.
#include <atomic>

#include "tests/client/command_line_fixture.h"

namespace spillway::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(CommandLineTest, ResizePassesItsOptionsOn) {
  supervisor::ResizeRequest seen;
  fleet_.OnResize([&](const supervisor::ResizeRequest& request) -> FakeFleet::ChangeResult {
    seen = request;
    return HealthyFleet(clock_.Now()).pools[1];
  });

  EXPECT_EQ(Run({"resize", "pools/flush", "12", "--max", "16", "--dry-run", "--wait"}).code,
            kExitDone);

  EXPECT_EQ(seen.pool, "flush");
  EXPECT_EQ(seen.desired, 12);
  EXPECT_EQ(seen.max, 16);
  EXPECT_EQ(seen.min, std::nullopt);
  EXPECT_TRUE(seen.origin.validate_only);
}

// As the server says after `calls` calls that found it running.
std::function<FakeFleet::WaitResult(int64_t)> EndsAs(
    fleet::OperationState state, std::string detail,
    fleet::OperationKind kind = fleet::OperationKind::kResizePool, int calls = 0) {
  auto left = std::make_shared<std::atomic<int>>(calls);
  return [=](int64_t number) -> FakeFleet::WaitResult {
    supervisor::OperationView operation;
    operation.number = number;
    operation.kind = kind;
    operation.pool = "flush";
    operation.detail = "flush: on its way";
    if (left->fetch_sub(1) <= 0) {
      operation.state = state;
      operation.detail = detail;
    }
    return std::make_shared<const supervisor::OperationView>(std::move(operation));
  };
}

TEST_F(CommandLineTest, ResizeWaitsUntilTheFleetHasTheNewSize) {
  fleet_.OnWait(EndsAs(fleet::OperationState::kSucceeded, "flush: 3 of 3 ready, 3 running",
                       fleet::OperationKind::kResizePool, 2));
  fleet_.OnResize([&](const supervisor::ResizeRequest&) -> FakeFleet::ChangeResult {
    supervisor::FleetSnapshot next = Settled();
    next.pools[1].desired = next.pools[1].observed = next.pools[1].ready = 3;
    fleet_.Publish(next);
    return next.pools[1];
  });

  const Result result = Run({"resize", "flush", "3", "--wait", "--timeout", "20s"});

  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_EQ(result.err, "flush: on its way\nflush: 3 of 3 ready, 3 running\n");
  EXPECT_THAT(result.out, HasSubstr("flush  flush  RUNNING  3        3      HEALTHY"));
}

TEST_F(CommandLineTest, AWaitGoesOnOverTheServersRestart) {
  std::atomic<int> calls = 0;
  const auto ended = EndsAs(fleet::OperationState::kSucceeded, "done");
  fleet_.OnWait([&](int64_t number) -> FakeFleet::WaitResult {
    switch (calls++) {
      case 0:
        return EndsAs(fleet::OperationState::kRunning, "under way")(number);
      case 1:
        return supervisor::Refusal(absl::StatusCode::kUnavailable, "SERVER_STOPPING", "bye");
      default:
        return ended(number);
    }
  });

  const Result result = Run({"stop", "flush", "--wait", "--timeout", "20s"});

  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_EQ(calls, 3);
}

TEST_F(CommandLineTest, AWaitSaysThatANewerChangeHasTakenItsPlace) {
  fleet_.OnWait(EndsAs(fleet::OperationState::kCancelled, "superseded by operations/2"));

  const Result result = Run({"resize", "flush", "3", "--wait"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_THAT(result.err,
              HasSubstr("spillway: operations/1 CANCELLED: superseded by operations/2\n"));
}

TEST_F(CommandLineTest, AWaitWhoseTimeIsUpLeavesTheOperationAsItIs) {
  fleet_.OnWait(EndsAs(fleet::OperationState::kRunning, "flush: 1 of 3 ready"));

  const Result result = Run({"resize", "flush", "3", "--wait", "--timeout", "50ms"});

  EXPECT_EQ(result.code, kExitTimedOut);
  EXPECT_THAT(result.err, HasSubstr("spillway: timed out after 0.05 s; operations/1 goes on: "
                                    "flush: 1 of 3 ready\n"));
  EXPECT_THAT(fleet_.verbs(), IsEmpty());
}

TEST_F(CommandLineTest, ADryRunSaysWhatWouldBe) {
  fleet_.OnResize([&](const supervisor::ResizeRequest&) -> FakeFleet::ChangeResult {
    fleet::Preview preview;
    preview.starts = {{"flush", 2}};
    preview.moves = {{ShardId{7}, fleet::WorkerKey{"flush", 0}, fleet::WorkerKey{"flush", 2}}};
    preview.pause = Duration(std::chrono::seconds(1));
    preview.notes = {"flush/1 is in CRASH_LOOP and stays so"};
    supervisor::PoolView pool = Settled().pools[1];
    pool.preview = std::make_shared<const fleet::Preview>(std::move(preview));
    return pool;
  });

  const Result result = Run({"resize", "flush", "3", "--dry-run", "--wait"});

  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("would start flush/2\n"
                                    "would move 1 shards:\n"
                                    "  7: flush/0 -> flush/2\n"
                                    "  each stands still for about 1.0 s\n"
                                    "flush/1 is in CRASH_LOOP and stays so\n"));
  EXPECT_THAT(Run({"resize", "flush", "3", "--dry-run", "-o", "json"}).out,
              HasSubstr("\"expectedPause\": \"1s\""));
}

TEST_F(CommandLineTest, EveryChangeHasADryRun) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"start", "flush"},
                                                    {"stop", "flush"},
                                                    {"pause", "flush"},
                                                    {"resume", "flush"},
                                                    {"drain", "flush"},
                                                    {"restart", "flush"},
                                                    {"restart", "flush/0"},
                                                    {"operations", "cancel", "3"}}) {
    std::vector<std::string> dry = arguments;
    dry.push_back("--dry-run");
    const int before = fleet_.questions();
    EXPECT_EQ(Run(dry).code, kExitDone) << ::testing::PrintToString(dry);
    EXPECT_EQ(fleet_.questions(), before + 1) << ::testing::PrintToString(dry);
  }
}

TEST_F(CommandLineTest, OperationsAreCancelledByNumberOrName) {
  EXPECT_EQ(Run({"operations", "cancel", "3"}).code, kExitDone);
  EXPECT_EQ(Run({"operations", "cancel", "operations/4"}).code, kExitDone);
  EXPECT_EQ(Run({"operations", "cancel", "9"}).code, kExitNotFound);
  EXPECT_EQ(Run({"operations", "cancel", "all"}).code, kExitUsage);
  EXPECT_EQ(Run({"operations", "wait", "3"}).code, kExitFailed) << "it was superseded";
  EXPECT_THAT(fleet_.verbs(), ::testing::ElementsAre("cancel 3", "cancel 4", "cancel 9"));
}

TEST_F(CommandLineTest, RestartPassesItsOptionsOnAndWaits) {
  supervisor::RestartRequest seen;
  supervisor::FleetSnapshot done = Settled();
  done.pools[1].restart.emplace();
  done.pools[1].restart->number = 3;
  done.pools[1].restart->state = fleet::PoolRestart::State::kDone;
  done.pools[1].restart->replaced = 2;
  fleet_.OnRestart([&](const supervisor::RestartRequest& request) -> FakeFleet::ChangeResult {
    seen = request;
    fleet_.Publish(done);
    return done.pools[1];
  });

  const Result result =
      Run({"restart", "flush", "--failed", "--max-unavailable", "2", "--wait", "-o", "wide"});

  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_EQ(seen.pool, "flush");
  EXPECT_EQ(seen.scope, fleet::RestartScope::kFailed);
  EXPECT_EQ(seen.max_unavailable, 2);
  EXPECT_THAT(result.out, HasSubstr("restart DONE, 2 of 2 replaced"));
}

TEST_F(CommandLineTest, AChangeThatFailsSaysWhy) {
  fleet_.OnWait(EndsAs(fleet::OperationState::kFailed,
                       "HALTED: flush: 0 of 1 replaced, pools/flush/workers/0 is CRASH_LOOP: "
                       "exited with 1"));

  const Result result = Run({"restart", "flush", "--wait", "--timeout", "1h"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_THAT(result.err,
              HasSubstr("spillway: operations/1 FAILED: HALTED: flush: 0 of 1 replaced, "
                        "pools/flush/workers/0 is CRASH_LOOP: exited with 1\n"));
}

TEST_F(CommandLineTest, RestartOfAWorkerAndPausesReachTheFleet) {
  EXPECT_EQ(Run({"restart", "pools/flush/workers/0"}).code, kExitDone);
  EXPECT_EQ(Run({"restart", "flush/0", "--wait"}).code, kExitDone);
  EXPECT_EQ(Run({"pause", "flush"}).code, kExitDone);
  EXPECT_EQ(Run({"resume", "flush", "--wait"}).code, kExitDone);
  EXPECT_THAT(fleet_.verbs(), ::testing::ElementsAre("restart flush/0", "restart flush/0",
                                                     "pause flush", "resume flush"));
}

TEST_F(CommandLineTest, PauseWaitsUntilNothingIsInFlight) {
  supervisor::FleetSnapshot paused = Settled();
  paused.pools[1].state = fleet::PoolState::kPaused;
  paused.pools[1].paused = 2;
  fleet_.Publish(paused);
  EXPECT_EQ(Run({"pause", "flush", "--wait", "--timeout", "50ms"}).code, kExitTimedOut);
  for (auto& shard : paused.shards) {
    if (shard.flush) shard.flush->in_flight = 0;
  }
  fleet_.Publish(paused);

  const Result result = Run({"pause", "flush", "--wait"});

  EXPECT_EQ(result.code, kExitDone);
  EXPECT_EQ(result.err, "flush: PAUSED, 2 of 2 paused, 0 parts in flight\n");
  EXPECT_EQ(Run({"wait", "flush", "--for", "healthy"}).code, kExitRefused);
}

TEST_F(CommandLineTest, TheTimeOutOfADrainIsItsDeadline) {
  EXPECT_EQ(Run({"drain", "flush", "--timeout", "90s"}).code, kExitDone);
  EXPECT_THAT(fleet_.verbs(), ::testing::ElementsAre("drain flush 90 s"));
}

TEST_F(CommandLineTest, ADrainWhoseOwnTimeIsUpHasTimedOut) {
  supervisor::FleetSnapshot snapshot = Settled();
  snapshot.pools[1].drain.emplace();
  snapshot.pools[1].drain->state = fleet::PoolDrain::State::kTimedOut;
  fleet_.Publish(snapshot);
  fleet_.OnWait(EndsAs(fleet::OperationState::kFailed, "its time is up: flush: 1 remain",
                       fleet::OperationKind::kDrainPool));

  const Result result = Run({"drain", "flush", "--wait"});

  EXPECT_EQ(result.code, kExitTimedOut);
  EXPECT_THAT(result.err, HasSubstr("operations/1 FAILED: its time is up: flush: 1 remain\n"));
}

TEST_F(CommandLineTest, StopWaitsUntilNoProcessIsLeft) {
  supervisor::FleetSnapshot stopped = Settled();
  stopped.pools[1].state = fleet::PoolState::kStopped;
  stopped.pools[1].observed = stopped.pools[1].ready = 0;
  fleet_.OnStop([&](const std::string&) -> FakeFleet::ChangeResult {
    fleet_.Publish(stopped);
    return stopped.pools[1];
  });

  const Result result = Run({"stop", "flush", "--wait", "-o", "json"});

  EXPECT_EQ(result.code, kExitDone);
  EXPECT_THAT(result.out, HasSubstr("\"state\": \"POOL_STATE_STOPPED\""));
  EXPECT_THAT(result.out, HasSubstr("\"state\": \"OPERATION_STATE_SUCCEEDED\""));
}

TEST_F(CommandLineTest, WaitingEndsEarlyWhenItIsInVain) {
  const Result result = Run({"wait", "flush", "--for", "healthy", "--timeout", "1h"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_EQ(result.err, "spillway: flush/1: in CRASH_LOOP: exited with 1 after 0.2 s\n");
}

TEST_F(CommandLineTest, WaitingTimesOutSayingHowFarItWas) {
  fleet_.Publish(Settled());

  const Result result = Run({"wait", "flush", "--for", "stopped", "--timeout", "50ms"});

  EXPECT_EQ(result.code, kExitTimedOut);
  EXPECT_EQ(result.err,
            "flush: RUNNING, 2 still running\n"
            "spillway: timed out after 0.05 s: flush: RUNNING, 2 still running\n");
}

TEST_F(CommandLineTest, OnATerminalProgressIsOneLine) {
  fleet_.Publish(Settled());
  std::ostringstream out, err;

  RunCommandLine({"--server", server_address_, "wait", "flush", "--for", "healthy"},
                 {out, err, true});

  EXPECT_EQ(err.str(), "\rflush: 2 of 2 ready, 2 running, HEALTHY\x1b[K\n");
}

}  // namespace
}  // namespace spillway::client
