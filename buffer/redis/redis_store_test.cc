// What only a real Redis can do to the store.
#include "buffer/redis/redis_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "buffer/clock_marks.h"
#include "buffer/redis/redis_under_test.h"
#include "tests/unit/dictionary_store_contract.h"

namespace spillway::buffer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr ShardId kOther{8};

class RedisStoreTest : public DictionaryContract {
 protected:
  RedisUnderTest& redis() { return static_cast<RedisUnderTest&>(*store_); }
  RedisHand& hand() { return redis().hand(); }
  StoreResult<ServerCheck> CheckServer(RedisShardStore& store, Loop& loop) {
    std::optional<StoreResult<ServerCheck>> answer;
    store.CheckServers([&](const StoreResult<ServerCheck>& result) { answer = result; });
    RunLoopUntil(loop, [&] { return answer.has_value(); });
    return answer.value_or(StoreResult<ServerCheck>{});
  }
};

INSTANTIATE_TEST_SUITE_P(Redis, RedisStoreTest,
                         ::testing::Values(StoreFactory{
                             "plain", [] { return std::make_unique<RedisUnderTest>(); }}));

// K12
TEST_P(RedisStoreTest, AnUnknownFormatNamesBothVersions) {
  hand().Do({"HSET", "{test/7}m", "format", "99"});
  const auto taken = Take({.input = input_, .log_end = 5});
  EXPECT_EQ(taken.code, StoreCode::kInvalid);
  EXPECT_THAT(taken.message, AllOf(HasSubstr("99"), HasSubstr("has 1"), HasSubstr("{test/7}m")));
  EXPECT_EQ(Acquire().code, StoreCode::kInvalid);
}

TEST_P(RedisStoreTest, AForeignHashIsNotTakenForMeta) {
  hand().Do({"HSET", "{test/7}m", "colour", "blue"});
  EXPECT_EQ(Take({.input = input_, .log_end = 5}).code, StoreCode::kInvalid);
  EXPECT_EQ(hand().Do({"HGETALL", "{test/7}m"}), "colour blue");
}

TEST_P(RedisStoreTest, AKeyOfAnotherTypeIsNamed) {
  for (const char* suffix : {"m", "d", "r", "i", "a", "z"}) {
    redis().LoseEverything();
    hand().Do({"SET", absl::StrCat("{test/7}", suffix), "foreign"});
    const auto taken = Take({.input = input_, .log_end = 5});
    EXPECT_EQ(taken.code, StoreCode::kInvalid);
    EXPECT_THAT(taken.message, AllOf(HasSubstr(absl::StrCat("{test/7}", suffix)),
                                     HasSubstr("string"), HasSubstr("shard 7")));
  }
}

TEST_P(RedisStoreTest, ABatchIntoAListOfAnotherTypeIsRefusedWhole) {
  TakeAsWriter();
  hand().Do({"HSET", "{test/7}p1.1", "foreign", "1"});
  const auto added = Add(NextAdd({NewPart(0, 20), NewPart(1, 20)}, 2, 20));
  EXPECT_EQ(added.code, StoreCode::kInvalid);
  EXPECT_THAT(added.message, AllOf(HasSubstr("{test/7}p1.1"), HasSubstr("hash")));
  EXPECT_EQ(redis().KeysBesidesMeta(kShard), 1u);
  EXPECT_EQ(Summary().watermark, 0);
}

TEST_P(RedisStoreTest, ALostOrDamagedDictionaryIsSaidWhenItsChunksAreDecoded) {
  TakeAsWriter();
  AddWith(first_, 0, 20, 10);
  AddWith(second_, 1, 20, 20);
  hand().Do({"HDEL", "{test/7}z", DictionaryIdText(first_->id())});
  hand().Do({"HSET", "{test/7}z", DictionaryIdText(second_->id()), "something else"});
  EXPECT_EQ(Read(second_->id()).code, StoreCode::kNoDictionary);
  const auto loaded = Load(ClaimAll().parts);
  ASSERT_EQ(loaded.value.size(), 2u);
  ChunkDecoder decoder(shelf_);
  for (const LoadedPart& part : loaded.value) {
    EXPECT_TRUE(part.is_complete) << "it is still there";
    EXPECT_EQ(decoder.Decode(part.own.at(0)).status().code(), absl::StatusCode::kDataLoss);
  }
}

// K9f
TEST_P(RedisStoreTest, APartWhoseListHasAnotherTypeDoesNotStopTheShard) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 20);
  hand().Do({"DEL", "{test/7}p1.0"});
  hand().Do({"HSET", "{test/7}p1.0", "foreign", "1"});
  const Claim blind = ClaimAll();
  ASSERT_EQ(blind.parts.size(), 2u);
  EXPECT_FALSE(Load(blind.parts).value.at(0).is_complete);
  EXPECT_TRUE(Release({.id = blind.id}).value);
  const Claim claim = ClaimParts({.epoch = flush_epoch_,
                                  .id = {1, 2},
                                  .parts = Peek(flush_epoch_).value.due,
                                  .counts_entries = true})
                          .value;
  ASSERT_EQ(claim.parts.size(), 1u);
  EXPECT_EQ(claim.parts[0].name, Name(1));
  EXPECT_EQ(Summary().ledger.orphan, 1u);
  EXPECT_EQ(Peek(flush_epoch_).value.due_count, 0u);
}

TEST_P(RedisStoreTest, AClaimHoldsTheScoresThatRedisHas) {
  TakeAsWriter();
  AddNext({NewPart(0, 18), NewPart(1, 19), NewPart(2, 20)}, 3, 20);
  Acquire();
  const auto peeked = Peek(flush_epoch_).value.due;
  ASSERT_EQ(peeked.size(), 3u);
  for (const size_t wrong : {size_t{0}, size_t{2}, size_t{3}}) {
    auto asked = peeked;
    if (wrong < asked.size()) {
      asked[wrong].deadline = {1};
      asked[wrong].part_bytes = 0;
    }
    const ClaimRequest request{.epoch = flush_epoch_, .id = {9, wrong}, .parts = asked};
    const Claim claim = ClaimParts(request).value;
    ASSERT_EQ(claim.parts.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(claim.parts[i].deadline, peeked[i].deadline);
      EXPECT_EQ(claim.parts[i].part_bytes, peeked[i].part_bytes);
    }
    EXPECT_TRUE(Release({.id = claim.id, .counts_attempt = false}).value);
    const auto again = Peek(flush_epoch_).value.due;
    ASSERT_EQ(again.size(), 3u);
    EXPECT_EQ(again[1].deadline, EventTime{19});
    EXPECT_EQ(again[1].part_bytes, peeked[1].part_bytes);
  }
  DrainAndExpectNothingLeft(3);
}

// Spans come and leave with every turn of the loop while the audit walks; the loop ends first if
// no instant could be found.
TEST_P(RedisStoreTest, AnAuditOfAShardAtWorkIsExact) {
  TakeAsWriter();
  Acquire();
  for (int i = 0; i < 300; ++i) AddNext({NewPart(watermark_, 10'000, 2)}, 2, 20);
  std::optional<AuditReply> audit;
  redis().reader().Audit(kShard, [&](StoreResult<AuditReply> r) { audit = r.value; });
  int steps = 0;
  for (; !audit && steps < 100; ++steps) {
    AddNext({NewPart(watermark_, 20 + steps)}, 1, 20 + steps);
    const Claim claim = ClaimAll({5, static_cast<uint64_t>(steps)});
    EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known);
  }
  RunLoopUntil(redis().loop(), [&] { return audit.has_value(); });
  EXPECT_TRUE(audit->is_exact);
  EXPECT_EQ(audit->residual, 0);
  EXPECT_GE(audit->live_spans, 600u);
  EXPECT_GE(steps, 1);
}

TEST_P(RedisStoreTest, AnAuditNamesCountersThatAnotherHandMoved) {
  TakeAsWriter();
  AddNext({NewPart(0, 20, 4), NewPart(1, 20, 3)}, 7, 20);
  ClaimAll();
  hand().Do({"HINCRBY", "{test/7}m", "accepted", "-2"});
  hand().Do({"HINCRBY", "{test/7}m", "claimed", "1"});
  const AuditReply audit = Audit();
  EXPECT_EQ(audit.residual, -2);
  EXPECT_EQ(audit.message_residual, 2);
  EXPECT_EQ(audit.part_residual, 1);
}

// K9
TEST_P(RedisStoreTest, ForgottenScriptsAreSentAgain) {
  TakeAsWriter();
  hand().Do({"SCRIPT", "FLUSH"});
  AddNext({NewPart(0, 20)}, 1, 20);
  hand().Do({"SCRIPT", "FLUSH"});
  DrainAndExpectNothingLeft(1);
}

TEST_P(RedisStoreTest, PipelinedCallsKeepTheirOrderWhenScriptsAreForgotten) {
  TakeAsWriter();
  hand().Do({"SCRIPT", "FLUSH"});
  std::vector<StoreCode> codes;
  for (int i = 0; i < 5; ++i) {
    redis().ingest().Add(
        kShard, std::make_shared<const AddRequest>(NextAdd({NewPart(watermark_, 90)}, 1, 10 + i)),
        [&](const StoreResult<ShardFigures>& r) { codes.push_back(r.code); });
    ++watermark_;
    clock_ = {10 + i};
  }
  redis().RunUntil([&] { return codes.size() == 5; });
  EXPECT_THAT(codes, ::testing::Each(StoreCode::kOk));
}

TEST_P(RedisStoreTest, OneBrokenShardLeavesTheOthersAlone) {
  TakeAsWriter();
  hand().Do({"DEL", "{test/8}m"});
  hand().Do({"SET", "{test/8}m", "foreign"});
  std::optional<StoreCode> broken;
  redis().ingest().Take(kOther, {.input = {}, .log_end = 5},
                        [&](const StoreResult<TakeReply>& r) { broken = r.code; });
  EXPECT_EQ(AddNext({NewPart(0, 20)}, 1, 10).code, StoreCode::kOk);
  redis().RunUntil([&] { return broken.has_value(); });
  EXPECT_EQ(broken, StoreCode::kInvalid);
}

TEST_P(RedisStoreTest, TakenShardsAreListed) {
  TakeAsWriter();
  const auto shards = Call<std::vector<ShardId>>(
      [&](Done<std::vector<ShardId>> done) { redis().store().ListShards(std::move(done)); });
  EXPECT_EQ(shards.value, std::vector<ShardId>{kShard});
}

TEST_P(RedisStoreTest, LivePartsOfManyPagesAreReadAgainWhenTheyChange) {
  TakeAsWriter();
  std::vector<AddPart> parts;
  for (Offset i = 0; i < 7'500; ++i) parts.push_back(NewPart(i, i < 500 ? 20 : 90));
  AddNext(std::move(parts), 7'500, 20);
  Acquire();
  const auto due = Peek(flush_epoch_, 100).value.due;
  std::optional<StoreResult<TakeReply>> taken;
  std::optional<StoreResult<Claim>> claimed;
  redis().ingest().Take(kShard, {.input = input_, .committed = 0, .log_end = 1'000'000},
                        [&](StoreResult<TakeReply> r) { taken = std::move(r); });
  redis().flush().ClaimParts(kShard, {.epoch = flush_epoch_, .id = {1, 1}, .parts = due},
                             [&](StoreResult<Claim> r) { claimed = std::move(r); });
  redis().RunUntil([&] { return taken.has_value() && claimed.has_value(); });
  ASSERT_EQ(taken->code, StoreCode::kOk) << taken->message;
  EXPECT_EQ(taken->value.live.size(), 7'500u);
  EXPECT_EQ(std::ranges::count_if(taken->value.live, [](const auto& p) { return !p.is_in_due; }),
            100);
}

TEST_P(RedisStoreTest, ClockMarksStayFewAndSayWhenADeadlinePassed) {
  TakeAsWriter();
  AddNext({NewPart(0, 1'001)}, 1, 1'000);
  const Claim claim = ClaimAll();
  EXPECT_TRUE(claim.parts.empty());
  for (int i = 1; i <= 400; ++i) AddNext({}, 0, 1'000 + i);
  const std::string bytes = hand().Do({"HGET", "{test/7}m", "marks"});
  const ClockMarks marks = ClockMarks::FromBytes(bytes);
  EXPECT_LE(marks.marks().size(), ClockMarks::kMaxMarks);
  EXPECT_GT(marks.marks().size(), 20u);
  EXPECT_TRUE(std::ranges::is_sorted(marks.marks()));
  EXPECT_EQ(marks.marks().front().clock, EventTime{1'001});
  EXPECT_EQ(marks.marks().back().clock, EventTime{1'400});
  DrainAndExpectNothingLeft(1);
  AddNext({}, 0, 1'500);
  EXPECT_EQ(hand().Do({"HGET", "{test/7}m", "marks"}).size(), 16u);
}

TEST_P(RedisStoreTest, TheServerPassesItsCheck) {
  const auto checked = CheckServer(redis().store(), redis().loop());
  ASSERT_EQ(checked.code, StoreCode::kOk) << checked.message;
  EXPECT_TRUE(CheckUsable(checked.value, {}).ok());
  EXPECT_EQ(WarningsFor(checked.value).size(), 1u) << "maxmemory 0";
  EXPECT_EQ(hand().Do({"KEYS", "*selftest*"}), "") << "scratch keys are removed";
}

TEST_P(RedisStoreTest, AnEvictingServerIsRefused) {
  hand().Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const auto checked = CheckServer(redis().store(), redis().loop());
  hand().Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  EXPECT_THAT(std::string(CheckUsable(checked.value, {}).message()), HasSubstr("allkeys-lru"));
  EXPECT_TRUE(CheckUsable(checked.value, {.allows_eviction = true}).ok());
}

TEST_P(RedisStoreTest, AMissingRightNamesTheCommand) {
  hand().Do({"ACL", "SETUSER", "limited", "on", ">secret", "~{test*", "+@all", "-zmscore"});
  TemporaryDirectory folder;
  const std::string password_file = folder.path() + "/password";
  std::ofstream(password_file) << "secret\n";
  RedisStoreOptions options;
  options.connection.endpoint = *ParseEndpoint(SharedRedis().url());
  options.connection.username = "limited";
  options.connection.password_file = password_file;
  options.name_space = "test";
  RedisShardStore store(redis().loop(), options);
  redis().RunUntil([&] { return store.state().is_ready; });
  const auto checked = CheckServer(store, redis().loop());
  EXPECT_EQ(checked.code, StoreCode::kInvalid);
  EXPECT_THAT(checked.message, HasSubstr("ZMSCORE"));
  hand().Do({"ACL", "DELUSER", "limited"});
}

TEST_P(RedisStoreTest, AWrongPasswordIsSaid) {
  RedisStoreOptions options;
  options.connection.endpoint = *ParseEndpoint(SharedRedis().url());
  options.connection.endpoint.username = "nobody";
  options.connection.endpoint.password = "wrong";
  RedisShardStore store(redis().loop(), options);
  redis().RunUntil([&] { return absl::StrContains(store.state().text, "WRONGPASS"); });
  EXPECT_FALSE(store.state().is_ready);
  EXPECT_THAT(store.state().text, Not(HasSubstr("wrong\"")));
}

TEST(RedisLossTest, GoesOnByItselfAfterARestartWithoutData) {
  auto server = RedisServer::Start();
  ASSERT_TRUE(server.ok()) << server.status();
  Loop loop;
  std::vector<bool> states;
  RedisStoreOptions options;
  options.connection.endpoint = *ParseEndpoint(server->url());
  RedisShardStore store(loop, options,
                        [&](const ConnectionState& state) { states.push_back(state.is_ready); });
  const TakeRequest request{.input = {}, .log_end = 5};
  std::optional<StoreResult<TakeReply>> early;
  store.Take(kOther, request, [&](StoreResult<TakeReply> r) { early = std::move(r); });
  RunLoopUntil(loop, [&] { return early.has_value() && store.state().is_ready; });
  EXPECT_EQ(early->code, StoreCode::kUnavailable) << "not connected yet";

  server->process().SignalGroup(SIGSTOP);
  std::optional<StoreResult<TakeReply>> in_flight;
  store.Take(kOther, request, [&](StoreResult<TakeReply> r) { in_flight = std::move(r); });
  server->Kill();
  RunLoopUntil(loop, [&] { return in_flight.has_value(); });
  EXPECT_EQ(in_flight->code, StoreCode::kUnavailable);
  RunLoopUntil(loop, [&] { return !store.state().is_ready; });
  EXPECT_THAT(store.state().text, HasSubstr("connecting to redis://127.0.0.1"));

  ASSERT_TRUE(server->StartAgain().ok());
  RunLoopUntil(loop, [&] { return store.state().is_ready; });
  std::optional<StoreResult<TakeReply>> taken;
  store.Take(kOther, request, [&](StoreResult<TakeReply> r) { taken = std::move(r); });
  RunLoopUntil(loop, [&] { return taken.has_value(); });
  EXPECT_EQ(taken->code, StoreCode::kOk) << taken->message;
  EXPECT_TRUE(taken->value.is_created);
  EXPECT_THAT(states, ::testing::ElementsAre(true, false, true));
}

TEST(RedisLossTest, AServerThatDoesNotAnswerIsGivenUp) {
  auto server = RedisServer::Start();
  ASSERT_TRUE(server.ok()) << server.status();
  Loop loop;
  RedisStoreOptions options;
  options.connection.endpoint = *ParseEndpoint(server->url());
  // Longer than the pause between the store's own questions about memory: those it does not count.
  options.connection.command_timeout = std::chrono::milliseconds(1'500);
  options.connection.long_wait = std::chrono::milliseconds(300);
  RedisShardStore store(loop, options);
  RunLoopUntil(loop, [&] { return store.state().is_ready; });
  server->process().SignalGroup(SIGSTOP);
  std::optional<StoreResult<ShardSummary>> summary;
  EXPECT_FALSE(store.KeepsWaiting(kOther)) << "it owes nothing";
  store.Summary(kOther, [&](StoreResult<ShardSummary> r) { summary = std::move(r); });
  bool has_kept_waiting = false;
  RunLoopUntil(loop, [&] {
    has_kept_waiting |= !summary.has_value() && store.KeepsWaiting(kOther);
    return summary.has_value();
  });
  EXPECT_EQ(summary->code, StoreCode::kUnavailable);
  EXPECT_TRUE(has_kept_waiting);
  server->process().SignalGroup(SIGCONT);
  RunLoopUntil(loop, [&] { return store.state().is_ready; });
  EXPECT_FALSE(store.KeepsWaiting(kOther));
}

TEST(RedisLossTest, TheStoreMayGoInItsOwnCallback) {
  Loop loop;
  RedisStoreOptions options;
  options.connection.endpoint = *ParseEndpoint(SharedRedis().url());
  auto store = std::make_unique<RedisShardStore>(loop, options);
  RunLoopUntil(loop, [&] { return store->state().is_ready; });
  bool is_called = false;
  store->Summary(kOther, [&](const StoreResult<ShardSummary>&) { store.reset(); });
  store->Summary(kOther, [&](const StoreResult<ShardSummary>&) { is_called = true; });
  RunLoopUntil(loop, [&] { return store == nullptr; });
  uv_run(loop.native(), UV_RUN_NOWAIT);
  EXPECT_FALSE(is_called);
}

TEST(RedisRetryTest, AReplicaIsLeftAndTheCallGoesToItsSuccessor) {
  auto server = RedisServer::Start();
  ASSERT_TRUE(server.ok()) << server.status();
  RedisHand hand(server->port());
  Loop loop;
  RedisStoreOptions options;
  options.connection.endpoint = *ParseEndpoint(server->url());
  RedisShardStore store(loop, options);
  RunLoopUntil(loop, [&] { return store.state().is_ready; });
  hand.Do({"REPLICAOF", "127.0.0.1", "1"});
  std::optional<StoreResult<TakeReply>> taken;
  store.Take(kOther, {.input = {}, .log_end = 5}, [&](auto r) { taken = std::move(r); });
  RunLoopUntil(loop, [&] { return !store.state().is_ready; });
  EXPECT_FALSE(taken.has_value());
  hand.Do({"REPLICAOF", "NO", "ONE"});
  RunLoopUntil(loop, [&] { return taken.has_value(); });
  EXPECT_EQ(taken->code, StoreCode::kOk) << taken->message;
}

TEST(RedisUnixTest, AUnixSocketServesToo) {
  TemporaryDirectory folder;
  const std::string path = folder.path() + "/redis.sock";
  auto server = RedisServer::Start({"--unixsocket", path});
  ASSERT_TRUE(server.ok()) << server.status();
  Loop loop;
  RedisStoreOptions options;
  options.connection.endpoint = *ParseEndpoint(absl::StrCat("redis+unix://", path));
  RedisShardStore store(loop, options);
  RunLoopUntil(loop, [&] { return store.state().is_ready; });
}

}  // namespace
}  // namespace spillway::buffer
