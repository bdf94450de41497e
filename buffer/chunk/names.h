// Names of segments and of the parts they leave in.
#ifndef SPILLWAY_BUFFER_CHUNK_NAMES_H_
#define SPILLWAY_BUFFER_CHUNK_NAMES_H_

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace spillway {

// What a segment is called: the id of its topmost known span or, where an attribute says so, any
// text (design section 5, rules 2, 3 and 11).
class SegmentId {
 public:
  static constexpr size_t kMaxOpaqueBytes = 64;

  SegmentId() = default;
  explicit SegmentId(SpanId id) : id_(id) {}
  // `text` of 16 hex digits (either case) is a span id, anything else opaque.
  // REQUIRES: 1 <= text.size() <= kMaxOpaqueBytes.
  static SegmentId FromText(absl::string_view text);

  bool is_opaque() const { return !opaque_.empty(); }
  bool Is(SpanId id) const { return opaque_.empty() && id_ == id; }
  SpanId span_id() const { return id_; }                 // REQUIRES: !is_opaque()
  const std::string& opaque() const { return opaque_; }  // REQUIRES: is_opaque()
  std::string ToString() const;                          // 16 hex digits, or the opaque text

  auto operator<=>(const SegmentId&) const = default;  // span ids by value, before opaque ones

  template <typename H>
  friend H AbslHashValue(H h, const SegmentId& segment) {
    return H::combine(std::move(h), segment.id_, segment.opaque_);
  }

 private:
  std::string opaque_;
  SpanId id_;
};

// A part's list in Redis: the incarnation of the input log and the offset of the span that opened
// the part. Never reused (design section 4, invariant 6).
struct PartName {
  uint32_t incarnation = 0;
  Offset offset = kNoOffset;
  auto operator<=>(const PartName&) const = default;

  std::string ToString() const;  // "<incarnation>.<offset>", as in Redis
  static absl::StatusOr<PartName> FromText(absl::string_view text);

  template <typename H>
  friend H AbslHashValue(H h, const PartName& name) {
    return H::combine(std::move(h), name.incarnation, name.offset);
  }
};

}  // namespace spillway

#endif  // SPILLWAY_BUFFER_CHUNK_NAMES_H_
