// The contract of a FlushStore.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/shard_store_contract.h"

namespace spillway::buffer {
namespace {

TEST_P(ShardStoreContract, PeekTellsWhatIsDueLowestFirst) {
  TakeAsWriter();
  AddNext({NewPart(0, 30), NewPart(1, 20), NewPart(2, 25), NewPart(3, 90), NewPart(4, 80)}, 5, 30);
  Acquire();
  const auto peeked = Peek(flush_epoch_, 2);
  ASSERT_EQ(peeked.code, StoreCode::kOk) << peeked.message;
  ASSERT_EQ(peeked.value.due.size(), 2u);
  EXPECT_EQ(peeked.value.due[0].name, Name(1));
  EXPECT_EQ(peeked.value.due[1].name, Name(2));
  EXPECT_EQ(peeked.value.due[1].deadline, EventTime{25});
  EXPECT_EQ(peeked.value.due_count, 3u);
  EXPECT_EQ(peeked.value.next_deadline, EventTime{80});
  EXPECT_EQ(peeked.value.clock, EventTime{30});
  EXPECT_TRUE(peeked.value.inflight.empty());
  EXPECT_GE(peeked.value.lateness.count(), 0);
}

TEST_P(ShardStoreContract, AClaimLoadsAndLeavesNothingBehind) {
  TakeAsWriter();
  AddNext({NewPart(0, 20, 3), NewPart(3, 20)}, 4, 10);
  AddPart more = NewPart(4, 22);
  more.name = Name(0);
  AddNext({more}, 1, 15);
  AddNext({}, 0, 22);
  const Claim claim = ClaimAll();
  ASSERT_EQ(claim.parts.size(), 2u);
  EXPECT_GT(claim.lease_end.us, 0);
  EXPECT_EQ(claim.parts[0].name, Name(3));
  EXPECT_EQ(claim.parts[1].name, Name(0));
  EXPECT_EQ(claim.parts[1].deadline, EventTime{22});
  EXPECT_GE(claim.parts[0].part_bytes, 10u);
  EXPECT_LE(claim.parts[0].part_bytes, 100u);
  EXPECT_GT(claim.parts[1].due_since.us, 0);
  EXPECT_EQ(Audit().live_spans, 5u) << "parts in flight are live";
  const auto loaded = Load(claim.parts);
  ASSERT_EQ(loaded.code, StoreCode::kOk) << loaded.message;
  ASSERT_EQ(loaded.value.size(), 2u);
  EXPECT_TRUE(loaded.value[1].is_complete);
  EXPECT_EQ(loaded.value[1].own.size(), 2u);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 5)).value.was_known);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
  EXPECT_EQ(Audit().residual, 0);
  EXPECT_EQ(Summary().ledger.acknowledged, 5u);
  EXPECT_EQ(Summary().backlog, 0u);
}

TEST_P(ShardStoreContract, LoadingNothingIsAnswered) { EXPECT_EQ(Load({}).code, StoreCode::kOk); }

TEST_P(ShardStoreContract, LoadSaysWhenAListIsNotWhatWasClaimed) {
  TakeAsWriter();
  AddNext({NewPart(0, 20)}, 1, 20);
  const Claim claim = ClaimAll();
  store_->DeleteList(kShard, Name(0));
  const auto loaded = Load(claim.parts);
  ASSERT_EQ(loaded.value.size(), 1u);
  EXPECT_FALSE(loaded.value[0].is_complete);
}

// Redis set back between claim and load: there, but less of it.
TEST_P(ShardStoreContract, LoadSaysWhenAPartIsShorterThanWhatWasClaimed) {
  TakeAsWriter();
  AddNext({NewPart(0, 20, 1)}, 1, 10);
  store_->Snapshot();
  AddPart more = NewPart(1, 20, 20);
  more.name = Name(0);
  AddNext({more}, 20, 20);
  for (const bool counts_entries : {false, true}) {
    Acquire();
    const Claim claim = ClaimParts({.epoch = flush_epoch_,
                                    .id = {4, counts_entries},
                                    .parts = Peek(flush_epoch_).value.due,
                                    .counts_entries = counts_entries})
                            .value;
    ASSERT_EQ(claim.parts.size(), 1u);
    EXPECT_EQ(claim.parts[0].list_lengths.empty(), !counts_entries);
    auto loaded = Load(claim.parts);
    ASSERT_EQ(loaded.value.size(), 1u);
    EXPECT_TRUE(loaded.value[0].is_complete);
    if (!counts_entries) {
      EXPECT_TRUE(Release({.id = claim.id}).value);
      continue;
    }
    store_->Restore();
    loaded = Load(claim.parts);
    ASSERT_EQ(loaded.value.size(), 1u);
    EXPECT_FALSE(loaded.value[0].is_complete);
    ClaimedPart uncounted = claim.parts[0];
    uncounted.list_lengths.clear();
    loaded = Load({uncounted});
    ASSERT_EQ(loaded.value.size(), 1u);
    EXPECT_FALSE(loaded.value[0].is_complete);
  }
}

TEST_P(ShardStoreContract, AbsorbedPartsLeaveWithTheirHost) {
  TakeAsWriter();
  AddNext({NewPart(0, 50), NewPart(1, 50), NewPart(2, 50)}, 3, 10);
  AddPart one{.name = Name(1), .references = {}, .chunk = "", .is_absorbed = true, .deadline = {}};
  AddPart host = NewPart(3, 55);
  host.name = Name(2);
  host.references = {Name(1)};
  AddNext({one, host}, 1, 11);
  // Name(2) with its reference goes into Name(0): flat, its own references first.
  AddPart two = NewPart(4, 0);
  two.name = Name(2);
  two.is_absorbed = true;
  AddPart final_host = NewPart(5, 60);
  final_host.name = Name(0);
  final_host.references = {Name(1), Name(2)};
  AddNext({two, final_host}, 2, 12);
  EXPECT_EQ(Audit().live_spans, 6u);
  AddNext({}, 0, 60);
  const Claim claim = ClaimAll();
  ASSERT_EQ(claim.parts.size(), 1u);
  EXPECT_EQ(claim.parts[0].references, (std::vector<PartName>{Name(1), Name(2)}));
  EXPECT_EQ(claim.parts[0].list_lengths, (std::vector<uint64_t>{4, 1, 4}));
  const auto loaded = Load(claim.parts);
  EXPECT_TRUE(loaded.value.at(0).is_complete);
  EXPECT_EQ(loaded.value.at(0).own.size(), 4u);
  EXPECT_EQ(loaded.value.at(0).referenced.size(), 5u);
  // K3: also after a release.
  EXPECT_TRUE(Release({.id = claim.id}).value);
  EXPECT_EQ(Audit().residual, 0);
  DrainAndExpectNothingLeft(6);
}

// K1
TEST_P(ShardStoreContract, OnlyTheStoredEpochClaims) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 20);
  const Epoch old = Acquire(0, 1).value;
  const auto due = Peek(old).value.due;
  const Claim claim = ClaimParts({.epoch = old, .id = {1, 1}, .parts = {due[0]}}).value;
  const Epoch current = Acquire(0, 2).value;
  EXPECT_EQ(Peek(old).code, StoreCode::kFenced);
  EXPECT_EQ(ClaimParts({.epoch = old, .id = {1, 2}, .parts = {due[1]}}).code, StoreCode::kFenced);
  EXPECT_EQ(Peek({current.number, 1}).code, StoreCode::kFenced) << "the owner counts too";
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known) << "of an existing claim";
  DrainAndExpectNothingLeft(1);
}

// K2
TEST_P(ShardStoreContract, ASpanThatComesAfterTheClaimIsTheNextPart) {
  TakeAsWriter();
  AddNext({NewPart(0, 20)}, 1, 20);
  const Claim claim = ClaimAll();
  AddNext({NewPart(1, 40)}, 1, 21);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known);
  EXPECT_EQ(Audit().live_spans, 1u);
  AddNext({}, 0, 40);
  DrainAndExpectNothingLeft(1);
}

// K3
TEST_P(ShardStoreContract, ReleasedPartsAreDueAgain) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 25)}, 2, 30);
  const Claim claim = ClaimAll();
  EXPECT_TRUE(Peek(flush_epoch_).value.due.empty());
  EXPECT_TRUE(Release({.id = claim.id, .counts_attempt = true}).value);
  EXPECT_FALSE(Release({.id = claim.id, .counts_attempt = true}).value);
  const auto peeked = Peek(flush_epoch_).value;
  ASSERT_EQ(peeked.due.size(), 2u);
  EXPECT_EQ(peeked.due[0].attempts, 1u);
  EXPECT_EQ(peeked.due[1].deadline, EventTime{25}) << "the old deadline";
  EXPECT_TRUE(peeked.inflight.empty());
  EXPECT_EQ(Summary().ledger.released, 2u);
  const Claim again = ClaimAll({3, 3});
  EXPECT_TRUE(Release({.id = again.id}).value);
  EXPECT_EQ(Peek(flush_epoch_).value.due[0].attempts, 1u) << "an ordinary release costs none";
  DrainAndExpectNothingLeft(2);
}

// K3b
TEST_P(ShardStoreContract, AClaimCallRepeatedReturnsTheSameClaim) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 20);
  Acquire();
  const ClaimRequest request{
      .epoch = flush_epoch_, .id = {4, 4}, .parts = Peek(flush_epoch_).value.due};
  const Claim first = ClaimParts(request).value;
  store_->PassTime();
  const Claim second = ClaimParts(request).value;
  EXPECT_EQ(second.lease_end, first.lease_end);
  ASSERT_EQ(second.parts.size(), 2u);
  EXPECT_EQ(second.parts[1].name, first.parts[1].name);
  const auto loaded = Load(second.parts);
  ASSERT_EQ(loaded.value.size(), 2u);
  EXPECT_TRUE(loaded.value[1].is_complete);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(second, 2)).value.was_known);
  EXPECT_EQ(Audit().residual, 0);
}

TEST_P(ShardStoreContract, AClaimSkipsWhatIsNotDue) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 90)}, 2, 20);
  Acquire();
  std::vector<PeekedPart> parts = Peek(flush_epoch_).value.due;
  parts.push_back({.name = Name(1), .deadline = {10}, .references = {}, .attempts = 0});
  parts.push_back({.name = Name(8), .deadline = {10}, .references = {}, .attempts = 0});
  const Claim claim = ClaimParts({.epoch = flush_epoch_, .id = {4, 4}, .parts = parts}).value;
  ASSERT_EQ(claim.parts.size(), 1u);
  EXPECT_EQ(claim.parts[0].name, Name(0));
  const Claim nothing = ClaimParts({.epoch = flush_epoch_, .id = {5, 5}, .parts = parts}).value;
  EXPECT_TRUE(nothing.parts.empty());
  EXPECT_EQ(Peek(flush_epoch_).value.inflight.size(), 1u);
}

// K3c
TEST_P(ShardStoreContract, AClaimThatCameBackIsSeenAndReleased) {
  TakeAsWriter();
  AddNext({NewPart(0, 20)}, 1, 20);
  const Claim claim = ClaimAll();
  store_->Snapshot();
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known);
  store_->Restore();
  const auto inflight = Peek(flush_epoch_).value.inflight;
  ASSERT_EQ(inflight.size(), 1u);
  EXPECT_EQ(inflight[0].id, claim.id);
  EXPECT_EQ(inflight[0].epoch, flush_epoch_);
  EXPECT_EQ(inflight[0].lease_end, claim.lease_end);
  EXPECT_TRUE(Release({.id = claim.id}).value);
  TakeAsWriter(1);
  EXPECT_EQ(Summary().ledger.resurrected, 1u);
  DrainAndExpectNothingLeft(1);
}

// K4 and D5
TEST_P(ShardStoreContract, TheNextOwnerTakesOverWhatIsInFlight) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 20);
  const Epoch dead = Acquire(0, 1).value;
  const auto due = Peek(dead).value.due;
  const Claim claim = ClaimParts({.epoch = dead, .id = {9, 9}, .parts = {due[0]}}).value;
  Acquire(0, 2);
  const auto inflight = Peek(flush_epoch_).value.inflight;
  ASSERT_EQ(inflight.size(), 1u);
  EXPECT_EQ(inflight[0].epoch, dead);
  EXPECT_TRUE(Release({.id = inflight[0].id, .counts_attempt = true}).value);
  EXPECT_FALSE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known) << "too late";
  DrainAndExpectNothingLeft(2);
  EXPECT_EQ(Summary().ledger.stale_acknowledges, 1u);
}

// K6
TEST_P(ShardStoreContract, AStrangeAcknowledgeChangesNothing) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 20);
  Acquire();
  const auto due = Peek(flush_epoch_).value.due;
  const Claim claim = ClaimParts({.epoch = flush_epoch_, .id = {1, 1}, .parts = {due[0]}}).value;
  const Claim other = ClaimParts({.epoch = flush_epoch_, .id = {2, 2}, .parts = {due[1]}}).value;
  AcknowledgeRequest wrong = AcknowledgeOf(claim, 1);
  wrong.id = {8, 8};
  EXPECT_FALSE(Acknowledge(wrong).value.was_known) << "unknown claim";
  wrong = AcknowledgeOf(claim, 1);
  ++wrong.lease_end.us;
  EXPECT_FALSE(Acknowledge(wrong).value.was_known) << "another execution of the claim";
  wrong = AcknowledgeOf(claim, 1);
  wrong.parts = other.parts;
  EXPECT_FALSE(Acknowledge(wrong).value.was_known) << "the parts of another claim";
  wrong.parts = {};
  EXPECT_FALSE(Acknowledge(wrong).value.was_known) << "not all of its parts";
  wrong = AcknowledgeOf(claim, 1);
  wrong.parts[0].references = {Name(1)};
  EXPECT_FALSE(Acknowledge(wrong).value.was_known) << "other references";
  EXPECT_EQ(Summary().ledger.stale_acknowledges, 5u);
  EXPECT_EQ(Audit().live_spans, 2u);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known);
  EXPECT_FALSE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known) << "twice";
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(other, 1)).value.was_known);
  EXPECT_EQ(Audit().residual, 0);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
}

TEST_P(ShardStoreContract, EverySpanLeavesByOneCounter) {
  TakeAsWriter();
  AddNext({NewPart(0, 20, 6)}, 6, 20);
  const Claim claim = ClaimAll();
  AcknowledgeRequest request = AcknowledgeOf(claim, 3);
  request.dead_lettered_spans = 2;
  request.quarantined_spans = 1;
  EXPECT_TRUE(Acknowledge(request).value.was_known);
  const AuditReply audit = Audit();
  EXPECT_EQ(audit.residual, 0);
  EXPECT_EQ(audit.summary.ledger.dead_lettered, 2u);
  EXPECT_EQ(audit.summary.ledger.quarantined, 1u);
}

TEST_P(ShardStoreContract, AnAuditCountsWhatIsDueInFlightAndAbsorbed) {
  TakeAsWriter();
  AddPart absorbed = NewPart(1, 90, 2);
  absorbed.is_absorbed = true;
  AddPart host = NewPart(2, 90, 3);
  host.references.push_back(Name(1));
  AddNext({NewPart(0, 20, 4), absorbed, host}, 9, 20);
  const Claim claim = ClaimAll();
  const AuditReply audit = Audit();
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 9u);
  EXPECT_EQ(audit.due_parts, 1u);
  EXPECT_EQ(audit.in_flight_parts, 1u);
  EXPECT_EQ(audit.summary.claimed_parts, 1u);
  EXPECT_EQ(audit.residual, 0);
  EXPECT_EQ(audit.part_residual, 0);
  EXPECT_EQ(audit.missing_lists, 0u);
  EXPECT_TRUE(Release({.id = claim.id, .counts_attempt = false}).value);
  EXPECT_EQ(Audit().duplicates_at_most, 1u) << "it may have been delivered";
}

TEST_P(ShardStoreContract, AuditsOfAShardAtWorkAreExact) {
  TakeAsWriter();
  Acquire();
  std::vector<AddPart> parts;
  for (Offset i = 0; i < 600; ++i) parts.push_back(NewPart(i, i % 2 == 0 ? 20 : 90));
  AddNext(std::move(parts), 600, 20);
  std::vector<AuditReply> audits;
  const auto audit = [&] {
    store_->reader().Audit(kShard, [&](StoreResult<AuditReply> result) {
      EXPECT_EQ(result.code, StoreCode::kOk) << result.message;
      audits.push_back(std::move(result.value));
    });
  };
  audit();
  audit();  // the second may have to wait for the first
  for (uint64_t i = 0; i < 30; ++i) {
    AddNext({NewPart(watermark_, 20, 2)}, 2, 20);
    const auto due = Peek(flush_epoch_, 5).value.due;
    const Claim claim = ClaimParts({.epoch = flush_epoch_, .id = {5, i}, .parts = due}).value;
    EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, claim.parts.size())).value.was_known);
  }
  store_->RunUntil([&] { return audits.size() == 2; });
  ASSERT_EQ(audits.size(), 2u);
  for (const AuditReply& found : audits) {
    EXPECT_TRUE(found.is_exact);
    EXPECT_EQ(found.residual, 0);
    EXPECT_EQ(found.part_residual, 0);
    EXPECT_EQ(found.due_parts, found.summary.due_parts);
  }
}

TEST_P(ShardStoreContract, AnAuditNamesHowManySpansAreMissing) {
  TakeAsWriter();
  AddNext({NewPart(0, 20, 4), NewPart(1, 90, 3)}, 7, 20);
  store_->DeleteList(kShard, Name(1));
  AuditReply audit = Audit();
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.residual, 3);
  EXPECT_EQ(audit.missing_lists, 1u);
  const Claim claim = ClaimAll();
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 3)).value.was_known);
  EXPECT_EQ(Audit().residual, 4) << "one more left uncounted";
}

// K9f
TEST_P(ShardStoreContract, ADueEntryWithoutItsListIsTakenOutAndCounted) {
  TakeAsWriter();
  AddNext({NewPart(0, 20), NewPart(1, 20)}, 2, 20);
  store_->DeleteList(kShard, Name(0));
  const Claim claim = ClaimAll();
  ASSERT_EQ(claim.parts.size(), 1u);
  EXPECT_EQ(claim.parts[0].name, Name(1));
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known);
  EXPECT_EQ(Summary().ledger.orphan, 1u);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
  EXPECT_EQ(Audit().residual, 1) << "the lost span is not explained away";
}

TEST_P(ShardStoreContract, AClaimOfFiveThousandParts) {
  TakeAsWriter();
  std::vector<AddPart> parts;
  for (Offset i = 0; i < 5'000; ++i) parts.push_back(NewPart(i, 20));
  AddNext(std::move(parts), 5'000, 20);
  const Claim claim = ClaimAll();
  ASSERT_EQ(claim.parts.size(), 5'000u);
  EXPECT_EQ(TakeAsWriter(0).live.size(), 5'000u);
  const auto loaded = Load(claim.parts);
  ASSERT_EQ(loaded.value.size(), 5'000u);
  EXPECT_TRUE(loaded.value[4'999].is_complete);
  EXPECT_TRUE(Release({.id = claim.id, .counts_attempt = true}).value);
  DrainAndExpectNothingLeft(5'000);
}

TEST_P(ShardStoreContract, AListOfTenThousandEntriesAndAPartOfTwoThousandReferences) {
  TakeAsWriter();
  std::vector<AddPart> parts;
  for (Offset i = 1; i <= 2'049; ++i) {
    parts.push_back(NewPart(i, 20));
    parts.back().is_absorbed = true;
  }
  AddPart host = NewPart(0, 20);
  for (Offset i = 1; i <= 2'049; ++i) host.references.push_back(Name(i));
  parts.push_back(host);
  for (Offset i = 1; i < 10'000; ++i) {
    parts.push_back(NewPart(5'000 + i, 20));
    parts.back().name = Name(0);
  }
  AddNext(std::move(parts), 12'049, 20);
  EXPECT_EQ(Audit().residual, 0);
  const Claim claim = ClaimAll();
  ASSERT_EQ(claim.parts.size(), 1u);
  EXPECT_EQ(claim.parts[0].list_lengths.size(), 2'050u);
  EXPECT_EQ(claim.parts[0].list_lengths[0], 12'049u);
  const auto loaded = Load(claim.parts);
  EXPECT_TRUE(loaded.value.at(0).is_complete);
  EXPECT_EQ(loaded.value.at(0).referenced.size(), 2'049u);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 12'049)).value.was_known);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
  EXPECT_EQ(Audit().residual, 0);
}

}  // namespace
}  // namespace spillway::buffer
