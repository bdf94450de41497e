#include "base/clock.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;

TEST(ClockTest, TheSystemClockDoesNotGoBack) {
  const Instant first = SystemClock().Now();
  EXPECT_GE(SystemClock().Now(), first);
  EXPECT_GT(SystemClock().Wall(), WallTime{});
}

TEST(ClockTest, RedisTimeBecomesEventTimeInWholeMilliseconds) {
  EXPECT_EQ(EventTimeOf(WallTime{1'234'999}), EventTime{1'234});
}

TEST(ClockTest, EventTimeMovesByMilliseconds) {
  EXPECT_EQ(EventTime{5} + milliseconds(10), EventTime{15});
  EXPECT_EQ(EventTime{5} - milliseconds(10), EventTime{-5});
}

TEST(FakeClockTest, AdvanceMovesBothTimes) {
  FakeClock clock;
  const Instant before = clock.Now();
  const WallTime wall_before = clock.Wall();
  clock.Advance(milliseconds(1500));
  EXPECT_EQ(clock.Now() - before, milliseconds(1500));
  EXPECT_EQ(clock.Wall().us - wall_before.us, 1'500'000);
}

TEST(FakeClockTest, SetWallLeavesTheMonotonicTimeAlone) {
  FakeClock clock;
  const Instant before = clock.Now();
  clock.SetWall({42});
  EXPECT_EQ(clock.Wall().us, 42);
  EXPECT_EQ(clock.Now(), before);
}

}  // namespace
}  // namespace spillway
