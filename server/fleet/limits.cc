#include "server/fleet/limits.h"

namespace spillway::fleet {

Limits LimitsFrom(const config::Config& config, uint64_t seed) {
  Limits limits{.restart = config.restart, .health = config.health, .seed = seed};
  // A tenth more than the worker gives itself: its own limit shall be the one that counts.
  limits.drain_timeout = config.flush.drain_timeout + config.flush.drain_timeout / 10;
  return limits;
}

}  // namespace spillway::fleet
