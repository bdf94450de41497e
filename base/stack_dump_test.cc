#include "base/stack_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

namespace spillway {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class StackDumpTest : public ::testing::Test {
 protected:
  StackDumpTest() {
    std::string name = ::testing::TempDir() + "spillway-stacks-XXXXXX";
    directory_ = mkdtemp(name.data());
    path_ = StackDumpPath(directory_, "flush", 3);
    EXPECT_TRUE(InstallStackDump(path_).ok());
  }
  ~StackDumpTest() override { std::filesystem::remove_all(directory_); }

  // Asks this process and waits for the whole answer.
  std::string Ask(int request) {
    EXPECT_EQ(truncate(path_.c_str(), 0), 0);
    sigval value{};
    value.sival_int = request;
    EXPECT_EQ(sigqueue(getpid(), StackDumpSignal(), value), 0);
    const Instant deadline = SystemClock().Now() + std::chrono::seconds(20);
    std::string text;
    while (text.find(kStackDumpEnd) == std::string::npos && SystemClock().Now() < deadline) {
      poll(nullptr, 0, 1);
      std::ifstream file(path_);
      text.assign(std::istreambuf_iterator<char>(file), {});
    }
    return text;
  }

  std::string directory_, path_;
};

TEST_F(StackDumpTest, EveryThreadTellsWhereItIs) {
  std::promise<void> end;
  std::promise<pid_t> id;
  std::thread other([&] {
    id.set_value(gettid());
    end.get_future().wait();
  });
  const std::string other_id = std::to_string(id.get_future().get());
  const std::string text = Ask(7);
  end.set_value();
  other.join();
  EXPECT_THAT(text, StartsWith("spillway-stacks 1 request 7 pid " + std::to_string(getpid())));
  EXPECT_THAT(text, HasSubstr("thread " + std::to_string(getpid()) + " "));
  const size_t place = text.find("thread " + other_id + " ");
  ASSERT_NE(place, std::string::npos) << text;
  EXPECT_THAT(text.substr(text.find('\n', place), 4), StartsWith("\n 0x")) << text;
  EXPECT_THAT(text, HasSubstr("\nmaps\n"));
  EXPECT_THAT(text, EndsWith(kStackDumpEnd));
}

TEST_F(StackDumpTest, AThreadThatBlocksTheSignalIsNotWaitedFor) {
  std::promise<void> end;
  std::promise<pid_t> id;
  std::thread other([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    id.set_value(gettid());
    end.get_future().wait();
  });
  id.get_future().wait();
  const Instant start = SystemClock().Now();
  const std::string text = Ask(8);
  EXPECT_LT(SystemClock().Now() - start, kStackAnswerTimeout);
  end.set_value();
  other.join();
  EXPECT_THAT(text, HasSubstr(" ! blocks the signal\n"));
}

TEST_F(StackDumpTest, ManyThreadsAndManyQuestions) {
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  std::vector<std::thread> threads;
  for (int i = 0; i < 200; ++i) threads.emplace_back([ended] { ended.wait(); });
  for (int request = 1; request <= 10; ++request) {
    const std::string text = Ask(request);
    EXPECT_THAT(text, HasSubstr("request " + std::to_string(request) + " "));
    EXPECT_THAT(text, EndsWith(kStackDumpEnd));
    EXPECT_THAT(text, Not(HasSubstr("no answer")));
  }
  end.set_value();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace spillway
