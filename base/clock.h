// Three kinds of time that never mix (design section 1, finding 11). Only base/clock.cc reads a
// clock; everything else is handed one or handed `now`.
#ifndef SPILLWAY_BASE_CLOCK_H_
#define SPILLWAY_BASE_CLOCK_H_

#include <chrono>
#include <compare>
#include <cstdint>

namespace spillway {

using Duration = std::chrono::nanoseconds;

// Monotonic: every timeout, deadline and age. Means nothing outside this process.
using Instant = std::chrono::steady_clock::time_point;

// Milliseconds since the Unix epoch as the input topic's timestamps and the Redis clock tell them:
// the time segments live in (design section 4, invariant 8).
struct EventTime {
  int64_t ms = -1;  // -1: before everything
  auto operator<=>(const EventTime&) const = default;
};
inline EventTime operator+(EventTime time, std::chrono::milliseconds d) {
  return {time.ms + d.count()};
}
inline EventTime operator-(EventTime time, std::chrono::milliseconds d) {
  return {time.ms - d.count()};
}

// Microseconds since the Unix epoch by somebody's wall clock: log lines, proto Timestamps, Redis
// TIME.
struct WallTime {
  int64_t us = 0;
  auto operator<=>(const WallTime&) const = default;
};

// Converts what Redis TIME says to the scale of event times: the only such place.
inline EventTime EventTimeOf(WallTime redis_time) { return {redis_time.us / 1000}; }

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant Now() const = 0;
  virtual WallTime Wall() const = 0;
};

// `timeout` from now on the machine's wall clock: for gRPC, which takes its deadlines that way.
std::chrono::system_clock::time_point WallDeadline(Duration timeout);

// The machine's clocks. Lives for ever; thread-safe.
const Clock& SystemClock();

}  // namespace spillway

#endif  // SPILLWAY_BASE_CLOCK_H_
