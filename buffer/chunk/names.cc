#include "buffer/chunk/names.h"

#include <charconv>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace spillway {
namespace {

constexpr size_t kSpanIdDigits = 16;

// The value of `text` if it is 16 hex digits. from_chars takes no sign, prefix or space here.
bool ParseSpanId(absl::string_view text, uint64_t& value) {
  if (text.size() != kSpanIdDigits) return false;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value, 16);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace

SegmentId SegmentId::FromText(absl::string_view text) {
  CHECK(!text.empty() && text.size() <= kMaxOpaqueBytes, "callers reject other lengths");
  uint64_t value = 0;
  if (ParseSpanId(text, value)) return SegmentId(SpanId{value});
  SegmentId id;
  id.opaque_.assign(text.data(), text.size());
  return id;
}

std::string SegmentId::ToString() const { return is_opaque() ? opaque_ : HexText(id_.value); }

std::string PartName::ToString() const { return absl::StrCat(incarnation, ".", offset); }

absl::StatusOr<PartName> PartName::FromText(absl::string_view text) {
  PartName name;
  const char* end = text.data() + text.size();
  const auto incarnation = std::from_chars(text.data(), end, name.incarnation);
  if (incarnation.ec == std::errc() && incarnation.ptr != end && *incarnation.ptr == '.') {
    const auto offset = std::from_chars(incarnation.ptr + 1, end, name.offset);
    // Comparing with the canonical text refuses leading zeros, "-0" and the like.
    if (offset.ec == std::errc() && offset.ptr == end && name.offset >= 0 &&
        name.ToString() == text) {
      return name;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("not the name of a part: \"", text, "\""));
}

}  // namespace spillway
