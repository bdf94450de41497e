#include "worker/span/splice.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "worker/span/test_spans.h"

namespace spillway::span {
namespace {

const SegmentId kRoot(SpanId{0xbbbbbbbbbbbbbbbb});  // the span under test is its own segment's root
const SegmentId kOther(SpanId{0xaaaaaaaaaaaaaaaa});
const std::string kRootAttribute = R"({"type":"string","value":"bbbbbbbbbbbbbbbb"})";
const std::string kRootMember = R"("sentry.segment.id":)" + kRootAttribute;

struct Row {
  const char* name;
  std::string extra;   // raw text behind the required members
  std::string edited;  // the same on its way out, as root
};

class SpliceTest : public testing::TestWithParam<Row> {};

// Conformance A11 and A12: every byte but the edits stays, as the literal rows show.
TEST_P(SpliceTest, ChangesOnlyWhatItMust) {
  const std::string message = SpanWith(GetParam().extra);
  const std::string edited = Edited(message, kRoot);
  EXPECT_EQ(edited, SpanWith(GetParam().edited));
  EXPECT_EQ(Edited(edited, kRoot), edited) << "a second pass must change nothing";
  EXPECT_LE(edited.size(), message.size() + kMaxEditBytes);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SpliceTest,
    testing::Values(
        Row{"BothMissing", "", R"("is_segment":true,"attributes":{)" + kRootMember + "}"},
        Row{"AttributesNull", R"("attributes":null)",
            R"("attributes":{)" + kRootMember + R"(},"is_segment":true)"},
        Row{"AttributesEmpty", R"("is_segment":false,"attributes":{})",
            R"("is_segment":true,"attributes":{)" + kRootMember + "}"},
        Row{"AttributesEmptyButForSpace", R"("is_segment":true,"attributes":{ })",
            R"("is_segment":true,"attributes":{ )" + kRootMember + "}"},
        Row{"AttributesWithOthers", R"("attributes":{"a":{"value":[1]}},"is_segment":null,"z":1)",
            R"("attributes":{"a":{"value":[1]},)" + kRootMember + R"(},"is_segment":true,"z":1)"},
        Row{"SegmentIdNull", R"("attributes":{"sentry.segment.id":null,"a":null})",
            R"("attributes":{"sentry.segment.id":)" + kRootAttribute +
                R"(,"a":null},"is_segment":true)"},
        Row{"SegmentIdThere",
            R"("attributes":{"sentry.segment.id":{"value":"x"}},"is_segment":true)",
            R"("attributes":{"sentry.segment.id":{"value":"x"}},"is_segment":true)"},
        Row{"SpacesAreKept", "\n \"is_segment\" :\tfalse , \"attributes\" : { \"a\" : 1 } \r\n",
            "\n \"is_segment\" :\ttrue , \"attributes\" : { \"a\" : 1 ," + kRootMember + "} \r\n"},
        Row{"OnlyTheTopLevelCounts",
            R"("n":{"is_segment":false,"attributes":{}},"attributes":{"attributes":{},"is_segment":0})",
            R"("n":{"is_segment":false,"attributes":{}},"attributes":{"attributes":{},"is_segment":0,)" +
                kRootMember + R"(},"is_segment":true)"},
        Row{"EscapedKeys",
            R"("is\u005fsegment":false,"\u0061ttributes":{"sentry.segment\u002eid":null})",
            R"("is\u005fsegment":true,"\u0061ttributes":{"sentry.segment\u002eid":)" +
                kRootAttribute + "}"},
        Row{"TheFirstOfDuplicates",
            R"("is_segment":false,"is_segment":false,"attributes":{},"attributes":{})",
            R"("is_segment":true,"is_segment":false,"attributes":{)" + kRootMember +
                R"(},"attributes":{})"},
        Row{"NumbersAndTextStay",
            R"("a":1e3,"b":12345678901234567890,"c":1E+400,"d":-0.0,"e":"\u00e9\/é \"},{","f":[{"}":"\\"}],"is_segment":true,"attributes":{"x":{"type":"double","value":1.50}})",
            R"("a":1e3,"b":12345678901234567890,"c":1E+400,"d":-0.0,"e":"\u00e9\/é \"},{","f":[{"}":"\\"}],"is_segment":true,"attributes":{"x":{"type":"double","value":1.50},)" +
                kRootMember + "}"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(AppendEditedTest, KeepsWhatFollowsTheClosingBrace) {
  EXPECT_EQ(Edited(SpanWith("") + " \n", kRoot),
            SpanWith(R"("is_segment":true,"attributes":{)" + kRootMember + "}") + " \n");
}

TEST(AppendEditedTest, SetsIsSegmentOnlyInTheSegmentsRoot) {
  EXPECT_NE(Edited(SpanWith(R"("is_segment":true)"), kOther).find(R"("is_segment":false)"),
            std::string::npos);
  EXPECT_NE(Edited(SpanWith(R"("is_segment":false)"), kRoot).find(R"("is_segment":true)"),
            std::string::npos);
}

TEST(AppendEditedTest, EscapesAnOpaqueSegmentId) {
  const std::string edited = Edited(SpanWith(""), SegmentId::FromText("a\"b\\c"));
  EXPECT_EQ(edited, SpanWith(R"("is_segment":false,"attributes":{"sentry.segment.id":)"
                             R"({"type":"string","value":"a\"b\\c"}})"));
}

TEST(AppendEditedTest, AppendsBehindWhatIsThere) {
  std::string out = "[";
  const std::string message = SpanWith(R"("is_segment":true,"attributes":null)");
  const Span span = Accepted(message);
  AppendEdited({.id = span.id,
                .is_segment = span.is_segment,
                .segment_id = span.segment_id,
                .bytes = message},
               kRoot, out);
  EXPECT_EQ(out, "[" + Edited(message, kRoot));
}

}  // namespace
}  // namespace spillway::span
