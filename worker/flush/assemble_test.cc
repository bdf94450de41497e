#include "worker/flush/assemble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/flush/dead_letter.h"
#include "worker/flush/test_parts.h"

namespace spillway::flush {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

constexpr std::chrono::milliseconds kMaxAge{300'000};

buffer::ChunkHeader Header(char segment, uint32_t number = 0, bool sealed = false) {
  return {.segment = Segment(segment),
          .part_number = number,
          .sealed = sealed,
          .first_event_time = EventTime{1'000}};
}

Part Decoded(const buffer::LoadedPart& loaded, EventTime deadline = {11'000}) {
  buffer::ChunkDecoder decoder;
  auto part = DecodePart(loaded, deadline, decoder);
  EXPECT_TRUE(part.ok()) << part.status();
  return part.ok() ? *std::move(part) : Part{};
}

Part PartOf(const buffer::ChunkHeader& header, const std::vector<TestSpan>& spans) {
  return Decoded({.name = {.incarnation = 1, .offset = spans[0].offset},
                  .own = {EncodeChunk(header, spans)},
                  .referenced = {},
                  .is_complete = true});
}

std::string Payload(const Part& part) {
  return Assemble(part, WholeOf(part), ShardId{7}, Epoch{12, 34}, {}).payload;
}

// A span on its way out, as text.
std::string Out(char id, char parent, char segment, bool is_segment) {
  const std::string text(16, segment);
  return SpanJson(id, parent,
                  absl::StrCat(",\"is_segment\":", is_segment ? "true" : "false",
                               R"(,"attributes":{"sentry.segment.id":{"type":"string","value":")",
                               text, "\"}}"));
}

// Conformance L3.
TEST(AssembleTest, WritesTheEnvelopeInAFixedOrder) {
  const Part part = PartOf(Header('b'), {{5, SpanJson('a', 'b')}, {6, SpanJson('b')}});
  EXPECT_EQ(Payload(part), "{\"spans\":[" + Out('a', 'b', 'b', false) + "," +
                               Out('b', ' ', 'b', true) + "],\"flush_id\":\"" +
                               FlushId(part, WholeOf(part)) + "\"}");
  EXPECT_EQ(FlushId(part, WholeOf(part)).size(), 32u);
}

// Conformance L1: sealed and later parts say so; ids differ; the segment is the same.
TEST(AssembleTest, MarksSealedAndLaterParts) {
  const Part sealed =
      PartOf(Header('a', 0, true), {{1, SpanJson('b', 'a')}, {2, SpanJson('c', 'a')}});
  const Part next = PartOf(Header('a', 1), {{3, SpanJson('d', 'a')}});
  for (const Part* part : {&sealed, &next}) {
    EXPECT_THAT(Payload(*part), HasSubstr("],\"skip_enrichment\":true,\"flush_id\":\""));
    EXPECT_THAT(Payload(*part), HasSubstr(R"("value":"aaaaaaaaaaaaaaaa")"));
  }
  EXPECT_NE(FlushId(sealed, WholeOf(sealed)), FlushId(next, WholeOf(next)));
}

// Conformance L6.
TEST(AssembleTest, GivesTheSameBytesForTheSameContent) {
  const std::vector<TestSpan> spans = {{5, SpanJson('a', 'b')}, {6, SpanJson('b')}};
  const Part one = PartOf(Header('b'), spans);
  const buffer::LoadedPart pieces = {.name = one.name,
                                     .own = {EncodeChunk(Header('b'), {spans[1]})},
                                     .referenced = {EncodeChunk(Header('x'), {spans[0]})},
                                     .is_complete = true};
  EXPECT_EQ(Payload(one), Payload(PartOf(Header('b'), spans)));
  EXPECT_EQ(Payload(one), Payload(Decoded(pieces)));
}

TEST(AssembleTest, MakesFlushIdsOfSegmentNumberOffsetsAndIds) {
  const Part part = PartOf(Header('b'), {{5, SpanJson('a', 'b')}});
  const std::string id = FlushId(part, WholeOf(part));
  for (const Part& other : {PartOf(Header('c'), {{5, SpanJson('a', 'b')}}),
                            PartOf(Header('b', 1), {{5, SpanJson('a', 'b')}}),
                            PartOf(Header('b'), {{6, SpanJson('a', 'b')}}),
                            PartOf(Header('b'), {{5, SpanJson('b', 'b')}})}) {
    EXPECT_NE(FlushId(other, WholeOf(other)), id);
  }
  const Part sealed = PartOf(Header('b', 0, true), {{5, SpanJson('a', 'b', ",\"n\":1")}});
  EXPECT_EQ(FlushId(sealed, WholeOf(sealed)), id) << "only what the design names counts";
}

TEST(AssembleTest, KeepsFlushIdsForEver) {
  // A literal from the first version: consumers deduplicate by it across upgrades.
  const Part part = PartOf(Header('b'), {{5, SpanJson('a', 'b')}, {6, SpanJson('b')}});
  EXPECT_EQ(FlushId(part, WholeOf(part)), "80866eedc0068ade60708c9ca8ca6df0");
}

TEST(AssembleTest, OrdersSpansOfAllListsByOffsetAndTakesTheOwnListsLastHeader) {
  std::string reference;
  buffer::EncodeReference({.incarnation = 1, .offset = 4}, reference);
  const Part part = Decoded(
      {.name = {.incarnation = 1, .offset = 5},
       .own = {EncodeChunk(Header('d'), {{5, SpanJson('a', 'd')}}), reference,
               EncodeChunk(Header('b'), {{9, SpanJson('b')}}),
               EncodeChunk(Header('c', 2, true), {})},
       .referenced = {EncodeChunk(Header('e'), {{4, SpanJson('d', 'c')}, {7, SpanJson('e', 'd')}}),
                      reference, EncodeChunk(Header('f', 9), {{6, SpanJson('f', 'd')}})},
       .is_complete = true});
  std::vector<Offset> offsets;
  for (const auto& span : part.spans) offsets.push_back(span.offset);
  EXPECT_THAT(offsets, ElementsAre(4, 5, 6, 7, 9));
  EXPECT_EQ(part.header.segment, Segment('c'));
  EXPECT_EQ(part.header.part_number, 2u);
  EXPECT_TRUE(part.header.sealed);
}

TEST(AssembleTest, RefusesWhatItCannotDecode) {
  buffer::ChunkDecoder decoder;
  std::string reference;
  buffer::EncodeReference({.incarnation = 1, .offset = 4}, reference);
  const std::string good = EncodeChunk(Header('a'), {{5, SpanJson('a')}});
  const auto status = [&](std::vector<std::string> own, std::vector<std::string> referenced) {
    return DecodePart({.name = {1, 5}, .own = own, .referenced = referenced, .is_complete = true},
                      EventTime{1}, decoder)
        .status()
        .code();
  };
  EXPECT_EQ(status({good, "damaged"}, {}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status({good}, {good.substr(1)}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status({reference}, {good}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status({}, {}), absl::StatusCode::kDataLoss);
}

TEST(AssembleTest, NamesTheReasonInAHeader) {
  const std::vector<TestSpan> with_root = {{5, SpanJson('a', 'b')}, {6, SpanJson('b')}};
  const std::vector<TestSpan> without = {{5, SpanJson('a', 'b')}};
  EXPECT_STREQ(ReasonOf(PartOf(Header('b'), with_root), kMaxAge), "root");
  EXPECT_STREQ(ReasonOf(PartOf(Header('b'), without), kMaxAge), "idle");
  EXPECT_STREQ(ReasonOf(PartOf(Header('b', 1), with_root), kMaxAge), "late");
  EXPECT_STREQ(ReasonOf(PartOf(Header('b', 1, true), with_root), kMaxAge), "size");
  Part old = PartOf(Header('b', 1), with_root);
  old.deadline = EventTime{1'000} + kMaxAge;
  EXPECT_STREQ(ReasonOf(old, kMaxAge), "age");
}

TEST(AssembleTest, PutsHeadersAndKeyOnlyIfAsked) {
  const Part part = PartOf(Header('b', 3), {{6, SpanJson('b')}});
  const auto message = Assemble(part, WholeOf(part), ShardId{7}, Epoch{12, 34}, {});
  EXPECT_THAT(message.headers,
              ElementsAre(Pair("spillway-shard", "7"), Pair("spillway-epoch", "12"),
                          Pair("spillway-part", "3"), Pair("spillway-reason", "late")));
  EXPECT_EQ(message.key, "");
  const auto other = Assemble(part, WholeOf(part), ShardId{7}, Epoch{12, 34},
                              {.headers = false, .key_is_trace_id = true});
  EXPECT_TRUE(other.headers.empty());
  EXPECT_EQ(other.key, "0123456789abcdef0123456789abcdef");
}

TEST(AssembleTest, SplitsByBytesIntoHalvesWithIdsOfTheirOwn) {
  const std::string big = ",\"n\":\"" + std::string(5'000, 'x') + '"';
  const Part part = PartOf(Header('b'), {{5, SpanJson('a', 'b', big)},
                                         {6, SpanJson('b')},
                                         {7, SpanJson('c', 'b')},
                                         {8, SpanJson('d', 'b')}});
  const auto [first, second] = Halves(part);
  EXPECT_EQ(first, (SpanRange{0, 1, true}));
  EXPECT_EQ(second, (SpanRange{1, 4, true}));
  EXPECT_NE(FlushId(part, first), FlushId(part, second));
  EXPECT_NE(FlushId(part, first), FlushId(part, WholeOf(part)));
  const auto message = Assemble(part, second, ShardId{7}, Epoch{1, 1}, {});
  EXPECT_THAT(message.payload, HasSubstr("\"skip_enrichment\":true"));
  EXPECT_THAT(message.payload, Not(HasSubstr("xxxxx")));
  EXPECT_EQ(message.headers.back().second, "size");
}

TEST(AssembleTest, SplitsWhatTheLastSpanOutweighs) {
  const std::string big = ",\"n\":\"" + std::string(5'000, 'x') + '"';
  const Part part = PartOf(Header('b'), {{5, SpanJson('b')}, {6, SpanJson('a', 'b', big)}});
  EXPECT_EQ(Halves(part).first, (SpanRange{0, 1, true}));
  EXPECT_EQ(Halves(part).second, (SpanRange{1, 2, true}));
}

// Conformance L5.
TEST(DeadLetterTest, SaysWhereItCameFrom) {
  const DeadLetterOrigin origin = {"refused", "ingest-spans", ShardId{3}, 99,
                                   "Broker: Message size too large"};
  const auto message = DeadLetter(origin, "payload");
  EXPECT_EQ(message.payload, "payload");
  EXPECT_THAT(
      message.headers,
      ElementsAre(Pair("spillway-reason", "refused"), Pair("spillway-topic", "ingest-spans"),
                  Pair("spillway-partition", "3"), Pair("spillway-offset", "99"),
                  Pair("spillway-error", "Broker: Message size too large")));
  const auto bare = BareDeadLetter(origin, 12'345);
  EXPECT_EQ(bare.payload, "");
  EXPECT_THAT(bare.headers.back(), Pair("spillway-omitted-bytes", "12345"));
}

TEST(DeadLetterTest, CountsSpansOfADamagedPartByItsHeaders) {
  std::string damaged = EncodeChunk(Header('a'), {{5, SpanJson('a')}, {6, SpanJson('b', 'a')}});
  damaged.resize(damaged.size() - 10);
  EXPECT_EQ(CountSpans({.name = {1, 5},
                        .own = {damaged, "garbage"},
                        .referenced = {EncodeChunk(Header('a'), {{4, SpanJson('c', 'a')}})},
                        .is_complete = true}),
            3u);
}

}  // namespace
}  // namespace spillway::flush
