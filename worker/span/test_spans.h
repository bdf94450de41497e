// Messages and answers for the tests of this directory.
#ifndef SPILLWAY_WORKER_SPAN_TEST_SPANS_H_
#define SPILLWAY_WORKER_SPAN_TEST_SPANS_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "worker/span/span.h"
#include "worker/span/splice.h"

namespace spillway::span {

using Members = std::vector<std::pair<std::string, std::string>>;  // key → raw value

// The required members of a valid span.
inline Members RequiredMembers() {
  return {{"organization_id", "1"},
          {"project_id", "2"},
          {"trace_id", R"("0123456789abcdef0123456789abcdef")"},
          {"span_id", R"("bbbbbbbbbbbbbbbb")"},
          {"start_timestamp", "1700000000.25"},
          {"end_timestamp", "1700000001.5"},
          {"received", "1700000002"},
          {"retention_days", "90"},
          {"status", R"("ok")"}};
}

inline std::string Json(const Members& members) {
  std::string json = "{";
  for (const auto& [key, value] : members) {
    if (json.size() > 1) json += ",";
    json += "\"" + key + "\":" + value;
  }
  return json + "}";
}

// A valid span with `extra` raw text behind its required members.
inline std::string SpanWith(const std::string& extra) {
  std::string json = Json(RequiredMembers());
  json.pop_back();
  return json + (extra.empty() ? "" : ",") + extra + "}";
}

inline Span Accepted(absl::string_view message) {
  SpanParser parser;
  auto result = parser.Parse(message);
  if (const auto* rejection = std::get_if<Rejection>(&result)) {
    ADD_FAILURE() << rejection->reason << ": " << rejection->message << ": " << message;
    return {};
  }
  return std::get<Span>(std::move(result));
}

inline Rejection Rejected(absl::string_view message) {
  SpanParser parser;
  auto result = parser.Parse(message);
  if (std::holds_alternative<Span>(result)) {
    ADD_FAILURE() << "accepted: " << message.substr(0, 1000);
    return {};
  }
  return std::get<Rejection>(std::move(result));
}

inline std::string Edited(const Span& span, absl::string_view message, const SegmentId& segment) {
  std::string out;
  AppendEdited({.id = span.id,
                .is_segment = span.is_segment,
                .segment_id = span.segment_id,
                .bytes = message},
               segment, out);
  return out;
}

// Parses and edits.
inline std::string Edited(absl::string_view message, const SegmentId& segment) {
  return Edited(Accepted(message), message, segment);
}

}  // namespace spillway::span

#endif  // SPILLWAY_WORKER_SPAN_TEST_SPANS_H_
