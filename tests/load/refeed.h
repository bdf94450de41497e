// What becomes of each letter of a dead letter topic that is sent through Spillway once more. Pure.
#ifndef SPILLWAY_TESTS_LOAD_REFEED_H_
#define SPILLWAY_TESTS_LOAD_REFEED_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace spillway::load {

using MessageHeaders = std::vector<std::pair<std::string, std::string>>;

struct RefeedRules {
  std::string to_topic;           // empty: the topic that the letter came from
  std::set<std::string> reasons;  // letters with these only; empty: with any
};

enum class RefeedFate {
  kSent,
  kLeftOut,   // for its reason; one that is not a span ("undecodable") always is
  kOmitted,   // has no payload: the topic had refused it with one
  kNoLetter,  // not written by Spillway
};

struct Refeed {
  RefeedFate fate = RefeedFate::kNoLetter;
  std::string topic;
  int32_t partition = -1;  // as the letter says; -1: it does not
};

Refeed JudgeLetter(const MessageHeaders& headers, const RefeedRules& rules);

// Marks a message that was re-fed: where in the dead letter topic it lay.
inline constexpr char kRefedFromHeader[] = "spillway-refed-from";
std::string RefedFrom(const std::string& topic, int32_t partition, int64_t offset);

struct RefeedReport {
  uint64_t read = 0;
  uint64_t sent = 0;
  uint64_t left_out = 0;
  uint64_t omitted = 0;
  uint64_t no_letters = 0;

  void Count(RefeedFate fate);
  bool operator==(const RefeedReport&) const = default;
};

std::string RefeedJson(const RefeedReport& report);
std::string RefeedText(const RefeedReport& report);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_REFEED_H_
