// The store behind a real sentinel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "buffer/redis/redis_under_test.h"

namespace spillway::buffer {
namespace {

using ::testing::HasSubstr;

constexpr ShardId kShard{7};

class SentinelStoreTest : public ::testing::Test {
 protected:
  SentinelStoreTest() {
    auto started = RedisSentinel::Start();
    EXPECT_TRUE(started.ok()) << started.status();
    sentinel_ = std::make_unique<RedisSentinel>(*std::move(started));
    MakeStore(sentinel_->url());
    RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
  }
  void MakeStore(const std::string& url) {
    RedisStoreOptions options;
    options.deployment = *ParseDeployment(url);
    store_ = std::make_unique<RedisShardStore>(loop_, options);
  }
  StoreResult<TakeReply> Take() {
    std::optional<StoreResult<TakeReply>> taken;
    store_->Take(kShard, {.input = {}, .log_end = 5}, [&](auto r) { taken = std::move(r); });
    RunLoopUntil(loop_, [&] { return taken.has_value(); });
    return taken.value_or(StoreResult<TakeReply>{});
  }
  StoreResult<TakeReply> TakeWhenItCan() {
    StoreResult<TakeReply> taken;
    const Instant deadline = SystemClock().Now() + std::chrono::seconds(20);
    while (!taken.ok() && SystemClock().Now() < deadline) {
      taken = Take();
      uv_run(loop_.native(), UV_RUN_NOWAIT);
    }
    return taken;
  }
  void WaitForTheReplicaToHaveIt() {
    ASSERT_TRUE(WaitForRedis(sentinel_->server(1).port(), {"KEYS", "*"},
                             ShardKeys("default", kShard).meta(), std::chrono::seconds(10))
                    .ok());
  }

  Loop loop_;
  std::unique_ptr<RedisSentinel> sentinel_;
  std::unique_ptr<RedisShardStore> store_;
};

TEST_F(SentinelStoreTest, AKilledMasterIsFollowedByItsReplica) {
  ASSERT_TRUE(Take().ok());
  WaitForTheReplicaToHaveIt();
  sentinel_->server(0).Kill();
  const auto taken = TakeWhenItCan();
  EXPECT_TRUE(taken.ok()) << taken.message;
  EXPECT_FALSE(taken.value.is_created);
  EXPECT_EQ(taken.value.epoch.number, 2u);
}

TEST_F(SentinelStoreTest, APlannedFailoverIsFollowed) {
  ASSERT_TRUE(Take().ok());
  WaitForTheReplicaToHaveIt();
  // It has no replica to promote before it has heard from it, which takes up to ten seconds.
  ASSERT_TRUE(WaitForRedis(sentinel_->port(), {"SENTINEL", "FAILOVER", "main"}, "OK",
                           std::chrono::seconds(20))
                  .ok());
  ASSERT_TRUE(WaitForRedis(sentinel_->port(), {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"},
                           absl::StrCat(sentinel_->server(1).port()), std::chrono::seconds(20))
                  .ok());
  // The old master takes writes until the sentinel has told it; those are gone with it.
  RedisHand successor(sentinel_->server(1).port());
  const auto epoch = [&] {
    return successor.Do({"HGET", ShardKeys("default", kShard).meta(), "ingest"});
  };
  const std::string before = epoch();
  const Instant deadline = SystemClock().Now() + std::chrono::seconds(20);
  while (epoch() == before && SystemClock().Now() < deadline) Take();
  EXPECT_NE(epoch(), before);
  EXPECT_TRUE(Take().ok());
}

// It may be cut off from the sentinels and not know that it is a master no more.
TEST_F(SentinelStoreTest, AMasterThatTheSentinelNoLongerNamesIsLeft) {
  ASSERT_TRUE(Take().ok());
  auto other = RedisServer::Start();
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE(AskRedis(sentinel_->port(), {"SENTINEL", "REMOVE", "main"}).ok());
  ASSERT_TRUE(AskRedis(sentinel_->port(), {"SENTINEL", "MONITOR", "main", "127.0.0.1",
                                           absl::StrCat(other->port()), "1"})
                  .ok());
  RunLoopUntil(loop_, [&] { return !store_->state().is_ready; });
  RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
  const auto taken = Take();
  EXPECT_TRUE(taken.ok()) << taken.message;
  EXPECT_TRUE(taken.value.is_created);
  EXPECT_EQ(RedisHand(other->port()).Do({"EXISTS", ShardKeys("default", kShard).meta()}), "1");
}

TEST_F(SentinelStoreTest, AReplicaIsNotTakenForTheMaster) {
  RedisHand replica(sentinel_->server(1).port());
  ASSERT_TRUE(AskRedis(sentinel_->port(), {"SENTINEL", "REMOVE", "main"}).ok());
  ASSERT_TRUE(AskRedis(sentinel_->port(), {"SENTINEL", "MONITOR", "main", "127.0.0.1",
                                           absl::StrCat(sentinel_->server(1).port()), "1"})
                  .ok());
  MakeStore(sentinel_->url());
  RunLoopUntil(loop_, [&] { return absl::StrContains(store_->state().text, "role is slave"); });
  EXPECT_FALSE(store_->state().is_ready);
  replica.Do({"REPLICAOF", "NO", "ONE"});
  RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
}

TEST_F(SentinelStoreTest, AnUnknownNameIsSaid) {
  MakeStore(absl::StrCat("redis+sentinel://127.0.0.1:", sentinel_->port(), "/other"));
  RunLoopUntil(loop_, [&] { return absl::StrContains(store_->state().text, "\"other\""); });
  EXPECT_THAT(store_->state().text, HasSubstr("watches no master"));
}

TEST_F(SentinelStoreTest, OneSentinelThatAnswersIsEnough) {
  MakeStore(absl::StrCat("redis+sentinel://127.0.0.1:", FreePort(),
                         ",127.0.0.1:", sentinel_->port(), "/main"));
  RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
}

}  // namespace
}  // namespace spillway::buffer
