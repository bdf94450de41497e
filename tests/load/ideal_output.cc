#include "tests/load/ideal_output.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "tests/load/expectation.h"
#include "tests/load/span_scan.h"

namespace spillway::load {
namespace {

// Puts the later piece in first, so that the earlier one's position holds.
void Put(std::string& text, size_t begin, size_t end, const std::string& piece) {
  text.replace(begin, end - begin, piece);
}

std::string Edited(const std::string& bytes, const ExpectedSpan& span, const std::string& name) {
  const std::string flag = HexText(span.id) == name ? "true" : "false";
  const std::string id =
      absl::StrCat(R"("sentry.segment.id":{"type":"string","value":")", name, R"("})");
  const std::string value = id.substr(id.find(':') + 1);
  std::string text = bytes;
  const size_t close = text.size() - 1;
  if (span.attributes == AttributesForm::kMissing) {
    text.insert(close, absl::StrCat(R"(,"attributes":{)", id, "}"));
  }
  if (span.is_segment == IsSegmentForm::kMissing) {
    text.insert(close, absl::StrCat(R"(,"is_segment":)", flag));
  }
  ScannedSpan scanned;
  CHECK(ScanSpan(text, scanned).ok(), "the generator writes objects");
  const Member attributes = scanned.attributes;
  const Member is_segment = scanned.is_segment;
  const auto edit_flag = [&] { Put(text, is_segment.value_begin, is_segment.end, flag); };
  const auto edit_attributes = [&] {
    if (span.attributes == AttributesForm::kNull) {
      Put(text, attributes.value_begin, attributes.end, absl::StrCat("{", id, "}"));
    } else if (span.attributes == AttributesForm::kIdNull) {
      Put(text, scanned.segment_id.value_begin, scanned.segment_id.end, value);
    } else if (span.attributes == AttributesForm::kWithoutId) {
      const bool is_empty = attributes.end - attributes.value_begin == 2;
      text.insert(attributes.end - 1, absl::StrCat(is_empty ? "" : ",", id));
    }
  };
  if (is_segment.begin > attributes.begin) {
    edit_flag();
    edit_attributes();
  } else {
    edit_attributes();
    edit_flag();
  }
  return text;
}

}  // namespace

std::string OutputText(const OutputMessage& message) {
  return absl::StrCat(R"({"spans":[)", absl::StrJoin(message.spans, ","), "]",
                      message.skip_enrichment ? R"(,"skip_enrichment":true)" : "",
                      R"(,"flush_id":")", message.flush_id, R"("})");
}

Manifest SentManifest(const TrafficOptions& options) {
  Manifest manifest;
  manifest.traffic = options;
  Traffic traffic(options);
  Message message;
  while (traffic.Next(message)) {
    ++manifest.messages_sent;
    manifest.content_hash = ContentHash(manifest.content_hash, message.bytes);
    if (message.kind == MessageKind::kSpan) ++manifest.spans_sent;
  }
  manifest.marks = {{.first_message = 0, .timestamp_ms = 1'000'000}};
  return manifest;
}

std::vector<OutputMessage> IdealOutput(const Manifest& manifest) {
  std::vector<std::string> bytes;
  Traffic traffic(manifest.traffic);
  for (Message message; traffic.Next(message);) bytes.push_back(message.bytes);
  Expectation expectation = *ExpectationOf(manifest);
  std::sort(expectation.spans.begin(), expectation.spans.end(),
            [](const ExpectedSpan& a, const ExpectedSpan& b) { return a.arrival < b.arrival; });
  std::vector<OutputMessage> output(expectation.segments.size());
  for (const ExpectedSpan& span : expectation.spans) {
    OutputMessage& message = output[span.segment];
    message.flush_id = absl::StrFormat("%032x", span.segment);
    message.spans.push_back(
        Edited(bytes[span.arrival], span, expectation.segments[span.segment].name));
  }
  return output;
}

}  // namespace spillway::load
