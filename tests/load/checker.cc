#include "tests/load/checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "xxhash.h"

namespace spillway::load {
namespace {

absl::string_view Unquoted(absl::string_view text) {
  const bool is_quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return is_quoted ? text.substr(1, text.size() - 2) : absl::string_view();
}

bool ParseHex(absl::string_view text, size_t digits, uint64_t& value) {
  return text.size() == digits && absl::SimpleHexAtoi(text, &value) &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

bool IsFlushId(absl::string_view text) {
  uint64_t half = 0;
  return text.size() == 32 && ParseHex(text.substr(0, 16), 16, half) &&
         ParseHex(text.substr(16), 16, half);
}

// The span's place in the world by its own account.
bool ParseKey(const ScannedSpan& span, TraceKey& trace, uint64_t& span_id) {
  std::string trace_id(Unquoted(span.Value(span.trace_id)));
  if (trace_id.size() != 32) trace_id = absl::StrReplaceAll(trace_id, {{"-", ""}});
  const absl::string_view hex = trace_id;
  return hex.size() == 32 && absl::SimpleAtoi(span.Value(span.project_id), &trace.project_id) &&
         ParseHex(hex.substr(0, 16), 16, trace.trace_high) &&
         ParseHex(hex.substr(16), 16, trace.trace_low) &&
         ParseHex(Unquoted(span.Value(span.span_id)), 16, span_id);
}

std::string Describe(const TraceKey& trace, uint64_t span_id) {
  return absl::StrCat("span ", HexText(span_id), " of trace ", HexText(trace.trace_high),
                      HexText(trace.trace_low), ", project ", trace.project_id);
}

Quantiles QuantilesOf(std::vector<int64_t>& values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](size_t per_mille) {
    return values[std::min(values.size() - 1, values.size() * per_mille / 1000)];
  };
  return {.p50 = at(500), .p99 = at(990), .p999 = at(999)};
}

std::string QuantilesJson(const Quantiles& q) {
  return absl::StrFormat(R"({"p50":%d,"p99":%d,"p999":%d})", q.p50, q.p99, q.p999);
}

}  // namespace

Checker::Checker(Expectation expectation, CheckOptions options)
    : expectation_(std::move(expectation)),
      options_(options),
      segments_(expectation_.segments.size()) {
  report_.spans_in = expectation_.spans.size();
  report_.segments_in = expectation_.segments.size();
}

void Checker::Observe(absl::string_view message, int64_t timestamp_ms) {
  ++report_.messages_out;
  last_output_ms_ = std::max(last_output_ms_, timestamp_ms);
  const absl::Status status = ScanMessage(message, scanned_);
  flush_ids_.push_back(XXH3_64bits(scanned_.flush_id.data(), scanned_.flush_id.size()));
  if (!status.ok()) return Wrong(std::string(status.message()));
  if (scanned_.spans.empty()) return Wrong("a message without spans");
  if (!IsFlushId(scanned_.flush_id)) Wrong("flush_id is missing or not 32 hex digits");
  MessageState state;
  for (const ScannedSpan& span : scanned_.spans) ObserveSpan(span, state);
  CloseMessage(state, scanned_.skip_enrichment.value_or(false), timestamp_ms);
}

// Finds the expected span whose bytes these are once the edits are undone.
void Checker::ObserveSpan(const ScannedSpan& span, MessageState& state) {
  TraceKey trace;
  uint64_t span_id = 0;
  if (!ParseKey(span, trace, span_id)) return Wrong("a span without its ids");
  const auto found = expectation_.by_key.find(KeyHash(trace, span_id));
  if (found == expectation_.by_key.end()) {
    if (options_.ignores_others) return;
    return Wrong(absl::StrCat(Describe(trace, span_id), ": was never sent"));
  }
  std::string reason = "its bytes were changed";
  for (uint32_t at = found->second; at != kNone; at = expectation_.spans[at].next_same_id) {
    ExpectedSpan& expected = expectation_.spans[at];
    const absl::Status undone =
        UndoEdits(span, expected.is_segment, expected.attributes, original_);
    if (undone.ok() && ContentHashOf(original_) == expected.content_hash) {
      return Accept(expected, span, state);
    }
    if (!undone.ok()) reason = std::string(undone.message());
  }
  Wrong(absl::StrCat(Describe(trace, span_id), ": ", reason));
  // It did come, if not as it should: not lost as well.
  for (uint32_t at = found->second; at != kNone; at = expectation_.spans[at].next_same_id) {
    ExpectedSpan& expected = expectation_.spans[at];
    if (expected.seen_in != kNone) continue;
    expected.seen_in = static_cast<uint32_t>(flush_ids_.size() - 1);
    ++report_.spans_seen;
    ++segments_[expected.segment].seen;
    return;
  }
}

void Checker::Accept(ExpectedSpan& expected, const ScannedSpan& span, MessageState& state) {
  const ExpectedSegment& segment = expectation_.segments[expected.segment];
  const uint32_t message = static_cast<uint32_t>(flush_ids_.size() - 1);
  if (expected.seen_in != kNone) {
    ++report_.duplicated;
    if (flush_ids_[expected.seen_in] == flush_ids_[message]) ++report_.duplicated_same_flush_id;
    segments_[expected.segment].has_duplicates = true;
    Sample(absl::StrCat("duplicated: ", Describe(segment.trace, expected.id)));
  } else {
    expected.seen_in = message;
    ++report_.spans_seen;
    ++segments_[expected.segment].seen;
    state.has_new_span = true;
  }
  if (const absl::Status status = CheckEdits(expected, span); !status.ok()) {
    misplaced_.emplace_back(&expected, absl::StrCat(Describe(segment.trace, expected.id), ": ",
                                                    std::string(status.message())));
  } else {
    expected.has_right_copy = true;
  }
  const uint32_t place = PlaceOf(expected, state);
  if (!state.has_known_span) {
    state.segment = expected.segment;
  } else if (state.segment != expected.segment) {
    Wrong(absl::StrCat(Describe(segment.trace, expected.id), ": in a message of another segment"));
  } else if (place <= state.last_arrival) {
    Wrong(absl::StrCat(Describe(segment.trace, expected.id), ": not in input order"));
  }
  state.has_known_span = true;
  state.last_arrival = place;
  state.last_timestamp_ms = std::max(state.last_timestamp_ms, expected.timestamp_ms);
}

// After a loss of Redis what is read again may begin between a span and the message that repeated
// it: in the copy the span then stands where it was repeated. Which message is the copy shows only
// at the end, since output partitions are read in any order.
uint32_t Checker::PlaceOf(ExpectedSpan& expected, const MessageState& state) {
  const bool is_in_order = !state.has_known_span || expected.arrival > state.last_arrival;
  if (!is_in_order) {
    const auto later = expectation_.later_arrivals.find(
        static_cast<uint32_t>(&expected - expectation_.spans.data()));
    if (later != expectation_.later_arrivals.end()) {
      for (const uint32_t place : later->second) {
        if (place <= state.last_arrival) continue;
        repeated_.push_back(&expected);
        return place;
      }
    }
  }
  expected.has_first_place |= is_in_order;
  return expected.arrival;
}

absl::Status Checker::CheckEdits(const ExpectedSpan& expected, const ScannedSpan& span) const {
  const ExpectedSegment& segment = expectation_.segments[expected.segment];
  const bool names_segment = HexText(expected.id) == segment.name;
  if (span.Value(span.is_segment) != (names_segment ? "true" : "false")) {
    return absl::InvalidArgumentError(
        absl::StrCat("is_segment is not ", names_segment ? "true" : "false"));
  }
  if (expected.attributes == AttributesForm::kWithId) return absl::OkStatus();
  const std::string wanted = absl::StrCat(R"({"type":"string","value":")", segment.name, R"("})");
  if (span.Value(span.segment_id) == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("sentry.segment.id is ", span.Value(span.segment_id), " instead of ", wanted));
}

void Checker::CloseMessage(const MessageState& state, bool is_skipping, int64_t timestamp_ms) {
  if (!state.has_new_span) return;
  SegmentState& segment = segments_[state.segment];
  ++segment.messages;
  if (!is_skipping) ++segment.messages_without_skip;
  const int64_t age = timestamp_ms - state.last_timestamp_ms;
  const bool has_root = expectation_.segments[state.segment].has_segment_span;
  ages_ms_.push_back(age);
  latenesses_ms_.push_back(age - (has_root ? options_.root_timeout_ms : options_.idle_timeout_ms));
}

CheckReport Checker::Finish() {
  JudgeCopies();
  JudgeGroups();
  CountLost();
  report_.age_ms = QuantilesOf(ages_ms_);
  report_.lateness_ms = QuantilesOf(latenesses_ms_);
  const int64_t elapsed_ms = last_output_ms_ - expectation_.first_timestamp_ms;
  if (elapsed_ms > 0 && expectation_.first_timestamp_ms > 0) {
    report_.spans_per_s =
        static_cast<double>(report_.spans_seen) * 1000.0 / static_cast<double>(elapsed_ms);
  }
  return report_;
}

// After a loss of Redis the end of a segment that had left may be read again without its beginning:
// then its spans have another segment id, in a copy.
void Checker::JudgeCopies() {
  for (const auto& [span, problem] : misplaced_) {
    if (span->has_right_copy) {
      ++report_.duplicated_elsewhere;
    } else {
      Wrong(problem);
    }
  }
  for (const ExpectedSpan* span : repeated_) {
    if (span->has_first_place) continue;
    Wrong(absl::StrCat(Describe(expectation_.segments[span->segment].trace, span->id),
                       ": not in input order"));
  }
}

// A segment leaves in one message, or in parts of which only number 0 may be enriched.
void Checker::JudgeGroups() {
  for (size_t i = 0; i < segments_.size(); ++i) {
    const SegmentState& state = segments_[i];
    if (state.seen == 0) continue;
    ++report_.segments_out;
    if (state.messages > 1) ++report_.segments_split;
    if (state.has_duplicates) continue;  // parts may have been cut anew
    const ExpectedSegment& segment = expectation_.segments[i];
    const std::string name =
        absl::StrCat("segment ", segment.name, " of trace ", HexText(segment.trace.trace_high),
                     HexText(segment.trace.trace_low));
    if (state.messages_without_skip > 1) {
      Wrong(absl::StrCat(name, ": in ", state.messages, " messages, ", state.messages_without_skip,
                         " of them without skip_enrichment"));
    }
    const bool is_whole = state.messages == 1 && state.seen == segment.span_count;
    if (is_whole && state.messages_without_skip == 0) {
      Wrong(absl::StrCat(name, ": skip_enrichment on a whole segment"));
    }
  }
}

void Checker::CountLost() {
  for (const ExpectedSpan& span : expectation_.spans) {
    if (span.seen_in != kNone) continue;
    ++report_.lost;
    Sample(absl::StrCat("lost: ", Describe(expectation_.segments[span.segment].trace, span.id),
                        ", message ", span.arrival, " of the input"));
  }
}

void Checker::Wrong(const std::string& what) {
  ++report_.wrong;
  Sample(absl::StrCat("wrong: ", what));
}

void Checker::Sample(const std::string& what) {
  const std::string kind = what.substr(0, what.find(':'));
  if (samples_[kind]++ < options_.max_samples) report_.samples.push_back(what);
}

std::string ReportJson(const CheckReport& report) {
  return absl::StrFormat(
      R"({"spans_in":%d,"segments_in":%d,"spans_seen":%d,"segments_out":%d,"segments_split":%d,)"
      R"("messages_out":%d,"lost":%d,"duplicated":%d,"duplicated_same_flush_id":%d,)"
      R"("duplicated_elsewhere":%d,"wrong":%d,)"
      R"("lateness_ms":%s,"age_ms":%s,"spans_per_s":%.1f})",
      report.spans_in, report.segments_in, report.spans_seen, report.segments_out,
      report.segments_split, report.messages_out, report.lost, report.duplicated,
      report.duplicated_same_flush_id, report.duplicated_elsewhere, report.wrong,
      QuantilesJson(report.lateness_ms), QuantilesJson(report.age_ms), report.spans_per_s);
}

std::string ReportText(const CheckReport& report) {
  std::string text = absl::StrFormat(
      "spans in       %12d\n"
      "segments out   %12d  (%d expected, %d in several parts, %d messages)\n"
      "lost           %12d\n"
      "duplicated     %12d  (%d with the same flush_id, %d under another segment id)\n"
      "wrong          %12d\n"
      "lateness ms    p50 %d, p99 %d, p99.9 %d\n"
      "age ms         p50 %d, p99 %d, p99.9 %d\n"
      "spans/s        %12.0f\n",
      report.spans_in, report.segments_out, report.segments_in, report.segments_split,
      report.messages_out, report.lost, report.duplicated, report.duplicated_same_flush_id,
      report.duplicated_elsewhere, report.wrong, report.lateness_ms.p50, report.lateness_ms.p99,
      report.lateness_ms.p999, report.age_ms.p50, report.age_ms.p99, report.age_ms.p999,
      report.spans_per_s);
  for (const std::string& sample : report.samples) absl::StrAppend(&text, "  ", sample, "\n");
  return text;
}

}  // namespace spillway::load
