// Whether and when a worker that died starts again. Pure.
#ifndef SPILLWAY_SERVER_FLEET_RESTART_POLICY_H_
#define SPILLWAY_SERVER_FLEET_RESTART_POLICY_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "config/config.h"

namespace spillway::fleet {

// Deaths of one worker that have not been forgotten, oldest first. At most max_restarts + 1.
struct RestartHistory {
  std::vector<Instant> deaths;
  int32_t consecutive = 0;  // since it was last healthy for restart.healthy_after
};

// Notes a death at `now` and answers when to start again; empty: the budget is spent.
// `jitter_seed` decides the pause's jitter (a fifth either way), so that workers that died together
// do not start together.
std::optional<Instant> NextStart(RestartHistory& history, Instant now,
                                 const config::Restart& restart, uint64_t jitter_seed);

// Restarts within restart.window, for people to see.
int32_t RestartCount(const RestartHistory& history, Instant now, const config::Restart& restart);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_RESTART_POLICY_H_
