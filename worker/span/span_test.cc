#include "worker/span/span.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "worker/span/test_spans.h"

namespace spillway::span {
namespace {

constexpr SpanId kA{0xaaaaaaaaaaaaaaaa};
constexpr SpanId kB{0xbbbbbbbbbbbbbbbb};
const std::string kParentA = R"("parent_span_id":"aaaaaaaaaaaaaaaa")";

std::string Attribute(const std::string& value) {
  return R"("attributes":{"sentry.segment.id":{"type":"string","value":)" + value + "}}";
}

TEST(SpanParserTest, ReadsIdsOfEitherCase) {
  Members members = RequiredMembers();
  members[1].second = "18446744073709551615";
  members[2].second = R"("01234567-89AB-cdef-0123-456789abcdef")";
  members[3].second = R"("BbBbBbBbBbBbBbBb")";
  const Span span = Accepted(Json(members));
  EXPECT_EQ(span.trace, (TraceKey{~uint64_t{0}, 0x0123456789abcdef, 0x0123456789abcdef}));
  EXPECT_EQ(span.id, kB);
}

TEST(SpanParserTest, MakesASpanWithoutParentItsOwnSegment) {
  for (const char* extra : {"", R"("parent_span_id":null)", R"("parent_span_id":"")"}) {
    const Span span = Accepted(SpanWith(extra));
    EXPECT_TRUE(span.is_segment_span) << extra;
    EXPECT_EQ(span.parent, SegmentId(kB)) << extra;
  }
}

TEST(SpanParserTest, TakesIsSegmentTrueOverAParentAndAnAttribute) {
  const Span span =
      Accepted(SpanWith(kParentA + R"(,"is_segment":true,)" + Attribute(R"("checkout")")));
  EXPECT_TRUE(span.is_segment_span);
  EXPECT_EQ(span.parent, SegmentId(kB));
}

TEST(SpanParserTest, TakesIsSegmentFalseOrNullAsNotSaid) {
  for (const char* value : {"false", "null"}) {
    const std::string said = std::string(R"("is_segment":)") + value;
    EXPECT_FALSE(Accepted(SpanWith(kParentA + "," + said)).is_segment_span) << value;
    EXPECT_TRUE(Accepted(SpanWith(said)).is_segment_span) << value;
  }
}

TEST(SpanParserTest, TakesTheSegmentIdAttributeOverTheParent) {
  EXPECT_EQ(Accepted(SpanWith(kParentA)).parent, SegmentId(kA));
  EXPECT_EQ(Accepted(SpanWith(kParentA + "," + Attribute(R"("CCCCCCCCCCCCCCCC")"))).parent,
            SegmentId(SpanId{0xcccccccccccccccc}));
  EXPECT_EQ(Accepted(SpanWith(kParentA + "," + Attribute(R"("caf\u00e9 \"1\"")"))).parent,
            SegmentId::FromText("caf\u00e9 \"1\""));
}

TEST(SpanParserTest, LetsAnAttributeWithoutUsableTextSayNothing) {
  for (const char* attribute :
       {R"({"value":""})", R"({"value":null})", R"({"value":7})", R"({"value":{"value":"x"}})",
        R"({"type":"string"})", R"({})", R"("text")", R"([1])", "7", "true"}) {
    const std::string extra = kParentA + R"(,"attributes":{"sentry.segment.id":)" + attribute + "}";
    const Span span = Accepted(SpanWith(extra));
    EXPECT_EQ(span.parent, SegmentId(kA)) << attribute;
    EXPECT_EQ(span.segment_id.form, buffer::SpanEdit::Form::kNone) << attribute;
  }
}

TEST(SpanParserTest, TakesAnOpaqueSegmentIdOfAtMost64Bytes) {
  const std::string longest(64, 'x');
  EXPECT_EQ(Accepted(SpanWith(kParentA + "," + Attribute('"' + longest + '"'))).parent,
            SegmentId::FromText(longest));
  const Rejection rejection = Rejected(SpanWith(kParentA + "," + Attribute('"' + longest + "y\"")));
  EXPECT_EQ(rejection.reason, "invalid_id");
  EXPECT_EQ(rejection.field, "attributes.sentry.segment.id");
}

TEST(SpanParserTest, RefusesControlCharactersInASegmentId) {
  for (const char* value : {R"("a\u0000b")", R"("a\nb")", R"("\u007f")"}) {
    EXPECT_EQ(Rejected(SpanWith(Attribute(value))).reason, "invalid_id") << value;
  }
}

TEST(SpanParserTest, TellsBytesApartByTheirHash) {
  EXPECT_EQ(Accepted(SpanWith("")).content_hash, Accepted(SpanWith("")).content_hash);
  EXPECT_NE(Accepted(SpanWith("")).content_hash, Accepted(SpanWith("") + " ").content_hash);
}

// Conformance V3.
TEST(SpanParserTest, AcceptsIntegerTimestampsAndUnknownFields) {
  Members members = RequiredMembers();
  members[4].second = "1700000000";
  members[5].second = "1e3";
  members[6].second = "-5";
  members.insert(members.begin(), {"extra", R"({"span_id":7,"a":[{"trace_id":[]}],"b":{}})"});
  members.push_back({"name", "null"});
  members.push_back({"more", R"([[],{},"}",{"]":"{"}])"});
  EXPECT_EQ(Accepted(Json(members)).id, kB);
}

TEST(SpanParserTest, AcceptsNumbersThatFitNoMachineType) {
  for (const char* number : {"12345678901234567890123", "1e999", "-1e999", "1e-999", "0.1e1000",
                             "123456789012345678901234567890.5e-7"}) {
    Members members = RequiredMembers();
    members[6].second = number;
    members.push_back({"nested", std::string(R"({"a":[1,)") + number + R"(,"01"]})"});
    EXPECT_EQ(Accepted(Json(members)).id, kB) << number;
    members.push_back({"wrong", "[01]"});
    EXPECT_EQ(Rejected(Json(members)).reason, "not_json") << number;
  }
}

// Conformance V4: the first counts.
TEST(SpanParserTest, TakesTheFirstOfDuplicateKeys) {
  const Span span = Accepted(SpanWith(
      kParentA + R"(,"span_id":7,"parent_span_id":[],"is_segment":false,"is_segment":"no",)"
                 R"("attributes":{},"attributes":[])"));
  EXPECT_EQ(span.id, kB);
  EXPECT_EQ(span.parent, SegmentId(kA));
  EXPECT_FALSE(span.is_segment_span);
  EXPECT_EQ(Accepted(SpanWith(kParentA + R"(,"attributes":{"sentry.segment.id":{"value":"x",)"
                                         R"("value":"y"},"sentry.segment.id":{"value":"z"}})"))
                .parent,
            SegmentId::FromText("x"));
}

TEST(SpanParserTest, KnowsKeysWrittenWithEscapes) {
  const Span span =
      Accepted(SpanWith(R"("parent\u005fspan_id":"\u0061aaaaaaaaaaaaaaa","is\u005fsegment":false,)"
                        R"("attributes":{"sentry\u002esegment.id":{"val\u0075e":"x"}})"));
  EXPECT_FALSE(span.is_segment_span);
  EXPECT_EQ(span.parent, SegmentId::FromText("x"));
}

TEST(SpanParserTest, AllowsWhiteSpaceEverywhere) {
  const std::string message =
      " \r\n\t{ \"organization_id\" : 1 , \"project_id\" : 2 , \"trace_id\" : "
      "\"0123456789abcdef0123456789abcdef\" , \"span_id\"\n:\n\"bbbbbbbbbbbbbbbb\" , "
      "\"start_timestamp\" : 1 , \"end_timestamp\" : 2 , \"received\" : 3 ,"
      "\"retention_days\" : 90 , \"status\" : \"ok\" , \"attributes\" : { \"a\" : 1 } } \n";
  EXPECT_EQ(Accepted(message).id, kB);
}

TEST(SpanParserTest, GoesOnAfterABadOrHugeMessage) {
  SpanParser parser;
  const std::string good = SpanWith("");
  const std::string huge = SpanWith(R"("text":")" + std::string(3 << 20, 'x') + '"');
  for (const std::string& before :
       {std::string("{"), std::string(10 << 20, '['), std::string(), huge, good}) {
    (void)parser.Parse(before);
    EXPECT_TRUE(std::holds_alternative<Span>(parser.Parse(good)));
  }
  EXPECT_TRUE(std::holds_alternative<Span>(parser.Parse(huge)));
}

}  // namespace
}  // namespace spillway::span
