#include "worker/span/span_fields.h"

#include <charconv>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "worker/span/json_text.h"

namespace spillway::span {
namespace {

using buffer::SpanEdit;

enum Field : uint32_t {
  kOrganizationId,
  kProjectId,
  kTraceId,
  kSpanId,
  kStartTimestamp,
  kEndTimestamp,
  kReceived,
  kRetentionDays,
  kStatus,
  kLastRequired = kStatus,
  kParentSpanId,
  kIsSegment,
  kAttributes,
  kOther,
};
constexpr const char* kNames[] = {"organization_id", "project_id",      "trace_id",
                                  "span_id",         "start_timestamp", "end_timestamp",
                                  "received",        "retention_days",  "status",
                                  "parent_span_id",  "is_segment",      "attributes"};
constexpr absl::string_view kSegmentIdKey = "sentry.segment.id";
constexpr const char* kSegmentIdField = "attributes.sentry.segment.id";

// By length first: nearly every key is told apart by one comparison.
Field FieldOf(absl::string_view key) {
  const auto is = [key](Field field) { return key == kNames[field]; };
  switch (key.size()) {
    case 6:
      return is(kStatus) ? kStatus : kOther;
    case 7:
      return is(kSpanId) ? kSpanId : kOther;
    case 8:
      return is(kTraceId) ? kTraceId : is(kReceived) ? kReceived : kOther;
    case 10:
      return is(kProjectId)    ? kProjectId
             : is(kIsSegment)  ? kIsSegment
             : is(kAttributes) ? kAttributes
                               : kOther;
    case 13:
      return is(kEndTimestamp) ? kEndTimestamp : kOther;
    case 14:
      return is(kRetentionDays) ? kRetentionDays : is(kParentSpanId) ? kParentSpanId : kOther;
    case 15:
      return is(kOrganizationId) ? kOrganizationId : is(kStartTimestamp) ? kStartTimestamp : kOther;
    default:
      return kOther;
  }
}

bool IsNumber(char first) { return first == '-' || absl::ascii_isdigit(first); }

// Value of a hexadecimal digit; above 15 for anything else.
uint32_t HexValue(char c) {
  if (absl::ascii_isdigit(c)) return static_cast<uint32_t>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<uint32_t>(lower - 'a') + 10 : 16;
}

std::optional<SpanId> ParseSpanId(absl::string_view text) {
  if (text.size() != 16) return std::nullopt;
  SpanId id;
  for (const char c : text) {
    const uint32_t digit = HexValue(c);
    if (digit > 15) return std::nullopt;
    id.value = id.value << 4 | digit;
  }
  return id;
}

// 32 hex digits, dashes anywhere between them.
bool ParseTraceId(absl::string_view text, TraceKey& trace) {
  int digits = 0;
  for (const char c : text) {
    if (c == '-') continue;
    const uint32_t digit = HexValue(c);
    if (digit > 15 || digits == 32) return false;
    uint64_t& half = digits < 16 ? trace.trace_high : trace.trace_low;
    half = half << 4 | digit;
    ++digits;
  }
  return digits == 32;
}

// Collects the fields of one document, or the first thing that is wrong with it.
class FieldReader {
 public:
  explicit FieldReader(const Structure& structure) : structure_(structure) {}

  std::variant<Span, Rejection> Read() {
    if (structure_.at(0) != '{') {
      Reject("not_object", "", "the message is not a JSON object");
      return std::move(*rejection_);
    }
    const Place close = structure_.ForEachMember(0, [this](absl::string_view key, Place value) {
      return ReadMember(Plain(key, key_), value);
    });
    if (close == Structure::kStopped) return std::move(*rejection_);
    for (uint32_t field = 0; field <= kLastRequired; ++field) {
      if ((seen_ & 1u << field) != 0) continue;
      Reject("missing_field", kNames[field], "is required");
      return std::move(*rejection_);
    }
    Finish(structure_.position(close));
    return std::move(span_);
  }

 private:
  // The text of a raw string; only one with escapes is copied, to `copy`.
  static absl::string_view Plain(absl::string_view raw, std::string& copy) {
    if (raw.find('\\') == absl::string_view::npos) return raw;
    Unescape(raw, copy);
    return copy;
  }
  absl::string_view String(Place value) {
    const absl::string_view quoted = structure_.Scalar(value);
    return Plain(quoted.substr(1, quoted.size() - 2), text_);
  }

  Place Reject(const char* reason, const char* field, absl::string_view what) {
    rejection_ = Rejection{reason, field, absl::StrCat(field, *field == 0 ? "" : " ", what)};
    return Structure::kStopped;
  }
  Place WrongType(Field field, const char* wanted) {
    return Reject("wrong_type", kNames[field], absl::StrCat("must be ", wanted));
  }

  Place ReadMember(absl::string_view key, Place value) {
    const Field field = FieldOf(key);
    if (field == kOther || (seen_ & 1u << field) != 0) return structure_.After(value);
    seen_ |= 1u << field;
    const char first = structure_.at(value);
    switch (field) {
      case kOrganizationId:
      case kProjectId:
      case kRetentionDays:
        return ReadUnsigned(field, value);
      case kStartTimestamp:
      case kEndTimestamp:
      case kReceived:
        return IsNumber(first) ? value + 1 : WrongType(field, "a number");
      case kStatus:
        return first == '"' ? value + 1 : WrongType(field, "a string");
      case kTraceId:
        if (first != '"') return WrongType(field, "a string");
        return ParseTraceId(String(value), span_.trace)
                   ? value + 1
                   : Reject("invalid_id", kNames[field], "must be 32 hexadecimal digits");
      case kSpanId:
      case kParentSpanId:
        return ReadSpanId(field, value);
      case kIsSegment:
        return ReadIsSegment(value);
      default:
        return ReadAttributes(value);
    }
  }

  Place ReadUnsigned(Field field, Place value) {
    const absl::string_view text = structure_.Scalar(value);
    if (!IsNumber(text[0]) || text.find_first_of(".eE") != absl::string_view::npos) {
      return WrongType(field, "an unsigned integer");
    }
    uint64_t number = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text != "-0" && (text[0] == '-' || result.ec != std::errc())) {
      return Reject("out_of_range", kNames[field], "must be between 0 and 2^64 - 1");
    }
    if (field == kProjectId) span_.trace.project_id = number;
    return value + 1;
  }

  Place ReadSpanId(Field field, Place value) {
    const char first = structure_.at(value);
    const bool is_parent = field == kParentSpanId;
    if (is_parent && first == 'n') return value + 1;
    if (first != '"') return WrongType(field, is_parent ? "a string or null" : "a string");
    const absl::string_view text = String(value);
    if (is_parent && text.empty()) return value + 1;
    const std::optional<SpanId> id = ParseSpanId(text);
    if (!id) return Reject("invalid_id", kNames[field], "must be 16 hexadecimal digits");
    if (is_parent) {
      parent_ = id;
    } else {
      span_.id = *id;
    }
    return value + 1;
  }

  Place ReadIsSegment(Place value) {
    const char first = structure_.at(value);
    if (first != 't' && first != 'f' && first != 'n') {
      return WrongType(kIsSegment, "true, false or null");
    }
    says_segment_ = first == 't';
    span_.is_segment = Replace(value);
    return value + 1;
  }

  Place ReadAttributes(Place value) {
    const char first = structure_.at(value);
    if (first == 'n') {
      span_.segment_id = Replace(value);
      span_.segment_id.form = SpanEdit::Form::kObject;
      return value + 1;
    }
    if (first != '{') return WrongType(kAttributes, "an object or null");
    bool is_found = false;
    const Place close =
        structure_.ForEachMember(value, [&](absl::string_view key, Place attribute) {
          if (is_found || Plain(key, key_) != kSegmentIdKey) return structure_.After(attribute);
          is_found = true;
          return ReadSegmentId(attribute);
        });
    if (close == Structure::kStopped) return close;
    if (!is_found) {
      span_.segment_id.form =
          close == value + 1 ? SpanEdit::Form::kFirstMember : SpanEdit::Form::kMember;
      span_.segment_id.position = structure_.position(close);
    }
    return close + 1;
  }

  // The attribute as it came. Anything but null stays; only a non-empty string `value` has a say.
  Place ReadSegmentId(Place attribute) {
    const char first = structure_.at(attribute);
    if (first == 'n') span_.segment_id = Replace(attribute);
    if (first != '{') return structure_.After(attribute);
    bool is_found = false;
    const Place close =
        structure_.ForEachMember(attribute, [&](absl::string_view key, Place value) {
          if (is_found || Plain(key, key_) != "value") return structure_.After(value);
          is_found = true;
          return structure_.at(value) == '"' ? TakeSegmentId(value) : structure_.After(value);
        });
    return close == Structure::kStopped ? close : close + 1;
  }

  Place TakeSegmentId(Place value) {
    const absl::string_view text = String(value);
    if (text.empty()) return value + 1;
    const auto is_control = [](char c) { return absl::ascii_iscntrl(static_cast<uint8_t>(c)); };
    if (text.size() > SegmentId::kMaxOpaqueBytes) {
      return Reject("invalid_id", kSegmentIdField, "is longer than 64 bytes");
    }
    for (const char c : text) {
      if (is_control(c)) return Reject("invalid_id", kSegmentIdField, "has control characters");
    }
    named_ = SegmentId::FromText(text);
    return value + 1;
  }

  SpanEdit Replace(Place value) const {
    return {.form = SpanEdit::Form::kValue,
            .position = structure_.position(value),
            .removed = static_cast<uint32_t>(structure_.Scalar(value).size())};
  }

  // Rules 1 and 2, and the edits that insert what is missing before the closing brace.
  void Finish(uint32_t end) {
    span_.is_segment_span = !parent_ || says_segment_;
    if (span_.is_segment_span) {
      span_.parent = SegmentId(span_.id);
    } else {
      span_.parent = named_ ? *std::move(named_) : SegmentId(*parent_);
    }
    if ((seen_ & 1u << kIsSegment) == 0) {
      span_.is_segment = {.form = SpanEdit::Form::kMember, .position = end};
    }
    if ((seen_ & 1u << kAttributes) == 0) {
      span_.segment_id = {.form = SpanEdit::Form::kObjectMember, .position = end};
    }
  }

  const Structure& structure_;
  Span span_;
  std::optional<Rejection> rejection_;
  uint32_t seen_ = 0;  // bit per Field
  bool says_segment_ = false;
  std::optional<SpanId> parent_;
  std::optional<SegmentId> named_;  // by the attribute
  std::string key_, text_;          // of strings with escapes
};

}  // namespace

std::variant<Span, Rejection> ReadFields(const Structure& structure) {
  return FieldReader(structure).Read();
}

}  // namespace spillway::span
