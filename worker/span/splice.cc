#include "worker/span/splice.h"

#include "base/hex.h"
#include "worker/span/json_text.h"

namespace spillway::span {
namespace {

using buffer::SpanEdit;

void AppendIsSegment(SpanEdit::Form form, bool value, std::string& out) {
  if (form == SpanEdit::Form::kMember) out.append(",\"is_segment\":");
  if (form == SpanEdit::Form::kFirstMember) out.append("\"is_segment\":");
  out.append(value ? "true" : "false");
}

void AppendSegmentId(SpanEdit::Form form, const SegmentId& segment, std::string& out) {
  if (form == SpanEdit::Form::kMember) out.push_back(',');
  if (form == SpanEdit::Form::kObjectMember) out.append(",\"attributes\":");
  const bool is_object = form == SpanEdit::Form::kObject || form == SpanEdit::Form::kObjectMember;
  if (is_object) out.push_back('{');
  if (form != SpanEdit::Form::kValue) out.append("\"sentry.segment.id\":");
  out.append("{\"type\":\"string\",\"value\":\"");
  if (segment.is_opaque()) {
    AppendEscaped(segment.opaque(), out);
  } else {
    constexpr size_t kDigits = 16;
    char id[kDigits];
    PutHex(segment.span_id().value, kDigits, id);
    out.append(id, kDigits);
  }
  out.append("\"}");
  if (is_object) out.push_back('}');
}

}  // namespace

void AppendEdited(const buffer::ChunkSpan& span, const SegmentId& segment, std::string& out) {
  const absl::string_view bytes = span.bytes;
  size_t copied = 0;
  const auto copy_until = [&](size_t end) {
    out.append(bytes.data() + copied, end - copied);
    copied = end;
  };
  const auto edit_is_segment = [&] {
    if (span.is_segment.form == SpanEdit::Form::kNone) return;
    copy_until(span.is_segment.position);
    AppendIsSegment(span.is_segment.form, segment.Is(span.id), out);
    copied += span.is_segment.removed;
  };
  const auto edit_segment_id = [&] {
    if (span.segment_id.form == SpanEdit::Form::kNone) return;
    copy_until(span.segment_id.position);
    AppendSegmentId(span.segment_id.form, segment, out);
    copied += span.segment_id.removed;
  };
  // Both missing: both before the closing brace, is_segment first.
  if (span.segment_id.position < span.is_segment.position) {
    edit_segment_id();
    edit_is_segment();
  } else {
    edit_is_segment();
    edit_segment_id();
  }
  copy_until(bytes.size());
}

}  // namespace spillway::span
