// How long to wait before dialling the control plane again. Pure.
#ifndef SPILLWAY_WORKER_CONTROL_REDIAL_H_
#define SPILLWAY_WORKER_CONTROL_REDIAL_H_

#include <algorithm>
#include <chrono>

namespace spillway::worker {

struct RedialLimits {
  std::chrono::milliseconds initial{200};
  // Below health.silence_timeout, so that adoption is quick, and half of what a new server waits
  // for registered workers (kRegistrationGrace in server/fleet/fleet.cc).
  std::chrono::milliseconds max{3'000};
};

// `failures` in a row so far, ≥ 1; `random` in [0, 1) spreads the fleet: the answer lies between
// half of the exponential delay and all of it.
inline std::chrono::milliseconds RedialDelay(int failures, double random,
                                             const RedialLimits& limits) {
  constexpr int kMaxDoublings = 16;  // far above max for any sensible limits
  const auto doubled = limits.initial * (int64_t{1} << std::clamp(failures - 1, 0, kMaxDoublings));
  const auto full = static_cast<double>(std::min(doubled, limits.max).count());
  return std::chrono::milliseconds(static_cast<int64_t>(full * (0.5 + random / 2)));
}

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_CONTROL_REDIAL_H_
