#include "worker/span/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace spillway::span {
namespace {

std::string Unescaped(absl::string_view raw) {
  std::string text = "left over";
  Unescape(raw, text);
  return text;
}

std::string Escaped(absl::string_view text) {
  std::string out;
  AppendEscaped(text, out);
  return out;
}

TEST(UnescapeTest, ReadsEveryEscape) {
  EXPECT_EQ(Unescaped(R"(is\u005fsegment)"), "is_segment");
  EXPECT_EQ(Unescaped(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(Unescaped(R"(\u00E9\u20ac\ud83d\uDE00!)"), "\u00e9\u20ac\U0001F600!");
  EXPECT_EQ(Unescaped(R"(a\u0000b)"), std::string("a\0b", 3));
  EXPECT_EQ(Unescaped(""), "");
}

TEST(AppendEscapedTest, EscapesOnlyWhatJsonDemands) {
  EXPECT_EQ(Escaped("a\"b\\c\n\x01/\u00e9"), "a\\\"b\\\\c\\u000a\\u0001/\u00e9");
}

TEST(AppendEscapedTest, IsUndoneByUnescape) {
  std::string text;
  for (int c = 1; c < 128; ++c) text.push_back(static_cast<char>(c));
  EXPECT_EQ(Unescaped(Escaped(text)), text);
}

TEST(IsJsonNumberTest, KnowsTheGrammar) {
  for (const char* text : {"0", "-0", "10", "1.5", "-1.5e10", "1e999", "1E-5", "2e+3",
                           "12345678901234567890123", "0.0"}) {
    EXPECT_TRUE(IsJsonNumber(text)) << text;
  }
  for (const char* text : {"", "-", "01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1a", "1 ", "--1",
                           "1.e5", "NaN", "Infinity"}) {
    EXPECT_FALSE(IsJsonNumber(text)) << text;
  }
}

}  // namespace
}  // namespace spillway::span
