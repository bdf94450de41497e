#include "tests/support/processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

absl::StatusOr<ChildProcess> Shell(const std::string& script, bool pipe_stdout = false) {
  ChildProcess::Options options;
  options.arguments = {"sh", "-c", script};
  options.pipe_stdout = pipe_stdout;
  return ChildProcess::Start(options);
}

bool GroupExists(pid_t pid) { return ::kill(-pid, 0) == 0; }

TEST(TemporaryDirectoryTest, IsRemovedWithWhatItHolds) {
  std::string path;
  {
    const TemporaryDirectory directory;
    path = directory.path();
    std::ofstream(path + "/file") << "text";
    EXPECT_TRUE(std::filesystem::exists(path + "/file"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ChildProcessTest, TellsItsExitCode) {
  auto process = Shell("exit 3");
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(*process->WaitForExit(seconds(30)), 3);
  EXPECT_FALSE(process->IsRunning());
}

TEST(ChildProcessTest, TellsTheSignalThatEndedIt) {
  auto process = Shell("kill -TERM $$");
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(*process->WaitForExit(seconds(30)), 128 + SIGTERM);
}

TEST(ChildProcessTest, WaitingHasADeadline) {
  auto process = Shell("exec tail -f /dev/null");
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(process->WaitForExit(milliseconds(1)).status()));
  EXPECT_TRUE(process->IsRunning());
}

TEST(ChildProcessTest, IsKilledWithItsChildrenWhenDestroyed) {
  pid_t pid = 0;
  {
    auto process = Shell("tail -f /dev/null & echo started; wait", true);
    ASSERT_TRUE(process.ok());
    ASSERT_EQ(*process->ReadLine(seconds(30)), "started");
    pid = process->pid();
    EXPECT_TRUE(GroupExists(pid));
  }
  // The shell has been reaped; its child ends, and is reaped by init in its own time.
  const std::string still_there = "ps -o stat= -g " + std::to_string(pid) + " | grep -qv Z";
  const auto gone = RunCommand({"sh", "-c", "while " + still_there + "; do :; done"}, seconds(30));
  EXPECT_TRUE(gone.ok()) << gone.status();
}

TEST(ChildProcessTest, ReadsLinesUntilTheEnd) {
  auto process = Shell("echo one; echo; printf two", true);
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(*process->ReadLine(seconds(30)), "one");
  EXPECT_EQ(*process->ReadLine(seconds(30)), "");
  EXPECT_TRUE(absl::IsOutOfRange(process->ReadLine(seconds(30)).status()));
}

TEST(ChildProcessTest, SaysWhatCannotBeStarted) {
  ChildProcess::Options options;
  options.arguments = {"/nowhere/at-all"};
  EXPECT_THAT(ChildProcess::Start(options).status().ToString(), HasSubstr("/nowhere/at-all"));
}

TEST(ChildProcessTest, GetsItsEnvironmentAndOutputFile) {
  const TemporaryDirectory directory;
  ChildProcess::Options options;
  options.arguments = {"sh", "-c", "echo $SPILLWAY_TEST; echo trouble >&2"};
  options.environment = {{"SPILLWAY_TEST", "value"}};
  options.output_path = directory.path() + "/output";
  auto process = ChildProcess::Start(options);
  ASSERT_TRUE(process.ok());
  ASSERT_EQ(*process->WaitForExit(seconds(30)), 0);
  std::ifstream file(options.output_path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(text, "value\ntrouble\n");
}

std::string RedisCommand(const RedisServer& redis, std::vector<std::string> words) {
  words.insert(words.begin(), {"redis-cli", "-p", std::to_string(redis.port())});
  const auto result = RunCommand(std::move(words), seconds(30));
  return result.ok() ? result->output : result.status().ToString();
}

TEST(RedisServerTest, AnswersOnceStartedAndForgetsWhenKilled) {
  auto redis = RedisServer::Start({"--maxmemory-policy", "noeviction"});
  ASSERT_TRUE(redis.ok()) << redis.status();
  EXPECT_EQ(RedisCommand(*redis, {"set", "key", "value"}), "OK\n");
  redis->Kill();
  ASSERT_TRUE(redis->StartAgain().ok());
  EXPECT_EQ(RedisCommand(*redis, {"exists", "key"}), "0\n");
}

TEST(KafkaBrokerTest, CreatesTopicsOnce) {
  auto kafka = KafkaBroker::Start();
  if (absl::IsFailedPrecondition(kafka.status())) GTEST_SKIP() << kafka.status().message();
  ASSERT_TRUE(kafka.ok()) << kafka.status();
  const NewTopic topic = {"spans", 4, {{"max.message.bytes", "2000000"}}};
  EXPECT_TRUE(CreateTopics(kafka->brokers(), {topic, {"segments"}}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(CreateTopics(kafka->brokers(), {topic})));
}

}  // namespace
}  // namespace spillway
