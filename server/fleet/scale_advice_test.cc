#include "server/fleet/scale_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using wire::Activity;
using wire::Cause;
using wire::Role;

// A pool with `workers` of which each is busy for `busy`, and `shards` that spend `wait` of their
// time on `on`, and the rest idle.
struct Row {
  std::string name;
  Role role = Role::kFlush;
  int32_t workers = 1;
  double busy = 0;
  int32_t shards = 8;
  Activity on = Activity::kIdle;
  double wait = 0;
  milliseconds lateness{0};
  int64_t lag = 0;
  Cause gate = Cause::kNone;
  // What is to come of it.
  int32_t desired = 1, min_safe = 1, max_useful = 8;
  ScaleLimit limit = ScaleLimit::kInput;
};

wire::ActivityTimes TimesOf(Activity on, double part) {
  wire::ActivityTimes times{};
  times[static_cast<size_t>(Activity::kIdle)] = seconds(60);
  const auto taken = std::chrono::duration_cast<Duration>(part * seconds(60));
  times[static_cast<size_t>(Activity::kIdle)] -= taken;
  times[static_cast<size_t>(on)] += taken;
  return times;
}

PoolEvidence EvidenceOf(const Row& row) {
  PoolEvidence pool;
  pool.role = row.role;
  pool.min = 1;
  pool.max = 16;
  pool.shard_count = row.shards;
  for (int32_t i = 0; i < row.workers; ++i) {
    pool.workers.push_back({.name = "pools/p/workers/0", .busy = row.busy});
  }
  for (int32_t i = 0; i < row.shards; ++i) {
    pool.shards.push_back({.shard = ShardId{i},
                           .times = TimesOf(row.on, row.wait),
                           .lateness = row.lateness,
                           .input_lag = row.lag,
                           .gate_cause = row.gate});
  }
  return pool;
}

class AdviseTest : public testing::TestWithParam<Row> {};

TEST_P(AdviseTest, JudgesThePool) {
  const Row& row = GetParam();
  const absl::StatusOr<ScaleAdvice> advice = Advise(EvidenceOf(row));
  ASSERT_TRUE(advice.ok()) << advice.status();
  const std::string evidence = absl::StrJoin(advice->evidence, "\n");
  EXPECT_EQ(advice->desired, row.desired) << evidence;
  EXPECT_EQ(advice->min_safe, row.min_safe) << evidence;
  EXPECT_EQ(advice->max_useful, row.max_useful) << evidence;
  EXPECT_STREQ(LimitName(advice->limit), LimitName(row.limit)) << evidence;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, AdviseTest,
    testing::Values(Row{.name = "IdlePoolNeedsOne", .workers = 3, .busy = 0.01},
                    Row{.name = "RightSizeStays",
                        .workers = 2,
                        .busy = 0.6,
                        .on = Activity::kEncode,
                        .wait = 0.3,
                        .desired = 2,
                        .min_safe = 2},
                    Row{.name = "TooManyMayGo",
                        .workers = 4,
                        .busy = 0.2,
                        .on = Activity::kEncode,
                        .wait = 0.1,
                        .desired = 2,
                        .min_safe = 1},
                    Row{.name = "HotGrowsByOneAtLeast",
                        .workers = 1,
                        .busy = 0.95,
                        .on = Activity::kEncode,
                        .wait = 0.9,
                        .desired = 2,
                        .min_safe = 2,
                        .limit = ScaleLimit::kWorkers},
                    Row{.name = "HotAndLate",
                        .workers = 2,
                        .busy = 1.0,
                        .on = Activity::kRedis,
                        .wait = 0.9,
                        .lateness = seconds(20),
                        .desired = 3,
                        .min_safe = 3,
                        .limit = ScaleLimit::kWorkers},
                    Row{.name = "LateForRedisDoesNotGrow",
                        .workers = 2,
                        .busy = 0.3,
                        .on = Activity::kRedis,
                        .wait = 0.8,
                        .lateness = seconds(20),
                        .desired = 2,
                        .min_safe = 2,
                        .limit = ScaleLimit::kRedis},
                    Row{.name = "LateForKafkaDoesNotGrow",
                        .workers = 2,
                        .busy = 0.3,
                        .on = Activity::kBroker,
                        .wait = 0.8,
                        .lateness = seconds(20),
                        .desired = 2,
                        .min_safe = 2,
                        .limit = ScaleLimit::kKafka},
                    Row{.name = "FullMemoryOfWorkersGrows",
                        .workers = 2,
                        .busy = 0.3,
                        .on = Activity::kRoom,
                        .wait = 0.8,
                        .lateness = seconds(20),
                        .desired = 3,
                        .min_safe = 2,
                        .limit = ScaleLimit::kWorkers},
                    Row{.name = "NoMoreThanShards",
                        .workers = 4,
                        .busy = 1.0,
                        .shards = 4,
                        .on = Activity::kEncode,
                        .wait = 1.0,
                        .desired = 4,
                        .min_safe = 4,
                        .max_useful = 4,
                        .limit = ScaleLimit::kWorkers},
                    Row{.name = "IngestBehindAClosedMemoryGate",
                        .role = Role::kIngest,
                        .workers = 1,
                        .busy = 0.1,
                        .on = Activity::kGate,
                        .wait = 0.9,
                        .lag = 50'000,
                        .gate = Cause::kRedisMemory,
                        .limit = ScaleLimit::kRedis},
                    Row{.name = "IngestBehindALateFlushPool",
                        .role = Role::kIngest,
                        .workers = 1,
                        .busy = 0.1,
                        .on = Activity::kGate,
                        .wait = 0.9,
                        .lag = 50'000,
                        .gate = Cause::kLateness,
                        .limit = ScaleLimit::kFlush},
                    Row{.name = "IngestBehindItsFetches",
                        .role = Role::kIngest,
                        .workers = 1,
                        .busy = 0.1,
                        .on = Activity::kKafkaQueue,
                        .wait = 0.9,
                        .lag = 50'000,
                        .limit = ScaleLimit::kKafka}),
    [](const auto& row) { return row.param.name; });

TEST(AdviseBoundsTest, TheBoundsOfThePoolHoldAndAreNamed) {
  PoolEvidence pool = EvidenceOf(Row{.name = "", .workers = 2, .busy = 1.0});
  pool.max = 2;
  const absl::StatusOr<ScaleAdvice> advice = Advise(pool);
  ASSERT_TRUE(advice.ok());
  EXPECT_EQ(advice->desired, 2);
  EXPECT_THAT(advice->evidence.back(), HasSubstr("3 would be right"));
}

// Each of these leaves something unknown; none of it is read as zero.
struct GapRow {
  std::string name;
  void (*spoil)(PoolEvidence&);
  std::string named;
};
class AdviseGapTest : public testing::TestWithParam<GapRow> {};

TEST_P(AdviseGapTest, GivesNoAdviceAndNamesTheGap) {
  PoolEvidence pool = EvidenceOf(Row{.name = "", .workers = 2, .busy = 0.5});
  ASSERT_TRUE(Advise(pool).ok());
  GetParam().spoil(pool);
  const absl::StatusOr<ScaleAdvice> advice = Advise(pool);
  EXPECT_TRUE(absl::IsUnavailable(advice.status()));
  EXPECT_THAT(std::string(advice.status().message()), HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    Gaps, AdviseGapTest,
    testing::Values(
        GapRow{"NoShards", [](PoolEvidence& pool) { pool.shard_count = 0; }, "which shards"},
        GapRow{"NoWorkers", [](PoolEvidence& pool) { pool.workers.clear(); }, "no worker"},
        GapRow{"UnknownWorker", [](PoolEvidence& pool) { pool.workers[1].busy.reset(); },
               "pools/p/workers/0"},
        GapRow{"OldWorker", [](PoolEvidence& pool) { pool.workers[1].age = seconds(11); },
               "11 s old"},
        GapRow{"MissingShard", [](PoolEvidence& pool) { pool.shards.pop_back(); }, "7 of 8"},
        GapRow{"ShardWithoutTimes", [](PoolEvidence& pool) { pool.shards[3].times.reset(); },
               "shard 3"},
        GapRow{"OldShard", [](PoolEvidence& pool) { pool.shards[3].age = seconds(11); }, "shard 3"},
        GapRow{"UnknownLag", [](PoolEvidence& pool) { pool.shards[5].input_lag = -1; }, "shard 5"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace spillway::fleet
