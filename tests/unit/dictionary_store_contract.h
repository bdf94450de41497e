// The contract of a store towards chunks that name a dictionary; to be instantiated beside
// ShardStoreContract.
#ifndef SPILLWAY_TESTS_UNIT_DICTIONARY_STORE_CONTRACT_H_
#define SPILLWAY_TESTS_UNIT_DICTIONARY_STORE_CONTRACT_H_

#include <memory>

#include "absl/strings/str_cat.h"
#include "tests/unit/shard_store_contract.h"

namespace spillway::buffer {

inline std::shared_ptr<const Dictionary> TestDictionary(int number) {
  return Dictionary::Make(absl::StrCat(R"({"span":1}{"span":2}{"number":)", number, "}"));
}

class DictionaryContract : public ShardStoreContract {
 protected:
  // A part of one span whose chunk names `dictionary`.
  AddPart PartWith(const std::shared_ptr<const Dictionary>& dictionary, Offset offset,
                   int64_t deadline_ms) {
    AddPart part = NewPart(offset, deadline_ms);
    ChunkEncoder encoder(Codec::kZstd, 1);
    encoder.UseDictionary(dictionary);
    const ChunkHeader header{.segment = SegmentId(SpanId{1}), .part_bytes = 10};
    const ChunkSpan span{.id = SpanId{7},
                         .offset = offset,
                         .is_segment = {},
                         .segment_id = {},
                         .bytes = R"({"span":1}{"span":2}{"number":)"};
    part.chunk.clear();
    encoder.Encode(header, {&span, 1}, part.chunk);
    EXPECT_EQ(DictionaryIdOf(part.chunk), dictionary->id());
    return part;
  }
  AddRequest AddOf(const std::shared_ptr<const Dictionary>& dictionary, Offset offset,
                   int64_t deadline_ms, int64_t clock_ms) {
    AddRequest request = NextAdd({PartWith(dictionary, offset, deadline_ms)}, 1, clock_ms);
    request.dictionary = dictionary;
    return request;
  }
  void AddWith(const std::shared_ptr<const Dictionary>& dictionary, Offset offset,
               int64_t deadline_ms, int64_t clock_ms) {
    const auto added = Add(AddOf(dictionary, offset, deadline_ms, clock_ms));
    EXPECT_EQ(added.code, StoreCode::kOk) << added.message;
    watermark_ = added.value.watermark;
    clock_ = added.value.clock;
  }
  StoreResult<std::shared_ptr<const Dictionary>> Read(uint32_t id) {
    using Found = std::shared_ptr<const Dictionary>;
    return Call<Found>(
        [&](Done<Found> done) { store_->ingest().ReadDictionary(kShard, id, std::move(done)); });
  }
  StoreResult<bool> Drop(uint32_t id, int64_t last_deadline_ms) {
    const DropDictionaryRequest request{.epoch = ingest_epoch_,
                                        .expected_watermark = watermark_,
                                        .id = id,
                                        .last_deadline = {last_deadline_ms}};
    return Drop(request);
  }
  StoreResult<bool> Drop(const DropDictionaryRequest& request) {
    return Call<bool>([&](Done<bool> done) {
      store_->ingest().DropDictionary(kShard, request, std::move(done));
    });
  }
  // What is due is claimed, loaded and decoded.
  void ExpectAllDecodable(const Claim& claim) {
    const auto loaded = Load(claim.parts);
    ASSERT_EQ(loaded.code, StoreCode::kOk) << loaded.message;
    ChunkDecoder decoder(shelf_);
    for (const LoadedPart& part : loaded.value) {
      EXPECT_TRUE(part.is_complete);
      for (const std::string& entry : part.own) {
        EXPECT_TRUE(decoder.Decode(entry).ok()) << decoder.Decode(entry).status();
      }
    }
  }

  const std::shared_ptr<const Dictionary> first_ = TestDictionary(1);
  const std::shared_ptr<const Dictionary> second_ = TestDictionary(2);
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_TESTS_UNIT_DICTIONARY_STORE_CONTRACT_H_
