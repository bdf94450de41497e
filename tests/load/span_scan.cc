#include "tests/load/span_scan.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace spillway::load {
namespace {

constexpr size_t kBroken = absl::string_view::npos;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

size_t SkipSpace(absl::string_view text, size_t at) {
  while (at < text.size() && IsSpace(text[at])) ++at;
  return at;
}

// From an opening quote to behind the closing one.
size_t SkipString(absl::string_view text, size_t at) {
  while (true) {
    const size_t quote = text.find('"', at + 1);
    if (quote == absl::string_view::npos) return kBroken;
    size_t backslashes = 0;
    while (text[quote - 1 - backslashes] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return quote + 1;
    at = quote;
  }
}

// From the first character of a value to behind its last.
size_t SkipValue(absl::string_view text, size_t at) {
  size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = SkipString(text, at);
      if (at == kBroken || depth == 0) return at;
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      ++at;
      if (--depth == 0) return at;
    } else if (depth == 0 && (c == ',' || IsSpace(c))) {
      return at;
    } else {
      ++at;
    }
  }
  return depth == 0 ? at : kBroken;
}

// Calls `visit(key, member)` for each member of the object that starts at `at`; the position behind
// the object, or kBroken.
template <typename Visit>
size_t ScanObject(absl::string_view text, size_t at, Visit visit) {
  if (at >= text.size() || text[at] != '{') return kBroken;
  at = SkipSpace(text, at + 1);
  if (at < text.size() && text[at] == '}') return at + 1;
  while (at < text.size() && text[at] == '"') {
    Member member{.begin = at, .value_begin = 0, .end = 0, .found = true};
    const size_t key_end = SkipString(text, at);
    if (key_end == kBroken) return kBroken;
    at = SkipSpace(text, key_end);
    if (at >= text.size() || text[at] != ':') return kBroken;
    member.value_begin = SkipSpace(text, at + 1);
    member.end = SkipValue(text, member.value_begin);
    if (member.end == kBroken || member.end == member.value_begin) return kBroken;
    visit(text.substr(member.begin + 1, key_end - member.begin - 2), member);
    at = SkipSpace(text, member.end);
    if (at >= text.size()) return kBroken;
    if (text[at] == '}') return at + 1;
    if (text[at] != ',') return kBroken;
    at = SkipSpace(text, at + 1);
  }
  return kBroken;
}

void Keep(Member& kept, const Member& member) {
  if (!kept.found) kept = member;
}

// A piece of a span's text and what replaces it.
struct Edit {
  size_t begin = 0;
  size_t end = 0;
  absl::string_view text;
};

// The member with the comma that joined it to its neighbours.
Edit Removal(absl::string_view text, const Member& member) {
  size_t before = member.begin;
  while (before > 0 && IsSpace(text[before - 1])) --before;
  if (before > 0 && text[before - 1] == ',') return {before - 1, member.end, ""};
  const size_t after = SkipSpace(text, member.end);
  if (after < text.size() && text[after] == ',') return {member.begin, after + 1, ""};
  return {member.begin, member.end, ""};
}

Edit Replacement(const Member& member, absl::string_view value) {
  return {member.value_begin, member.end, value};
}

absl::string_view SpelledFlag(IsSegmentForm form) {
  if (form == IsSegmentForm::kNull) return "null";
  return form == IsSegmentForm::kTrue ? "true" : "false";
}

bool HoldsOnlyTheSegmentId(const ScannedSpan& span) {
  size_t count = 0;
  ScanObject(span.text, span.attributes.value_begin,
             [&](absl::string_view, const Member&) { ++count; });
  return count == 1;
}

absl::Status UndoAttributes(const ScannedSpan& span, AttributesForm form,
                            std::vector<Edit>& edits) {
  if (!span.segment_id.found) {
    return absl::InvalidArgumentError("attributes[\"sentry.segment.id\"] is missing");
  }
  const bool was_object = form != AttributesForm::kMissing && form != AttributesForm::kNull;
  if (!was_object && !HoldsOnlyTheSegmentId(span)) {
    return absl::InvalidArgumentError("attributes that were not there hold more than the id");
  }
  if (form == AttributesForm::kMissing) edits.push_back(Removal(span.text, span.attributes));
  if (form == AttributesForm::kNull) edits.push_back(Replacement(span.attributes, "null"));
  if (form == AttributesForm::kWithoutId) edits.push_back(Removal(span.text, span.segment_id));
  if (form == AttributesForm::kIdNull) edits.push_back(Replacement(span.segment_id, "null"));
  return absl::OkStatus();
}

// Members that were missing stand at the end: is_segment, then attributes.
absl::Status CheckPlace(const ScannedSpan& span, bool flag_added, bool attributes_added) {
  size_t at = span.text.size() - 1;
  const auto ends_here = [&](const Member& member) {
    if (SkipSpace(span.text, member.end) != at) return false;
    at = member.begin;
    while (at > 0 && IsSpace(span.text[at - 1])) --at;
    if (at > 0 && span.text[at - 1] == ',') --at;
    return true;
  };
  if (attributes_added && !ends_here(span.attributes)) {
    return absl::InvalidArgumentError("attributes were not added at the end");
  }
  if (flag_added && !ends_here(span.is_segment)) {
    return absl::InvalidArgumentError("is_segment was not added at the end, before attributes");
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view ScannedSpan::Value(const Member& member) const {
  return text.substr(member.value_begin, member.end - member.value_begin);
}

absl::Status ScanSpan(absl::string_view text, ScannedSpan& span) {
  span = ScannedSpan{};
  span.text = text;
  const size_t end = ScanObject(text, 0, [&](absl::string_view key, const Member& member) {
    if (key == "project_id") Keep(span.project_id, member);
    if (key == "trace_id") Keep(span.trace_id, member);
    if (key == "span_id") Keep(span.span_id, member);
    if (key == "is_segment") Keep(span.is_segment, member);
    if (key == "attributes") Keep(span.attributes, member);
  });
  if (end != text.size()) return absl::InvalidArgumentError("a span is not one JSON object");
  if (span.attributes.found) {
    ScanObject(text, span.attributes.value_begin, [&](absl::string_view key, const Member& member) {
      if (key == "sentry.segment.id") Keep(span.segment_id, member);
    });
  }
  return absl::OkStatus();
}

absl::Status ScanMessage(absl::string_view text, ScannedMessage& message) {
  message.spans.clear();
  message.skip_enrichment.reset();
  message.flush_id = {};
  Member spans;
  absl::string_view skip;
  const size_t end = ScanObject(text, 0, [&](absl::string_view key, const Member& member) {
    const absl::string_view value =
        text.substr(member.value_begin, member.end - member.value_begin);
    if (key == "spans") Keep(spans, member);
    if (key == "skip_enrichment") skip = value;
    if (key == "flush_id" && value.size() > 2) message.flush_id = value.substr(1, value.size() - 2);
  });
  if (end != text.size()) return absl::InvalidArgumentError("the message is not one JSON object");
  if (!spans.found || text[spans.value_begin] != '[') {
    return absl::InvalidArgumentError("the message has no array of spans");
  }
  if (!skip.empty() && skip != "true" && skip != "false") {
    return absl::InvalidArgumentError("skip_enrichment is not a boolean");
  }
  if (!skip.empty()) message.skip_enrichment = skip == "true";
  size_t at = SkipSpace(text, spans.value_begin + 1);
  while (at < spans.end && text[at] == '{') {
    const size_t span_end = SkipValue(text, at);
    RETURN_IF_ERROR(ScanSpan(text.substr(at, span_end - at), message.spans.emplace_back()));
    at = SkipSpace(text, span_end);
    if (text[at] == ',') at = SkipSpace(text, at + 1);
  }
  if (text[at] != ']') return absl::InvalidArgumentError("the array of spans holds something else");
  return absl::OkStatus();
}

absl::Status UndoEdits(const ScannedSpan& span, IsSegmentForm is_segment, AttributesForm attributes,
                       std::string& original) {
  if (!span.is_segment.found) return absl::InvalidArgumentError("is_segment is missing");
  std::vector<Edit> edits;
  edits.push_back(is_segment == IsSegmentForm::kMissing
                      ? Removal(span.text, span.is_segment)
                      : Replacement(span.is_segment, SpelledFlag(is_segment)));
  RETURN_IF_ERROR(UndoAttributes(span, attributes, edits));
  RETURN_IF_ERROR(CheckPlace(span, is_segment == IsSegmentForm::kMissing,
                             attributes == AttributesForm::kMissing));
  std::sort(edits.begin(), edits.end(),
            [](const Edit& a, const Edit& b) { return a.begin < b.begin; });
  original.clear();
  size_t at = 0;
  for (const Edit& edit : edits) {
    original.append(span.text.data() + at, edit.begin - at);
    original.append(edit.text.data(), edit.text.size());
    at = edit.end;
  }
  original.append(span.text.data() + at, span.text.size() - at);
  return absl::OkStatus();
}

}  // namespace spillway::load
