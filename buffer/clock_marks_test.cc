#include "buffer/clock_marks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace spillway::buffer {
namespace {

constexpr int64_t kSecond = 1'000'000;

TEST(ClockMarksTest, SayWhenADeadlinePassed) {
  ClockMarks marks;
  marks.Add({.clock = {100}, .passed_at = {1 * kSecond}}, EventTime{50});
  marks.Add({.clock = {200}, .passed_at = {2 * kSecond}}, EventTime{50});
  EXPECT_EQ(marks.PassedAt({100}, {9 * kSecond}), WallTime{1 * kSecond});
  EXPECT_EQ(marks.PassedAt({101}, {9 * kSecond}), WallTime{2 * kSecond});
  EXPECT_EQ(marks.PassedAt({300}, {9 * kSecond}), WallTime{9 * kSecond});
  EXPECT_EQ(marks.Lateness(EventTime{150}, {200}, {9 * kSecond}), std::chrono::seconds(7));
  EXPECT_EQ(marks.Lateness(EventTime{250}, {200}, {9 * kSecond}), std::chrono::seconds(0));
  EXPECT_EQ(marks.Lateness(std::nullopt, {200}, {9 * kSecond}), std::chrono::seconds(0));
}

TEST(ClockMarksTest, TakesWhatNoScriptHasWritten) {
  const std::string infinite("\0\0\0\0\0\0\xf0\x7f", 8), no_number("\0\0\0\0\0\0\xf8\x7f", 8);
  const ClockMarks marks = ClockMarks::FromBytes(no_number + no_number + infinite + infinite);
  EXPECT_EQ(marks.PassedAt({0}, {5}), WallTime{0});
  EXPECT_EQ(marks.PassedAt({1}, {5}), WallTime{int64_t{1} << 53});
  EXPECT_EQ(marks.Lateness(EventTime{0}, {0}, {INT64_MIN}), std::chrono::milliseconds(0));
  EXPECT_EQ(marks.Lateness(EventTime{0}, {0}, {INT64_MAX}).count(), INT64_MAX / 1000);
}

TEST(ClockMarksTest, KeepOnlyTheLastWhenNothingIsOutstanding) {
  ClockMarks marks;
  for (int i = 1; i <= 10; ++i) marks.Add({.clock = {i}, .passed_at = {i * kSecond}}, {});
  ASSERT_EQ(marks.marks().size(), 1u);
  EXPECT_EQ(marks.marks()[0].clock, EventTime{10});
}

TEST(ClockMarksTest, ForgetWhatLiesBelowTheLowestDeadline) {
  ClockMarks marks;
  for (int i = 1; i <= 10; ++i) marks.Add({.clock = {i}, .passed_at = {i * kSecond}}, EventTime{7});
  ASSERT_EQ(marks.marks().size(), 4u);
  EXPECT_EQ(marks.marks()[0].clock, EventTime{7});
}

TEST(ClockMarksTest, StayFewAndCloseToTheTruth) {
  ClockMarks marks;
  const int64_t calls = 72'000;  // one hour, 20 a second, nothing flushed
  for (int64_t i = 1; i <= calls; ++i) {
    marks.Add({.clock = {i}, .passed_at = {i * kSecond / 20}}, EventTime{1});
    ASSERT_LE(marks.marks().size(), ClockMarks::kMaxMarks);
  }
  const WallTime now{calls * kSecond / 20};
  for (int64_t deadline = 1; deadline <= calls; deadline += 37) {
    const int64_t truth_us = now.us - deadline * kSecond / 20;
    const int64_t said_us = now.us - marks.PassedAt({deadline}, now).us;
    EXPECT_LE(said_us, truth_us) << "never overstated";
    EXPECT_GE(said_us, truth_us * 3 / 4 - kSecond) << deadline;
  }
}

TEST(ClockMarksTest, IgnoreATornTail) {
  EXPECT_TRUE(ClockMarks::FromBytes("short").marks().empty());
  const std::string zeros(40, '\0');
  EXPECT_EQ(ClockMarks::FromBytes(zeros).marks().size(), 2u);
}

}  // namespace
}  // namespace spillway::buffer
