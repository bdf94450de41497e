// When the event clock passed what: the ring of marks in a shard's `meta` (design section 4,
// invariant 9). Pure.
#ifndef SPILLWAY_BUFFER_CLOCK_MARKS_H_
#define SPILLWAY_BUFFER_CLOCK_MARKS_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/clock.h"

namespace spillway::buffer {

// At `passed_at` (Redis TIME) the event clock had come to `clock`.
struct ClockMark {
  EventTime clock;
  WallTime passed_at;
  auto operator<=>(const ClockMark&) const = default;
};

// Marks of one shard, oldest first; both fields rise. Bounded: where nothing is outstanding one
// mark is left, else those at or above the lowest outstanding deadline, and of them at most
// kMaxMarks, the older ones farther apart: lateness is never overstated, and understated by at most
// a quarter of itself. The same rules as in buffer/scripts/marks.lua.
class ClockMarks {
 public:
  static constexpr size_t kMaxMarks = 128;

  ClockMarks() = default;
  // As `meta` holds them: pairs of little-endian doubles. A torn tail is ignored.
  static ClockMarks FromBytes(absl::string_view bytes);

  // The clock has come to `clock` at `now`; the lowest deadline due or in flight is `lowest`.
  void Add(ClockMark mark, std::optional<EventTime> lowest);

  // When the clock passed `deadline`: the oldest mark at or above it; `now` if there is none.
  WallTime PassedAt(EventTime deadline, WallTime now) const;
  // now - PassedAt(deadline), or 0 if `clock` has not reached the deadline.
  std::chrono::milliseconds Lateness(std::optional<EventTime> deadline, EventTime clock,
                                     WallTime now) const;

  const std::vector<ClockMark>& marks() const { return marks_; }

 private:
  std::vector<ClockMark> marks_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_CLOCK_MARKS_H_
