// Which messages of a shard drop rules leave out: a function of their offsets, so that a message
// that is read again is judged as it was the first time (design section 4, "Drop rules"). Pure.
#ifndef SPILLWAY_WORKER_INGEST_DROP_HISTORY_H_
#define SPILLWAY_WORKER_INGEST_DROP_HISTORY_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/ids.h"
#include "proto/wire/drop_rule.h"

namespace spillway::ingest {

// A value. Changes only say what it becomes: it counts once Redis has it.
class DropHistory {
 public:
  // Rules in force, and those that have ended above the low watermark. At the limit a rule that is
  // new waits until the low watermark has passed an end.
  static constexpr size_t kMaxPeriods = 256;

  // A rule was in force for the offsets from `from` to before `to`.
  struct Period {
    std::string rule;
    wire::DropMatch match;
    Offset from = 0;
    std::optional<Offset> to;  // none: in force
    bool operator==(const Period&) const = default;
  };

  bool empty() const { return periods_.empty(); }
  const std::vector<Period>& periods() const { return periods_; }

  // The period that leaves out the message at `offset`; null: none does.
  const Period* Find(Offset offset, const TraceKey& trace) const {
    for (const Period& period : periods_) {
      if (offset >= period.from && (!period.to || offset < *period.to) &&
          period.match.Covers(trace)) {
        return &period;
      }
    }
    return nullptr;
  }

  // What it becomes if from `next` on those of `rules` are in force that have not expired by `now`.
  // REQUIRES: no message at or above `next` has been judged for good, that is below W. Forgets what
  // ended at or below `low`, where nothing is read again. nullopt: they are in force already.
  std::optional<DropHistory> With(const std::vector<wire::DropRule>& rules, WallTime now,
                                  Offset next, Offset low) const;

  // As Redis keeps it: a line a period.
  std::string ToText() const;
  static absl::StatusOr<DropHistory> FromText(absl::string_view text);

  bool operator==(const DropHistory&) const = default;

 private:
  std::vector<Period> periods_;
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_DROP_HISTORY_H_
