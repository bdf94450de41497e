#include "worker/ingest/shard_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using wire::Cause;

// Faults the next call of one kind, once.
void FaultOnce(Harness& harness, StoreCall call, StoreFault fault) {
  harness.store.SetFaults([&harness, call, fault](StoreCall asked, ShardId) {
    if (asked != call) return StoreFault::kNone;
    harness.store.SetFaults({});
    return fault;
  });
}

class ShardSessionTest : public ::testing::Test {
 protected:
  void Assign() {
    h.worker().consumer.Assign({kShard});
    h.Pass(milliseconds(200));
  }
  ShardSession& session() { return *h.worker().session(); }
  // Lets every deadline pass and flushes.
  void Finish() {
    h.Pass(seconds(75));
    h.Flush();
    h.Pass(seconds(40));
  }
  Harness h;
};

TEST_F(ShardSessionTest, WritesWhatItReadsAndCommitsWhatHasLeft) {
  h.Append(SpanText('a', 'b', 'a'));
  h.Append(SpanText('a', 'a', 0));
  Assign();
  EXPECT_TRUE(session().is_live());
  EXPECT_EQ(h.redis().watermark, 2);
  EXPECT_EQ(h.redis().due.size(), 1u);

  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1), Pair(1, 1)));
  EXPECT_EQ(h.committed(), 2);
  EXPECT_EQ(h.redis().ledger.messages, 2u);
  EXPECT_EQ(h.redis().ledger.accepted, 2u);
}

TEST_F(ShardSessionTest, WaitsForABatchAtMostBatchTime) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  h.worker().consumer.Notify();
  h.Settle();
  EXPECT_EQ(h.redis().watermark, 0);
  h.Pass(milliseconds(50));
  EXPECT_EQ(h.redis().watermark, 1);
}

TEST_F(ShardSessionTest, AFullBatchGoesAtOnceAndTheNextIsReadMeanwhile) {
  h.options.batch_messages = 2;
  Assign();
  for (const char id : {'a', 'b', 'c', 'd', 'e'}) h.Append(SpanText('a', id, 0));
  h.worker().consumer.Notify();
  h.Settle();
  EXPECT_EQ(h.redis().watermark, 4);
  h.Pass(milliseconds(50));
  EXPECT_EQ(h.redis().watermark, 5);
}

TEST_F(ShardSessionTest, TakesAgainUntilKafkaAndRedisAnswer) {
  h.kafka.is_reachable = false;
  Assign();
  EXPECT_FALSE(session().is_live());
  EXPECT_THAT(session().trouble(), HasSubstr("Kafka"));
  EXPECT_EQ(session().Report().blocked_cause, Cause::kKafka);
  EXPECT_EQ(session().gate().cause(), Cause::kKafka);
  h.kafka.is_reachable = true;
  // Row K9d: by then the shard may have lost its owner.
  h.store.SetFaults([](StoreCall, ShardId) { return StoreFault::kMoving; });
  h.Pass(seconds(1));
  EXPECT_EQ(session().gate().cause(), Cause::kRedisMoving);
  FaultOnce(h, StoreCall::kTake, StoreFault::kLoseReply);
  h.Pass(seconds(5));
  EXPECT_TRUE(session().is_live());
  // The lost answer's number was passed over.
  EXPECT_GE(h.redis().ingest_epoch.number, 2u);
}

// ---- rows D4, D4b: who moves the clock

TEST_F(ShardSessionTest, TicksMoveTheClockAtTheEndOfTheInput) {
  h.Append(SpanText('a', 'a', 0));
  Assign();
  h.Pass(seconds(12));
  EXPECT_EQ(h.redis().Backlog(), 1u);
}

TEST_F(ShardSessionTest, TheClockStandsStillWhileInputWaits) {
  Assign();
  session().SetPaused(true);
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(3));
  const EventTime before = h.redis().clock;
  h.Pass(seconds(60));
  EXPECT_EQ(h.redis().clock, before);
  EXPECT_EQ(h.redis().watermark, 0);
  session().SetPaused(false);
  h.Pass(seconds(1));
  EXPECT_EQ(h.redis().watermark, 1);
}

TEST_F(ShardSessionTest, TheClockStandsStillWhileKafkaIsAway) {
  h.Append(SpanText('a', 'a', 0));
  Assign();
  h.kafka.is_reachable = false;
  const EventTime before = h.redis().clock;
  h.Pass(seconds(60));
  EXPECT_EQ(h.redis().clock, before);
}

TEST_F(ShardSessionTest, AnOldInputCutsNothingEarly) {
  const EventTime hour_ago = h.now() - std::chrono::hours(1);
  for (int i = 0; i < 100; ++i) {
    h.Append(SpanText('a', 'b', 'c', std::to_string(i)), hour_ago + milliseconds(i));
  }
  h.options.batch_messages = 1;
  h.worker().consumer.Assign({kShard});
  while (h.store.shard(kShard) == nullptr || h.redis().watermark < 100) {
    ASSERT_EQ(h.store.shard(kShard) == nullptr ? 0u : h.redis().Backlog(), 0u);
    h.Pass(milliseconds(60));
  }
  EXPECT_EQ(h.redis().due.size(), 1u);
}

// Row D4c.
TEST_F(ShardSessionTest, TimestampsAreClampedToRedisTime) {
  h.Append(SpanText('a', 'a', 0), h.now() + std::chrono::hours(24 * 365));
  h.kafka.Append(kTopic, 0,
                 {.payload = SpanText('b', 'a', 0), .key = "", .headers = {}, .timestamp = {}});
  h.Append(SpanText('c', 'a', 0), h.now() - std::chrono::hours(24 * 365));
  Assign();
  EXPECT_EQ(h.redis().watermark, 3);
  EXPECT_LE(h.redis().clock, h.now());
  EXPECT_EQ(h.redis().Backlog(), 0u);
  for (const auto& [part, deadline] : h.redis().due) {
    EXPECT_LE(deadline, h.now() + seconds(10)) << part.ToString();
  }
}

// ---- answers of Redis

TEST_F(ShardSessionTest, ALostAnswerIsFoundAppliedByTheSecondTry) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  FaultOnce(h, StoreCall::kAdd, StoreFault::kLoseReply);
  h.Pass(milliseconds(60));
  EXPECT_EQ(session().gate().cause(), Cause::kRedis);
  h.Pass(seconds(2));
  EXPECT_EQ(session().gate().state(), wire::GateState::kOpen);
  EXPECT_EQ(h.redis().ledger.accepted, 1u);
  EXPECT_EQ(session().Report().spans, 1u);
  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1)));
}

TEST_F(ShardSessionTest, ALostRequestIsSentAgain) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  FaultOnce(h, StoreCall::kAdd, StoreFault::kLoseRequest);
  h.Pass(seconds(2));
  EXPECT_EQ(h.redis().ledger.accepted, 1u);
}

TEST_F(ShardSessionTest, ALateCopyOfAnAddIsHarmless) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  FaultOnce(h, StoreCall::kAdd, StoreFault::kDelay);
  h.Pass(seconds(2));
  h.store.RunDelayed();
  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1)));
  EXPECT_EQ(h.redis().ledger.accepted, 1u);
}

TEST_F(ShardSessionTest, ALateCopyOfATickMakesItTakeAgain) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(1));
  FaultOnce(h, StoreCall::kTick, StoreFault::kLoseReply);
  h.Pass(seconds(5));
  EXPECT_TRUE(session().is_live());
  EXPECT_EQ(h.redis().ingest_epoch.number, 2u);
  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1)));
}

TEST_F(ShardSessionTest, AMovingSlotClosesTheGateUntilItHasMoved) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  h.store.SetFaults([](StoreCall, ShardId) { return StoreFault::kMoving; });
  h.Pass(seconds(2));
  EXPECT_EQ(session().gate().cause(), Cause::kRedisMoving);
  EXPECT_TRUE(session().gate().is_closed());
  EXPECT_TRUE(h.worker().consumer.is_paused(kShard));
  h.store.SetFaults({});
  h.Pass(seconds(5));
  EXPECT_FALSE(session().gate().is_closed());
  EXPECT_EQ(h.redis().watermark, 1);
}

// Row K8, the ingest side.
TEST_F(ShardSessionTest, ARefusalForMemoryClosesTheGateAndMovesTheClock) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(1));
  h.store.SetMemoryFull(true);
  h.store.SetMemoryRatio(0.99);
  for (const char id : {'b', 'c'}) h.Append(SpanText(id, 'a', 0));
  h.Pass(seconds(2));
  EXPECT_EQ(session().gate().cause(), Cause::kRedisMemory);
  EXPECT_EQ(h.redis().watermark, 1);
  // Though input waits, the clock goes on, so that what is held can leave.
  h.Pass(seconds(15));
  EXPECT_EQ(h.redis().Backlog(), 1u);
  h.Flush();
  EXPECT_EQ(h.DeliveredOffsets().size(), 1u);
  h.store.SetMemoryFull(false);
  h.store.SetMemoryRatio(0.3);
  h.Pass(seconds(8));
  EXPECT_EQ(h.redis().watermark, 3);
  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1), Pair(1, 1), Pair(2, 1)));
}

// Row K9g.
TEST_F(ShardSessionTest, TheIndexLimitClosesTheGateUntilPartsHaveLeft) {
  Assign();
  session().set_index_limit(20'000);
  std::string ids;
  for (int i = 0; i < 400; ++i) {
    h.Append(SpanText("0123456789abcdef"[i % 16], "0123456789abcdef"[i / 16 % 16], 'f',
                      std::to_string(i)));
  }
  h.options.batch_messages = 20;
  h.Pass(seconds(2));
  ASSERT_EQ(session().gate().cause(), Cause::kIndex);
  EXPECT_LT(h.redis().watermark, 400);
  int rounds = 0;
  while (h.redis().watermark < 400 && ++rounds < 200) {
    h.Pass(seconds(20));
    h.Flush();
  }
  EXPECT_EQ(h.redis().watermark, 400);
}

TEST_F(ShardSessionTest, ALostRedisIsFilledAgainFromTheCommittedOffset) {
  h.Append(SpanText('a', 'a', 0));
  Assign();
  Finish();
  ASSERT_EQ(h.committed(), 1);
  h.Append(SpanText('b', 'a', 0));
  h.Pass(seconds(1));
  h.store.LoseEverything();
  h.Pass(seconds(10));
  EXPECT_EQ(h.redis().watermark, 2);
  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1), Pair(1, 1)));
  EXPECT_EQ(h.committed(), 2);
}

// ---- dead letters

TEST_F(ShardSessionTest, AnInvalidMessageIsADeadLetterWithItsOrigin) {
  h.Append("not json");
  h.Append(SpanText('a', 'a', 0));
  Assign();
  const auto letters = h.kafka.Records(kLetters);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].payload, "not json");
  const std::map<std::string, std::string> headers(letters[0].headers.begin(),
                                                   letters[0].headers.end());
  EXPECT_EQ(headers.at("spillway-reason"), "not_json");
  EXPECT_EQ(headers.at("spillway-topic"), kTopic);
  EXPECT_EQ(headers.at("spillway-partition"), "0");
  EXPECT_EQ(headers.at("spillway-offset"), "0");
  EXPECT_EQ(h.redis().ledger.rejected, 1u);
  EXPECT_EQ(h.redis().ledger.accepted, 1u);
}

TEST_F(ShardSessionTest, ALetterKeepsTheMessagesKey) {
  h.kafka.Append(kTopic, 0,
                 {.payload = "not json", .key = "trace-7", .headers = {}, .timestamp = h.now()});
  Assign();
  const auto letters = h.kafka.Records(kLetters);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].key, "trace-7");
}

TEST_F(ShardSessionTest, LinesAboutRejectedMessagesAreFew) {
  for (int i = 0; i < 1000; ++i) h.Append("not json");
  ::testing::internal::CaptureStderr();
  Assign();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(h.redis().ledger.rejected, 1000u);
  size_t lines = 0;
  for (size_t at = log.find("message rejected"); at != std::string::npos;
       at = log.find("message rejected", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, size_t{LogLimiter::kLines});
  EXPECT_THAT(log, HasSubstr("shard=0 offset=0 reason=not_json"));
}

// Row K9e: the watermark waits for the letter.
TEST_F(ShardSessionTest, NothingIsWrittenBeforeTheLettersAreAcknowledged) {
  h.worker().producer.Hold();
  h.Append("bad");
  h.Append(SpanText('a', 'a', 0));
  Assign();
  EXPECT_EQ(h.redis().watermark, 0);
  h.worker().Crash();
  h.ReplaceWorker(0);
  Assign();
  EXPECT_EQ(h.kafka.Records(kLetters).size(), 1u);
  EXPECT_EQ(h.redis().watermark, 2);
}

TEST_F(ShardSessionTest, LettersThatCannotBeDeliveredCloseTheGateAndAreTriedOn) {
  bool is_away = true;
  h.worker().producer.set_policy([&](const std::string&, const kafka::OutgoingMessage&) {
    kafka::FakeProducer::Outcome outcome;
    if (is_away) outcome.report = {kafka::Delivery::kNotDelivered, "away"};
    return outcome;
  });
  Assign();
  h.Append("bad");
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(10));
  EXPECT_FALSE(session().gate().is_closed());
  h.Pass(seconds(25));
  EXPECT_EQ(session().gate().cause(), Cause::kDeadLetter);
  EXPECT_EQ(h.redis().watermark, 0);
  is_away = false;
  h.Pass(seconds(3));
  EXPECT_EQ(h.redis().watermark, 2);
  EXPECT_FALSE(session().gate().is_closed());
  EXPECT_EQ(h.kafka.Records(kLetters).size(), 1u);
}

TEST_F(ShardSessionTest, ALetterTheTopicRefusesGoesWithoutItsPayload) {
  h.worker().producer.set_policy([](const std::string&, const kafka::OutgoingMessage& message) {
    kafka::FakeProducer::Outcome outcome;
    if (message.payload.size() > 100'000) outcome.report = {kafka::Delivery::kRefused, "too large"};
    return outcome;
  });
  h.Append(std::string(200'000, '['));
  Assign();
  h.Pass(seconds(3));
  const auto letters = h.kafka.Records(kLetters);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].payload, "");
  EXPECT_THAT(letters[0].headers, ::testing::Contains(Pair("spillway-omitted-bytes", "200000")));
  EXPECT_EQ(h.redis().watermark, 1);
}

TEST_F(ShardSessionTest, TombstonesAreDeadLetters) {
  h.kafka.Append(
      kTopic, 0,
      {.payload = "", .key = "k", .headers = {}, .timestamp = h.now(), .is_tombstone = true});
  Assign();
  EXPECT_EQ(h.redis().ledger.rejected, 1u);
  EXPECT_EQ(h.redis().watermark, 1);
}

// ---- hand-over

// Row D6.
TEST_F(ShardSessionTest, AShardThatMovesWhileABatchIsUnderWayLosesAndDoublesNothing) {
  h.AddWorker();
  Assign();
  h.Append(SpanText('a', 'b', 'a'));
  h.Pass(seconds(1));
  h.Append(SpanText('a', 'a', 0));
  h.store.SetFaults([](StoreCall call, ShardId) {
    return call == StoreCall::kAdd ? StoreFault::kHold : StoreFault::kNone;
  });
  h.Pass(milliseconds(100));
  ASSERT_EQ(h.store.held_calls(), 1u);
  h.store.SetFaults({});
  h.worker(0).consumer.Revoke({kShard}, false);
  h.worker(1).consumer.Assign({kShard});
  h.Pass(seconds(1));
  h.store.ReleaseHeld();  // the old owner's add comes late: fenced
  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1), Pair(1, 1)));
  EXPECT_EQ(h.delivered.size(), 1u);
  EXPECT_EQ(h.redis().ledger.accepted, 2u);
}

// Row K1b: the one whose commits Kafka takes ends up writing.
TEST_F(ShardSessionTest, AFencedOwnerTakesAgainOnlyIfItIsStillAssigned) {
  h.AddWorker();
  h.Append(SpanText('a', 'a', 0));
  Assign();
  Finish();  // something is committed
  // The group has moved the shard, but the first worker does not know yet and takes after the
  // second.
  h.worker(1).consumer.Assign({kShard});
  h.Pass(seconds(30));
  const Epoch both = h.redis().ingest_epoch;
  EXPECT_GE(both.number, 3u);  // they fence each other, with backoff, while both may commit
  h.worker(0).consumer.Revoke({kShard}, true);
  h.Pass(seconds(10));
  EXPECT_TRUE(h.worker(1).session()->is_live());
  h.Append(SpanText('b', 'a', 0));
  Finish();
  EXPECT_THAT(h.DeliveredOffsets(), ElementsAre(Pair(0, 1), Pair(1, 1)));
}

TEST_F(ShardSessionTest, AFencedOwnerThatKafkaDisownsStaysOut) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  Finish();
  h.kafka.commits_fail = true;
  h.store.Take(
      kShard,
      {.proposed_number = 50, .owner = 9, .input = h.redis().input, .committed = 1, .log_end = 1},
      [](const auto&) {});
  h.Pass(seconds(30));
  EXPECT_FALSE(session().is_live());
  EXPECT_EQ(h.redis().ingest_epoch.owner, 9u);
  h.kafka.commits_fail = false;
  h.Pass(seconds(5));
  EXPECT_TRUE(session().is_live());
  EXPECT_EQ(h.redis().ingest_epoch.number, 52u);
}

// The proof is a commit: of no less than one that has counted but was not answered yet.
TEST_F(ShardSessionTest, AFencedOwnerProvesItselfWithoutLoweringC) {
  Assign();
  h.Append(SpanText('a', 'a', 0));
  Finish();
  h.Append(SpanText('b', 'a', 0));
  h.Pass(seconds(75));
  h.Flush();
  ASSERT_EQ(h.committed(), 1);
  const auto pass_without_kafka = [&] {  // its answers wait
    h.clock.Advance(seconds(40));
    h.store.Advance(seconds(40));
    while (h.worker().RunDue() || h.store.RunCallbacks() > 0) {
    }
  };
  pass_without_kafka();
  ASSERT_EQ(h.committed(), 2);
  h.store.Take(
      kShard,
      {.proposed_number = 50, .owner = 9, .input = h.redis().input, .committed = 2, .log_end = 2},
      [](const auto&) {});
  pass_without_kafka();
  EXPECT_FALSE(session().is_live());
  pass_without_kafka();
  EXPECT_EQ(h.committed(), 2);
  h.Pass(seconds(5));
  EXPECT_TRUE(session().is_live());
}

TEST_F(ShardSessionTest, ARevokedShardCommitsWhatIsProven) {
  h.options.commit_interval = std::chrono::hours(1);
  h.Append(SpanText('a', 'a', 0));
  Assign();
  Finish();
  h.kafka.committed().clear();
  h.worker().consumer.Revoke({kShard}, false);
  // Its last commit has been made already, or is made now: never above what was delivered.
  EXPECT_LE(h.committed().value_or(0), 1);
}

TEST_F(ShardSessionTest, ALogThatWasReplacedIsTakenAnew) {
  for (int i = 0; i < 5; ++i) h.Append(SpanText('a', 'b', 'c', std::to_string(i)));
  Assign();
  ASSERT_EQ(h.redis().watermark, 5);
  h.kafka.partition(kTopic, 0).records.clear();
  h.kafka.committed().clear();
  h.kafka.topic_id = "another";
  h.worker().Crash();
  h.worker().consumer.Assign({kShard});
  h.Append(SpanText('d', 'a', 0));
  h.Pass(seconds(1));
  EXPECT_EQ(h.redis().watermark, 1);
  EXPECT_EQ(h.redis().incarnation, 2u);
  h.Flush();
  Finish();
  EXPECT_EQ(h.delivered.size(), 2u);  // the old log's part and the new one's
}

TEST_F(ShardSessionTest, DrainWaitsForTheAddAndCommits) {
  h.options.commit_interval = std::chrono::hours(1);
  Assign();
  h.Append(SpanText('a', 'a', 0));
  h.store.SetFaults([](StoreCall call, ShardId) {
    return call == StoreCall::kAdd ? StoreFault::kHold : StoreFault::kNone;
  });
  h.Pass(milliseconds(100));
  h.store.SetFaults({});
  bool is_drained = false;
  session().Drain([&] { is_drained = true; });
  h.Settle();
  EXPECT_FALSE(is_drained);
  h.store.ReleaseHeld();
  h.Settle();
  EXPECT_TRUE(is_drained);
  EXPECT_EQ(h.redis().watermark, 1);
  h.Append(SpanText('b', 'a', 0));
  h.Pass(seconds(2));
  EXPECT_EQ(h.redis().watermark, 1);
}

TEST(EffectivePartBytesTest, IsTheLeastOfItsThreeBounds) {
  EXPECT_EQ(EffectivePartBytes(1 << 20, 100u << 20), 1u << 20);
  EXPECT_EQ(EffectivePartBytes(100u << 20, 100u << 20), 10u << 20);
  EXPECT_EQ(EffectivePartBytes(10u << 20, 1'004'096), 700'000u);
  EXPECT_EQ(EffectivePartBytes(10u << 20, 100), 0u);
}

}  // namespace
}  // namespace spillway::ingest
