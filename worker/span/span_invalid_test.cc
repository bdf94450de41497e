// Conformance V1 and V2: what becomes a dead letter, and with which reason.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "worker/span/test_spans.h"

namespace spillway::span {
namespace {

TEST(InvalidSpanTest, NamesAMissingField) {
  for (size_t i = 0; i < RequiredMembers().size(); ++i) {
    Members members = RequiredMembers();
    const std::string name = members[i].first;
    members.erase(members.begin() + static_cast<std::ptrdiff_t>(i));
    const Rejection rejection = Rejected(Json(members));
    EXPECT_EQ(rejection.reason, "missing_field");
    EXPECT_EQ(rejection.field, name);
    EXPECT_EQ(rejection.message, name + " is required");
  }
}

TEST(InvalidSpanTest, NamesARequiredFieldOfTheWrongType) {
  for (size_t i = 0; i < RequiredMembers().size(); ++i) {
    for (const char* value : {"null", "true", "[]", "{}", "[1]", R"({"a":1})"}) {
      Members members = RequiredMembers();
      members[i].second = value;
      const Rejection rejection = Rejected(Json(members));
      EXPECT_EQ(rejection.reason, "wrong_type") << value;
      EXPECT_EQ(rejection.field, members[i].first) << value;
    }
  }
}

TEST(InvalidSpanTest, TellsStringsFromNumbers) {
  for (size_t i = 0; i < RequiredMembers().size(); ++i) {
    Members members = RequiredMembers();
    const bool is_string = members[i].second[0] == '"';
    members[i].second = is_string ? "1" : R"("1")";
    EXPECT_EQ(Rejected(Json(members)).reason, "wrong_type") << members[i].first;
  }
}

TEST(InvalidSpanTest, NamesAnUnsignedFieldOutOfRange) {
  for (const size_t i : {0, 1, 7}) {
    for (const auto& [value, reason] : std::vector<std::pair<const char*, const char*>>{
             {"-1", "out_of_range"},
             {"18446744073709551616", "out_of_range"},
             {"12345678901234567890123", "out_of_range"},
             {"1.0", "wrong_type"},
             {"1e3", "wrong_type"},
             {"1e999", "wrong_type"}}) {
      Members members = RequiredMembers();
      members[i].second = value;
      const Rejection rejection = Rejected(Json(members));
      EXPECT_EQ(rejection.reason, reason) << value;
      EXPECT_EQ(rejection.field, members[i].first) << value;
    }
  }
}

TEST(InvalidSpanTest, NamesAnOptionalFieldOfTheWrongType) {
  for (const auto& [field, values] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"parent_span_id", {"1", "true", "[]", "{}"}},
           {"is_segment", {"1", R"("true")", "[]", "{}"}},
           {"attributes", {"1", R"("a")", "[]", "true"}}}) {
    for (const std::string& value : values) {
      const Rejection rejection = Rejected(SpanWith('"' + field + "\":" + value));
      EXPECT_EQ(rejection.reason, "wrong_type") << field << value;
      EXPECT_EQ(rejection.field, field);
    }
  }
}

TEST(InvalidSpanTest, NamesAnIdThatIsNone) {
  for (const auto& [index, values] : std::vector<std::pair<size_t, std::vector<std::string>>>{
           {2,
            {"", "0", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
             "g123456789abcdef0123456789abcdef", "--------------------------------"}},
           {3,
            {"", "b", "bbbbbbbbbbbbbbb", "bbbbbbbbbbbbbbbbb", "bbbbbbbb-bbbbbbbb",
             "0x23456789abcdef", "+123456789abcdef"}}}) {
    for (const std::string& value : values) {
      Members members = RequiredMembers();
      members[index].second = '"' + value + '"';
      const Rejection rejection = Rejected(Json(members));
      EXPECT_EQ(rejection.reason, "invalid_id") << value;
      EXPECT_EQ(rejection.field, members[index].first) << value;
    }
  }
  EXPECT_EQ(Rejected(SpanWith(R"("parent_span_id":"a")")).reason, "invalid_id");
}

TEST(InvalidSpanTest, RefusesWhatIsNotAnObject) {
  for (const char* message : {"[]", "1", "\"a\"", "null", "[{}]", "1e999"}) {
    EXPECT_EQ(Rejected(message).reason, "not_object") << message;
  }
  EXPECT_EQ(Rejected("{}").reason, "missing_field");
}

TEST(InvalidSpanTest, RefusesEveryTruncation) {
  const std::string message = SpanWith(R"("attributes":{"a":"\u00e9"},"n":1e999)");
  EXPECT_EQ(Rejected("").reason, "empty");
  for (size_t size = 1; size < message.size(); ++size) {
    EXPECT_EQ(Rejected(message.substr(0, size)).reason, "not_json") << size;
  }
}

TEST(InvalidSpanTest, RefusesWhatIsNotJson) {
  const std::string good = SpanWith("");
  for (const std::string& message : {std::string(" "),
                                     std::string("not json"),
                                     good + good,
                                     good + "x",
                                     good + ",",
                                     std::string("\xef\xbb\xbf") + good,
                                     good + std::string(1, '\0'),
                                     std::string(3, '\0'),
                                     SpanWith("\"a\":\"x" + std::string(1, '\0') + "\""),
                                     SpanWith("\"a\":\"\n\""),
                                     SpanWith(R"("a":01)"),
                                     SpanWith(R"("a":1e)"),
                                     SpanWith(R"("a":nul)"),
                                     SpanWith(R"("a":NaN)"),
                                     SpanWith(R"("a":"\x")"),
                                     SpanWith(R"("a":"\ud800")"),
                                     SpanWith(R"("a":"\udc00")"),
                                     SpanWith(R"("a":"\ud800\u0041")"),
                                     SpanWith(R"("a":[1,])"),
                                     SpanWith(R"("a":1,)"),
                                     SpanWith("'a':1"),
                                     SpanWith("/*c*/\"a\":1"),
                                     SpanWith(R"("a":12345678901234567890123x)"),
                                     SpanWith(R"("a":1e999,"b":tru)")}) {
    EXPECT_EQ(Rejected(message).reason, "not_json") << message;
  }
}

TEST(InvalidSpanTest, RefusesInvalidUtf8) {
  for (const char* bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
    EXPECT_EQ(Rejected(SpanWith(std::string("\"a\":\"") + bytes + "\"")).reason, "invalid_utf8");
  }
}

TEST(InvalidSpanTest, RefusesDeepNesting) {
  const auto nested = [](size_t depth) {
    return SpanWith("\"a\":" + std::string(depth, '[') + std::string(depth, ']'));
  };
  EXPECT_EQ(Rejected(nested(10'000)).reason, "too_deep");
  EXPECT_EQ(Rejected(nested(SpanParser::kMaxDepth)).reason, "too_deep");
  EXPECT_EQ(Accepted(nested(SpanParser::kMaxDepth - 2)).id, SpanId{0xbbbbbbbbbbbbbbbb});
  // Ten megabytes of opening brackets.
  EXPECT_NE(Rejected(std::string(10'000'000, '[')).reason, "");
}

}  // namespace
}  // namespace spillway::span
