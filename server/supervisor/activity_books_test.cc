#include "server/supervisor/activity_books.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace spillway::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::Activity;

constexpr ShardId kShard{3};
const fleet::WorkerKey kWorker{"flush", 0};

class ActivityBooksTest : public testing::Test {
 protected:
  void Report(Duration idle, Duration encode, uint64_t generation = 1) {
    wire::WorkerReport report;
    report.cpu_time = std::chrono::duration_cast<std::chrono::microseconds>(2 * encode);
    wire::ShardReport& shard = report.shards.emplace_back();
    shard.shard = kShard;
    shard.times[static_cast<size_t>(Activity::kIdle)] = idle;
    shard.times[static_cast<size_t>(Activity::kEncode)] = encode;
    books_.Observe(kWorker, Generation{generation}, report, clock_.Now());
  }
  // One report a second, of which `busy` is the worker's work.
  void ReportFor(int count, Duration busy) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(seconds(1));
      idle_ += seconds(1) - busy;
      encode_ += busy;
      Report(idle_, encode_);
    }
  }
  Duration Of(Activity activity) const {
    return books_.OfShard(kWorker, kShard)->times[static_cast<size_t>(activity)];
  }

  FakeClock clock_;
  ActivityBooks books_;
  Duration idle_{0}, encode_{0};
};

TEST_F(ActivityBooksTest, KnowsNothingBeforeAReport) {
  EXPECT_FALSE(books_.OfShard(kWorker, kShard));
  EXPECT_FALSE(books_.OfWorker(kWorker));
}

TEST_F(ActivityBooksTest, TheTimesOfTheWindowAddUpToItsLength) {
  ReportFor(30, milliseconds(250));
  const auto window = books_.OfShard(kWorker, kShard);
  ASSERT_TRUE(window);
  EXPECT_EQ(window->end, clock_.Now());
  EXPECT_EQ(window->length, seconds(29));
  EXPECT_EQ(Of(Activity::kIdle) + Of(Activity::kEncode), window->length);
  ASSERT_TRUE(books_.OfWorker(kWorker));
  EXPECT_NEAR(books_.OfWorker(kWorker)->busy, 0.25, 0.001);
  EXPECT_NEAR(books_.OfWorker(kWorker)->cpu_cores, 0.5, 0.001);
}

TEST_F(ActivityBooksTest, WhatIsOlderThanTheWindowDoesNotCount) {
  ReportFor(300, milliseconds(900));
  ReportFor(70, milliseconds(0));
  const auto window = books_.OfShard(kWorker, kShard);
  ASSERT_TRUE(window);
  EXPECT_LE(window->length, kActivityWindow);
  EXPECT_GE(window->length, kActivityWindow - 2 * kActivitySpacing);
  EXPECT_EQ(Of(Activity::kEncode), Duration::zero());
}

TEST_F(ActivityBooksTest, AShardTakenAgainBeginsAnew) {
  ReportFor(30, milliseconds(250));
  clock_.Advance(seconds(1));
  Report(milliseconds(600), milliseconds(100));
  EXPECT_EQ(books_.OfShard(kWorker, kShard)->length, milliseconds(700));
}

TEST_F(ActivityBooksTest, AnotherProcessBeginsAnew) {
  ReportFor(30, milliseconds(250));
  clock_.Advance(seconds(1));
  Report(seconds(20), seconds(10), 2);
  EXPECT_EQ(books_.OfShard(kWorker, kShard)->length, seconds(30));
  EXPECT_FALSE(books_.OfWorker(kWorker)) << "one report tells no rate";
}

TEST_F(ActivityBooksTest, AServerThatHasJustComeWaitsForASecondReport) {
  Report(std::chrono::hours(3), seconds(1));
  EXPECT_FALSE(books_.OfShard(kWorker, kShard)) << "that window would be hours long";
  clock_.Advance(seconds(1));
  Report(std::chrono::hours(3) + seconds(1), seconds(1));
  EXPECT_EQ(books_.OfShard(kWorker, kShard)->length, seconds(1));
}

TEST_F(ActivityBooksTest, ForgetsWhoIsGone) {
  ReportFor(3, milliseconds(250));
  clock_.Advance(kActivityWindow + seconds(1));
  books_.Prune(clock_.Now());
  EXPECT_FALSE(books_.OfShard(kWorker, kShard));
}

}  // namespace
}  // namespace spillway::supervisor
