// `spillway apply` against a real server over a fake fleet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/command_line.h"
#include "server/rpc/rpc_server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_fleet.h"
#include "tests/support/sample_fleet.h"

namespace spillway::client {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Result {
  ExitCode code = kExitFailed;
  std::string out, err;
};

// HealthyFleet's pools, which are the configuration's, and "old", which is the API's.
class ApplyTest : public ::testing::Test {
 protected:
  ApplyTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    config::Server config;
    config.api = "unix:" + directory_ + "/api.sock";
    config.gateway = "unix:" + directory_ + "/gateway.sock";
    api_ = config.api;
    supervisor::FleetSnapshot fleet = HealthyFleet(clock_.Now());
    supervisor::PoolView created = fleet.pools.back();
    created.name = "old";
    created.is_created = true;
    created.observed = 1;
    fleet.pools.push_back(created);
    flush_ = *supervisor::FindPool(fleet, "flush");
    fleet_.Publish(fleet);
    auto server =
        rpc::RpcServer::Start(config, {"test", "127.0.0.1:7480"}, {fleet_, fleet_, clock_});
    if (server.ok()) server_ = *std::move(server);
  }
  ~ApplyTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void SetUp() override { ASSERT_NE(server_, nullptr); }

  Result Apply(const std::string& yaml, const std::vector<std::string>& options = {}) {
    const std::string file = directory_ + "/pools.yaml";
    std::ofstream(file) << yaml;
    std::vector<std::string> arguments = {"--server", api_, "apply", "-f", file};
    arguments.insert(arguments.end(), options.begin(), options.end());
    std::ostringstream out, err;
    Result result;
    result.code = RunCommandLine(arguments, {out, err});
    result.out = out.str();
    result.err = err.str();
    return result;
  }
  std::string Wished() const {
    return absl::StrCat("pools:\n- {name: flush, role: flush, replicas: ", flush_.desired + 1,
                        "}\n- {name: flush-2, role: flush, replicas: 2}\n");
  }

  std::string directory_, api_;
  FakeClock clock_;
  FakeFleet fleet_;
  supervisor::PoolView flush_;
  std::unique_ptr<rpc::RpcServer> server_;
};

TEST_F(ApplyTest, ADryRunShowsTheDifferenceAndChangesNothing) {
  const Result result = Apply(Wished(), {"--dry-run", "--prune"});
  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr(absl::StrCat("~ pools/flush: desired ", flush_.desired, " → ",
                                                 flush_.desired + 1, "\n")));
  EXPECT_THAT(result.out, HasSubstr("+ pools/flush-2: role flush, desired 2, min 1, max 8"));
  EXPECT_THAT(result.out, ContainsRegex("- pools/old: .*1 workers drain and end"));
  EXPECT_THAT(fleet_.verbs(),
              ElementsAre("would update flush", "would create flush-2", "would delete old"));
}

TEST_F(ApplyTest, AllIsJudgedBeforeAnyOfItIsDone) {
  EXPECT_EQ(Apply(Wished()).code, kExitDone);
  EXPECT_THAT(fleet_.verbs(), ElementsAre("would update flush", "would create flush-2",
                                          "update flush", "create flush-2"));
}

TEST_F(ApplyTest, WaitsForTheEndOfWhatItHasBegunAndForWhatIsThere) {
  const std::string ingest = "- {name: ingest, role: ingest}\n";
  Result result = Apply(Wished() + ingest, {"--wait", "--timeout", "60s"});
  EXPECT_EQ(result.code, kExitDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("  pools/ingest: unchanged\n"));
  fleet_.OnWait([](int64_t number) {
    supervisor::OperationView failed;
    failed.number = number;
    failed.kind = fleet::OperationKind::kCreatePool;
    failed.state = fleet::OperationState::kFailed;
    failed.pool = "flush-2";
    failed.detail = "flush-2/0: in CRASH_LOOP";
    return std::make_shared<const supervisor::OperationView>(std::move(failed));
  });
  result = Apply(Wished(), {"--wait", "--timeout", "60s"});
  EXPECT_EQ(result.code, kExitFailed);
  EXPECT_THAT(result.err, HasSubstr("FAILED: flush-2/0: in CRASH_LOOP"));
}

TEST_F(ApplyTest, WhatIsSoAlreadyIsLeftAlone) {
  const Result result = Apply("pools:\n- {name: flush, role: flush}\n");
  EXPECT_EQ(result.out, "  pools/flush: unchanged\n");
  EXPECT_THAT(fleet_.verbs(), IsEmpty());
}

TEST_F(ApplyTest, OnlyPoolsOfTheApiArePruned) {
  EXPECT_EQ(Apply("pools:\n- {name: flush, role: flush}\n", {"--prune"}).code, kExitDone);
  EXPECT_THAT(fleet_.verbs(), ElementsAre("would delete old", "delete old"));
}

TEST_F(ApplyTest, ABadFileIsAUsageErrorWithItsLines) {
  const Result result = Apply("pools:\n- name: flush\n  role: flsuh\n");
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_THAT(result.err,
              ContainsRegex("pools.yaml:3: pools.flush.role: flsuh: expected .*ingest"));
  EXPECT_THAT(fleet_.verbs(), IsEmpty());
}

TEST_F(ApplyTest, ARoleCannotBeChanged) {
  const Result result = Apply("pools:\n- {name: flush, role: ingest}\n");
  EXPECT_EQ(result.code, kExitRefused);
  EXPECT_THAT(result.err, HasSubstr("has role flush, which cannot be changed"));
}

}  // namespace
}  // namespace spillway::client
