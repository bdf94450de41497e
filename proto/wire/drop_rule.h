// A drop rule as the control plane and the ingest workers know it (design section 4, "Drop rules").
#ifndef SPILLWAY_PROTO_WIRE_DROP_RULE_H_
#define SPILLWAY_PROTO_WIRE_DROP_RULE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/ids.h"

namespace spillway::wire {

// Rules that may be in force at a time, and bytes of a rule's name: letters, digits, '-', '_', '.'.
inline constexpr size_t kMaxDropRules = 32;
inline constexpr size_t kMaxDropRuleName = 63;

struct TraceId {
  uint64_t high = 0;  // first 16 of the 32 hex digits
  uint64_t low = 0;
  bool operator==(const TraceId&) const = default;
};

// What a rule is about; of what is given all must be so, and something is.
struct DropMatch {
  std::optional<uint64_t> project_id;
  std::optional<TraceId> trace_id;

  bool Covers(const TraceKey& trace) const {
    return (!project_id || *project_id == trace.project_id) &&
           (!trace_id || *trace_id == TraceId{trace.trace_high, trace.trace_low});
  }
  bool operator==(const DropMatch&) const = default;
};

struct DropRule {
  std::string name;  // "noisy-project": names it among those in force
  DropMatch match;
  WallTime expire_time;  // from here on by the worker's clock it is not in force
  bool operator==(const DropRule&) const = default;
};

std::string DropRuleName(const std::string& name);  // "dropRules/noisy-project"
bool IsDropRuleName(const std::string& name);

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_DROP_RULE_H_
