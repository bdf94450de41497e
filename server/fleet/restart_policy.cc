#include "server/fleet/restart_policy.h"

#include <algorithm>

namespace spillway::fleet {
namespace {

// SplitMix64's finisher: neighbouring seeds give unrelated values.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

Duration Pause(int32_t consecutive, const config::Backoff& backoff, uint64_t jitter_seed) {
  Duration pause = backoff.initial;
  for (int32_t i = 1; i < consecutive && pause < backoff.max; ++i) pause *= 2;
  pause = std::min<Duration>(pause, backoff.max);
  const double share =
      static_cast<double>(Mix(jitter_seed) >> 11) / static_cast<double>(1ull << 53);
  return Duration(static_cast<int64_t>(static_cast<double>(pause.count()) * (0.8 + 0.4 * share)));
}

}  // namespace

std::optional<Instant> NextStart(RestartHistory& history, Instant now,
                                 const config::Restart& restart, uint64_t jitter_seed) {
  std::erase_if(history.deaths, [&](Instant death) { return now - death > restart.window; });
  history.deaths.push_back(now);
  ++history.consecutive;
  if (history.deaths.size() > static_cast<size_t>(restart.max_restarts)) return std::nullopt;
  return now + Pause(history.consecutive, restart.backoff, jitter_seed);
}

int32_t RestartCount(const RestartHistory& history, Instant now, const config::Restart& restart) {
  return static_cast<int32_t>(
      std::count_if(history.deaths.begin(), history.deaths.end(),
                    [&](Instant death) { return now - death <= restart.window; }));
}

}  // namespace spillway::fleet
