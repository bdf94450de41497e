#include "base/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
  }
  UniqueFd reader;
  UniqueFd writer;
};

TEST(LoopTest, AStopBeforeRunMakesItReturnAtOnce) {
  Loop loop;
  loop.Stop();
  loop.Run();
}

TEST(LoopTest, CanRunAgainAfterAStop) {
  Loop loop;
  loop.Stop();
  loop.Run();
  bool ran = false;
  loop.Post([&] {
    ran = true;
    loop.Stop();
  });
  loop.Run();
  EXPECT_TRUE(ran);
}

TEST(LoopTest, TasksRunInTheOrderOfPosting) {
  Loop loop;
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.Stop();
  loop.Run();
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST(LoopTest, TasksOfEachThreadKeepTheirOrder) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 500;
  Loop loop;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::jthread> threads;
  int running = kThreads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) loop.Post([&seen, t, i] { seen[t].push_back(i); });
      loop.Post([&] {
        if (--running == 0) loop.Stop();
      });
    });
  }
  loop.Run();
  for (const std::vector<int>& of_thread : seen) {
    EXPECT_EQ(of_thread.size(), kTasks);
    EXPECT_TRUE(std::is_sorted(of_thread.begin(), of_thread.end()));
  }
}

TEST(LoopTest, ATaskMayPostAnother) {
  Loop loop;
  loop.Post([&] { loop.Post([&] { loop.Stop(); }); });
  loop.Run();
}

TEST(LoopTest, StopFromAnotherThreadEndsRun) {
  Loop loop;
  const std::jthread stopper([&] { loop.Stop(); });
  loop.Run();
}

TEST(LoopTest, TasksNeverRunAreDestroyedWithTheLoop) {
  auto held = std::make_shared<int>(0);
  {
    Loop loop;
    loop.Post([held] { ADD_FAILURE() << "the loop never ran"; });
    auto timer = std::make_unique<Timer>(loop, [] {});
    loop.Post([timer = std::move(timer)] {});
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(OffloadTest, WorkRunsElsewhereAndDoneOnTheLoop) {
  Loop loop;
  const std::thread::id loop_thread = std::this_thread::get_id();
  std::thread::id work_thread;
  std::thread::id done_thread;
  loop.Offload([&] { work_thread = std::this_thread::get_id(); },
               [&] {
                 done_thread = std::this_thread::get_id();
                 loop.Stop();
               });
  loop.Run();
  EXPECT_NE(work_thread, loop_thread);
  EXPECT_EQ(done_thread, loop_thread);
}

TEST(OffloadTest, DestroyingTheLoopWaitsForWorkAndDropsDone) {
  std::atomic<bool> worked = false;
  bool done = false;
  {
    Loop loop;
    loop.Offload([&] { worked = true; }, [&] { done = true; });
  }
  EXPECT_TRUE(worked);
  EXPECT_FALSE(done);
}

TEST(TimerTest, ExpiresOnceAndNotEarly) {
  Loop loop;
  int expiries = 0;
  Instant expired_at;
  Timer timer(loop, [&] {
    ++expiries;
    expired_at = SystemClock().Now();
  });
  Timer end(loop, [&] { loop.Stop(); });
  const Instant started = SystemClock().Now();
  timer.Start(milliseconds(5));
  end.Start(milliseconds(30));
  EXPECT_TRUE(timer.is_running());
  loop.Run();
  EXPECT_EQ(expiries, 1);
  EXPECT_GE(expired_at - started, milliseconds(5));
  EXPECT_FALSE(timer.is_running());
}

TEST(TimerTest, AStoppedTimerDoesNotExpire) {
  Loop loop;
  Timer timer(loop, [] { ADD_FAILURE() << "was stopped"; });
  Timer end(loop, [&] { loop.Stop(); });
  timer.Start(milliseconds(1));
  timer.Stop();
  EXPECT_FALSE(timer.is_running());
  end.Start(milliseconds(10));
  loop.Run();
}

TEST(TimerTest, AnotherStartReplacesTheFirst) {
  Loop loop;
  Timer timer(loop, [&] { loop.Stop(); });
  timer.Start(std::chrono::hours(1));
  timer.Start(milliseconds(1));
  loop.Run();
}

TEST(TimerTest, MayBeStartedAgainByItsCallback) {
  Loop loop;
  int expiries = 0;
  std::optional<Timer> timer;
  timer.emplace(loop, [&] {
    if (++expiries == 3) return loop.Stop();
    timer->Start(Duration::zero());
  });
  timer->Start(Duration::zero());
  loop.Run();
  EXPECT_EQ(expiries, 3);
}

TEST(TimerTest, MayBeDestroyedByItsCallback) {
  Loop loop;
  auto held = std::make_shared<int>(7);
  std::optional<Timer> timer;
  timer.emplace(loop, [&timer, &loop, held] {
    timer.reset();
    EXPECT_EQ(*held, 7) << "what the callback holds lives until it has returned";
    loop.Stop();
  });
  timer->Start(Duration::zero());
  loop.Run();
  EXPECT_FALSE(timer.has_value());
}

TEST(ReadWatchTest, CallsBackWhileReadable) {
  Loop loop;
  const Pipe pipe;
  std::string read;
  const ReadWatch watch(loop, pipe.reader.get(), [&] {
    char byte = 0;
    ASSERT_EQ(::read(pipe.reader.get(), &byte, 1), 1);
    read.push_back(byte);
    if (read.size() == 2) loop.Stop();
  });
  ASSERT_EQ(::write(pipe.writer.get(), "ab", 2), 2);
  loop.Run();
  EXPECT_EQ(read, "ab");
}

TEST(ReadWatchTest, CallsBackAtTheEndOfThePipe) {
  Loop loop;
  Pipe pipe;
  std::optional<ReadWatch> watch;
  watch.emplace(loop, pipe.reader.get(), [&] {
    char byte = 0;
    EXPECT_EQ(::read(pipe.reader.get(), &byte, 1), 0);
    watch.reset();
    loop.Stop();
  });
  pipe.writer.Reset();
  loop.Run();
  EXPECT_FALSE(watch.has_value());
}

}  // namespace
}  // namespace spillway
