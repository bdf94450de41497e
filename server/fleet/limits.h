// The numbers the fleet's decisions depend on; set once, from the configuration.
#ifndef SPILLWAY_SERVER_FLEET_LIMITS_H_
#define SPILLWAY_SERVER_FLEET_LIMITS_H_

#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "config/config.h"

namespace spillway::fleet {

struct Limits {
  config::Restart restart;
  config::Health health;
  // For a worker to finish what it holds and end by itself, by order or by TERM.
  Duration drain_timeout = std::chrono::seconds(22);
  // From TERM to KILL for a worker that has drained in vain, or that is unhealthy.
  Duration term_timeout = std::chrono::seconds(3);
  uint64_t seed = 0;  // of the backoff's jitter
};

// flush.drain_timeout, and a little more for the worker to say goodbye and to end.
Limits LimitsFrom(const config::Config& config, uint64_t seed);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_LIMITS_H_
