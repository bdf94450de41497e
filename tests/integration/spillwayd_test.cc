// The program spillwayd with stand-ins for its workers: start, take over, end. Redis and Kafka are
// not there: it starts all the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/spillwayd_place.h"
#include "tests/support/processes.h"

namespace spillway {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

class SpillwaydTest : public testing::SpillwaydPlace {
 protected:
  ChildProcess Start(std::vector<std::string> more = {},
                     std::map<std::string, std::string> environment = {}) {
    std::vector<std::string> arguments = {bin_ + "/spillwayd",
                                          "--server.run_dir=" + run_dir_,
                                          "--server.api=127.0.0.1:0",
                                          "--server.http=127.0.0.1:0",
                                          "--kafka.brokers=127.0.0.1:1",
                                          "--pools.flush.replicas=2",
                                          "--server.state=" + directory_.path() + "/state.db"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto started = ChildProcess::Start({arguments, output_, std::move(environment), false});
    EXPECT_TRUE(started.ok()) << started.status();
    return *std::move(started);
  }
};

TEST_F(SpillwaydTest, StartsWithoutRedisAndKafkaAndEndsWithAllItsWorkers) {
  ChildProcess server = Start();
  ASSERT_TRUE(Until([&] { return Workers().size() == 3; })) << Output();
  EXPECT_THAT(Output(), HasSubstr("drain_budget_s="));
  ASSERT_TRUE(Until([&] { return Output().find("check=redis") != std::string::npos; }));
  server.Signal(SIGINT);
  const auto code = server.WaitForExit(seconds(30));
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, 0) << Output();
  EXPECT_TRUE(Workers().empty());
}

TEST_F(SpillwaydTest, AKilledServersWorkersRunOnAndAreAdopted) {
  ChildProcess first = Start();
  ASSERT_TRUE(Until([&] { return Workers().size() == 3; })) << Output();
  const std::vector<int64_t> before = Workers();
  first.Signal(SIGKILL);
  ASSERT_TRUE(first.WaitForExit(seconds(30)).ok());
  EXPECT_EQ(Workers(), before);
  ChildProcess second = Start();
  for (const int64_t pid : before) {
    const std::string adopted = "pid " + std::to_string(pid);
    EXPECT_TRUE(Until([&] { return Output().find(adopted) != std::string::npos; })) << Output();
  }
  EXPECT_EQ(Workers(), before);
  second.Signal(SIGINT);
  EXPECT_TRUE(second.WaitForExit(seconds(30)).ok());
  EXPECT_TRUE(Workers().empty());
}

// P12: it has started a process and dies before it knows so.
TEST_F(SpillwaydTest, AServerKilledRightAfterAStartLeaksNoWorker) {
#ifndef SPILLWAY_FAILPOINTS
  GTEST_SKIP() << "this build has no failpoints";
#endif
  std::ofstream(directory_.path() + "/server.worker.spawned") << 2;
  ChildProcess first = Start({}, {{"SPILLWAY_FAILPOINT_DIR", directory_.path()}});
  ASSERT_TRUE(first.WaitForExit(seconds(30)).ok());
  ASSERT_TRUE(Until([&] { return Workers().size() == 2; })) << Output();
  const std::vector<int64_t> before = Workers();
  ChildProcess second = Start();
  ASSERT_TRUE(Until([&] { return Workers().size() == 3; })) << Output();
  EXPECT_THAT(Workers(), ::testing::IsSupersetOf(before));
  second.Signal(SIGINT);
  EXPECT_TRUE(second.WaitForExit(seconds(30)).ok());
  EXPECT_TRUE(Workers().empty());
}

TEST_F(SpillwaydTest, LeavesItsWorkersIfToldTo) {
  ChildProcess server = Start({"--server.on_shutdown=leave"});
  ASSERT_TRUE(Until([&] { return Workers().size() == 3; })) << Output();
  server.Signal(SIGTERM);
  const auto code = server.WaitForExit(seconds(30));
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, 0);
  EXPECT_EQ(Workers().size(), 3u);
}

TEST_F(SpillwaydTest, ASecondServerInTheSamePlaceIsRefused) {
  ChildProcess first = Start();
  ASSERT_TRUE(Until([&] { return Workers().size() == 3; })) << Output();
  ChildProcess second = Start();
  const auto code = second.WaitForExit(seconds(30));
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, 1);
  EXPECT_THAT(Output(),
              HasSubstr("another spillwayd runs there, process " + std::to_string(first.pid())));
  first.Signal(SIGINT);
  EXPECT_TRUE(first.WaitForExit(seconds(30)).ok());
}

TEST_F(SpillwaydTest, NamesEveryProblemOfItsConfigurationAndEndsWith78) {
  ChildProcess server = Start({"--flush.lease=20s", "--gate.lateness.slow=40s"});
  const auto code = server.WaitForExit(seconds(30));
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, 78);
  EXPECT_THAT(Output(), HasSubstr("flush.lease: 20s: expected more than"));
  EXPECT_THAT(Output(), HasSubstr("gate.lateness.slow: 40s: expected less than"));
}

TEST_F(SpillwaydTest, CheckPrintsTheEffectiveConfiguration) {
  const auto result =
      RunCommand({bin_ + "/spillwayd", "--check", "--flusher-processes", "5"}, seconds(30));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_THAT(result->output, HasSubstr("replicas: 5"));
}

}  // namespace
}  // namespace spillway
