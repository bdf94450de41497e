// Conformance rows K at unit level: the whole worker but the loop.
#include "worker/flush/flush_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "worker/flush/test_world.h"

namespace spillway::flush {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using kafka::Delivery;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr ShardId kShard{3};

std::vector<std::string> Family() { return {SpanJson('a', 'b'), SpanJson('b')}; }

class FlushEngineTest : public testing::Test {
 protected:
  FlushEngineTest() { world_.Create(kShard); }

  // What the broker says to the n-th message (from 0) of any topic; kDelivered without an entry.
  void Answer(Flusher& flusher, std::map<int, Delivery> answers, bool is_persisted = false) {
    flusher.producer.set_policy([answers, is_persisted, n = 0](const auto&, const auto&) mutable {
      const auto found = answers.find(n++);
      const Delivery delivery = found == answers.end() ? Delivery::kDelivered : found->second;
      return kafka::FakeProducer::Outcome{{delivery, "told to"}, is_persisted};
    });
  }
  // The first `times` calls of this kind meet with a fault.
  void Fail(StoreCall call, StoreFault fault, int times = 1) {
    world_.UseFaults([=](StoreCall made, ShardId) mutable {
      return made == call && times-- > 0 ? fault : StoreFault::kNone;
    });
  }
  void ExpectAllDone() {
    EXPECT_TRUE(world_.IsEmpty(kShard));
    EXPECT_EQ(world_.Residual(kShard), 0);
  }

  World world_;
};

TEST_F(FlushEngineTest, DeliversWhatIsDueAndAcknowledges) {
  Flusher flusher(world_);
  world_.AddPart(kShard, Family());
  world_.AddPart(kShard, {SpanJson('b')});
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), SizeIs(2));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.acknowledged, 3u);
  ExpectAllDone();
  const wire::ShardReport report = flusher.ShardReport(kShard);
  EXPECT_EQ(report.stage, wire::ShardStage::kOwned);
  EXPECT_EQ(report.epoch, world_.store.shard(kShard)->flush_epoch);
  EXPECT_EQ(report.spans, 3u);
  EXPECT_EQ(report.segments, 2u);
  EXPECT_FALSE(report.has_work);
  EXPECT_EQ(report.backlog, 0u);
  EXPECT_EQ(flusher.engine.bytes_in_flight(), 0u);
}

TEST_F(FlushEngineTest, FindsWhatComesDueLater) {
  Flusher flusher(world_);
  flusher.Own({kShard});
  flusher.RunFor(seconds(5));
  world_.AddPart(kShard, Family());
  flusher.RunFor(milliseconds(1100));
  EXPECT_THAT(world_.Output(), SizeIs(1));
}

TEST_F(FlushEngineTest, LooksLessOftenWhileTheClockStandsStill) {
  Flusher flusher(world_);
  flusher.Own({kShard});
  flusher.RunFor(seconds(5));
  int peeks = 0;
  world_.UseFaults([&peeks](StoreCall call, ShardId) {
    peeks += call == StoreCall::kPeek;
    return StoreFault::kNone;
  });
  flusher.RunFor(seconds(10));
  EXPECT_LE(peeks, 11);
  EXPECT_GE(peeks, 9);
}

// K4, output side: nothing is acknowledged before its delivery.
TEST_F(FlushEngineTest, KeepsTheClaimUntilEveryReportHasCome) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  world_.AddPart(kShard, Family());
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  ASSERT_EQ(flusher.producer.held(), 2u);
  flusher.producer.DeliverHeld(1);
  flusher.RunFor(seconds(3));
  EXPECT_THAT(world_.store.shard(kShard)->claims, SizeIs(1));
  EXPECT_EQ(flusher.ShardReport(kShard).in_flight, 2u);
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kKafka);
  flusher.producer.Unhold();
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), SizeIs(2));
  ExpectAllDone();
}

// K3: nothing delivered, so the claim is released, and no attempt is counted.
TEST_F(FlushEngineTest, ReleasesWhatKafkaDidNotTake) {
  Flusher flusher(world_);
  Answer(flusher, {{0, Delivery::kNotDelivered}});
  const PartName part = world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_TRUE(world_.store.shard(kShard)->due.contains(part));
  EXPECT_THAT(world_.store.shard(kShard)->attempts, IsEmpty());
  EXPECT_EQ(world_.store.shard(kShard)->ledger.released, 1u);
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kKafka);
  flusher.RunFor(seconds(1));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kNone);
  EXPECT_GT(flusher.engine.Report().blocked[static_cast<size_t>(wire::Cause::kKafka)].count(), 0);
  ExpectAllDone();
}

// K10: duplicates at most the reports that could not tell.
TEST_F(FlushEngineTest, SendsOnlyTheFailedPartsOfAClaimAgain) {
  Flusher flusher(world_);
  Answer(flusher, {{1, Delivery::kPossiblyPersisted}, {3, Delivery::kNotDelivered}}, true);
  for (int i = 0; i < 5; ++i) world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunFor(seconds(2));
  EXPECT_THAT(world_.Output(), SizeIs(5 + 1));
  EXPECT_EQ(flusher.ShardReport(kShard).possibly_persisted, 1u);
  EXPECT_EQ(world_.store.shard(kShard)->ledger.released, 0u);
  ExpectAllDone();
}

TEST_F(FlushEngineTest, RepeatsCallsWhoseReplyWasLost) {
  for (const StoreCall call : {StoreCall::kAcquire, StoreCall::kPeek, StoreCall::kClaim,
                               StoreCall::kLoad, StoreCall::kAcknowledge}) {
    for (const StoreFault fault : {StoreFault::kLoseRequest, StoreFault::kLoseReply}) {
      World world;
      world.Create(kShard);
      world.UseFaults([call, fault, times = 2](StoreCall made, ShardId) mutable {
        return made == call && times-- > 0 ? fault : StoreFault::kNone;
      });
      Flusher flusher(world);
      world.AddPart(kShard, Family());
      flusher.Own({kShard});
      flusher.RunFor(seconds(3));
      EXPECT_THAT(world.Output(), SizeIs(1)) << static_cast<int>(call);
      EXPECT_TRUE(world.IsEmpty(kShard)) << static_cast<int>(call);
      EXPECT_EQ(world.Residual(kShard), 0) << static_cast<int>(call);
      EXPECT_EQ(flusher.ShardReport(kShard).spans, 2u) << static_cast<int>(call);
    }
  }
}

TEST_F(FlushEngineTest, RepeatsALostRelease) {
  Fail(StoreCall::kRelease, StoreFault::kLoseReply, 2);
  Flusher flusher(world_);
  Answer(flusher, {{0, Delivery::kNotDelivered}});
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunFor(seconds(3));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.released, 1u);
  ExpectAllDone();
}

// K3d: a copy of a claim call that is executed late makes a claim that nobody holds.
TEST_F(FlushEngineTest, ReleasesAClaimOfItsEpochThatItDoesNotHold) {
  Fail(StoreCall::kClaim, StoreFault::kDelay);
  Flusher flusher(world_);
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunFor(seconds(1));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  const PartName late = world_.AddPart(kShard, Family());
  (void)late;
  world_.store.RunDelayed();  // names a part that has left: makes no claim
  flusher.RunFor(seconds(2));
  EXPECT_THAT(world_.Output(), SizeIs(2));
  ExpectAllDone();
}

// K3c: Redis restored to the moment before the acknowledge, same epoch.
TEST_F(FlushEngineTest, SendsAgainWhatARestoredRedisStillHasInFlight) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  const auto snapshot = world_.store.Snapshot();
  flusher.producer.Unhold();
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), SizeIs(1));
  world_.store.Restore(snapshot);
  flusher.RunFor(seconds(2));
  ASSERT_THAT(world_.Output(), SizeIs(2));
  EXPECT_EQ(world_.Output()[0], world_.Output()[1]) << "the same flush id";
  ExpectAllDone();
}

TEST_F(FlushEngineTest, AcquiresAgainWhenRedisHasLostTheShard) {
  Flusher flusher(world_);
  flusher.Own({kShard});
  flusher.RunNow();
  world_.store.LoseEverything();
  flusher.RunFor(seconds(2));
  EXPECT_EQ(flusher.ShardReport(kShard).stage, wire::ShardStage::kAcquiring);
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kOwnership);
  world_.Create(kShard);
  world_.AddPart(kShard, Family());
  flusher.RunFor(seconds(6));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  ExpectAllDone();
}

// K1: only the stored epoch claims, and the acknowledge of an existing claim by the old owner
// counts.
TEST_F(FlushEngineTest, LetsAFencedOwnerAcknowledgeWhatItHolds) {
  Flusher first(world_);
  first.producer.Hold();
  world_.AddPart(kShard, Family());
  first.Own({kShard});
  first.RunNow();
  Flusher second(world_);
  second.Own({kShard});
  second.RunNow();
  first.Own({});
  first.producer.Unhold();
  first.RunNow();
  second.RunFor(seconds(2));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.acknowledged, 2u);
  ExpectAllDone();
}

TEST_F(FlushEngineTest, TakesABackASharedShardWithBackoff) {
  Flusher first(world_);
  Flusher second(world_);
  first.Own({kShard});
  second.Own({kShard});
  for (int i = 0; i < 400; ++i) {  // both believe it is theirs for ten seconds
    if (i % 20 == 0) world_.AddPart(kShard, Family());
    first.RunNow();
    second.RunFor(milliseconds(25));
  }
  EXPECT_THAT(world_.Output(), SizeIs(20));
  EXPECT_LT(world_.store.shard(kShard)->flush_epoch.number, 40u);
  ExpectAllDone();
}

// K4: the owner dies; its claim is released when its lease has ended, not before.
TEST_F(FlushEngineTest, ReleasesADeadOwnersClaimAtTheEndOfItsLease) {
  FlushOptions options;
  options.lease = seconds(20);
  world_.AddPart(kShard, Family());
  {
    Flusher dead(world_, options);
    dead.producer.Hold();
    dead.Own({kShard});
    dead.RunNow();
  }
  Flusher next(world_, options);
  next.Own({kShard});
  next.RunFor(seconds(19));
  EXPECT_THAT(world_.Output(), IsEmpty());
  next.RunFor(milliseconds(2'500));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  ExpectAllDone();
}

// The control plane has proven that the owner is dead: nobody waits for the lease.
TEST_F(FlushEngineTest, ReleasesADeadOwnersClaimAtOnceWhenItIsToldSo) {
  world_.AddPart(kShard, Family());
  Epoch epoch;
  {
    Flusher dead(world_);
    dead.producer.Hold();
    dead.Own({kShard});
    dead.RunNow();
    epoch = dead.ShardReport(kShard).epoch;
  }
  ASSERT_THAT(world_.store.shard(kShard)->claims, SizeIs(1));
  Flusher next(world_);
  next.engine.Obey({.sequence = 1, .shards = {kShard}, .dead = {{kShard, epoch}}});
  next.RunFor(milliseconds(100));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.released, 1u);
  ExpectAllDone();
}

TEST_F(FlushEngineTest, ReleasesWhatDoesNotMatchTheClaim) {
  Flusher flusher(world_);
  const PartName part = world_.AddPart(kShard, Family());
  auto& list = world_.store.shard(kShard)->lists[part];
  const std::string whole = list[0];
  world_.UseFaults([&, is_first = true](StoreCall call, ShardId) mutable {
    if (call != StoreCall::kLoad || !std::exchange(is_first, false)) return StoreFault::kNone;
    list[0] = EncodeChunk({.segment = Segment('b')}, {{0, SpanJson('b')}});
    return StoreFault::kNone;
  });
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), IsEmpty());
  EXPECT_TRUE(world_.store.shard(kShard)->due.contains(part));
  list[0] = whole;
  flusher.RunFor(seconds(1));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  ExpectAllDone();
}

// Entries that are there but cannot be read as a part's, a foreign key say: the next claim counts
// them, and what has none leaves as lost instead of holding up the shard.
TEST_F(FlushEngineTest, CountsEntriesAfterALoadThatWasNotComplete) {
  Flusher flusher(world_);
  const PartName part = world_.AddPart(kShard, Family());
  world_.AddPart(kShard, {SpanJson('c')});
  world_.UseFaults([&, is_first = true](StoreCall call, ShardId) mutable {
    if (call == StoreCall::kLoad && std::exchange(is_first, false)) {
      world_.store.shard(kShard)->lists.erase(part);
    }
    return StoreFault::kNone;
  });
  flusher.Own({kShard});
  flusher.RunFor(seconds(1));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.orphan, 1u);
}

// After a loss of Redis another part may have the same name and as many bytes.
TEST_F(FlushEngineTest, ReleasesAPartThatIsAnotherWhenItIsLoadedAgain) {
  Flusher flusher(world_);
  world_.AddPart(kShard, Family());
  const PartName part = world_.AddPart(kShard, Family());
  world_.AddPart(kShard, {SpanJson('c')});
  uint64_t bytes = 0;
  for (const std::string& json : Family()) bytes += json.size();
  bytes -= SpanJson('c').size();
  const std::string other =
      EncodeChunk({.segment = Segment('b'), .part_bytes = bytes}, {{9, SpanJson('c')}});
  Answer(flusher, {{1, Delivery::kNotDelivered}});
  auto& lists = world_.store.shard(kShard)->lists;
  const std::string before = lists[part][0];
  world_.UseFaults([&, loads = 0](StoreCall call, ShardId) mutable {
    if (call == StoreCall::kLoad && ++loads == 2) lists[part][0] = other;
    return StoreFault::kNone;
  });
  flusher.Own({kShard});
  const buffer::Ledger& ledger = world_.store.shard(kShard)->ledger;
  for (int i = 0; i < 200 && ledger.released == 0; ++i) flusher.RunFor(milliseconds(5));
  EXPECT_EQ(ledger.released, 3u);
  lists[part][0] = before;
  flusher.RunFor(seconds(1));
  ExpectAllDone();
}

// K9f: quarantined, counted, and the rest of the shard flows.
TEST_F(FlushEngineTest, QuarantinesWhatItCannotDecode) {
  Flusher flusher(world_);
  world_.AddPart(kShard, Family(), /*damaged=*/true);
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), SizeIs(1));
  ASSERT_THAT(world_.DeadLetters(), SizeIs(1));
  EXPECT_THAT(
      world_.DeadLetters()[0].headers,
      ElementsAre(Pair("spillway-reason", "undecodable"), Pair("spillway-topic", "ingest-spans"),
                  Pair("spillway-partition", "3"), Pair("spillway-offset", "0"),
                  Pair("spillway-error", HasSubstr("chunk"))));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.quarantined, 2u);
  ExpectAllDone();
}

TEST_F(FlushEngineTest, QuarantinesOnlyWhatTheDeadLetterTopicHas) {
  Flusher flusher(world_);
  Answer(flusher, {{0, Delivery::kNotDelivered}, {1, Delivery::kNotDelivered}});
  world_.AddPart(kShard, Family(), /*damaged=*/true);
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_EQ(world_.store.shard(kShard)->ledger.quarantined, 0u);
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kDeadLetter);
  flusher.RunFor(seconds(2));
  EXPECT_THAT(world_.DeadLetters(), SizeIs(1));
  ExpectAllDone();
}

// K11: a message the broker refuses for good is split once.
TEST_F(FlushEngineTest, SplitsWhatTheBrokerRefuses) {
  Flusher flusher(world_);
  Answer(flusher, {{0, Delivery::kRefused}, {2, Delivery::kRefused}});  // and again, alone
  world_.AddPart(kShard, Family());
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  ASSERT_THAT(world_.Output(), SizeIs(3));
  EXPECT_THAT(world_.Output()[1], HasSubstr("\"skip_enrichment\":true"));
  EXPECT_THAT(world_.Output()[2], HasSubstr("\"skip_enrichment\":true"));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.acknowledged, 4u);
  ExpectAllDone();
}

// A broker refuses a batch of messages for one that is too large: the others shall not pay for it.
TEST_F(FlushEngineTest, SendsWhatWasRefusedInABatchAgainAlone) {
  Flusher flusher(world_);
  Answer(flusher, {{0, Delivery::kRefused}, {1, Delivery::kRefused}, {2, Delivery::kRefused}});
  flusher.producer.Hold();
  for (int i = 0; i < 3; ++i) world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_EQ(flusher.producer.held(), 3u);
  flusher.producer.DeliverHeld(3);
  for (int i = 0; i < 3; ++i) {
    flusher.RunFor(milliseconds(100));
    EXPECT_EQ(flusher.producer.held(), 1u) << "one at a time";
    flusher.producer.DeliverHeld(1);
  }
  flusher.RunFor(milliseconds(100));
  ASSERT_THAT(world_.Output(), SizeIs(3));
  EXPECT_THAT(world_.Output()[0], Not(HasSubstr("skip_enrichment")));
  EXPECT_THAT(world_.DeadLetters(), IsEmpty());
  ExpectAllDone();
}

// L5: what is still too large goes to the dead letter topic, as it came.
TEST_F(FlushEngineTest, SendsWhatCannotBeSplitToTheDeadLetterTopic) {
  Flusher flusher(world_);
  flusher.producer.set_policy([](const std::string& topic, const auto& message) {
    const bool is_refused = topic == "buffered-segments" && message.payload.size() > 2'000;
    return kafka::FakeProducer::Outcome{
        {is_refused ? Delivery::kRefused : Delivery::kDelivered, is_refused ? "too large" : ""},
        false};
  });
  const std::string big = SpanJson('c', 'b', ",\"n\":\"" + std::string(4'000, 'x') + '"');
  world_.AddPart(kShard, {SpanJson('b'), SpanJson('a', 'b'), big});
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), SizeIs(2));
  ASSERT_THAT(world_.DeadLetters(), SizeIs(1));
  EXPECT_EQ(world_.DeadLetters()[0].payload, big);
  EXPECT_THAT(world_.DeadLetters()[0].headers,
              ElementsAre(Pair("spillway-reason", "refused"),
                          Pair("spillway-topic", "ingest-spans"), Pair("spillway-partition", "3"),
                          Pair("spillway-offset", "2"), Pair("spillway-error", "too large")));
  EXPECT_EQ(world_.store.shard(kShard)->ledger.dead_lettered, 1u);
  EXPECT_EQ(world_.store.shard(kShard)->ledger.acknowledged, 4u);
  ExpectAllDone();
}

TEST_F(FlushEngineTest, SendsADeadLetterWithoutPayloadIfItsTopicRefusesIt) {
  Flusher flusher(world_);
  flusher.producer.set_policy([](const auto&, const auto& message) {
    return kafka::FakeProducer::Outcome{
        {message.payload.empty() ? Delivery::kDelivered : Delivery::kRefused, ""}, false};
  });
  world_.AddPart(kShard, {SpanJson('b')});
  flusher.Own({kShard});
  flusher.RunNow();
  ASSERT_THAT(world_.DeadLetters(), SizeIs(1));
  EXPECT_EQ(world_.DeadLetters()[0].headers.back().first, "spillway-omitted-bytes");
  ExpectAllDone();
}

TEST_F(FlushEngineTest, ClaimsPartsThatWereTriedOftenAlone) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  const PartName first = world_.AddPart(kShard, Family());
  const PartName second = world_.AddPart(kShard, Family());
  world_.AddPart(kShard, Family());
  world_.AddPart(kShard, Family());
  world_.store.shard(kShard)->attempts[first] = 2;
  world_.store.shard(kShard)->attempts[second] = 5;
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_THAT(world_.store.shard(kShard)->claims, SizeIs(3));
  flusher.producer.Unhold();
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), SizeIs(3));
  EXPECT_THAT(world_.DeadLetters(), SizeIs(2));
  EXPECT_EQ(world_.DeadLetters()[0].headers[0].second, "attempts");
  ExpectAllDone();
}

TEST_F(FlushEngineTest, BoundsTheBytesInFlight) {
  FlushOptions options;
  options.max_inflight_bytes = 5'000;
  options.load_bytes = 1'000;
  Flusher flusher(world_, options);
  flusher.producer.Hold();
  const std::string kilobyte = SpanJson('b', ' ', ",\"n\":\"" + std::string(800, 'x') + '"');
  for (int i = 0; i < 50; ++i) world_.AddPart(kShard, {kilobyte});
  flusher.Own({kShard});
  for (int i = 0; i < 50; ++i) {
    flusher.RunFor(milliseconds(50));
    EXPECT_LE(flusher.engine.bytes_in_flight(), 5'000u);
    EXPECT_LE(flusher.producer.queued_bytes(), 7'000u);
    flusher.producer.DeliverHeld(1);
  }
  flusher.producer.Unhold();
  flusher.RunFor(seconds(1));
  EXPECT_THAT(world_.Output(), SizeIs(50));
  EXPECT_EQ(flusher.engine.bytes_in_flight(), 0u);
  ExpectAllDone();
}

TEST_F(FlushEngineTest, WaitsWhileTheProducersQueueIsFull) {
  Flusher flusher(world_);
  flusher.producer.set_queue_limit(2);
  flusher.producer.Hold();
  for (int i = 0; i < 7; ++i) world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunFor(seconds(3));
  EXPECT_EQ(flusher.producer.held(), 2u);
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kKafka);
  flusher.producer.Unhold();
  flusher.RunFor(seconds(1));
  EXPECT_THAT(world_.Output(), SizeIs(7));
  ExpectAllDone();
}

TEST_F(FlushEngineTest, IsReadyOnceRedisAndKafkaHaveAnswered) {
  Flusher flusher(world_);
  flusher.engine.Poll();
  EXPECT_THAT(flusher.engine.Report().waiting_for, SizeIs(2));
  flusher.RunNow();
  EXPECT_TRUE(flusher.engine.Report().is_redis_ok);
  EXPECT_FALSE(flusher.engine.Report().is_ready);
  flusher.engine.SetKafkaOk(true);
  EXPECT_TRUE(flusher.engine.Report().is_ready);
  EXPECT_THAT(flusher.engine.Report().waiting_for, IsEmpty());
}

TEST_F(FlushEngineTest, RecordsLatenessByRedisTime) {
  Flusher flusher(world_);
  world_.AddPart(kShard, Family());
  world_.store.Advance(milliseconds(400));
  flusher.Own({kShard});
  flusher.RunNow();
  const wire::Lateness lateness = flusher.engine.Report().lateness;
  EXPECT_EQ(lateness.counts[5], 1u);  // at most 0.5 s
  EXPECT_NEAR(lateness.sum_seconds, 0.4, 0.01);
}

TEST_F(FlushEngineTest, ASilentRedisIsRedissToExplainAForgottenCallIsNot) {
  world_.UseFaults([](StoreCall call, ShardId) {
    return call == StoreCall::kClaim ? StoreFault::kHold : StoreFault::kNone;
  });
  Flusher flusher(world_);
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunFor(seconds(5));
  EXPECT_TRUE(flusher.ShardReport(kShard).has_work);
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kNone);
  world_.store.SetKeepsWaiting(true);
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kRedis);
}

// One shard's trouble is not the others' (design section 1, finding 4).
TEST_F(FlushEngineTest, GoesOnWithTheOthersWhileOneShardHasNoRedis) {
  constexpr ShardId kOther{4};
  world_.Create(kOther);
  world_.UseFaults([](StoreCall, ShardId shard) {
    return shard == kShard ? StoreFault::kLoseRequest : StoreFault::kNone;
  });
  Flusher flusher(world_);
  world_.AddPart(kOther, Family());
  world_.AddPart(kShard, Family());
  flusher.Own({kShard, kOther});
  flusher.RunFor(seconds(1));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  EXPECT_EQ(flusher.ShardReport(kShard).blocked_cause, wire::Cause::kRedis);
  EXPECT_EQ(flusher.ShardReport(kOther).blocked_cause, wire::Cause::kNone);
  world_.UseFaults({});
  flusher.RunFor(seconds(6));
  EXPECT_THAT(world_.Output(), SizeIs(2));
}

}  // namespace
}  // namespace spillway::flush
