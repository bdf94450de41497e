// `spillway` against a real server over a fake fleet: every verb, every form, every exit code.
#include "client/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "buffer/ledger.h"
#include "server/rpc/rpc_server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_fleet.h"
#include "tests/support/memory_record_store.h"
#include "tests/support/sample_fleet.h"

namespace spillway::client {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Result {
  ExitCode code = kExitFailed;
  std::string out, err;
};

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    config::Server config;
    config.api = "unix:" + directory_ + "/api.sock";
    config.gateway = "unix:" + directory_ + "/gateway.sock";
    server_address_ = config.api;
    fleet_.Publish(SampleFleet(clock_.Now()));
    fleet_.OnAudit([](std::optional<ShardId>) { return std::vector{SampleAudit(0)}; });
    fleet_.OnCaptureStacks([](const fleet::WorkerKey&) {
      return supervisor::StackReport{
          "", "epoll_wait <- main",
          "process 41\nthread 41 worker (S)\n    0x1f epoll_wait in libc.so.6\n",
          "/run/spillway/stacks/flush-0-g1-5.txt"};
    });
    fleet_.OnReadLog([](const supervisor::LogQuery&) {
      return supervisor::LogPage{{"info  worker starts", "info  Redis is connected"}, 40};
    });
    WriteHistory();
    auto server = rpc::RpcServer::Start(config, {"test", "127.0.0.1:7480"},
                                        {fleet_, fleet_, clock_, &recorder_});
    if (server.ok()) server_ = *std::move(server);
  }
  ~CommandLineTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void SetUp() override { ASSERT_NE(server_, nullptr); }

  // A resize, its refusal, and the end of a worker.
  void WriteHistory() {
    record::Change change;
    change.events.resize(3);
    for (record::Event& event : change.events) {
      event.time = clock_.Wall();
      event.actor = "ipv4:127.0.0.1:40312 spillway/0.1.0 (alice)";
      event.action = "ResizePool";
      event.target = "pools/flush";
      event.outcome = "OK";
    }
    change.events[0].before = "desired 1, min 1, max 8, RUNNING";
    change.events[0].after = "desired 3, min 1, max 8, RUNNING";
    change.events[1].after = "desired 99";
    change.events[1].outcome = "OUT_OF_RANGE";
    change.events[1].detail = "desired: 99: expected from 1 to 8";
    change.events[2].actor = "spillwayd";
    change.events[2].action = "worker killed";
    change.events[2].target = "pools/flush/workers/1";
    change.events[2].detail = "it did not end by itself";
    change.deaths.resize(2);
    for (record::Death& death : change.deaths) {
      death.time = clock_.Wall();
      death.pool = "flush";
      death.slot = 1;
      death.pid = 4711;
      death.generation = {3};
      death.kind = record::EndKind::kSignaled;
      death.value = 9;
      death.reason = "SILENT: no report for 15 s; killed by SIGKILL 61 s after its start";
      death.last_lines = {"first line", "last line"};
    }
    change.deaths[1].pool = "ingest";
    change.deaths[1].kind = record::EndKind::kExited;
    change.deaths[1].value = 0;
    change.deaths[1].is_expected = true;
    change.deaths[1].reason = "exited with 0 3.0 s after its start";
    change.deaths[1].last_lines.clear();
    EXPECT_TRUE(disk_.Commit(change).ok());
  }

  Result Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--server", server_address_});
    std::ostringstream out, err;
    Result result;
    result.code = RunCommandLine(arguments, {out, err});
    result.out = out.str();
    result.err = err.str();
    return result;
  }

  // Everything healthy and every shard in its place.
  supervisor::FleetSnapshot Settled() {
    supervisor::FleetSnapshot fleet = HealthyFleet(clock_.Now());
    fleet.shards[1].flush_worker = fleet.shards[1].flush_worker_desired;
    return fleet;
  }

  std::string directory_, server_address_;
  FakeClock clock_;
  FakeFleet fleet_;
  testing::RecordDisk disk_;
  record::Recorder recorder_{std::make_unique<testing::MemoryRecordStore>(disk_), clock_};
  std::unique_ptr<rpc::RpcServer> server_;
};

// Compares with golden/NAME. To write it anew, delete it and run the test twice.
void ExpectGolden(const std::string& name, const std::string& actual) {
  const std::filesystem::path path = std::filesystem::path(SPILLWAY_GOLDEN_DIRECTORY) / name;
  if (!std::filesystem::exists(path)) {
    std::ofstream(path) << actual;
    FAIL() << path << " was missing and has been written: look at it";
  }
  std::ifstream file(path);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(actual, expected.str()) << path;
}

struct GoldenRow {
  const char* name;
  std::vector<std::string> arguments;
};
class GoldenTest : public CommandLineTest,
                   public ::testing::WithParamInterface<std::tuple<GoldenRow, const char*>> {};

TEST_P(GoldenTest, PrintsWhatItShould) {
  const auto& [row, form] = GetParam();
  std::vector<std::string> arguments = row.arguments;
  arguments.insert(arguments.end(), {"-o", form});

  const Result result = Run(arguments);

  EXPECT_EQ(result.code, kExitDone) << result.err;
  ExpectGolden(std::string(row.name) + "." + form, result.out);
}

INSTANTIATE_TEST_SUITE_P(
    EveryVerbAndForm, GoldenTest,
    ::testing::Combine(
        ::testing::Values(
            GoldenRow{"get_pools", {"get", "pools"}},
            GoldenRow{"get_pool", {"get", "pools", "flush"}},
            GoldenRow{"get_workers", {"get", "workers"}},
            GoldenRow{"get_workers_of_pool", {"get", "workers", "flush"}},
            GoldenRow{"get_worker", {"get", "workers", "flush/1"}},
            GoldenRow{"get_shards", {"get", "shards"}},
            GoldenRow{"get_shard", {"get", "shards", "0"}}, GoldenRow{"start", {"start", "flush"}},
            GoldenRow{"stop", {"stop", "flush"}}, GoldenRow{"pause", {"pause", "flush"}},
            GoldenRow{"drain", {"drain", "flush"}}, GoldenRow{"resume", {"resume", "flush"}},
            GoldenRow{"restart", {"restart", "flush"}},
            GoldenRow{"restart_worker", {"restart", "flush/0"}},
            GoldenRow{"resize", {"resize", "flush", "2"}},
            GoldenRow{"wait", {"wait", "ingest", "--for", "healthy"}},
            GoldenRow{"audit", {"audit"}}, GoldenRow{"stacks", {"stacks", "flush/0"}},
            GoldenRow{"logs", {"logs", "flush/0", "-n", "2"}}, GoldenRow{"events", {"events"}},
            GoldenRow{"get_events", {"get", "events"}}, GoldenRow{"deaths", {"deaths"}},
            GoldenRow{"deaths_of_pool", {"get", "deaths", "flush"}},
            GoldenRow{"health", {"health", "pool/ingest"}}),
        ::testing::Values("table", "wide", "json", "yaml")),
    [](const auto& row) {
      return std::string(std::get<0>(row.param).name) + "_" + std::get<1>(row.param);
    });

TEST_F(CommandLineTest, ExplainsAShardAndAdvisesOnAPool) {
  fleet_.Publish(MeasuredFleet(clock_.Now()));
  for (const char* form : {"table", "json"}) {
    const Result explained = Run({"explain", "shard", "0", "-o", form});
    EXPECT_EQ(explained.code, kExitDone) << explained.err;
    ExpectGolden(std::string("explain_shard.") + form, explained.out);
    const Result advised = Run({"advice", "ingest", "-o", form});
    EXPECT_EQ(advised.code, kExitDone) << advised.err;
    ExpectGolden(std::string("advice.") + form, advised.out);
  }
}

TEST_F(CommandLineTest, WhatIsNotKnownIsSaidToBeSo) {
  EXPECT_THAT(Run({"explain", "shard", "1"}).out, HasSubstr("unknown: no flush worker"));
  EXPECT_EQ(Run({"explain", "shard", "99"}).code, kExitNotFound);
  EXPECT_THAT(Run({"advice", "flush"}).err, HasSubstr("FIGURES_UNKNOWN"));
  EXPECT_EQ(Run({"advice", "none"}).code, kExitNotFound);
}

TEST_F(CommandLineTest, HealthTellsWhatIsWaitedFor) {
  const Result result = Run({"health"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_EQ(
      result.out,
      "NOT_SERVING\n  redis: ok\n  kafka: not ready, waiting for a broker at 127.0.0.1:9092\n");
}

TEST_F(CommandLineTest, HealthForProgramsHasTheChecksToo) {
  const Result result = Run({"health", "-o", "json"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_THAT(result.out, HasSubstr("\"name\": \"kafka\""));
  EXPECT_THAT(result.out, HasSubstr("waiting for a broker at 127.0.0.1:9092"));
}

TEST_F(CommandLineTest, AuditNamesTheShardWhoseResidualIsNotZero) {
  std::optional<ShardId> asked;
  fleet_.OnAudit([&](std::optional<ShardId> shard) {
    asked = shard;
    supervisor::ShardAudit audit = SampleAudit(7);
    audit.reply.live_spans -= 3;
    audit.reply.missing_lists = 1;
    audit.reply = buffer::Compared(audit.reply);
    return std::vector{audit};
  });
  const Result result = Run({"audit", "--shard", "7"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_EQ(asked, ShardId{7});
  EXPECT_THAT(result.out, ContainsRegex("\n7 +EXACT .* 3 +37\n"));
  EXPECT_THAT(result.out, ContainsRegex("\ntotal +UNEVEN .* 3 +37\n"));
  EXPECT_EQ(result.err,
            "spillway: shards/7: 3 spans are missing; 1 lists of live parts are gone\n");
}

TEST_F(CommandLineTest, AuditShowsWhatCouldNotBeToldAsUnknown) {
  fleet_.OnAudit([](std::optional<ShardId>) {
    supervisor::ShardAudit moving = SampleAudit(1);
    moving.reply.is_exact = false;
    return std::vector{SampleAudit(0), moving};
  });
  const Result result = Run({"audit"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_THAT(result.out, ContainsRegex("\n1 +MOVING( +\\?){7}\n"));
  EXPECT_THAT(result.out, ContainsRegex("\ntotal( +\\?){8}\n"));
  EXPECT_THAT(result.err, HasSubstr("1 shards could not be told\n"));
}

TEST_F(CommandLineTest, StacksFailsIfTheProcessDidNotAnswer) {
  fleet_.OnCaptureStacks([](const fleet::WorkerKey&) {
    return supervisor::StackReport{"the process is stopped", "", "process 41\n", ""};
  });
  const Result result = Run({"stacks", "flush/0"});
  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_EQ(result.out, "process 41\n");
  EXPECT_EQ(result.err, "spillway: flush/0: the process is stopped\n");
}

TEST_F(CommandLineTest, LogsAreFollowedUntilTheServerHasNoMore) {
  std::atomic<int> pages = 0;
  fleet_.OnReadLog([&](const supervisor::LogQuery& query) -> absl::StatusOr<supervisor::LogPage> {
    EXPECT_EQ(query.lines, 5);
    if (++pages == 4) {
      return supervisor::Refusal(absl::StatusCode::kUnavailable, "SERVER_STOPPING", "bye");
    }
    return supervisor::LogPage{{"line " + std::to_string(pages)}, pages};
  });
  const Result result = Run({"logs", "flush/0", "-n", "5", "-f"});
  EXPECT_EQ(result.code, kExitUnreachable);
  EXPECT_EQ(result.out, "line 1\nline 2\nline 3\n");
  EXPECT_EQ(Run({"logs", "flush"}).code, kExitUsage);
}

TEST_F(CommandLineTest, VersionNamesBothEnds) {
  EXPECT_EQ(Run({"version"}).out,
            "client 0.1.0\nserver 0.1.0 at " + server_address_ +
                ", namespace test, up 0 ms\ndashboard http://127.0.0.1:7480/\n");
  EXPECT_EQ(Run({"version", "--client"}).out, "client 0.1.0\n");
  EXPECT_THAT(Run({"version", "-o", "json"}).out, HasSubstr("\"nameSpace\": \"test\""));
}

TEST_F(CommandLineTest, HelpHasExamplesAndEndsWell) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"resize", "--help"},
                                                    {"get", "--help"},
                                                    {"restart", "--help"},
                                                    {"pause", "--help"},
                                                    {"drain", "--help"},
                                                    {"wait", "--help"}}) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.code, kExitDone);
    EXPECT_THAT(result.out, HasSubstr("Example"));
  }
}

TEST_F(CommandLineTest, UsageErrorsEndWithTwo) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"get"},
                                                    {"get", "pets"},
                                                    {"resize", "flush"},
                                                    {"resize", "flush", "many"},
                                                    {"resize", "flush", "-1"},
                                                    {"restart"},
                                                    {"restart", "flush", "--max-unavailable", "0"},
                                                    {"restart", "flush/0", "--failed"},
                                                    {"wait", "flush"},
                                                    {"wait", "flush", "--for", "luck"},
                                                    {"get", "pools", "-o", "xml"},
                                                    {"stop", "flush", "--timeout", "soon"}}) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.code, kExitUsage) << ::testing::PrintToString(arguments);
    EXPECT_THAT(result.err, ::testing::Not(IsEmpty()));
  }
}

struct ErrorRow {
  const char* name;
  absl::Status status;
  ExitCode code;
};
class ErrorClassTest : public CommandLineTest, public ::testing::WithParamInterface<ErrorRow> {};

TEST_P(ErrorClassTest, HasItsExitCode) {
  fleet_.OnResize([](const supervisor::ResizeRequest&) -> FakeFleet::ChangeResult {
    return GetParam().status;
  });

  const Result result = Run({"resize", "flush", "3"});

  EXPECT_EQ(result.code, GetParam().code);
  EXPECT_THAT(result.err, HasSubstr(std::string(GetParam().status.message())));
  EXPECT_THAT(result.out, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, ErrorClassTest,
    ::testing::Values(
        ErrorRow{"Internal", absl::InternalError("a bug"), kExitFailed},
        ErrorRow{"OutOfRange",
                 supervisor::Refusal(absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE", "1 to 8"),
                 kExitUsage},
        ErrorRow{"NotFound", absl::NotFoundError("no such pool"), kExitNotFound},
        ErrorRow{"Refused",
                 supervisor::Refusal(absl::StatusCode::kFailedPrecondition, "EXTERNALLY_SCALED",
                                     "ask k8s"),
                 kExitRefused},
        ErrorRow{"Stopping",
                 supervisor::Refusal(absl::StatusCode::kUnavailable, "SERVER_STOPPING", "stopping"),
                 kExitUnreachable},
        ErrorRow{"NotPermitted", absl::PermissionDeniedError("read only"), kExitNotPermitted}),
    [](const auto& row) { return row.param.name; });

TEST_F(CommandLineTest, NamesTheReasonOfARefusal) {
  fleet_.OnStop([](const std::string&) -> FakeFleet::ChangeResult {
    return supervisor::Refusal(absl::StatusCode::kFailedPrecondition, "NOT_NOW", "not now");
  });

  EXPECT_EQ(Run({"stop", "flush"}).err, "spillway: not now (NOT_NOW)\n");
}

TEST_F(CommandLineTest, ThePastIsReadPageByPage) {
  const Result newest = Run({"events", "--limit", "2", "-o", "json"});
  EXPECT_THAT(newest.out, HasSubstr("\"nextPageToken\": \"2\""));
  EXPECT_THAT(newest.out, HasSubstr("worker killed"));
  const Result older = Run({"events", "--limit", "2", "--page", "2", "-o", "json"});
  EXPECT_THAT(older.out, HasSubstr("desired 3, min 1, max 8, RUNNING"));
  EXPECT_THAT(older.out, ::testing::Not(HasSubstr("worker killed")));
  EXPECT_EQ(Run({"events", "--page", "nonsense"}).code, kExitUsage);
  EXPECT_EQ(Run({"events", "--limit", "0"}).code, kExitUsage);
}

TEST_F(CommandLineTest, UnknownNamesAreNotFound) {
  EXPECT_EQ(Run({"get", "pools", "none"}).code, kExitNotFound);
  EXPECT_EQ(Run({"get", "workers", "none"}).code, kExitNotFound);
  EXPECT_EQ(Run({"get", "workers", "flush/9"}).code, kExitNotFound);
  EXPECT_EQ(Run({"get", "shards", "99"}).code, kExitNotFound);
  EXPECT_EQ(Run({"health", "pool/none"}).code, kExitNotFound);
  EXPECT_EQ(Run({"audit", "--shard", "all"}).code, kExitUsage);
  EXPECT_EQ(Run({"wait", "none", "--for", "healthy"}).code, kExitNotFound);
}

TEST_F(CommandLineTest, AnAbsentServerIsUnreachableForEveryVerb) {
  server_address_ = "unix:" + directory_ + "/nobody.sock";
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"get", "pools"},
                                                    {"stop", "flush"},
                                                    {"health"},
                                                    {"version"},
                                                    {"wait", "flush", "--for", "healthy"}}) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.code, kExitUnreachable) << ::testing::PrintToString(arguments);
    EXPECT_THAT(result.err, HasSubstr("no server at unix:"));
  }
}

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
  EXPECT_TRUE(seen.validate_only);
}

TEST_F(CommandLineTest, ResizeWaitsUntilTheFleetHasTheNewSize) {
  fleet_.Publish(Settled());
  std::thread change;
  fleet_.OnResize([&](const supervisor::ResizeRequest&) -> FakeFleet::ChangeResult {
    supervisor::FleetSnapshot next = Settled();
    next.pools[1].desired = 3;
    fleet_.Publish(next);  // wanted, not there yet
    change = std::thread([this, next]() mutable {
      next.pools[1].observed = next.pools[1].ready = 3;
      // The command watches once it has shown the first state.
      while (fleet_.subscriptions() == 0) std::this_thread::yield();
      fleet_.Publish(next);
    });
    return next.pools[1];
  });

  const Result result = Run({"resize", "flush", "3", "--wait", "--timeout", "20s"});
  change.join();

  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_THAT(result.err, HasSubstr("flush: 3 of 3 ready, 3 running, HEALTHY\n"));
  EXPECT_THAT(result.out, HasSubstr("flush  flush  RUNNING  3        3      HEALTHY"));
}

TEST_F(CommandLineTest, RestartPassesItsOptionsOnAndWaitsForItsOwnNumber) {
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
  EXPECT_EQ(result.err, "flush: 2 of 2 replaced\n");
  EXPECT_THAT(result.out, HasSubstr("restart DONE, 2 of 2 replaced"));
}

TEST_F(CommandLineTest, AHaltedRestartFailsWithItsReason) {
  supervisor::FleetSnapshot halted = Settled();
  halted.pools[1].restart.emplace();
  halted.pools[1].restart->number = 1;
  halted.pools[1].restart->state = fleet::PoolRestart::State::kHalted;
  halted.pools[1].restart->waiting[1] = Generation{1};
  halted.pools[1].restart->detail = "pools/flush/workers/0 is CRASH_LOOP: exited with 1";
  fleet_.OnRestart([&](const supervisor::RestartRequest&) -> FakeFleet::ChangeResult {
    fleet_.Publish(halted);
    return halted.pools[1];
  });

  const Result result = Run({"restart", "flush", "--wait"});

  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_EQ(result.err,
            "spillway: HALTED: flush: 0 of 1 replaced, pools/flush/workers/0 is CRASH_LOOP: "
            "exited with 1\n");
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

TEST_F(CommandLineTest, ADrainTellsWhatRemainsAndHowItEnded) {
  using State = fleet::PoolDrain::State;
  const auto ended = [&](State state, std::vector<fleet::Remainder> remaining) {
    supervisor::FleetSnapshot snapshot = Settled();
    fleet::PoolDrain drain;
    drain.state = state;
    drain.remaining = std::move(remaining);
    snapshot.pools[1].drain = drain;
    fleet_.Publish(snapshot);
    return Run({"drain", "flush", "--wait"});
  };
  const fleet::Remainder part{ShardId{7}, fleet::WorkerKey{"flush", 0}, 12, 0, "waits for Kafka"};
  const fleet::Remainder whole{{}, fleet::WorkerKey{"flush", 1}, 0, 0, "is CRASH_LOOP: exited"};

  const Result done = ended(State::kDone, {});
  EXPECT_EQ(done.code, kExitDone);
  EXPECT_EQ(done.err, "flush: nothing remains\n");
  const Result late = ended(State::kTimedOut, {whole, part});
  EXPECT_EQ(late.code, kExitTimedOut);
  EXPECT_EQ(
      late.err,
      "spillway: its time is up: flush: 2 remain: flush/1: is CRASH_LOOP: exited; shards/7 at "
      "flush/0: 12 parts, waits for Kafka\n");
  const Result cancelled = ended(State::kCancelled, {part});
  EXPECT_EQ(cancelled.code, kExitFailed);
  EXPECT_THAT(cancelled.err, HasSubstr("cancelled by another verb"));
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
  EXPECT_EQ(result.err, "flush: STOPPED, 0 still running\n");
  EXPECT_THAT(result.out, HasSubstr("\"state\": \"POOL_STATE_STOPPED\""));
}

TEST_F(CommandLineTest, WaitingEndsEarlyWhenItIsInVain) {
  const Result result = Run({"start", "flush", "--wait", "--timeout", "1h"});

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
