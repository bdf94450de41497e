// The contract of an IngestStore.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/shard_store_contract.h"

namespace spillway::buffer {
namespace {

using ::testing::Field;
using ::testing::UnorderedElementsAre;

TEST_P(ShardStoreContract, TakeCreatesAShardWhereTheLogStarts) {
  log_start_ = 40;
  const TakeReply taken = TakeAsWriter();
  EXPECT_TRUE(taken.is_created);
  EXPECT_FALSE(taken.is_new_log);
  EXPECT_EQ(taken.epoch.number, 1u);
  EXPECT_EQ(taken.epoch.owner, 0xabcu);
  EXPECT_EQ(taken.incarnation, 1u);
  EXPECT_EQ(taken.start, 40);
  EXPECT_EQ(taken.watermark, 40);
  EXPECT_EQ(taken.clock, EventTime{-1});
  EXPECT_GT(taken.redis_time.us, 0);
  EXPECT_EQ(taken.unreplayable, 0u);
  EXPECT_TRUE(taken.live.empty());
}

TEST_P(ShardStoreContract, TakeStartsAtTheCommittedOffset) {
  const TakeReply taken = TakeAsWriter(100);
  EXPECT_EQ(taken.start, 100);
  EXPECT_EQ(taken.watermark, 100);
}

TEST_P(ShardStoreContract, EpochRisesAboveTheStoredAndTheProposedNumber) {
  TakeAsWriter();
  EXPECT_EQ(Take({.proposed_number = 0, .owner = 5, .input = input_, .log_end = 10}).value.epoch,
            (Epoch{2, 5}));
  EXPECT_EQ(Take({.proposed_number = 9, .owner = 6, .input = input_, .log_end = 10}).value.epoch,
            (Epoch{10, 6}));
  EXPECT_EQ(Acquire(4, 7).value, (Epoch{5, 7}));
  EXPECT_EQ(Acquire(0, 8).value, (Epoch{6, 8}));
}

// K1b
TEST_P(ShardStoreContract, AFencedWriterWritesNothing) {
  TakeAsWriter();
  const AddRequest late = NextAdd({NewPart(0, 50)}, 1, 10);
  const TickRequest tick{ingest_epoch_, watermark_, clock_, true};
  TakeAsWriter();
  EXPECT_EQ(Add(late).code, StoreCode::kFenced);
  EXPECT_EQ(Tick(tick).code, StoreCode::kFenced);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
  EXPECT_EQ(Summary().watermark, 0);
  EXPECT_EQ(AddNext({NewPart(0, 50)}, 1, 10).value.watermark, 1);
}

TEST_P(ShardStoreContract, AddReturnsTheFigures) {
  TakeAsWriter();
  const auto added = AddNext({NewPart(0, 50), NewPart(1, 30)}, 2, 20);
  EXPECT_EQ(added.value.watermark, 2);
  EXPECT_EQ(added.value.clock, EventTime{20});
  EXPECT_EQ(added.value.lowest_outstanding, EventTime{30});
  EXPECT_EQ(added.value.backlog, 0u);
  EXPECT_EQ(added.value.lateness.count(), 0);
  EXPECT_GT(added.value.redis_time.us, 0);
  EXPECT_EQ(AddNext({}, 0, 50).value.backlog, 2u);
  EXPECT_EQ(Audit().live_spans, 2u);
  EXPECT_EQ(Audit().residual, 0);
}

// K7
TEST_P(ShardStoreContract, TheSameBatchIsAppliedOnce) {
  TakeAsWriter();
  const AddRequest request = NextAdd({NewPart(0, 50)}, 1, 10);
  AddNext(request.parts, 1, 10);
  const auto again = Add(request);
  EXPECT_EQ(again.code, StoreCode::kWatermark);
  EXPECT_EQ(again.value.watermark, 1);
  EXPECT_EQ(Summary().ledger.accepted, 1u);
  EXPECT_EQ(Audit().live_spans, 1u);
}

// K3d
TEST_P(ShardStoreContract, ALateCopyOfATickDoesNotMoveTheClock) {
  TakeAsWriter();
  const TickRequest tick{ingest_epoch_, watermark_, clock_, true};
  AddNext({NewPart(0, 50)}, 0, 10);
  EXPECT_EQ(Tick(tick).code, StoreCode::kClock);
  EXPECT_EQ(Summary().clock, EventTime{10});
  AddRequest behind = NextAdd({}, 0, 20);
  behind.expected_clock = {9};
  EXPECT_EQ(Add(behind).code, StoreCode::kClock);
  EXPECT_EQ(Tick({ingest_epoch_, watermark_ + 1, clock_, true}).code, StoreCode::kWatermark);
}

TEST_P(ShardStoreContract, TickMovesTheClockToRedisTimeOnlyIfAsked) {
  TakeAsWriter();
  AddNext({NewPart(0, 50)}, 1, 10);
  const auto read = Tick({ingest_epoch_, watermark_, clock_, false});
  EXPECT_EQ(read.value.clock, EventTime{10});
  EXPECT_EQ(read.value.backlog, 0u);
  const auto moved = Tick({ingest_epoch_, watermark_, clock_, true});
  EXPECT_EQ(moved.value.clock, EventTimeOf(moved.value.redis_time));
  EXPECT_EQ(moved.value.backlog, 1u);
  EXPECT_EQ(moved.value.lowest_outstanding, EventTime{50});
  store_->PassTime();
  const auto later = Tick({ingest_epoch_, watermark_, moved.value.clock, false});
  EXPECT_GE(later.value.lateness.count(), 2);
  EXPECT_LT(later.value.lateness.count(), 60'000);
}

TEST_P(ShardStoreContract, TickNeverMovesTheClockBack) {
  TakeAsWriter();
  const int64_t far_ahead = 4'000'000'000'000;
  AddNext({}, 0, far_ahead);
  EXPECT_EQ(Tick({ingest_epoch_, watermark_, clock_, true}).value.clock, EventTime{far_ahead});
}

TEST_P(ShardStoreContract, WithoutAShardNothingIsWritten) {
  const Epoch epoch{1, 1};
  EXPECT_EQ(Add(NextAdd({NewPart(0, 50)}, 1, 10)).code, StoreCode::kNoShard);
  EXPECT_EQ(Tick({epoch, 0, {0}, true}).code, StoreCode::kNoShard);
  EXPECT_EQ(Acquire().code, StoreCode::kNoShard);
  EXPECT_EQ(Peek(epoch).code, StoreCode::kNoShard);
  EXPECT_EQ(ClaimParts({.epoch = epoch, .id = {1, 1}, .parts = {}}).code, StoreCode::kNoShard);
  EXPECT_EQ(Acknowledge({.id = {1, 1}, .lease_end = {}, .parts = {}}).code, StoreCode::kNoShard);
  EXPECT_EQ(Release({.id = {1, 1}}).code, StoreCode::kNoShard);
  EXPECT_FALSE(Summary().exists);
  EXPECT_FALSE(Audit().summary.exists);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
}

TEST_P(ShardStoreContract, TakeReturnsTheLivePartsOfOneInstant) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 30), NewPart(2, 90, 3)}, 5, 10);
  AddNext({}, 0, 25);
  const Claim claim = ClaimAll();
  ASSERT_EQ(claim.parts.size(), 1u);
  AddNext({}, 0, 40);
  const TakeReply taken = TakeAsWriter(0);
  EXPECT_EQ(taken.watermark, 5);
  EXPECT_EQ(taken.clock, EventTime{40});
  const auto is = [](const PartName& name, bool is_in_due) {
    return ::testing::AllOf(Field(&LivePartRecord::name, name),
                            Field(&LivePartRecord::is_in_due, is_in_due));
  };
  EXPECT_THAT(taken.live,
              UnorderedElementsAre(is(Name(0), false), is(Name(1), true), is(Name(2), true)));
  for (const LivePartRecord& part : taken.live) {
    const auto header = DecodeHeader(part.last_chunk_prefix);
    EXPECT_EQ(header.ok(), part.name == Name(2)) << "only open parts have a header";
    if (header.ok()) {
      EXPECT_EQ(header->part_bytes, 30u);
    }
  }
}

TEST_P(ShardStoreContract, WithoutACommitReadingStartsAtTheLowestLivePart) {
  log_start_ = 3;
  TakeAsWriter();
  AddNext({NewPart(10, 50), NewPart(20, 50)}, 30, 10);
  AddPart absorbed{
      .name = Name(10), .references = {}, .chunk = "", .is_absorbed = true, .deadline = {}};
  AddPart host = NewPart(20, 60);
  host.references = {Name(10)};
  AddNext({absorbed, host}, 1, 11);
  const TakeReply taken = TakeAsWriter();
  EXPECT_EQ(taken.start, 10);
  EXPECT_EQ(taken.watermark, 34);
  ASSERT_EQ(taken.live.size(), 1u);
  EXPECT_EQ(taken.live[0].references, std::vector<PartName>{Name(10)});
  AddNext({}, 0, 100);
  DrainAndExpectNothingLeft(31);
}

TEST_P(ShardStoreContract, WithoutACommitAndLivePartsReadingStartsAtTheWatermark) {
  TakeAsWriter();
  AddNext({}, 30, 10);
  EXPECT_EQ(TakeAsWriter().start, 30);
}

TEST_P(ShardStoreContract, AWatermarkBelowTheCommitIsRaisedToIt) {
  TakeAsWriter();
  AddNext({NewPart(4, 50), NewPart(20, 50)}, 30, 10);
  const TakeReply taken = TakeAsWriter(40);
  EXPECT_EQ(taken.start, 40);
  EXPECT_EQ(taken.watermark, 40);
  EXPECT_EQ(taken.live.size(), 2u);
  EXPECT_EQ(Summary().ledger.skipped, 10u);
  EXPECT_EQ(Summary().ledger.resurrected, 2u);
  TakeAsWriter(40);
  EXPECT_EQ(Summary().ledger.resurrected, 2u) << "counted once";
  EXPECT_FALSE(taken.is_new_log);
}

TEST_P(ShardStoreContract, OffsetsTheLogHasLostAreCountedOnce) {
  TakeAsWriter();
  AddNext({}, 10, 10);
  log_start_ = 25;
  const TakeReply taken = TakeAsWriter(10);
  EXPECT_EQ(taken.start, 25);
  EXPECT_EQ(taken.watermark, 25);
  EXPECT_EQ(taken.unreplayable, 15u);
  TakeAsWriter(10);
  EXPECT_EQ(Summary().ledger.unreplayable, 15u);
}

// K9c
TEST_P(ShardStoreContract, AnotherTopicIdIsANewLog) {
  TakeAsWriter();
  AddNext({NewPart(0, 50, 2)}, 2, 10);
  input_.topic_id = "t2";
  const TakeReply taken = TakeAsWriter();
  EXPECT_TRUE(taken.is_new_log);
  EXPECT_EQ(taken.incarnation, 2u);
  EXPECT_EQ(taken.watermark, 0);
  EXPECT_EQ(taken.start, 0);
  EXPECT_EQ(taken.clock, EventTime{10});
  ASSERT_EQ(taken.live.size(), 1u);
  EXPECT_EQ(taken.live[0].name, (PartName{1, 0}));
  EXPECT_EQ(Summary().ledger.carried, 2u);
  EXPECT_EQ(Summary().ledger.accepted, 0u);
  AddNext({NewPart(0, 50)}, 1, 60);
  EXPECT_EQ(Audit().live_spans, 3u);
  EXPECT_EQ(Audit().residual, 0);
  EXPECT_FALSE(TakeAsWriter().is_new_log);
  DrainAndExpectNothingLeft(3);
}

TEST_P(ShardStoreContract, ALogThatEndsBelowTheWatermarkIsANewOne) {
  TakeAsWriter();
  AddNext({}, 30, 10);
  log_start_ = 2;
  log_end_ = 20;
  const TakeReply taken = TakeAsWriter();
  EXPECT_TRUE(taken.is_new_log);
  EXPECT_EQ(taken.watermark, 2);
  EXPECT_EQ(taken.incarnation, 2u);
}

TEST_P(ShardStoreContract, WhatIsNotKnownOfTheInputDoesNotDiffer) {
  input_ = {.cluster_id = "", .topic = "ingest-spans", .topic_id = ""};
  TakeAsWriter();
  input_ = {.cluster_id = "cluster", .topic = "ingest-spans", .topic_id = "t1"};
  EXPECT_FALSE(TakeAsWriter().is_new_log);
  input_ = {.cluster_id = "", .topic = "ingest-spans", .topic_id = ""};
  EXPECT_FALSE(TakeAsWriter().is_new_log);
  input_ = {.cluster_id = "other", .topic = "", .topic_id = ""};
  EXPECT_TRUE(TakeAsWriter().is_new_log);
}

// K9
TEST_P(ShardStoreContract, ALostShardIsTakenFromNothing) {
  TakeAsWriter();
  AddNext({NewPart(0, 50)}, 1, 10);
  store_->LoseEverything();
  EXPECT_EQ(Add(NextAdd({NewPart(1, 50)}, 1, 10)).code, StoreCode::kNoShard);
  const TakeReply taken = TakeAsWriter(0);
  EXPECT_TRUE(taken.is_created);
  EXPECT_GT(taken.epoch.number, 1u);
  EXPECT_EQ(taken.watermark, 0);
}

// ---- what Redis has forgotten

TEST_P(ShardStoreContract, ALossCountsWhatIsReadAgain) {
  TakeAsWriter();
  AddNext({}, 30, 10);
  store_->LoseEverything();
  TakeRequest request{.owner = 5,
                      .input = input_,
                      .committed = 10,
                      .log_end = 100,
                      .reached = 30,
                      .reached_at_most = 32};
  EXPECT_EQ(Take(request).value.replayed, 22u);
  EXPECT_EQ(Summary().ledger.replayed, 22u);
  EXPECT_EQ(Audit().duplicates_at_most, 22u);
  request.reached = kNoOffset;
  EXPECT_EQ(Take(request).value.replayed, 0u) << "it is known now how far Redis is";
  EXPECT_EQ(Summary().ledger.replayed, 22u);
}

TEST_P(ShardStoreContract, ALossThatNobodySawIsBoundedByTheLogsEnd) {
  EXPECT_EQ(
      Take({.owner = 5, .input = input_, .committed = 10, .log_end = 100, .reached_at_most = 90})
          .value.replayed,
      80u);
  EXPECT_EQ(Summary().ledger.replayed, 80u);
}

TEST_P(ShardStoreContract, ALossBeforeTheFirstCommitCountsFromTheLogsStart) {
  const TakeRequest request{.owner = 5,
                            .input = input_,
                            .log_start = 3,
                            .log_end = 100,
                            .reached = 30,
                            .reached_at_most = 30};
  EXPECT_EQ(Take(request).value.replayed, 27u);
}

// Parts above C that the earlier state holds may have left as well.
TEST_P(ShardStoreContract, ARollbackCountsWhatHadLeftAboveTheCommit) {
  TakeAsWriter();
  AddNext({NewPart(25, 50)}, 30, 10);
  store_->Snapshot();
  AddNext({}, 20, 11);
  store_->Restore();
  EXPECT_EQ(Take({.owner = 5,
                  .input = input_,
                  .committed = 20,
                  .log_end = 100,
                  .reached = 50,
                  .reached_at_most = 50})
                .value.replayed,
            30u);
  EXPECT_EQ(Take({.owner = 5,
                  .input = input_,
                  .committed = 20,
                  .log_end = 100,
                  .reached = 30,
                  .reached_at_most = 30,
                  .was_set_back = true})
                .value.replayed,
            10u)
      << "the clock alone had told";
  EXPECT_EQ(Summary().ledger.replayed, 40u);
}

TEST_P(ShardStoreContract, ARollbackBelowTheCommitIsBoundedByTheLogsEnd) {
  TakeAsWriter();
  AddNext({}, 30, 10);
  const TakeRequest request{
      .owner = 5, .input = input_, .committed = 40, .log_end = 100, .reached_at_most = 90};
  EXPECT_EQ(Take(request).value.replayed, 50u);
  EXPECT_EQ(Take(request).value.replayed, 0u);
}

TEST_P(ShardStoreContract, WithNothingForgottenNothingIsReplayed) {
  TakeRequest request{.owner = 5, .input = input_, .log_end = 100, .reached_at_most = 90};
  EXPECT_EQ(Take(request).value.replayed, 0u) << "a new group";
  TakeAsWriter();
  AddNext({}, 30, 10);
  request.committed = 10;
  EXPECT_EQ(Take(request).value.replayed, 0u) << "a hand-over";
  request.reached = 30;
  EXPECT_EQ(Take(request).value.replayed, 0u) << "taken again";
  input_.topic_id = request.input.topic_id = "t2";
  request.reached = 50;
  EXPECT_EQ(Take(request).value.replayed, 0u) << "another log";
  EXPECT_EQ(Summary().ledger.replayed, 0u);
}

// K8
TEST_P(ShardStoreContract, OnlyAddIsRefusedForMemoryAndThenWhole) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 30);
  store_->SetMemoryFull(true);
  EXPECT_EQ(Add(NextAdd({NewPart(2, 90)}, 1, 31)).code, StoreCode::kMemory);
  EXPECT_EQ(Summary().watermark, 2);
  EXPECT_EQ(AddNext({}, 1, 31).code, StoreCode::kOk) << "nothing to store";
  const auto ticked = Tick({ingest_epoch_, watermark_, clock_, true});
  EXPECT_EQ(ticked.code, StoreCode::kOk) << ticked.message;
  TakeAsWriter(1);  // counts a part as resurrected, too
  Claim claim = ClaimAll();
  EXPECT_EQ(claim.parts.size(), 2u);
  EXPECT_EQ(Release({.id = claim.id, .counts_attempt = true}).code, StoreCode::kOk);
  claim = ClaimAll({5, 5});
  EXPECT_EQ(Load(claim.parts).value.size(), 2u);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 2)).value.was_known);
  EXPECT_FALSE(Acknowledge(AcknowledgeOf(claim, 2)).value.was_known);
  store_->SetMemoryFull(false);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
}

TEST_P(ShardStoreContract, TenThousandPartsInOneBatch) {
  TakeAsWriter();
  std::vector<AddPart> parts;
  for (Offset i = 0; i < 10'000; ++i) parts.push_back(NewPart(i, 20 + i));
  AddNext(std::move(parts), 10'000, 10);
  const TakeReply taken = TakeAsWriter(0);
  EXPECT_EQ(taken.live.size(), 10'000u);
  for (const LivePartRecord& part : taken.live) {
    ASSERT_TRUE(DecodeHeader(part.last_chunk_prefix).ok());
  }
  EXPECT_EQ(Audit().residual, 0);
}

TEST_P(ShardStoreContract, DropRulesAreStoredUnderTheRevisionTheOwnerKnows) {
  const TakeReply first = TakeAsWriter();
  EXPECT_EQ(first.drop_revision, 0u);
  EXPECT_EQ(first.drop_rules, "");
  const StoreDropRulesRequest request{.epoch = ingest_epoch_, .revision = 1, .rules = "some\n"};
  EXPECT_EQ(StoreDropRules(request).code, StoreCode::kOk);
  EXPECT_EQ(StoreDropRules(request).code, StoreCode::kOk) << "the same again";
  StoreDropRulesRequest next{.epoch = ingest_epoch_, .revision = 2, .rules = ""};
  EXPECT_EQ(StoreDropRules(next).code, StoreCode::kOk);
  EXPECT_EQ(StoreDropRules(request).code, StoreCode::kDropRevision) << "a late copy";
  next = {.epoch = ingest_epoch_, .revision = 4, .rules = "gap"};
  EXPECT_EQ(StoreDropRules(next).code, StoreCode::kDropRevision);
  next = {.epoch = ingest_epoch_, .revision = 3, .rules = "last"};
  EXPECT_EQ(StoreDropRules(next).code, StoreCode::kOk);
  const TakeReply second = TakeAsWriter();
  EXPECT_EQ(second.drop_revision, 3u);
  EXPECT_EQ(second.drop_rules, "last");
  next.revision = 4;
  EXPECT_EQ(StoreDropRules(next).code, StoreCode::kFenced);
}

TEST_P(ShardStoreContract, DropRulesWorkWithoutMemoryAndNeedTheShard) {
  StoreDropRulesRequest request{.epoch = {1, 1}, .revision = 1, .rules = "some"};
  EXPECT_EQ(StoreDropRules(request).code, StoreCode::kNoShard);
  TakeAsWriter();
  store_->SetMemoryFull(true);
  request.epoch = ingest_epoch_;
  EXPECT_EQ(StoreDropRules(request).code, StoreCode::kOk);
  store_->SetMemoryFull(false);
}

// Rules are of offsets, and another log has others.
TEST_P(ShardStoreContract, ANewLogHasNoDropRules) {
  TakeAsWriter();
  const StoreDropRulesRequest request{.epoch = ingest_epoch_, .revision = 1, .rules = "some"};
  EXPECT_EQ(StoreDropRules(request).code, StoreCode::kOk);
  input_.topic_id = "t2";
  const TakeReply reply = TakeAsWriter();
  ASSERT_TRUE(reply.is_new_log);
  EXPECT_EQ(reply.drop_rules, "");
  EXPECT_EQ(reply.drop_revision, 1u) << "a late call must not be the next one";
}

}  // namespace
}  // namespace spillway::buffer
