// The store on a real cluster: where calls go, slots that move under them, nodes that go away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "buffer/redis/redis_under_test.h"
#include "tests/unit/dictionary_store_contract.h"

namespace spillway::buffer {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

Slot SlotOfShard(ShardId shard) { return SlotOfKey(ShardKeys("test", shard).meta()); }

// The master that serves `slot` when the slots are shared evenly among three.
size_t NodeOfSlot(Slot slot) { return slot <= 5460 ? 0 : slot <= 10922 ? 1 : 2; }

ShardId ShardOnNode(size_t node) {
  int32_t shard = 0;
  while (NodeOfSlot(SlotOfShard({shard})) != node) ++shard;
  return {shard};
}

// Moves a slot as `redis-cli --cluster reshard` does, in steps.
class SlotMove {
 public:
  SlotMove(RedisCluster& cluster, Slot slot, size_t from, size_t to)
      : slot_(absl::StrCat(slot)),
        from_port_(cluster.node(from).port()),
        to_port_(cluster.node(to).port()),
        from_(from_port_),
        to_(to_port_),
        from_id_(from_.Do({"CLUSTER", "MYID"})),
        to_id_(to_.Do({"CLUSTER", "MYID"})) {}

  void Begin() {
    EXPECT_EQ(to_.Do({"CLUSTER", "SETSLOT", slot_, "IMPORTING", from_id_}), "OK");
    EXPECT_EQ(from_.Do({"CLUSTER", "SETSLOT", slot_, "MIGRATING", to_id_}), "OK");
  }
  std::vector<std::string> KeysLeft() {
    return from_.List({"CLUSTER", "GETKEYSINSLOT", slot_, "100000"});
  }
  std::vector<std::string> KeysOnTarget() {
    return to_.List({"CLUSTER", "GETKEYSINSLOT", slot_, "100000"});
  }
  void Move(const std::string& key) { Migrate(from_, to_port_, {key}); }
  void MoveAll() { Migrate(from_, to_port_, KeysLeft()); }
  void Finish() {
    EXPECT_EQ(to_.Do({"CLUSTER", "SETSLOT", slot_, "NODE", to_id_}), "OK");
    EXPECT_EQ(from_.Do({"CLUSTER", "SETSLOT", slot_, "NODE", to_id_}), "OK");
    // Were the slot moved back before its new owner's epoch is known, the nodes could end up each
    // naming the other: a node that does not know of it takes no higher one.
    const std::string epoch = EpochIn(to_);
    const Instant deadline = SystemClock().Now() + std::chrono::seconds(20);
    while (EpochIn(from_) != epoch && SystemClock().Now() < deadline) {
    }
    EXPECT_EQ(EpochIn(from_), epoch);
  }
  // REQUIRES: no key has moved.
  void Abandon() {
    EXPECT_EQ(from_.Do({"CLUSTER", "SETSLOT", slot_, "STABLE"}), "OK");
    EXPECT_EQ(to_.Do({"CLUSTER", "SETSLOT", slot_, "STABLE"}), "OK");
  }
  RedisHand& from() { return from_; }
  RedisHand& to() { return to_; }

 private:
  // The configuration epoch of the slot's new owner, as `hand` knows it.
  std::string EpochIn(RedisHand& hand) {
    const std::string nodes = hand.Do({"CLUSTER", "NODES"});
    for (const absl::string_view line : absl::StrSplit(nodes, '\n')) {
      const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
      if (words.size() > 6 && words[0] == to_id_) return std::string(words[6]);
    }
    return "";
  }
  static void Migrate(RedisHand& hand, int port, const std::vector<std::string>& keys) {
    if (keys.empty()) return;
    std::vector<std::string> call = {"MIGRATE", "127.0.0.1", absl::StrCat(port), "", "0",
                                     "5000",    "KEYS"};
    call.insert(call.end(), keys.begin(), keys.end());
    EXPECT_EQ(hand.Do(call), "OK");
  }

  const std::string slot_;
  const int from_port_, to_port_;
  RedisHand from_, to_;
  const std::string from_id_, to_id_;
};

class ClusterStoreTest : public ShardStoreContract {
 protected:
  ClusterStoreTest() : slot_(SlotOfShard(kShard)), home_(NodeOfSlot(slot_)) {}
  RedisUnderTest& redis() { return static_cast<RedisUnderTest&>(*store_); }
  // Between the shard's own node and the next one; given back at the end.
  SlotMove Away() { return {SharedCluster(), slot_, home_, Next()}; }
  SlotMove Back() { return {SharedCluster(), slot_, Next(), home_}; }
  size_t Next() const { return (home_ + 1) % 3; }
  void BringBack() {
    SlotMove back = Back();
    back.Begin();
    back.MoveAll();
    back.Finish();
  }
  StoreCode SummaryOf(ShardId shard) {
    return Call<ShardSummary>(
               [&](Done<ShardSummary> done) { redis().reader().Summary(shard, std::move(done)); })
        .code;
  }

  const Slot slot_;
  const size_t home_;
};

const StoreFactory kCluster{"cluster",
                            [] { return std::make_unique<RedisUnderTest>(RedisKind::kCluster); }};

INSTANTIATE_TEST_SUITE_P(Cluster, ShardStoreContract, ::testing::Values(kCluster));
INSTANTIATE_TEST_SUITE_P(Cluster, DictionaryContract, ::testing::Values(kCluster));
INSTANTIATE_TEST_SUITE_P(Cluster, ClusterStoreTest, ::testing::Values(kCluster));

TEST_P(ClusterStoreTest, EachShardLivesOnTheNodeOfItsSlot) {
  std::vector<ShardId> shards;
  for (int32_t i = 0; i < 12; ++i) shards.push_back({i});
  std::vector<StoreCode> codes;
  for (const ShardId shard : shards) {
    redis().ingest().Take(shard, {.input = input_, .log_end = 5},
                          [&](const StoreResult<TakeReply>& r) { codes.push_back(r.code); });
  }
  redis().RunUntil([&] { return codes.size() == shards.size(); });
  EXPECT_THAT(codes, Each(StoreCode::kOk));
  std::set<size_t> used;
  for (const ShardId shard : shards) {
    const size_t node = NodeOfSlot(SlotOfShard(shard));
    RedisHand hand(SharedCluster().node(node).port());
    EXPECT_EQ(hand.Do({"EXISTS", ShardKeys("test", shard).meta()}), "1") << shard.value;
    used.insert(node);
  }
  EXPECT_EQ(used.size(), 3u);
  const auto listed = Call<std::vector<ShardId>>(
      [&](Done<std::vector<ShardId>> done) { redis().store().ListShards(std::move(done)); });
  EXPECT_EQ(listed.value, shards);
}

TEST_P(ClusterStoreTest, EveryNodeIsChecked) {
  std::vector<StoreResult<ServerCheck>> checks;
  redis().store().CheckServers([&](const auto& result) { checks.push_back(result); });
  redis().RunUntil([&] { return checks.size() == 3; });
  std::set<std::string> names;
  for (const auto& check : checks) {
    EXPECT_EQ(check.code, StoreCode::kOk) << check.message;
    EXPECT_TRUE(CheckUsable(check.value, {.is_cluster = true}).ok());
    EXPECT_EQ(WarningsFor(check.value).size(), 1u) << "maxmemory 0, and no full coverage";
    names.insert(check.value.name);
  }
  EXPECT_EQ(names.size(), 3u);
  for (const std::string& key : redis().Keys()) EXPECT_THAT(key, Not(HasSubstr("selftest")));
}

TEST_P(ClusterStoreTest, OneEvictingNodeIsRefusedByName) {
  RedisHand hand(SharedCluster().node(2).port());
  hand.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  std::vector<std::string> refusals;
  size_t checks = 0;
  redis().store().CheckServers([&](const StoreResult<ServerCheck>& result) {
    ++checks;
    const absl::Status usable = CheckUsable(result.value, {.is_cluster = true});
    if (!usable.ok()) refusals.push_back(std::string(usable.message()));
  });
  redis().RunUntil([&] { return checks == 3; });
  hand.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  EXPECT_THAT(refusals, ::testing::ElementsAre(
                            AllOf(HasSubstr("allkeys-lru"),
                                  HasSubstr(absl::StrCat(":", SharedCluster().node(2).port())))));
}

TEST_P(ClusterStoreTest, MemoryIsThatOfTheShardsNode) {
  RedisHand hand(SharedCluster().node(home_).port());
  hand.Do({"CONFIG", "SET", "maxmemory", "1000000000"});
  const ShardId other = ShardOnNode(Next());
  TakeAsWriter();
  const auto taken = Call<TakeReply>([&](Done<TakeReply> done) {
    redis().ingest().Take(other, {.input = input_, .log_end = 5}, std::move(done));
  });
  const auto ratio_of = [&](ShardId shard, const TickRequest& tick) {
    return Call<ShardFigures>([&](Done<ShardFigures> done) {
             redis().ingest().Tick(shard, tick, std::move(done));
           })
        .value.memory_ratio;
  };
  redis().RunUntil([&] { return ratio_of(kShard, {ingest_epoch_, 0, clock_, false}) > 0; });
  EXPECT_EQ(ratio_of(other, {taken.value.epoch, 0, taken.value.clock, false}), 0);
  hand.Do({"CONFIG", "SET", "maxmemory", "0"});
}

TEST_P(ClusterStoreTest, ANodeBehindAPlainUrlIsRefused) {
  RedisStoreOptions options;
  options.connection.endpoint =
      *ParseEndpoint(absl::StrCat("redis://127.0.0.1:", SharedCluster().node(0).port()));
  RedisShardStore store(redis().loop(), options);
  std::optional<StoreResult<ServerCheck>> checked;
  store.CheckServers([&](const auto& result) { checked = result; });
  redis().RunUntil([&] { return checked.has_value(); });
  EXPECT_THAT(std::string(CheckUsable(checked->value, {}).message()), HasSubstr("redis+cluster"));
}

TEST_P(ClusterStoreTest, AMovedSlotIsFollowedAndCallsKeepTheirOrder) {
  TakeAsWriter();
  AddNext({NewPart(0, 20)}, 1, 10);
  SlotMove away = Away();
  away.Begin();
  away.MoveAll();
  away.Finish();
  away.to().Do({"SCRIPT", "FLUSH"});
  std::vector<StoreCode> codes;
  for (int i = 1; i <= 5; ++i) {
    redis().ingest().Add(
        kShard, std::make_shared<const AddRequest>(NextAdd({NewPart(watermark_, 20)}, 1, 15 + i)),
        [&](const StoreResult<ShardFigures>& r) { codes.push_back(r.code); });
    ++watermark_;
    clock_ = {15 + i};
  }
  redis().RunUntil([&] { return codes.size() == 5; });
  EXPECT_THAT(codes, Each(StoreCode::kOk));
  DrainAndExpectNothingLeft(6);
  BringBack();
}

// K9d
TEST_P(ClusterStoreTest, AHalfMovedSlotRefusesWholeCallsAndOthersGoOn) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 10);
  SlotMove away = Away();
  away.Begin();
  const size_t keys = away.KeysLeft().size();
  for (size_t moved = 0; moved <= keys; ++moved) {
    SCOPED_TRACE(absl::StrCat(moved, " of ", keys, " keys moved"));
    const auto added = Add(NextAdd({NewPart(2, 20)}, 1, 20));
    EXPECT_EQ(added.code, StoreCode::kMoving) << added.message;
    EXPECT_EQ(SummaryOf(ShardOnNode(Next())), StoreCode::kOk);
    const std::vector<std::string> left = away.KeysLeft();
    if (!left.empty()) away.Move(left.front());
  }
  away.Finish();
  EXPECT_EQ(Summary().watermark, 2) << "nothing was written in part";
  AddNext({NewPart(2, 20)}, 1, 20);
  DrainAndExpectNothingLeft(3);
  BringBack();
}

// K9d
TEST_P(ClusterStoreTest, AMoveAbandonedBeforeAKeyHasMovedLeavesTheShardAsItWas) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 10);
  SlotMove away = Away();
  away.Begin();
  EXPECT_EQ(Add(NextAdd({NewPart(2, 20)}, 1, 20)).code, StoreCode::kMoving);
  away.Abandon();
  EXPECT_EQ(Summary().watermark, 2);
  AddNext({NewPart(2, 20)}, 1, 20);
  DrainAndExpectNothingLeft(3);
}

// K9d. The tool moves the keys to where most are; calls wait meanwhile (design section 4).
TEST_P(ClusterStoreTest, AnAbandonedMoveIsMendedByRedisCli) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 10);
  SlotMove away = Away();
  away.Begin();
  away.Move(ShardKeys("test", kShard).part(Name(0)));
  EXPECT_EQ(Add(NextAdd({NewPart(2, 20)}, 1, 20)).code, StoreCode::kMoving);
  const auto fixed = RunCommand(
      {"redis-cli", "--cluster", "fix", absl::StrCat("127.0.0.1:", SharedCluster().node(0).port())},
      std::chrono::seconds(30));
  ASSERT_TRUE(fixed.ok() && fixed->exit_code == 0) << fixed->output;
  EXPECT_EQ(away.KeysOnTarget(), std::vector<std::string>()) << fixed->output;
  EXPECT_EQ(Summary().watermark, 2);
  AddNext({NewPart(2, 20)}, 1, 20);
  DrainAndExpectNothingLeft(3);
}

TEST_P(ClusterStoreTest, ACallWaitsForAMoveThatIsSoonOver) {
  TakeAsWriter();
  AddNext({NewPart(0, 20)}, 1, 10);
  SlotMove away = Away();
  away.Begin();
  away.Move(ShardKeys("test", kShard).meta());
  std::optional<StoreCode> code;
  redis().ingest().Add(kShard, std::make_shared<const AddRequest>(NextAdd({NewPart(1, 20)}, 1, 20)),
                       [&](const StoreResult<ShardFigures>& r) { code = r.code; });
  // It has met the half moved slot when another node has answered a later call.
  EXPECT_EQ(SummaryOf(ShardOnNode(Next())), StoreCode::kOk);
  EXPECT_FALSE(code.has_value());
  away.MoveAll();
  away.Finish();
  redis().RunUntil([&] { return code.has_value(); });
  EXPECT_EQ(code, StoreCode::kOk);
  watermark_ = 2;
  clock_ = {20};
  DrainAndExpectNothingLeft(2);
  BringBack();
}

TEST_P(ClusterStoreTest, ACallOfOneKeyIsAskedForWhereTheKeyHasGone) {
  TakeAsWriter();
  SlotMove away = Away();
  away.Begin();
  away.MoveAll();
  away.to().Do({"SCRIPT", "FLUSH"});  // so that ASKING is needed twice
  EXPECT_EQ(Acquire().code, StoreCode::kOk);
  EXPECT_EQ(away.to().Do({"CLUSTER", "COUNTKEYSINSLOT", absl::StrCat(slot_)}), "1");
  EXPECT_TRUE(away.KeysLeft().empty());
  away.Finish();
  EXPECT_EQ(Summary().flush_epoch, flush_epoch_);
  BringBack();
}

// A cluster of the test's own, for what cannot be undone.
class ClusterLossTest : public ::testing::Test {
 protected:
  ClusterLossTest() {
    auto started = RedisCluster::Start();
    EXPECT_TRUE(started.ok()) << started.status();
    cluster_ = std::make_unique<RedisCluster>(*std::move(started));
  }
  void MakeStore() {
    RedisStoreOptions options;
    options.deployment = *ParseDeployment(cluster_->url());
    options.connection.command_timeout = std::chrono::seconds(2);
    options.name_space = "test";
    store_ = std::make_unique<RedisShardStore>(loop_, options);
    RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
  }
  StoreResult<TakeReply> Take(ShardId shard) {
    std::optional<StoreResult<TakeReply>> taken;
    store_->Take(shard, {.input = {}, .log_end = 5}, [&](auto r) { taken = std::move(r); });
    RunLoopUntil(loop_, [&] { return taken.has_value(); });
    return taken.value_or(StoreResult<TakeReply>{});
  }
  StoreResult<TakeReply> TakeWhenItCan(ShardId shard) {
    StoreResult<TakeReply> taken;
    const Instant deadline = SystemClock().Now() + std::chrono::seconds(20);
    while (!taken.ok() && SystemClock().Now() < deadline) {
      taken = Take(shard);
      uv_run(loop_.native(), UV_RUN_NOWAIT);
    }
    return taken;
  }

  Loop loop_;
  std::unique_ptr<RedisCluster> cluster_;
  std::unique_ptr<RedisShardStore> store_;
};

// Finding 4 of the review.
TEST_F(ClusterLossTest, ANodeThatIsGoneFailsItsOwnShardsOnlyAndComesBack) {
  MakeStore();
  for (size_t node = 0; node < 3; ++node) EXPECT_TRUE(Take(ShardOnNode(node)).ok());
  cluster_->node(1).Kill();
  RunLoopUntil(loop_, [&] { return !store_->state().is_ready; });
  EXPECT_THAT(store_->state().text, HasSubstr(absl::StrCat(cluster_->node(1).port())));
  const auto lost = Take(ShardOnNode(1));
  EXPECT_EQ(lost.code, StoreCode::kUnavailable);
  EXPECT_THAT(lost.message, HasSubstr(absl::StrCat(cluster_->node(1).port())));
  // Also once the others know that it failed.
  ASSERT_TRUE(WaitForRedis(cluster_->node(0).port(), {"CLUSTER", "INFO"}, "cluster_slots_fail:5462",
                           std::chrono::seconds(20))
                  .ok());
  for (const size_t node : {0, 2}) {
    const auto taken = Take(ShardOnNode(node));
    EXPECT_TRUE(taken.ok()) << taken.message;
    EXPECT_FALSE(taken.value.is_created);
  }
  EXPECT_FALSE(Take(ShardOnNode(1)).ok());
  ASSERT_TRUE(cluster_->node(1).StartAgain().ok());
  const auto back = TakeWhenItCan(ShardOnNode(1));
  EXPECT_TRUE(back.ok()) << back.message;
  EXPECT_TRUE(back.value.is_created) << "it kept nothing";
  RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
}

TEST_F(ClusterLossTest, ANodeThatHangsFailsItsOwnShardsOnly) {
  MakeStore();
  for (size_t node = 0; node < 3; ++node) EXPECT_TRUE(Take(ShardOnNode(node)).ok());
  cluster_->node(0).process().SignalGroup(SIGSTOP);
  std::optional<StoreCode> hanging;
  store_->Summary(ShardOnNode(0), [&](const auto& r) { hanging = r.code; });
  for (const size_t node : {1, 2}) EXPECT_TRUE(Take(ShardOnNode(node)).ok());
  EXPECT_FALSE(hanging.has_value()) << "the others do not wait for it";
  RunLoopUntil(loop_, [&] { return hanging.has_value(); });
  EXPECT_EQ(hanging, StoreCode::kUnavailable);
  cluster_->node(0).process().SignalGroup(SIGCONT);
  const auto back = TakeWhenItCan(ShardOnNode(0));
  EXPECT_TRUE(back.ok()) << back.message;
  EXPECT_FALSE(back.value.is_created);
}

TEST_F(ClusterLossTest, AReplicaTakesOverWithWhatItHas) {
  const absl::Status added = cluster_->AddReplica(2);
  ASSERT_TRUE(added.ok()) << added;
  MakeStore();
  const ShardId shard = ShardOnNode(2);
  EXPECT_TRUE(Take(shard).ok());
  ASSERT_TRUE(WaitForRedis(cluster_->node(3).port(), {"KEYS", "*"}, ShardKeys("test", shard).meta(),
                           std::chrono::seconds(10))
                  .ok());
  cluster_->node(2).Kill();
  const auto taken = TakeWhenItCan(shard);
  EXPECT_TRUE(taken.ok()) << taken.message;
  EXPECT_FALSE(taken.value.is_created);
  EXPECT_EQ(taken.value.epoch.number, 2u);
  RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
}

TEST_F(ClusterLossTest, OneSeedThatAnswersIsEnough) {
  const int port = FreePort();  // nobody there
  RedisStoreOptions options;
  options.deployment = *ParseDeployment(
      absl::StrCat("redis+cluster://127.0.0.1:", port, ",127.0.0.1:", cluster_->node(1).port()));
  store_ = std::make_unique<RedisShardStore>(loop_, options);
  RunLoopUntil(loop_, [&] { return store_->state().is_ready; });
  for (size_t node = 0; node < 3; ++node) EXPECT_TRUE(Take(ShardOnNode(node)).ok());
}

}  // namespace
}  // namespace spillway::buffer
