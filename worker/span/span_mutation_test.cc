// Damaged spans from a seeded generator, judged by a JSON validator that shares nothing with the
// parser: what is accepted is JSON, and is still the same span after the output's edits.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "worker/span/json_text.h"
#include "worker/span/test_spans.h"

namespace spillway::span {
namespace {

// Recursive descent over RFC 8259, but for UTF-8 and surrogate pairs. Depth is bounded by the
// input.
class JsonOracle {
 public:
  static bool Accepts(absl::string_view text) {
    JsonOracle oracle(text);
    return oracle.Value() && oracle.Space() && oracle.rest_.empty();
  }

 private:
  explicit JsonOracle(absl::string_view text) : rest_(text) {}

  bool Space() {
    while (!rest_.empty() && absl::string_view(" \t\r\n").find(rest_[0]) != rest_.npos) Skip(1);
    return true;
  }
  void Skip(size_t count) { rest_.remove_prefix(count); }
  bool Take(absl::string_view token) {
    if (rest_.substr(0, token.size()) != token) return false;
    Skip(token.size());
    return true;
  }
  bool Value() {
    Space();
    if (rest_.empty()) return false;
    if (rest_[0] == '{') return Container('}', true);
    if (rest_[0] == '[') return Container(']', false);
    if (rest_[0] == '"') return String();
    return Take("true") || Take("false") || Take("null") || Number();
  }
  bool Container(char close, bool has_keys) {
    const absl::string_view end(&close, 1);
    Skip(1);
    Space();
    if (Take(end)) return true;
    do {
      Space();
      if (has_keys && !(String() && Space() && Take(":"))) return false;
      if (!Value()) return false;
      Space();
    } while (Take(","));
    return Take(end);
  }
  bool String() {
    if (!Take("\"")) return false;
    while (!rest_.empty() && rest_[0] != '"') {
      if (static_cast<unsigned char>(rest_[0]) < 0x20) return false;
      if (rest_[0] != '\\') {
        Skip(1);
      } else if (rest_.size() > 1 && absl::string_view("\"\\/bfnrt").find(rest_[1]) != rest_.npos) {
        Skip(2);
      } else if (!Take("\\u") || !FourHexDigits()) {
        return false;
      }
    }
    return Take("\"");
  }
  bool FourHexDigits() {
    for (int i = 0; i < 4; ++i) {
      if (rest_.empty() || !absl::ascii_isxdigit(static_cast<unsigned char>(rest_[0])))
        return false;
      Skip(1);
    }
    return true;
  }
  bool Number() {
    const size_t size = std::min(rest_.find_first_not_of("+-.0123456789eE"), rest_.size());
    const absl::string_view number = rest_.substr(0, size);
    Skip(size);
    return IsJsonNumber(number);
  }

  absl::string_view rest_;
};

std::vector<std::string> Seeds() {
  return {
      SpanWith(""),
      SpanWith(R"("parent_span_id":"aaaaaaaaaaaaaaaa","is_segment":false,"attributes":null)"),
      SpanWith(
          R"( "is_segment" : null , "attributes" : { } , "a" : [ 1e999 , -0.5 , "\ud83d\ude00" ] )"),
      SpanWith(
          R"("attributes":{"sentry.segment.id":{"type":"string","value":"checkout"},"b":{"value":{}}})"),
      SpanWith(
          R"("attributes":{"a":1,"sentry.segment.id":null},"is\u005fsegment":true,"z":[[],{}])")};
}

std::string Mutated(std::string text, std::mt19937_64& random) {
  static const std::vector<std::string> kPieces = {"{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ",",
                                                   ":",
                                                   "\"",
                                                   "\\",
                                                   "\\u0041",
                                                   "null",
                                                   "true",
                                                   "1e999",
                                                   "-",
                                                   "0",
                                                   " ",
                                                   "\n",
                                                   "\xff",
                                                   "\xc3\xa9",
                                                   "\"is_segment\":",
                                                   "\"attributes\":{",
                                                   "\"sentry.segment.id\":"};
  for (uint64_t n = 1 + random() % 2; n > 0; --n) {
    const size_t at = random() % (text.size() + 1);
    const size_t length = random() % 12;
    switch (random() % 4) {
      case 0:
        text.insert(at, kPieces[random() % kPieces.size()]);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      default:
        text.insert(at, text.substr(random() % (text.size() + 1), length));
    }
  }
  return text;
}

TEST(SpanMutationTest, WhatIsAcceptedIsJsonAndStaysTheSameSpan) {
  std::mt19937_64 random(5);
  SpanParser parser;
  const std::vector<std::string> seeds = Seeds();
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string message = Mutated(seeds[random() % seeds.size()], random);
    const auto parsed = parser.Parse(message);
    const auto* span = std::get_if<Span>(&parsed);
    if (span == nullptr) continue;
    ++accepted;
    ASSERT_TRUE(JsonOracle::Accepts(message)) << message;
    const std::string edited = Edited(*span, message, span->parent);
    ASSERT_TRUE(JsonOracle::Accepts(edited)) << message << "\n" << edited;
    const auto parsed_again = parser.Parse(edited);
    const auto* again = std::get_if<Span>(&parsed_again);
    ASSERT_NE(again, nullptr) << edited;
    ASSERT_EQ(again->id, span->id);
    ASSERT_EQ(again->trace, span->trace);
    ASSERT_EQ(again->segment_id.form, buffer::SpanEdit::Form::kNone);
    ASSERT_EQ(Edited(*again, edited, span->parent), edited);
  }
  EXPECT_GT(accepted, 1'000) << "the mutations must not all be too coarse";
}

TEST(SpanMutationTest, RejectsOnlyJsonThatIsNoSpan) {
  std::mt19937_64 random(6);
  SpanParser parser;
  const std::vector<std::string> seeds = Seeds();
  for (int round = 0; round < 20'000; ++round) {
    const std::string message = Mutated(seeds[random() % seeds.size()], random);
    const auto parsed = parser.Parse(message);
    const auto* rejection = std::get_if<Rejection>(&parsed);
    if (rejection == nullptr || rejection->reason != "not_json") continue;
    const bool has_surrogate = message.find("\\ud") != std::string::npos;
    ASSERT_TRUE(has_surrogate || !JsonOracle::Accepts(message)) << message;
  }
}

}  // namespace
}  // namespace spillway::span
