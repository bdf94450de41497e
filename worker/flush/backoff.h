// Growing pauses between tries of the same thing.
#ifndef SPILLWAY_WORKER_FLUSH_BACKOFF_H_
#define SPILLWAY_WORKER_FLUSH_BACKOFF_H_

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace spillway::flush {

// Doubles from `initial` to `max`; each pause is a random half to whole of that, so that workers
// that failed together do not come back together. A value.
class Backoff {
 public:
  Backoff(Duration initial, Duration max) : initial_(initial), max_(max), next_(initial) {}

  Duration Next(uint64_t random) {
    const Duration whole = next_;
    next_ = std::min(2 * next_, max_);
    const auto half = static_cast<uint64_t>(whole.count()) / 2;
    return Duration(static_cast<int64_t>(half + random % (half + 1)));
  }
  void Reset() { next_ = initial_; }
  bool is_reset() const { return next_ == initial_; }

 private:
  Duration initial_;
  Duration max_;
  Duration next_;
};

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_BACKOFF_H_
