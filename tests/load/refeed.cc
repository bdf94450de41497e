#include "tests/load/refeed.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spillway::load {
namespace {

// The value of the first header of that name; null: there is none.
const std::string* Find(const MessageHeaders& headers, const std::string& name) {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const auto& header) { return header.first == name; });
  return found == headers.end() ? nullptr : &found->second;
}

}  // namespace

Refeed JudgeLetter(const MessageHeaders& headers, const RefeedRules& rules) {
  const std::string* reason = Find(headers, "spillway-reason");
  const std::string* topic = Find(headers, "spillway-topic");
  const std::string* partition = Find(headers, "spillway-partition");
  if (reason == nullptr || topic == nullptr || topic->empty()) return {};
  Refeed refeed;
  refeed.topic = rules.to_topic.empty() ? *topic : rules.to_topic;
  int32_t number = -1;
  if (partition != nullptr && absl::SimpleAtoi(*partition, &number) && number >= 0) {
    refeed.partition = number;
  }
  const bool is_asked_for = rules.reasons.empty() || rules.reasons.count(*reason) > 0;
  if (!is_asked_for || *reason == "undecodable") {
    refeed.fate = RefeedFate::kLeftOut;
  } else if (Find(headers, "spillway-omitted-bytes") != nullptr) {
    refeed.fate = RefeedFate::kOmitted;
  } else {
    refeed.fate = RefeedFate::kSent;
  }
  return refeed;
}

std::string RefedFrom(const std::string& topic, int32_t partition, int64_t offset) {
  return absl::StrCat(topic, "/", partition, "/", offset);
}

void RefeedReport::Count(RefeedFate fate) {
  ++read;
  switch (fate) {
    case RefeedFate::kSent:
      ++sent;
      break;
    case RefeedFate::kLeftOut:
      ++left_out;
      break;
    case RefeedFate::kOmitted:
      ++omitted;
      break;
    case RefeedFate::kNoLetter:
      ++no_letters;
      break;
  }
}

std::string RefeedJson(const RefeedReport& report) {
  return absl::StrFormat(R"({"read":%d,"sent":%d,"left_out":%d,"omitted":%d,"no_letters":%d})",
                         report.read, report.sent, report.left_out, report.omitted,
                         report.no_letters);
}

std::string RefeedText(const RefeedReport& report) {
  return absl::StrFormat(
      "read %d dead letters: re-fed %d, left out %d, without their payload %d, not Spillway's %d",
      report.read, report.sent, report.left_out, report.omitted, report.no_letters);
}

}  // namespace spillway::load
