#include "buffer/chunk/dictionary.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "buffer/chunk/chunk.h"

namespace spillway::buffer {
namespace {

const char* const kText = R"({"span_id":"00000000000000ff","status":"ok","attributes":{"a":1}})";

std::shared_ptr<const Dictionary> Some() {
  return Dictionary::Make(absl::StrCat(R"({"status":"ok","attributes":{"a":1}})", kText));
}

std::string Encoded(const std::shared_ptr<const Dictionary>& dictionary,
                    absl::string_view text = kText) {
  ChunkEncoder encoder(Codec::kZstd, 1);
  encoder.UseDictionary(dictionary);
  const ChunkSpan span{.id = SpanId{0xff}, .offset = 12, .bytes = text};
  std::string entry;
  encoder.Encode({.segment = SegmentId(SpanId{9}), .part_bytes = 70}, {&span, 1}, entry);
  return entry;
}

TEST(DictionaryTest, ContentNamesIt) {
  EXPECT_EQ(Dictionary::Make("abc")->id(), Dictionary::Make("abc")->id());
  EXPECT_NE(Dictionary::Make("abc")->id(), Dictionary::Make("abd")->id());
  EXPECT_EQ(Dictionary::Make(""), nullptr);
  EXPECT_EQ(Dictionary::Make(std::string(Dictionary::kMaxBytes + 1, 'a')), nullptr);
}

TEST(DictionaryTest, IdsAreEightDigits) {
  EXPECT_EQ(DictionaryIdText(0xab), "000000ab");
  EXPECT_EQ(DictionaryIdFromText("000000ab"), 0xabu);
  EXPECT_EQ(DictionaryIdFromText("ab"), 0u);
  EXPECT_EQ(DictionaryIdFromText("0000zzab"), 0u);
}

TEST(DictionaryTest, AChunkComesBackWithItsDictionaryOnly) {
  const auto dictionary = Some();
  const std::string entry = Encoded(dictionary);
  EXPECT_EQ(DictionaryIdOf(entry), dictionary->id());
  EXPECT_LT(entry.size(), Encoded(nullptr).size());

  auto shelf = std::make_shared<DictionaryShelf>();
  ChunkDecoder decoder(shelf);
  EXPECT_EQ(decoder.Decode(entry).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ChunkDecoder().Decode(entry).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(DecodeHeader(entry).ok()) << "headers need none";
  ASSERT_TRUE(shelf->Put(dictionary->id(), dictionary->content()).ok());
  const auto chunk = decoder.Decode(entry);
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  ASSERT_EQ(chunk->spans.size(), 1u);
  EXPECT_EQ(chunk->spans[0].bytes, kText);
  EXPECT_TRUE(decoder.Decode(Encoded(nullptr)).ok()) << "and without one, as before";
}

TEST(DictionaryTest, ABodyThatDoesNotShrinkNamesNone) {
  const std::string entry = Encoded(Some(), "x");
  EXPECT_EQ(DictionaryIdOf(entry), 0u);
  EXPECT_TRUE(ChunkDecoder().Decode(entry).ok());
  EXPECT_EQ(DictionaryIdOf(""), 0u);
  EXPECT_EQ(DictionaryIdOf(Encoded(nullptr)), 0u);
  std::string reference;
  EncodeReference({.incarnation = 1, .offset = 2}, reference);
  EXPECT_EQ(DictionaryIdOf(reference), 0u);
}

TEST(DictionaryTest, AnEncoderChangesItsDictionary) {
  ChunkEncoder encoder(Codec::kZstd, 1);
  const auto first = Some();
  encoder.UseDictionary(first);
  encoder.UseDictionary(Dictionary::Make(kText));
  EXPECT_NE(encoder.dictionary()->id(), first->id());
  const ChunkSpan span{.id = SpanId{0xff}, .offset = 12, .bytes = kText};
  std::string entry;
  encoder.Encode({}, {&span, 1}, entry);
  EXPECT_GT(encoder.totals().body_bytes, encoder.totals().stored_bytes);
  encoder.UseDictionary(nullptr);
  entry.clear();
  encoder.Encode({}, {&span, 1}, entry);
  EXPECT_TRUE(ChunkDecoder().Decode(entry).ok());
  encoder.Encode({}, {}, entry);
  EXPECT_EQ(encoder.totals().chunks, 2u) << "one without spans has no body";
  EXPECT_EQ(encoder.totals().dictionary_chunks, 1u);
  ChunkEncoder plain(Codec::kNone, 1);
  plain.UseDictionary(first);
  EXPECT_EQ(plain.dictionary(), nullptr);
}

TEST(DictionaryShelfTest, WrongContentIsRefused) {
  DictionaryShelf shelf;
  const auto dictionary = Some();
  EXPECT_EQ(shelf.Put(dictionary->id(), "another").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(shelf.Put(dictionary->id(), "").code(), absl::StatusCode::kDataLoss);
  // zstd's mark of a dictionary, and nothing of one behind it.
  const auto damaged = Dictionary::Make(std::string("\x37\xa4\x30\xec", 4) + "0123456789");
  EXPECT_EQ(shelf.Put(damaged->id(), damaged->content()).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(shelf.size(), 0u);
}

TEST(DictionaryShelfTest, TheOneLongestNotUsedMakesRoom) {
  DictionaryShelf shelf;
  std::vector<uint32_t> ids;
  for (size_t i = 0; i < DictionaryShelf::kMaxCount; ++i) {
    const auto dictionary = Dictionary::Make(absl::StrCat("dictionary ", i));
    ids.push_back(dictionary->id());
    ASSERT_TRUE(shelf.Put(dictionary->id(), dictionary->content()).ok());
  }
  EXPECT_NE(shelf.Find(ids[0]), nullptr);
  const auto one_more = Some();
  ASSERT_TRUE(shelf.Put(one_more->id(), one_more->content()).ok());
  ASSERT_TRUE(shelf.Put(one_more->id(), one_more->content()).ok());
  EXPECT_EQ(shelf.size(), DictionaryShelf::kMaxCount);
  EXPECT_EQ(shelf.Find(ids[1]), nullptr);
  EXPECT_NE(shelf.Find(ids[0]), nullptr);
  EXPECT_NE(shelf.Find(one_more->id()), nullptr);
}

}  // namespace
}  // namespace spillway::buffer
