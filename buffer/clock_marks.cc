#include "buffer/clock_marks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

namespace spillway::buffer {
namespace {

constexpr size_t kMarkBytes = 16;

// Of what no script has written, the nearest that a double holds exactly; 0 for what is no number.
int64_t ReadDouble(absl::string_view bytes) {
  constexpr double kHighest = int64_t{1} << 53;
  uint64_t bits = 0;
  for (size_t i = 8; i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(bytes[i]);
  const auto number = std::bit_cast<double>(bits);
  return std::isnan(number) ? 0 : static_cast<int64_t>(std::clamp(number, -kHighest, kHighest));
}

// Leaves out marks whose neighbours are closer to each other than a quarter of their age.
void Thin(std::vector<ClockMark>& marks, WallTime now) {
  std::vector<ClockMark> kept = {marks.back()};  // newest first
  for (size_t i = marks.size() - 1; i-- > 1;) {
    const int64_t newer_us = kept.back().passed_at.us;
    if ((newer_us - marks[i - 1].passed_at.us) * 4 >= now.us - newer_us) kept.push_back(marks[i]);
  }
  kept.push_back(marks.front());
  while (kept.size() > ClockMarks::kMaxMarks) kept.erase(kept.end() - 2);
  std::reverse(kept.begin(), kept.end());
  marks = std::move(kept);
}

}  // namespace

ClockMarks ClockMarks::FromBytes(absl::string_view bytes) {
  ClockMarks marks;
  for (; bytes.size() >= kMarkBytes; bytes.remove_prefix(kMarkBytes)) {
    marks.marks_.push_back(
        {.clock = {ReadDouble(bytes)}, .passed_at = {ReadDouble(bytes.substr(8))}});
  }
  return marks;
}

void ClockMarks::Add(ClockMark mark, std::optional<EventTime> lowest) {
  const EventTime floor = std::min(lowest.value_or(mark.clock), mark.clock);
  std::erase_if(marks_, [floor](const ClockMark& old) { return old.clock < floor; });
  if (marks_.empty() || marks_.back().clock < mark.clock) marks_.push_back(mark);
  if (marks_.size() > kMaxMarks) Thin(marks_, mark.passed_at);
}

WallTime ClockMarks::PassedAt(EventTime deadline, WallTime now) const {
  const auto it =
      std::ranges::lower_bound(marks_, deadline, {}, [](const ClockMark& m) { return m.clock; });
  return it == marks_.end() ? now : it->passed_at;
}

std::chrono::milliseconds ClockMarks::Lateness(std::optional<EventTime> deadline, EventTime clock,
                                               WallTime now) const {
  if (!deadline.has_value() || clock < *deadline) return std::chrono::milliseconds(0);
  const WallTime since = PassedAt(*deadline, now);
  if (now.us <= since.us) return std::chrono::milliseconds(0);
  const uint64_t late_us = static_cast<uint64_t>(now.us) - static_cast<uint64_t>(since.us);
  return std::chrono::milliseconds(static_cast<int64_t>(late_us / 1000));
}

}  // namespace spillway::buffer
