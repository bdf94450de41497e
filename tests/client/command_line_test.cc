// Every verb, every form, every exit code.
#include <algorithm>
#include <atomic>
#include <fstream>

#include "tests/client/command_line_fixture.h"

namespace spillway::client {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
            GoldenRow{"get_shard", {"get", "shards", "0"}},
            GoldenRow{"describe_pool", {"describe", "pool", "flush"}},
            GoldenRow{"describe_worker", {"describe", "worker", "flush/1"}},
            GoldenRow{"describe_shard", {"describe", "shard", "0"}},
            GoldenRow{"start", {"start", "flush"}}, GoldenRow{"stop", {"stop", "flush"}},
            GoldenRow{"pause", {"pause", "flush"}}, GoldenRow{"drain", {"drain", "flush"}},
            GoldenRow{"resume", {"resume", "flush"}}, GoldenRow{"restart", {"restart", "flush"}},
            GoldenRow{"restart_worker", {"restart", "flush/0"}},
            GoldenRow{"resize", {"resize", "flush", "2"}},
            GoldenRow{"operations", {"operations", "list"}},
            GoldenRow{"get_operation", {"get", "operations", "4"}},
            GoldenRow{"operations_wait", {"operations", "wait", "4"}},
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

TEST_F(CommandLineTest, AWordThatIsNoneOfThoseSaysWhichThereAre) {
  const Result form = Run({"get", "pools", "-o", "xml"});
  EXPECT_EQ(form.code, kExitUsage);
  EXPECT_THAT(form.err, HasSubstr("-o,--output: xml: expected one of table, wide, json, yaml\n"));
  EXPECT_THAT(Run({"wait", "flush", "--for", "ever"}).err,
              HasSubstr("--for: ever: expected one of healthy, stopped, drained\n"));
}

TEST_F(CommandLineTest, DescribesWhatDrains) {
  supervisor::FleetSnapshot fleet = Settled();
  supervisor::PoolView& flush = fleet.pools[1];
  flush.state = fleet::PoolState::kDraining;
  flush.drain.emplace();
  flush.drain->remaining = {
      {.shard = ShardId{7}, .worker = {}, .parts = 3, .messages = 0, .why = "waits for Kafka"}};
  fleet_.Publish(std::move(fleet));
  EXPECT_THAT(Run({"describe", "pool", "flush"}).out,
              HasSubstr("remaining: shards/7 (waits for Kafka)"));
}

TEST_F(CommandLineTest, DescribesOnlyWhatIsThere) {
  EXPECT_EQ(Run({"describe", "pool", "none"}).code, kExitNotFound);
  EXPECT_EQ(Run({"describe", "worker", "flush/9"}).code, kExitNotFound);
  EXPECT_EQ(Run({"describe", "shard", "99"}).code, kExitNotFound);
  const Result half = Run({"describe", "worker", "flush"});
  EXPECT_EQ(half.code, kExitUsage);
  EXPECT_THAT(half.err, HasSubstr("expected POOL/SLOT, as flush/0"));
  EXPECT_EQ(Run({"describe", "pool"}).code, kExitUsage);
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
                                                    {"operations", "--help"},
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
                                                    {"restart", "flush", "--shard", "1"},
                                                    {"restart", "--shard", "1", "--failed"},
                                                    {"restart", "--shard", "one"},
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

TEST_F(CommandLineTest, ListsAreWholeHoweverManyPagesTheyTake) {
  supervisor::FleetSnapshot fleet = Settled();
  while (fleet.shards.size() < 1'203) {
    fleet.shards.push_back(fleet.shards[0]);
    fleet.shards.back().id = ShardId{static_cast<int32_t>(fleet.shards.size()) - 1};
  }
  fleet_.Publish(fleet);
  const Result result = Run({"get", "shards"});
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1'204) << "and the header";
  EXPECT_THAT(result.out, HasSubstr("\n1202 "));
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

TEST_F(CommandLineTest, RestartOfAShardReachesTheFleet) {
  const Result result = Run({"restart", "--shard", "1"});
  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("SHARD"));
  EXPECT_EQ(Run({"restart", "--shard", "shards/1"}).code, kExitDone);
  EXPECT_THAT(fleet_.verbs(), ::testing::ElementsAre("restart shards/1", "restart shards/1"));
}

}  // namespace
}  // namespace spillway::client
