// What an audit makes of pieces that were read at different changes, and of the journal between.
#include "buffer/redis/audit_mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace spillway::buffer {
namespace {

constexpr AuditMirror::Change kBegin = 100;

std::string Chunk(uint32_t spans) {
  ChunkEncoder encoder(Codec::kNone, 0);
  const std::vector<ChunkSpan> all(spans, ChunkSpan{.bytes = "{}"});
  std::string chunk;
  encoder.Encode({.part_bytes = spans * 2}, all, chunk);
  return chunk.substr(0, kMaxHeaderBytes);
}
PartName Name(Offset offset) { return {.incarnation = 1, .offset = offset}; }

class AuditMirrorTest : public ::testing::Test {
 protected:
  // The part holds a chunk for each of `spans`, all of them read at once.
  bool Read(AuditMirror::Change at, Offset offset, const std::vector<uint32_t>& spans,
            std::vector<PartName> references = {}) {
    std::vector<std::string> chunks;
    for (const uint32_t count : spans) chunks.push_back(Chunk(count));
    return mirror_.OnContents(at, {Name(offset)},
                              {std::move(references),
                               static_cast<int64_t>(chunks.size()),
                               {chunks.begin(), chunks.end()}});
  }
  bool Record(absl::string_view op, Offset offset, uint32_t spans) {
    return mirror_.OnRecord(absl::StrCat(op, "1.", offset, " ", Chunk(spans)));
  }
  AuditReply Count() {
    const auto reply = mirror_.Count();
    EXPECT_TRUE(reply.has_value()) << "there is more to read";
    return reply.value_or(AuditReply());
  }
  AuditMirror mirror_{kBegin};
};

TEST_F(AuditMirrorTest, WhatIsListedIsToBeRead) {
  EXPECT_TRUE(mirror_.OnPart(kBegin, Name(5), true));
  EXPECT_FALSE(mirror_.Count().has_value());
  const auto wanted = mirror_.NextToRead(10);
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].name, Name(5));
  EXPECT_EQ(wanted[0].first, 0);
  EXPECT_FALSE(mirror_.HasToRead());
  EXPECT_TRUE(Read(kBegin, 5, {2, 3}));
  EXPECT_EQ(Count().live_spans, 5u);
  EXPECT_EQ(Count().due_parts, 1u);
}

TEST_F(AuditMirrorTest, RecordsThatWereSeenAlreadyAreNotAppliedAgain) {
  mirror_.OnPart(kBegin + 1, Name(5), true);
  Read(kBegin + 2, 5, {2, 3});
  EXPECT_TRUE(mirror_.OnRecord("=101"));
  EXPECT_TRUE(mirror_.OnRecord("X1.5"));  // in due again, says the page
  EXPECT_TRUE(mirror_.OnRecord("=102"));
  EXPECT_TRUE(Record("A", 5, 3));
  EXPECT_EQ(Count().live_spans, 5u);
  EXPECT_TRUE(mirror_.OnRecord("=103"));
  EXPECT_TRUE(Record("A", 5, 4));
  EXPECT_EQ(Count().live_spans, 9u);
}

TEST_F(AuditMirrorTest, ANewPartIsKnownFromTheJournalAlone) {
  mirror_.OnRecord("=101");
  Record("N", 7, 4);
  EXPECT_FALSE(mirror_.HasToRead());
  mirror_.OnRecord("=102");
  Record("A", 7, 1);
  EXPECT_EQ(Count().live_spans, 5u);
  mirror_.OnRecord("=103");
  mirror_.OnRecord("C1.7");
  EXPECT_EQ(Count().in_flight_parts, 1u);
  mirror_.OnRecord("=104");
  mirror_.OnRecord("D1.7");
  EXPECT_EQ(Count().due_parts, 1u);
  mirror_.OnRecord("=105");
  mirror_.OnRecord("G1.7");
  EXPECT_EQ(Count().live_spans, 0u);
}

TEST_F(AuditMirrorTest, AnOldPartThatARecordNamesIsToBeRead) {
  mirror_.OnRecord("=101");
  mirror_.OnRecord("C1.3");
  EXPECT_EQ(mirror_.NextToRead(10).size(), 1u);
  Read(101, 3, {6});
  EXPECT_EQ(Count().live_spans, 6u);
  EXPECT_EQ(Count().in_flight_parts, 1u);
}

TEST_F(AuditMirrorTest, APartThatWasAbsorbedCountsWithItsHost) {
  mirror_.OnPart(kBegin, Name(1), true);
  mirror_.OnPart(kBegin, Name(2), true);
  Read(kBegin, 1, {2});
  Read(kBegin, 2, {3});
  mirror_.OnRecord("=101");
  mirror_.OnRecord("X1.1");
  mirror_.OnRecord("R1.2 1.1");
  mirror_.OnRecord("D1.2");
  EXPECT_EQ(Count().live_spans, 5u);
  EXPECT_EQ(Count().due_parts, 1u);
  mirror_.OnRecord("=102");
  mirror_.OnRecord("G1.2");
  EXPECT_EQ(Count().live_spans, 0u);
}

TEST_F(AuditMirrorTest, WhatAPartRefersToIsToBeRead) {
  mirror_.OnPart(kBegin, Name(2), true);
  mirror_.NextToRead(1);
  Read(kBegin, 2, {3}, {Name(1)});
  const auto wanted = mirror_.NextToRead(10);
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].name, Name(1));
  Read(kBegin, 1, {4});
  EXPECT_EQ(Count().live_spans, 7u);
}

TEST_F(AuditMirrorTest, ALongListIsReadInPieces) {
  mirror_.OnPart(kBegin, Name(1), true);
  const std::string chunk = Chunk(2);
  ASSERT_EQ(mirror_.NextToRead(1).size(), 1u);
  mirror_.OnContents(kBegin, {Name(1)}, {{}, 3, {chunk, chunk}});
  EXPECT_FALSE(mirror_.Count().has_value());
  mirror_.OnRecord("=101");
  Record("A", 1, 5);
  const auto wanted = mirror_.NextToRead(1);
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].first, 2);
  // The entry that the record has told comes with it, and does not count twice.
  mirror_.OnContents(101, wanted[0], {{}, 4, {chunk, Chunk(5)}});
  EXPECT_EQ(Count().live_spans, 11u);
}

TEST_F(AuditMirrorTest, AListThatIsCutWhileItIsReadIsReadAgain) {
  mirror_.OnPart(kBegin, Name(1), true);
  const std::string chunk = Chunk(2);
  mirror_.NextToRead(1);
  mirror_.OnContents(kBegin, {Name(1)}, {{}, 3, {chunk, chunk}});
  const auto wanted = mirror_.NextToRead(1);
  mirror_.OnContents(kBegin, wanted.at(0), {});
  ASSERT_EQ(mirror_.NextToRead(1).at(0).first, 0);
  mirror_.OnContents(kBegin, {Name(1)}, {});
  EXPECT_EQ(Count().missing_lists, 1u);
  EXPECT_EQ(Count().live_spans, 0u);
}

TEST_F(AuditMirrorTest, AnEntryThatIsNeitherChunkNorReferenceIsTold) {
  std::string reference;
  EncodeReference(Name(9), reference);
  mirror_.OnPart(kBegin, Name(1), true);
  mirror_.OnContents(kBegin, {Name(1)}, {{}, 2, {reference, "damaged"}});
  EXPECT_EQ(Count().undecodable_entries, 1u);
  EXPECT_EQ(Count().live_spans, 0u);
}

TEST_F(AuditMirrorTest, AChangeThatIsMissingInTheJournalIsSeen) {
  EXPECT_TRUE(mirror_.OnRecord("=101"));
  EXPECT_FALSE(mirror_.OnRecord("=103"));
}

TEST_F(AuditMirrorTest, APieceOfAnEarlierStateIsSeen) {
  EXPECT_TRUE(mirror_.OnRecord("=101"));
  EXPECT_FALSE(mirror_.OnPart(kBegin, Name(1), true));
  EXPECT_FALSE(Read(kBegin, 1, {1}));
}

TEST_F(AuditMirrorTest, RecordsThatAreNotUnderstoodAreSaidSo) {
  EXPECT_FALSE(mirror_.OnRecord(""));
  EXPECT_FALSE(mirror_.OnRecord("?1.5"));
  EXPECT_FALSE(mirror_.OnRecord("=many"));
}

}  // namespace
}  // namespace spillway::buffer
