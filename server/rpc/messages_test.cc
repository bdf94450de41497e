// Snapshots as messages: resources, names, health, changes, idempotency. No gRPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>

#include "server/rpc/address.h"
#include "server/rpc/request_log.h"
#include "server/rpc/resource_messages.h"
#include "server/rpc/service_health.h"
#include "server/rpc/watch_fleet.h"
#include "tests/support/sample_fleet.h"

namespace spillway::rpc {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

const Instant kNow = Instant(std::chrono::hours(24));

TEST(ResourceMessagesTest, PoolShowsTheWorstOfItsWorkers) {
  const v1::Pool pool = AllPools(SampleFleet(kNow), kNow).pools(1);

  EXPECT_EQ(pool.name(), "pools/flush");
  EXPECT_EQ(pool.state(), v1::POOL_STATE_RUNNING);
  EXPECT_EQ(pool.desired(), 2);
  EXPECT_EQ(pool.ready(), 1);
  EXPECT_EQ(pool.health().state(), v1::HEALTH_STATE_UNHEALTHY);
  EXPECT_EQ(pool.health().reason(), v1::UNHEALTHY_REASON_DEAD);
  EXPECT_EQ(pool.health().evidence_age().seconds(), 2);
}

TEST(ResourceMessagesTest, APoolShowsWhatKeepsItsDrainFromItsEnd) {
  supervisor::FleetSnapshot fleet = SampleFleet(kNow);
  fleet::PoolDrain drain;
  drain.number = 3;
  drain.state = fleet::PoolDrain::State::kTimedOut;
  drain.remaining = {{ShardId{7}, fleet::WorkerKey{"flush", 0}, 12, 0, "waits for Kafka"}};
  fleet.pools[1].state = fleet::PoolState::kDraining;
  fleet.pools[1].drain = drain;
  fleet.pools[1].drain_deadline = WallTime{90'000'000};

  const v1::Pool pool = AllPools(fleet, kNow).pools(1);

  EXPECT_EQ(pool.state(), v1::POOL_STATE_DRAINING);
  EXPECT_EQ(pool.drain().number(), 3u);
  EXPECT_EQ(pool.drain().state(), v1::DRAIN_STATE_TIMED_OUT);
  EXPECT_EQ(pool.drain().deadline().seconds(), 90);
  ASSERT_EQ(pool.drain().remaining_size(), 1);
  EXPECT_EQ(pool.drain().remaining(0).shard(), "shards/7");
  EXPECT_EQ(pool.drain().remaining(0).worker(), "pools/flush/workers/0");
  EXPECT_EQ(pool.drain().remaining(0).parts(), 12u);
  EXPECT_EQ(pool.drain().remaining(0).why(), "waits for Kafka");
}

TEST(ResourceMessagesTest, WorkersOfOnePoolOnly) {
  const auto workers = AllWorkers(SampleFleet(kNow), "flush", kNow).workers();

  ASSERT_EQ(workers.size(), 2);
  EXPECT_EQ(workers[0].name(), "pools/flush/workers/0");
  EXPECT_EQ(workers[0].shards_size(), 1);
  EXPECT_EQ(workers[0].memory_bytes(), 64 << 20);
  EXPECT_EQ(workers[1].state(), v1::WORKER_STATE_CRASH_LOOP);
  EXPECT_EQ(workers[1].pid(), 0);
}

TEST(ResourceMessagesTest, ShardJoinsTheWordsOfBothOwners) {
  const auto shards = AllShards(SampleFleet(kNow), kNow).shards();

  EXPECT_TRUE(shards[0].is_known());
  EXPECT_EQ(shards[0].backlog(), 240u);
  EXPECT_EQ(shards[0].in_flight(), 10u);
  EXPECT_EQ(shards[0].lateness().nanos(), 500'000'000);
  EXPECT_EQ(shards[0].gate().cause(), v1::CAUSE_REDIS_MEMORY);
  EXPECT_EQ(shards[0].low_watermark(), 110'000);
  EXPECT_FALSE(shards[1].is_known());
  EXPECT_EQ(shards[1].input_lag(), -1);
}

TEST(NamesTest, AreParsedOrRefusedNamingTheField) {
  EXPECT_EQ(*ParsePoolName("name", "pools/flush"), "flush");
  EXPECT_EQ(*ParseWorkerName("name", "pools/flush/workers/12"), (fleet::WorkerKey{"flush", 12}));
  for (const char* bad : {"", "flush", "pools/", "pools/a/b", "pool/flush"}) {
    EXPECT_EQ(ParsePoolName("name", bad).status().code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
  for (const char* bad :
       {"", "pools/flush", "pools//workers/0", "pools/flush/workers/", "pools/flush/workers/-1"}) {
    EXPECT_EQ(supervisor::RefusalReason(ParseWorkerName("name", bad).status()), "INVALID_NAME")
        << bad;
  }
}

TEST(ServiceHealthTest, FollowsChecksAndPools) {
  EXPECT_THAT(ServiceHealth(SampleFleet(kNow)),
              ElementsAre(Pair("", false), Pair("liveness", true), Pair("pool/flush", false),
                          Pair("pool/ingest", true), Pair("spillway.v1.FleetService", true),
                          Pair("spillway.v1.GatewayService", true),
                          Pair("spillway.v1.ServerService", true), Pair("startup", true)));
  EXPECT_EQ(ServiceHealth(HealthyFleet(kNow), ""), true);
  EXPECT_EQ(ServiceHealth(HealthyFleet(kNow), "pool/flush"), true);
  EXPECT_EQ(ServiceHealth(HealthyFleet(kNow), "pool/none"), std::nullopt);
}

TEST(ServiceHealthTest, NothingServesWhileStoppingButTheProcessLives) {
  supervisor::FleetSnapshot fleet = HealthyFleet(kNow);
  fleet.is_stopping = true;

  EXPECT_EQ(ServiceHealth(fleet, ""), false);
  EXPECT_EQ(ServiceHealth(fleet, "pool/flush"), false);
  EXPECT_EQ(ServiceHealth(fleet, "liveness"), true);
}

// A reader of changes, and the fleet that it is told of.
class FleetChangesTest : public ::testing::Test {
 protected:
  // Null: there was nothing to tell.
  std::optional<v1::WatchFleetResponse> Tell(uint64_t& known) {
    fleet_.sequence++;
    v1::WatchFleetResponse response;
    const bool has_news =
        changes_.Compose(std::make_shared<const supervisor::FleetSnapshot>(fleet_),
                         kNow + seconds(1), known, response);
    if (!has_news) return std::nullopt;
    return response;
  }

  supervisor::FleetSnapshot fleet_ = HealthyFleet(kNow);
  FleetChanges changes_{1000};
};

TEST_F(FleetChangesTest, TellsEverythingThenWhatChangedThenNothing) {
  uint64_t known = 0;
  const auto first = Tell(known);
  fleet_.pools[1].desired = 1;
  fleet_.workers.pop_back();
  const auto second = Tell(known);

  EXPECT_EQ(first->pools_size() + first->workers_size() + first->shards_size(), 2 + 3 + 2);
  EXPECT_TRUE(first->is_full());
  EXPECT_GT(first->sequence(), 1000u);
  EXPECT_GT(second->sequence(), first->sequence());
  EXPECT_FALSE(second->is_full());
  ASSERT_EQ(second->pools_size(), 1);
  EXPECT_EQ(second->pools(0).desired(), 1);
  EXPECT_THAT(second->workers(), IsEmpty());
  EXPECT_THAT(second->removed(), ElementsAre("pools/flush/workers/1"));
  EXPECT_FALSE(Tell(known).has_value());
}

TEST_F(FleetChangesTest, WhoeverComesBackIsToldWhatHeMissed) {
  uint64_t known = 0, other = 0;
  Tell(known);
  fleet_.pools[0].desired = 4;
  Tell(other);
  fleet_.pools[1].desired = 5;
  const auto missed = Tell(known);
  ASSERT_EQ(missed->pools_size(), 2);
  EXPECT_FALSE(missed->is_full());
  EXPECT_EQ(Tell(other)->pools_size(), 1);
}

TEST_F(FleetChangesTest, WhatHasComeBackIsNotTold) {
  uint64_t known = 0, other = 0;
  Tell(known);
  const supervisor::WorkerView worker = fleet_.workers.back();
  fleet_.workers.pop_back();
  Tell(other);
  fleet_.workers.push_back(worker);
  const auto missed = Tell(known);
  EXPECT_THAT(missed->removed(), IsEmpty());
  EXPECT_EQ(missed->workers_size(), 1);
}

TEST_F(FleetChangesTest, AGapIsToldAsEverything) {
  uint64_t known = 0, earlier = 7, later = std::numeric_limits<uint64_t>::max();
  Tell(known);
  EXPECT_TRUE(Tell(earlier)->is_full()) << "of a server before";
  EXPECT_TRUE(Tell(later)->is_full()) << "of a server whose clock was ahead";
  uint64_t slow = known;
  for (size_t i = 0; i <= FleetChanges::kMaxRemoved; ++i) {
    supervisor::FleetSnapshot& fleet = fleet_;
    fleet.pools.push_back(fleet.pools[0]);
    fleet.pools.back().name = "pool" + std::to_string(i);
    Tell(known);
    fleet.pools.pop_back();
    Tell(known);
  }
  const auto all = Tell(slow);
  EXPECT_TRUE(all->is_full());
  EXPECT_THAT(all->removed(), IsEmpty());
  EXPECT_EQ(slow, known);
}

TEST_F(FleetChangesTest, AnOlderSnapshotIsNotTakenForANewerOne) {
  uint64_t known = 0;
  Tell(known);
  auto old = std::make_shared<supervisor::FleetSnapshot>(fleet_);
  old->pools[0].desired = 9;
  old->sequence = 0;
  v1::WatchFleetResponse response;
  EXPECT_FALSE(changes_.Compose(old, kNow, known, response));
}

supervisor::PoolView PoolOf(int32_t desired) {
  supervisor::PoolView pool;
  pool.desired = desired;
  return pool;
}

TEST(RequestLogTest, PerformsOnceAndAnswersTheSameAgain) {
  RequestLog log;
  int performed = 0;
  std::vector<int32_t> answers;
  const auto run = [&] {
    log.Run(
        "id", "resize 3", [&](supervisor::PoolDone done) { done(PoolOf(++performed)); },
        [&](absl::StatusOr<supervisor::PoolView> pool) { answers.push_back(pool->desired); });
  };

  run();
  run();

  EXPECT_EQ(performed, 1);
  EXPECT_THAT(answers, ElementsAre(1, 1));
}

TEST(RequestLogTest, ARepeatedRequestWaitsForTheFirst) {
  RequestLog log;
  supervisor::PoolDone first;
  int answers = 0;
  const auto count = [&](absl::StatusOr<supervisor::PoolView>) { ++answers; };

  log.Run(
      "id", "x", [&](supervisor::PoolDone done) { first = std::move(done); }, count);
  log.Run(
      "id", "x", [&](supervisor::PoolDone) { FAIL() << "performed twice"; }, count);
  EXPECT_EQ(answers, 0);
  first(PoolOf(1));

  EXPECT_EQ(answers, 2);
}

TEST(RequestLogTest, RefusesAnIdThatStoodForAnotherRequestButForgetsFailures) {
  RequestLog log;
  absl::Status status;
  const auto keep = [&](absl::StatusOr<supervisor::PoolView> pool) { status = pool.status(); };
  const auto fail = [](supervisor::PoolDone done) { done(absl::UnavailableError("stopping")); };
  const auto succeed = [](supervisor::PoolDone done) { done(PoolOf(1)); };

  log.Run("id", "x", fail, keep);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  log.Run("id", "x", succeed, keep);
  EXPECT_TRUE(status.ok());
  log.Run("id", "y", succeed, keep);
  EXPECT_EQ(supervisor::RefusalReason(status), "REQUEST_ID_REUSED");
}

TEST(AddressTest, KnowsWhatOtherMachinesCanReach) {
  EXPECT_TRUE(IsLocal("127.0.0.1:7400"));
  EXPECT_TRUE(IsLocal("[::1]:0"));
  EXPECT_TRUE(IsLocal("localhost:1"));
  EXPECT_TRUE(IsLocal("unix:/run/x.sock"));
  EXPECT_FALSE(IsLocal("0.0.0.0:7400"));
  EXPECT_FALSE(IsLocal("[::]:7400"));
  EXPECT_FALSE(IsLocal("10.0.0.1:7400"));
  EXPECT_EQ(UnixSocketPath("unix:///run/x.sock"), "/run/x.sock");
}

}  // namespace
}  // namespace spillway::rpc
