// Damaged chunks: never a crash nor a read outside the entry (run it under AddressSanitizer).
#include <gtest/gtest.h>
#include <xxhash.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "buffer/chunk/chunk.h"

namespace spillway::buffer {
namespace {

// Decodes a copy that ends where its allocation ends, so that reading on is seen.
absl::Status DecodeTightly(ChunkDecoder& decoder, absl::string_view entry) {
  const auto copy = std::make_unique<char[]>(entry.size());
  entry.copy(copy.get(), entry.size());
  (void)DecodeHeader(absl::string_view(copy.get(), entry.size()));
  return decoder.Decode(absl::string_view(copy.get(), entry.size())).status();
}

// Gives damaged content a right checksum, so that what is behind it gets tested too.
void FixChecksum(std::string& entry) {
  if (entry.size() < 4) return;
  const uint64_t hash = XXH3_64bits(entry.data(), entry.size() - 4);
  for (size_t i = 0; i < 4; ++i) entry[entry.size() - 4 + i] = static_cast<char>(hash >> (8 * i));
}

std::vector<std::string> Entries() {
  const ChunkHeader header{.segment = SegmentId::FromText("checkout"), .part_number = 300};
  const std::string text = R"({"span_id":"aaaaaaaaaaaaaaaa","attributes":{},"status":"ok ok ok"})";
  const std::vector<ChunkSpan> spans = {{.id = SpanId{1},
                                         .offset = 1000,
                                         .is_segment = {SpanEdit::Form::kMember, 64, 0},
                                         .segment_id = {SpanEdit::Form::kFirstMember, 42, 0},
                                         .bytes = text},
                                        {.id = SpanId{2},
                                         .offset = 1001,
                                         .is_segment = {SpanEdit::Form::kValue, 10, 4},
                                         .segment_id = {},
                                         .bytes = text}};
  std::vector<std::string> entries(5);
  ChunkEncoder(Codec::kNone, 1).Encode(header, spans, entries[0]);
  ChunkEncoder(Codec::kZstd, 1).Encode(header, spans, entries[1]);
  ChunkEncoder(Codec::kZstd, 1).Encode(header, {}, entries[2]);
  EncodeReference({.incarnation = 5, .offset = 123'456}, entries[3]);
  ChunkEncoder with_dictionary(Codec::kZstd, 1);
  with_dictionary.UseDictionary(Dictionary::Make(text));
  with_dictionary.Encode(header, spans, entries[4]);
  return entries;
}

// With the dictionary of the entries.
std::shared_ptr<DictionaryShelf> Shelf() {
  auto shelf = std::make_shared<DictionaryShelf>();
  const auto dictionary =
      Dictionary::Make(R"({"span_id":"aaaaaaaaaaaaaaaa","attributes":{},"status":"ok ok ok"})");
  EXPECT_TRUE(shelf->Put(dictionary->id(), dictionary->content()).ok());
  EXPECT_TRUE(ChunkDecoder(shelf).Decode(Entries()[4]).ok());
  return shelf;
}

TEST(ChunkMutationTest, EveryTruncationIsDataLoss) {
  ChunkDecoder decoder(Shelf());
  for (const std::string& entry : Entries()) {
    for (size_t size = 0; size < entry.size(); ++size) {
      std::string cut = entry.substr(0, size);
      EXPECT_EQ(DecodeTightly(decoder, cut).code(), absl::StatusCode::kDataLoss) << size;
      FixChecksum(cut);
      (void)DecodeTightly(decoder, cut);
    }
  }
}

TEST(ChunkMutationTest, EveryChangedByteIsDataLoss) {
  ChunkDecoder decoder(Shelf());
  for (const std::string& entry : Entries()) {
    for (size_t at = 0; at < entry.size(); ++at) {
      for (int change = 1; change < 256; ++change) {
        std::string damaged = entry;
        damaged[at] = static_cast<char>(damaged[at] ^ change);
        EXPECT_EQ(DecodeTightly(decoder, damaged).code(), absl::StatusCode::kDataLoss) << at;
        FixChecksum(damaged);
        (void)DecodeTightly(decoder, damaged);
      }
    }
  }
}

TEST(ChunkMutationTest, NoiseNeverCrashes) {
  std::mt19937_64 random(11);
  ChunkDecoder decoder(Shelf());
  for (const std::string& entry : Entries()) {
    for (int round = 0; round < 5000; ++round) {
      std::string damaged = entry;
      for (uint64_t n = 1 + random() % 8; n > 0; --n) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      if (random() % 3 == 0) damaged.insert(random() % damaged.size(), 1 + random() % 20, '\xff');
      FixChecksum(damaged);
      (void)DecodeTightly(decoder, damaged);
    }
  }
}

}  // namespace
}  // namespace spillway::buffer
