#include "server/fleet/limits.h"

namespace spillway::fleet {

Limits LimitsFrom(const config::Config& config, const EndLimits& ends, uint64_t seed) {
  return {.restart = config.restart,
          .health = config.health,
          .drain_timeout = config.flush.drain_timeout + ends.margin,
          .term_timeout = ends.term_timeout,
          .capture_timeout = ends.capture_timeout,
          .seed = seed};
}

}  // namespace spillway::fleet
