#include "buffer/chunk/chunk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace spillway::buffer {
namespace {

ChunkHeader Header() {
  return {.segment = SegmentId(SpanId{0xbbbbbbbbbbbbbbbb}),
          .part_number = 3,
          .sealed = true,
          .part_bytes = 12'345,
          .first_event_time = EventTime{1'700'000'000'000}};
}

std::vector<ChunkSpan> TwoSpans() {
  return {{.id = SpanId{1},
           .offset = 41,
           .is_segment = {SpanEdit::Form::kMember, 9, 0},
           .segment_id = {SpanEdit::Form::kFirstMember, 4, 0},
           .bytes = R"({"a":{},"b":1})"},
          {.id = SpanId{2},
           .offset = 40,
           .is_segment = {SpanEdit::Form::kValue, 14, 5},
           .segment_id = {},
           .bytes = R"({"is_segment":false})"}};
}

void ExpectSame(const std::vector<ChunkSpan>& got, const std::vector<ChunkSpan>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].id, wanted[i].id);
    EXPECT_EQ(got[i].offset, wanted[i].offset);
    EXPECT_EQ(got[i].is_segment, wanted[i].is_segment);
    EXPECT_EQ(got[i].segment_id, wanted[i].segment_id);
    EXPECT_EQ(got[i].bytes, wanted[i].bytes);
  }
}

class ChunkTest : public testing::TestWithParam<Codec> {
 protected:
  std::string Encoded(const ChunkHeader& header, const std::vector<ChunkSpan>& spans) {
    std::string entry;
    encoder_.Encode(header, spans, entry);
    return entry;
  }

  ChunkEncoder encoder_{GetParam(), 1};
  ChunkDecoder decoder_;
};

TEST_P(ChunkTest, SurvivesARoundTrip) {
  const auto chunk = decoder_.Decode(Encoded(Header(), TwoSpans()));
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  ChunkHeader header = Header();
  header.span_count = 2;
  EXPECT_EQ(chunk->header, header);
  EXPECT_FALSE(chunk->is_reference);
  ExpectSame(chunk->spans, TwoSpans());
}

TEST_P(ChunkTest, SurvivesARoundTripWithoutSpans) {
  const auto chunk = decoder_.Decode(Encoded(Header(), {}));
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  EXPECT_EQ(chunk->header, Header());
  EXPECT_TRUE(chunk->spans.empty());
}

TEST_P(ChunkTest, AppendsToWhatIsThere) {
  std::string out = "before";
  encoder_.Encode(Header(), TwoSpans(), out);
  EXPECT_EQ(out, "before" + Encoded(Header(), TwoSpans()));
}

TEST_P(ChunkTest, ReadsTheLongestHeaderFromAPrefix) {
  ChunkHeader header{.segment = SegmentId::FromText(std::string(64, 'x')),
                     .part_number = ~0u,
                     .sealed = true,
                     .part_bytes = ~uint64_t{0},
                     .first_event_time = EventTime{INT64_MIN}};
  const std::string entry = Encoded(header, TwoSpans());
  header.span_count = 2;
  const auto read = DecodeHeader(absl::string_view(entry).substr(0, kMaxHeaderBytes));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, header);
}

TEST_P(ChunkTest, StoresABodyThatDoesNotShrinkAsItIs) {
  std::mt19937_64 random(1);
  std::string noise(1000, ' ');
  for (char& c : noise) c = static_cast<char>(random());
  const std::vector<ChunkSpan> spans = {{.id = SpanId{1}, .offset = 1, .bytes = noise}};
  const std::string entry = Encoded(Header(), spans);
  EXPECT_EQ(entry[1], static_cast<char>(Codec::kNone));
  ExpectSame(decoder_.Decode(entry)->spans, spans);
}

// An id costs one byte where its digits stand in the span, and eight more where they do not.
TEST_P(ChunkTest, TakesAnIdFromTheTextThatHasIt) {
  const std::string with = R"({"span_id":"00000000000000ab"})";
  const std::string without = R"({"span_id":"00000000000000AB"})";
  const auto entry = [&](const std::string& text) {
    const std::vector<ChunkSpan> spans = {{.id = SpanId{0xab}, .offset = 1, .bytes = text}};
    ExpectSame(decoder_.Decode(Encoded(Header(), spans))->spans, spans);
    ChunkEncoder plain(Codec::kNone, 1);
    std::string out;
    plain.Encode(Header(), spans, out);
    return out;
  };
  EXPECT_EQ(entry(without).size(), entry(with).size() + 8);
}

std::vector<ChunkSpan> RandomSpans(std::mt19937_64& random, std::vector<std::string>& texts) {
  const size_t count = random() % 30;
  texts.resize(count);
  std::vector<ChunkSpan> spans(count);
  for (size_t i = 0; i < count; ++i) {
    texts[i].assign(2 + random() % 3000, static_cast<char>('a' + random() % 26));
    for (char& c : texts[i]) c = random() % 4 == 0 ? static_cast<char>(random()) : c;
    const uint64_t id = random();
    if (random() % 2 == 0) texts[i].insert(random() % texts[i].size(), HexText(id));
    const auto size = static_cast<uint32_t>(texts[i].size());
    const auto middle = static_cast<uint32_t>(random() % size);
    const auto form = [&] { return static_cast<SpanEdit::Form>(1 + random() % 5); };
    spans[i] = {.id = SpanId{id},
                .offset = static_cast<Offset>(random() >> (1 + random() % 62)),
                .is_segment = {form(), middle, static_cast<uint32_t>(random() % (size - middle))},
                .bytes = texts[i]};
    if (random() % 2 == 0) {
      spans[i].segment_id = {form(), static_cast<uint32_t>(random() % (middle + 1)), 0};
    }
  }
  return spans;
}

TEST_P(ChunkTest, SurvivesARoundTripWhateverItHolds) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> texts;
    const std::vector<ChunkSpan> spans = RandomSpans(random, texts);
    ChunkHeader header{.segment = SegmentId(SpanId{random()}),
                       .part_number = static_cast<uint32_t>(random() >> (random() % 64)),
                       .sealed = random() % 2 == 0,
                       .part_bytes = random() >> (random() % 64),
                       .first_event_time = EventTime{static_cast<int64_t>(random())},
                       .span_count = static_cast<uint32_t>(spans.size())};
    const std::string entry = Encoded(header, spans);
    const auto chunk = decoder_.Decode(entry);
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    EXPECT_EQ(chunk->header, header);
    ExpectSame(chunk->spans, spans);
    EXPECT_EQ(DecodeHeader(absl::string_view(entry).substr(0, kMaxHeaderBytes)).value(), header);
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, ChunkTest, testing::Values(Codec::kNone, Codec::kZstd),
                         [](const auto& param) {
                           return std::string(param.param == Codec::kNone ? "None" : "Zstd");
                         });

TEST(ReferenceTest, SurvivesARoundTripAndHasNoHeader) {
  const PartName name{.incarnation = ~0u, .offset = INT64_MAX};
  std::string entry;
  EncodeReference(name, entry);
  const auto chunk = ChunkDecoder().Decode(entry);
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  EXPECT_TRUE(chunk->is_reference);
  EXPECT_EQ(chunk->absorbed, name);
  EXPECT_EQ(DecodeHeader(entry).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace spillway::buffer
