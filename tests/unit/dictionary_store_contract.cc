// The contract of a store towards chunks that name a dictionary.
#include "tests/unit/dictionary_store_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::buffer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(DictionaryContract, AnAddBringsItsDictionary) {
  TakeAsWriter();
  EXPECT_EQ(Read(first_->id()).code, StoreCode::kNoDictionary);
  AddWith(first_, 0, 20, 10);
  AddWith(first_, 1, 20, 20);
  EXPECT_EQ(Read(first_->id()).value->content(), first_->content());
  const Claim claim = ClaimAll();
  EXPECT_EQ(shelf_->size(), 0u);
  ExpectAllDecodable(claim);
  EXPECT_EQ(shelf_->size(), 1u);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 2)).value.was_known);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 1u) << "the dictionaries";
  EXPECT_EQ(Summary().ledger.accepted, 2u);
  EXPECT_EQ(Audit().residual, 0);
}

TEST_P(DictionaryContract, ChunksOfSeveralDictionariesAreLoadedTogether) {
  TakeAsWriter();
  AddWith(first_, 0, 20, 10);
  AddWith(second_, 1, 20, 20);
  ExpectAllDecodable(ClaimAll());
  EXPECT_EQ(shelf_->size(), 2u);
}

TEST_P(DictionaryContract, TakeTellsTheDictionariesTheLastOneStoredFirst) {
  EXPECT_THAT(TakeAsWriter().dictionaries, IsEmpty());
  AddWith(first_, 0, 20, 10);
  AddWith(second_, 1, 20, 10);
  EXPECT_THAT(TakeAsWriter().dictionaries, ElementsAre(second_->id(), first_->id()));
}

TEST_P(DictionaryContract, AFencedOrRepeatedAddStoresNothing) {
  TakeAsWriter();
  const AddRequest late = AddOf(first_, 0, 20, 10);
  TakeAsWriter();
  EXPECT_EQ(Add(late).code, StoreCode::kFenced);
  AddNext({NewPart(0, 20)}, 1, 10);
  AddRequest repeated = AddOf(first_, 0, 20, 10);
  repeated.expected_watermark = 0;
  repeated.expected_clock = {-1};
  EXPECT_EQ(Add(repeated).code, StoreCode::kWatermark);
  EXPECT_EQ(Read(first_->id()).code, StoreCode::kNoDictionary);
}

TEST_P(DictionaryContract, WithoutMemoryTheBatchIsRefusedWhole) {
  TakeAsWriter();
  store_->SetMemoryFull(true);
  EXPECT_EQ(Add(AddOf(first_, 0, 20, 10)).code, StoreCode::kMemory);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
  EXPECT_EQ(Summary().watermark, 0);
  store_->SetMemoryFull(false);
  AddWith(first_, 0, 20, 20);
  ExpectAllDecodable(ClaimAll());
}

TEST_P(DictionaryContract, ARolledBackShardIsGivenItsDictionaryAgain) {
  TakeAsWriter();
  store_->Snapshot();
  AddWith(first_, 0, 20, 10);
  store_->Restore();
  watermark_ = 0;
  clock_ = {-1};
  AddWith(first_, 0, 20, 20);
  ExpectAllDecodable(ClaimAll());
}

TEST_P(DictionaryContract, ADictionaryStaysWhileAPartMayNameIt) {
  TakeAsWriter();
  AddWith(first_, 0, 20, 10);
  EXPECT_FALSE(Drop(first_->id(), 20).value);
  AddNext({NewPart(1, 50)}, 1, 20);
  EXPECT_FALSE(Drop(first_->id(), 20).value) << "due";
  const Claim claim = ClaimAll();
  EXPECT_FALSE(Drop(first_->id(), 20).value) << "in flight";
  ExpectAllDecodable(claim);
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known);
  EXPECT_FALSE(Drop(first_->id(), 50).value);
  EXPECT_TRUE(Drop(first_->id(), 49).value);
  EXPECT_EQ(Read(first_->id()).code, StoreCode::kNoDictionary);
  EXPECT_TRUE(Drop(first_->id(), 49).value) << "again";
  AddNext({}, 0, 50);
  DrainAndExpectNothingLeft(1);
}

// It was acknowledged by somebody else: there is nothing to quarantine.
TEST_P(DictionaryContract, APartThatGoesWithItsDictionaryDuringALoadIsNotComplete) {
  TakeAsWriter();
  AddWith(first_, 0, 20, 10);
  AddNext({NewPart(1, 30)}, 1, 30);
  const Claim claim = ClaimAll();
  ASSERT_EQ(claim.parts.size(), 2u);
  bool is_gone = false;
  store_->InterruptLoad([&] {
    store_->DeleteList(kShard, Name(0));
    store_->DeleteDictionary(kShard, first_->id());
    is_gone = true;
  });
  const auto loaded = Load(claim.parts);
  ASSERT_EQ(loaded.code, StoreCode::kOk) << loaded.message;
  ASSERT_TRUE(is_gone);
  EXPECT_EQ(loaded.value[0].name, Name(0));
  EXPECT_FALSE(loaded.value[0].is_complete);
  EXPECT_TRUE(loaded.value[1].is_complete);
  EXPECT_EQ(shelf_->size(), 0u);
}

TEST_P(DictionaryContract, APartWhoseDictionaryAloneIsGoneIsUndecodable) {
  TakeAsWriter();
  AddWith(first_, 0, 20, 20);
  const Claim claim = ClaimAll();
  store_->DeleteDictionary(kShard, first_->id());
  const auto loaded = Load(claim.parts);
  ASSERT_EQ(loaded.code, StoreCode::kOk) << loaded.message;
  ASSERT_EQ(loaded.value.size(), 1u);
  EXPECT_TRUE(loaded.value[0].is_complete);
  EXPECT_EQ(ChunkDecoder(shelf_).Decode(loaded.value[0].own.at(0)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_P(DictionaryContract, ADropOfAFormerOwnerOrWatermarkDoesNothing) {
  TakeAsWriter();
  AddWith(first_, 0, 20, 10);
  AddNext({}, 0, 20);
  const Claim claim = ClaimAll();
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, 1)).value.was_known);
  const DropDictionaryRequest late{ingest_epoch_, watermark_, first_->id(), {20}};
  AddWith(first_, 1, 90, 30);
  EXPECT_EQ(Drop(late).code, StoreCode::kWatermark);
  TakeAsWriter();
  EXPECT_EQ(Drop({late.epoch, watermark_, first_->id(), {20}}).code, StoreCode::kFenced);
  EXPECT_TRUE(Read(first_->id()).ok());
  store_->LoseEverything();
  EXPECT_EQ(Drop(first_->id(), 0).code, StoreCode::kNoShard);
}

TEST_P(DictionaryContract, WithoutMemoryADictionaryCanBeDropped) {
  TakeAsWriter();
  AddWith(first_, 0, 90, 10);
  store_->SetMemoryFull(true);
  EXPECT_TRUE(Drop(first_->id(), 20).value);
}

}  // namespace
}  // namespace spillway::buffer
