#include "tests/load/span_scan.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace spillway::load {
namespace {

constexpr char kId[] = R"("sentry.segment.id":{"type":"string","value":"a"})";

// The input again, or what UndoEdits found wrong.
std::string Undone(const std::string& output, IsSegmentForm flag, AttributesForm attributes) {
  ScannedSpan span;
  std::string original;
  absl::Status status = ScanSpan(output, span);
  if (status.ok()) status = UndoEdits(span, flag, attributes, original);
  return status.ok() ? original : std::string(status.message());
}

TEST(UndoEditsTest, ReplacesTheFlag) {
  const std::string output = absl::StrCat(R"({"is_segment": true,"attributes":{)", kId, "}}");
  EXPECT_EQ(Undone(output, IsSegmentForm::kNull, AttributesForm::kWithId),
            absl::StrCat(R"({"is_segment": null,"attributes":{)", kId, "}}"));
}

TEST(UndoEditsTest, RemovesBothWhereTheyWereMissing) {
  EXPECT_EQ(Undone(absl::StrCat(R"({"a":1,"is_segment":true,"attributes":{)", kId, "}}"),
                   IsSegmentForm::kMissing, AttributesForm::kMissing),
            R"({"a":1})");
  EXPECT_EQ(Undone(absl::StrCat(R"({"a":1 ,"is_segment":true,"attributes":{)", kId, "}}"),
                   IsSegmentForm::kMissing, AttributesForm::kMissing),
            R"({"a":1 })");
}

TEST(UndoEditsTest, RestoresEverySpellingOfAttributes) {
  const auto undone = [](const std::string& attributes, AttributesForm form) {
    return Undone(absl::StrCat(R"({"is_segment":false,"attributes":)", attributes, "}"),
                  IsSegmentForm::kFalse, form);
  };
  const std::string head = R"({"is_segment":false,"attributes":)";
  EXPECT_EQ(undone(absl::StrCat("{", kId, "}"), AttributesForm::kNull), head + "null}");
  EXPECT_EQ(undone(absl::StrCat("{", kId, "}"), AttributesForm::kWithoutId), head + "{}}");
  EXPECT_EQ(undone(absl::StrCat(R"({"b":1,)", kId, "}"), AttributesForm::kWithoutId),
            head + R"({"b":1}})");
  EXPECT_EQ(undone(absl::StrCat("{", kId, R"(,"b":1})"), AttributesForm::kWithoutId),
            head + R"({"b":1}})");
  EXPECT_EQ(undone(absl::StrCat("{", kId, R"(,"b":1})"), AttributesForm::kIdNull),
            head + R"({"sentry.segment.id":null,"b":1}})");
}

TEST(UndoEditsTest, SaysWhatIsMissing) {
  EXPECT_EQ(Undone("{}", IsSegmentForm::kFalse, AttributesForm::kNull), "is_segment is missing");
  EXPECT_EQ(Undone(R"({"is_segment":true,"attributes":{}})", IsSegmentForm::kFalse,
                   AttributesForm::kWithoutId),
            R"(attributes["sentry.segment.id"] is missing)");
  EXPECT_EQ(Undone(absl::StrCat(R"({"is_segment":true,"attributes":{"b":1,)", kId, "}}"),
                   IsSegmentForm::kFalse, AttributesForm::kNull),
            "attributes that were not there hold more than the id");
}

TEST(UndoEditsTest, WantsAddedMembersAtTheEndInOrder) {
  EXPECT_EQ(Undone(absl::StrCat(R"({"is_segment":true,"a":1,"attributes":{)", kId, "}}"),
                   IsSegmentForm::kMissing, AttributesForm::kWithId),
            "is_segment was not added at the end, before attributes");
  EXPECT_EQ(Undone(absl::StrCat(R"({"a":1,"attributes":{)", kId, R"(},"is_segment":true})"),
                   IsSegmentForm::kMissing, AttributesForm::kMissing),
            "attributes were not added at the end");
}

TEST(ScanSpanTest, IsNotMisledByTextThatLooksLikeMembers) {
  ScannedSpan span;
  ASSERT_TRUE(
      ScanSpan(R"({"x":"\"is_segment\":true,\\","y":{"is_segment":1},"is_segment":false})", span)
          .ok());
  EXPECT_EQ(span.Value(span.is_segment), "false");
  EXPECT_FALSE(span.attributes.found);
}

TEST(ScanSpanTest, TakesTheFirstOfDuplicateKeys) {
  ScannedSpan span;
  ASSERT_TRUE(ScanSpan(R"({"span_id":"a","span_id":"b"})", span).ok());
  EXPECT_EQ(span.Value(span.span_id), R"("a")");
}

TEST(ScanSpanTest, RefusesWhatIsNoObject) {
  ScannedSpan span;
  for (const char* text : {"", "[]", "{", R"({"a")", R"({"a":})", R"({"a":1)", R"({"a":1,})",
                           R"({"a":"})", R"({"a":1}})", R"({"a" 1})", R"({a:1})"}) {
    EXPECT_FALSE(ScanSpan(text, span).ok()) << text;
  }
}

TEST(ScanMessageTest, FindsTheParts) {
  ScannedMessage message;
  ASSERT_TRUE(ScanMessage(R"({"spans":[{"span_id":"]"}, {"b":[{}]}],"skip_enrichment":true,)"
                          R"("flush_id":"0f"})",
                          message)
                  .ok());
  ASSERT_EQ(message.spans.size(), 2u);
  EXPECT_EQ(message.spans[1].text, R"({"b":[{}]})");
  EXPECT_EQ(message.skip_enrichment, true);
  EXPECT_EQ(message.flush_id, "0f");
}

TEST(ScanMessageTest, RefusesWhatIsNoOutput) {
  ScannedMessage message;
  for (const char* text : {"", "{}", R"({"spans":{}})", R"({"spans":[1]})", R"({"spans":[{}})",
                           R"({"spans":[{}],"skip_enrichment":1})", R"({"spans":[{]}]})"}) {
    EXPECT_FALSE(ScanMessage(text, message).ok()) << text;
  }
}

}  // namespace
}  // namespace spillway::load
