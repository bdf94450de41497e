// Bounds how often one kind of event is logged, whatever makes it happen.
#ifndef SPILLWAY_BASE_LOG_LIMITER_H_
#define SPILLWAY_BASE_LOG_LIMITER_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace spillway {

// At most `lines` in each `interval`, which begins with its first line. Not thread-safe.
//   if (const auto left_out = limiter.Admit(now)) Log(…, {{"left_out", *left_out}});
class LogLimiter {
 public:
  static constexpr int kLines = 10;
  static constexpr Duration kInterval = std::chrono::seconds(10);

  explicit LogLimiter(int lines = kLines, Duration interval = kInterval)
      : lines_(lines), interval_(interval) {}

  // How many lines were left out since the last one that was written; empty: leave this one out.
  std::optional<uint64_t> Admit(Instant now) {
    if (!begun_ || now - *begun_ >= interval_) {
      begun_ = now;
      written_ = 0;
    }
    if (written_ >= lines_) {
      ++left_out_;
      return std::nullopt;
    }
    ++written_;
    return std::exchange(left_out_, 0);
  }

 private:
  const int lines_;
  const Duration interval_;
  std::optional<Instant> begun_;
  int written_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace spillway

#endif  // SPILLWAY_BASE_LOG_LIMITER_H_
