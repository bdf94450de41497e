#include "tests/sim/input_log.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/ingest/session_harness.h"

namespace spillway::sim {
namespace {

using test_support::ReferenceSpan;
using test_support::SeededRandom;

constexpr uint64_t kTraces = 3;
constexpr uint64_t kPoisonTrace = 1;
constexpr uint64_t kIds = 16;
constexpr char kDigits[] = "0123456789abcdef";

std::string Hex(uint64_t digit, size_t length) { return std::string(length, kDigits[digit]); }

std::string Text(const ReferenceSpan& span, const std::string& name) {
  std::string text =
      absl::StrCat(R"({"organization_id":1,"project_id":)", span.project_id, R"(,"trace_id":")",
                   span.trace_id, R"(","span_id":")", span.span_id, R"(","name":")", name, "\"");
  if (!span.parent_span_id.empty()) {
    absl::StrAppend(&text, R"(,"parent_span_id":")", span.parent_span_id, "\"");
  }
  if (span.is_segment) absl::StrAppend(&text, R"(,"is_segment":true)");
  if (!span.segment_id.empty()) {
    absl::StrAppend(&text, R"(,"attributes":{"sentry.segment.id":{"type":"string","value":")",
                    span.segment_id, R"("}})");
  }
  absl::StrAppend(&text, R"(,"start_timestamp":1.5,"end_timestamp":2.5,"received":3,)",
                  R"("retention_days":90,"status":"ok"})");
  return text;
}

}  // namespace

std::vector<size_t> TagsIn(absl::string_view payload) {
  std::vector<size_t> tags;
  for (size_t at = payload.find('<'); at != absl::string_view::npos;
       at = payload.find('<', at + 1)) {
    size_t tag = 0;
    for (size_t i = at + 1; i < payload.size() && payload[i] != '>'; ++i) {
      tag = 10 * tag + static_cast<size_t>(payload[i] - '0');
    }
    tags.push_back(tag);
  }
  return tags;
}

InputRecord InputLog::NewSpan(SeededRandom& random) {
  InputRecord record;
  record.tag = copies_.size();
  ReferenceSpan& span = record.span;
  span.project_id = random.Chance(0.9) ? 1 : 2;
  span.trace_id = Hex(random.Below(kTraces), 32);
  span.span_id = Hex(random.Below(kIds), 16);
  if (random.Chance(0.8)) span.parent_span_id = Hex(random.Below(kIds), 16);
  span.is_segment = random.Chance(0.05);
  if (random.Chance(0.1)) span.segment_id = Hex(random.Below(kIds), 16);
  const std::string padding(random.Below(300), 'x');
  span.content = Text(span, absl::StrCat("<", record.tag, ">", padding));
  return record;
}

InputRecord InputLog::NewInvalid(SeededRandom& random) {
  InputRecord record;
  record.tag = copies_.size();
  record.is_valid = false;
  record.span.content = random.Chance(0.5)
                            ? absl::StrCat("no JSON <", record.tag, ">")
                            : absl::StrCat(R"({"trace_id":5,"name":"<)", record.tag, R"(>"})");
  return record;
}

void InputLog::Append(SeededRandom& random, EventTime now) {
  InputRecord record;
  if (random.Chance(0.08) && !records_.empty()) {
    record = records_[random.Below(records_.size())];
    record.is_gone = false;
  } else {
    record = random.Chance(0.08) ? NewInvalid(random) : NewSpan(random);
    copies_.push_back(0);
    is_poison_.push_back(record.is_valid && record.span.trace_id == Hex(kPoisonTrace, 32));
  }
  ++copies_[record.tag];
  const auto late = std::chrono::milliseconds(random.Chance(0.25) ? random.Below(8'000) : 0);
  kafka_.Append(ingest::kTopic, 0,
                {.payload = record.span.content,
                 .key = "",
                 .headers = {},
                 .timestamp = now - late,
                 .is_tombstone = false});
  records_.push_back(std::move(record));
}

void InputLog::Recreate(Offset watermark) {
  for (Offset offset = watermark; offset < end(); ++offset) {
    records_[first_ + static_cast<size_t>(offset)].is_gone = true;
  }
  first_ = records_.size();
  kafka_.partition(ingest::kTopic, 0) = {};
  kafka_.committed().erase(0);
  kafka_.topic_id += "+";
}

}  // namespace spillway::sim
