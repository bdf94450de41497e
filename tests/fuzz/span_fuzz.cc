// Any bytes as a message: a span is accepted or rejected with a reason, and what is accepted is
// still the same span after the edits of the output.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "worker/span/span.h"
#include "worker/span/splice.h"

namespace spillway::span {
namespace {

void CheckMessage(absl::string_view message) {
  static SpanParser parser;
  const auto parsed = parser.Parse(message);
  if (const auto* rejection = std::get_if<Rejection>(&parsed)) {
    CHECK(!rejection->reason.empty() && !rejection->message.empty(), "a rejection says why");
    return;
  }
  const Span span = std::get<Span>(parsed);
  const buffer::ChunkSpan stored = {span.id, 0, span.is_segment, span.segment_id, message};
  std::string edited;
  AppendEdited(stored, span.parent, edited);
  CHECK(edited.size() <= message.size() + kMaxEditBytes, "edits are bounded");

  const auto parsed_again = parser.Parse(edited);
  const auto* again = std::get_if<Span>(&parsed_again);
  CHECK(again != nullptr, "an edited span is a span");
  CHECK(again->trace == span.trace && again->id == span.id, "edits keep what a span is");
  CHECK(again->segment_id.form == buffer::SpanEdit::Form::kNone, "the segment's id is there");
}

}  // namespace
}  // namespace spillway::span

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spillway::span::CheckMessage({reinterpret_cast<const char*>(data), size});
  return 0;
}
