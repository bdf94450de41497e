#include "worker/ingest/gate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace spillway::ingest {
namespace {

using std::chrono::milliseconds;
using wire::Cause;
using wire::GateState;

constexpr Instant kStart = Instant(std::chrono::hours(1));

config::Gate Marks() {
  config::Gate marks;
  marks.lateness = {milliseconds(5'000), milliseconds(30'000)};
  marks.backlog = {100, 200};
  marks.redis_memory = {0.75, 0.9};
  return marks;
}
GateInputs Owned() {
  GateInputs inputs;
  inputs.is_owned = true;
  return inputs;
}

struct Step {
  GateInputs inputs;
  GateState state;
  Cause cause;
};
struct Row {
  std::string name;
  std::vector<Step> steps;
};

GateInputs Late(int ms) {
  GateInputs inputs = Owned();
  inputs.lateness = milliseconds(ms);
  return inputs;
}
GateInputs Backlog(uint64_t parts) {
  GateInputs inputs = Owned();
  inputs.backlog = parts;
  return inputs;
}
GateInputs Memory(double ratio, bool refused = false, bool has_outstanding = true) {
  GateInputs inputs = Owned();
  inputs.memory_ratio = ratio;
  inputs.is_memory_refused = refused;
  inputs.has_outstanding = has_outstanding;
  return inputs;
}
GateInputs Index(uint64_t bytes) {
  GateInputs inputs = Owned();
  inputs.index_bytes = bytes;
  inputs.max_index_bytes = 1000;
  return inputs;
}
GateInputs With(bool GateInputs::*flag) {
  GateInputs inputs = Owned();
  inputs.*flag = true;
  inputs.lateness = milliseconds(60'000);  // loses against a cause from outside
  return inputs;
}

GateInputs Taking(Cause meets) {
  GateInputs inputs;
  inputs.take_cause = meets;
  return inputs;
}

class GateTableTest : public ::testing::TestWithParam<Row> {};

TEST_P(GateTableTest, FollowsItsMarks) {
  Gate gate(Marks(), kStart, WallTime{1});
  EXPECT_TRUE(gate.is_closed());
  EXPECT_EQ(gate.cause(), Cause::kOwnership);
  int number = 0;
  for (const Step& step : GetParam().steps) {
    gate.Update(step.inputs, kStart, WallTime{2});
    EXPECT_EQ(gate.state(), step.state) << "step " << number;
    EXPECT_EQ(gate.cause(), step.cause) << "step " << number;
    ++number;
  }
}

constexpr auto kOpen = GateState::kOpen;
constexpr auto kSlow = GateState::kSlow;
constexpr auto kClosed = GateState::kClosed;

INSTANTIATE_TEST_SUITE_P(
    Causes, GateTableTest,
    ::testing::Values(
        Row{"Ownership",
            {{GateInputs{}, kClosed, Cause::kOwnership}, {Owned(), kOpen, Cause::kNone}}},
        Row{"TakeMeets",
            {{Taking(Cause::kRedisMoving), kClosed, Cause::kRedisMoving},
             {Taking(Cause::kNone), kClosed, Cause::kOwnership}}},
        Row{"LatenessUpAndDown",
            {{Late(4'999), kOpen, Cause::kNone},
             {Late(5'000), kSlow, Cause::kLateness},
             {Late(29'999), kSlow, Cause::kLateness},
             {Late(30'000), kClosed, Cause::kLateness},
             {Late(29'999), kClosed, Cause::kLateness},
             {Late(5'000), kClosed, Cause::kLateness},
             {Late(4'999), kOpen, Cause::kNone}}},
        Row{"BacklogUpAndDown",
            {{Backlog(100), kSlow, Cause::kBacklog},
             {Backlog(200), kClosed, Cause::kBacklog},
             {Backlog(100), kClosed, Cause::kBacklog},
             {Backlog(99), kOpen, Cause::kNone}}},
        Row{"MemoryUpAndDown",
            {{Memory(0.75), kSlow, Cause::kRedisMemory},
             {Memory(0.95), kClosed, Cause::kRedisMemory},
             {Memory(0.8), kClosed, Cause::kRedisMemory},
             {Memory(0.7), kOpen, Cause::kNone}}},
        Row{"MemoryRefused",
            {{Memory(0, true), kClosed, Cause::kRedisMemory}, {Memory(0), kOpen, Cause::kNone}}},
        Row{"MemoryHeldByOthers",
            {{Memory(0.95), kClosed, Cause::kRedisMemory},
             {Memory(0.8, false, false), kSlow, Cause::kRedisMemory},
             {Memory(0.95, false, false), kClosed, Cause::kRedisMemory}}},
        Row{"Index",
            {{Index(999), kOpen, Cause::kNone},
             {Index(1000), kClosed, Cause::kIndex},
             {Index(900), kClosed, Cause::kIndex},
             {Index(899), kOpen, Cause::kNone}}},
        Row{"Redis", {{With(&GateInputs::is_redis_silent), kClosed, Cause::kRedis}}},
        Row{"RedisMoving", {{With(&GateInputs::is_redis_moving), kClosed, Cause::kRedisMoving}}},
        Row{"DeadLetter", {{With(&GateInputs::has_stuck_letters), kClosed, Cause::kDeadLetter}}}),
    [](const auto& row) { return row.param.name; });

TEST(GateTest, OnlyMemoryAndIndexWantTheClock) {
  Gate gate(Marks(), kStart, WallTime{1});
  gate.Update(Memory(0.95), kStart, WallTime{1});
  EXPECT_TRUE(gate.wants_clock());
  gate.Update(Index(1000), kStart, WallTime{1});
  EXPECT_TRUE(gate.wants_clock());
  gate.Update(Late(40'000), kStart, WallTime{1});
  EXPECT_FALSE(gate.wants_clock());
  gate.Update(Memory(0.8), kStart, WallTime{1});
  EXPECT_FALSE(gate.wants_clock());
}

TEST(GateTest, ReportsSinceEpisodesAndTimeBlocked) {
  Gate gate(Marks(), kStart, WallTime{1});
  EXPECT_TRUE(gate.Update(Owned(), kStart + std::chrono::seconds(2), WallTime{2}));
  EXPECT_TRUE(gate.Update(Late(40'000), kStart + std::chrono::seconds(3), WallTime{3}));
  EXPECT_FALSE(gate.Update(Late(50'000), kStart + std::chrono::seconds(4), WallTime{4}));

  EXPECT_EQ(gate.Report().since, WallTime{3});
  EXPECT_EQ(gate.Report().episodes, 1);
  const auto blocked = gate.Blocked(kStart + std::chrono::seconds(8));
  EXPECT_EQ(blocked[static_cast<size_t>(Cause::kLateness)], milliseconds(5'000));
  EXPECT_EQ(blocked[static_cast<size_t>(Cause::kOwnership)], milliseconds(2'000));
}

}  // namespace
}  // namespace spillway::ingest
