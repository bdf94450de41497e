// The numbers the fleet's decisions depend on; set once, from the configuration.
#ifndef SPILLWAY_SERVER_FLEET_LIMITS_H_
#define SPILLWAY_SERVER_FLEET_LIMITS_H_

#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "config/config.h"

namespace spillway::fleet {

// What ending a worker may take beyond flush.drain_timeout. With the default drain of 20 s all of
// it stays below 30 s, which is what most service managers allow.
struct EndLimits {
  // For leaving the consumer group, the last report and the goodbye.
  Duration margin = std::chrono::seconds(6);
  // From TERM to KILL for a worker that has drained in vain (TERM then means: at once), or that is
  // unhealthy.
  Duration term_timeout = std::chrono::seconds(2);
  Duration capture_timeout = std::chrono::seconds(5);
};

struct Limits {
  config::Restart restart;
  config::Health health;
  // For a worker to finish what it holds and end by itself, by order or by TERM.
  Duration drain_timeout = std::chrono::seconds(26);
  Duration term_timeout = EndLimits().term_timeout;
  // For an unhealthy worker's stacks to be captured before it is ended: asking, answering, naming.
  Duration capture_timeout = EndLimits().capture_timeout;
  uint64_t seed = 0;  // of the backoff's jitter
};

Limits LimitsFrom(const config::Config& config, const EndLimits& ends, uint64_t seed);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_LIMITS_H_
