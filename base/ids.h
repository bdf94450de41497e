// Strong types for the things Spillway counts and names. Values, no behaviour beyond comparison,
// hashing and text. Vocabulary: docs/design.md, section 2.
#ifndef SPILLWAY_BASE_IDS_H_
#define SPILLWAY_BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace spillway {

// A partition of the input topic: the buffer's unit of ownership.
struct ShardId {
  int32_t value = -1;
  auto operator<=>(const ShardId&) const = default;
};

// Position of a message in a partition of the input topic. kNoOffset: none known.
using Offset = int64_t;
inline constexpr Offset kNoOffset = -1;

// 16 hex digits on the wire.
struct SpanId {
  uint64_t value = 0;
  auto operator<=>(const SpanId&) const = default;
};

// What spans must share to be able to join: a trace within a project (design section 5, rule 3).
struct TraceKey {
  uint64_t project_id = 0;
  uint64_t trace_high = 0;  // first 16 of the 32 hex digits
  uint64_t trace_low = 0;
  auto operator<=>(const TraceKey&) const = default;
};

// Fencing pair of a shard's owner as stored in Redis (design section 4, invariant 2).
// A higher number was granted later; owner is drawn at random for each take or acquire.
struct Epoch {
  uint64_t number = 0;
  uint64_t owner = 0;
  auto operator<=>(const Epoch&) const = default;
};

// Names a claim of a shard's due parts: 128 random bits, chosen by the claimer (design section 4,
// invariant 5).
struct ClaimId {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const ClaimId&) const = default;
  std::string ToString() const;  // 32 hex digits
};

// A claim whose spans a flush worker works on at this moment, and the epoch it was made under.
struct ClaimInHand {
  ShardId shard;
  Epoch epoch;
  ClaimId claim;
  auto operator<=>(const ClaimInHand&) const = default;
};

// Which start of a slot this is, counted by the control plane from 1.
struct Generation {
  uint64_t value = 0;
  auto operator<=>(const Generation&) const = default;
};

// `digits` lower-case hexadecimal digits of `value`, with leading zeros.
std::string HexText(uint64_t value, int digits = 16);

template <typename H>
H AbslHashValue(H h, const ShardId& id) {
  return H::combine(std::move(h), id.value);
}
template <typename H>
H AbslHashValue(H h, const SpanId& id) {
  return H::combine(std::move(h), id.value);
}
template <typename H>
H AbslHashValue(H h, const TraceKey& key) {
  return H::combine(std::move(h), key.project_id, key.trace_high, key.trace_low);
}
template <typename H>
H AbslHashValue(H h, const Epoch& epoch) {
  return H::combine(std::move(h), epoch.number, epoch.owner);
}

}  // namespace spillway

#endif  // SPILLWAY_BASE_IDS_H_
