#include "server/fleet/config_rollout.h"

#include <algorithm>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "server/fleet/fleet.h"

namespace spillway::fleet {
namespace {

using State = ConfigRollout::State;

bool IsLaunched(const Pool& pool) { return pool.is_configured && !IsExternal(pool); }

bool IsUnderWay(const Pool& pool) {
  return pool.restart && pool.restart->state == PoolRestart::State::kUnderWay;
}

bool IsOurs(const ConfigRollout& rollout, const Pool& pool) {
  const auto begun = rollout.restarts.find(pool.name);
  return begun != rollout.restarts.end() && pool.restart && pool.restart->number == begun->second;
}

bool Runs(const Worker& worker, const ConfigGeneration& generation) {
  return worker.config_digest == generation.digest;
}

// Somebody else's doing: an operator's, or the kernel's.
bool IsFromOutside(const Ending& ending) {
  return ending.kind == Exited::Kind::kSignaled &&
         (ending.value == SIGKILL || ending.value == SIGTERM || ending.value == SIGINT);
}

bool HasStood(const Worker& worker, Instant now, const Limits& limits) {
  return Serves(worker) && now - worker.health.since >= limits.restart.healthy_after;
}

// Why what is tried cannot stay; empty: nothing speaks against it.
std::string Fault(const Fleet& fleet, Instant now, const Limits& limits) {
  const ConfigRollout& rollout = fleet.config;
  if (rollout.identical >= kIdenticalDeaths) {
    return absl::StrCat(rollout.identical, " processes in a row ",
                        ExitText({rollout.last_ending->kind, rollout.last_ending->value}),
                        " soon after their start");
  }
  for (const auto& [key, worker] : fleet.workers) {
    if (!worker.is_wanted || worker.is_registered || !Runs(worker, rollout.wanted)) continue;
    if (worker.state == WorkerState::kCrashLoop) {
      return absl::StrCat(WorkerName(key), " is CRASH_LOOP: ", worker.last_death);
    }
    // It reports, but what it waits for does not come. No restart of the pool is held up by that
    // for long if it has ordered the start; nobody has ordered those after a death.
    const bool is_late = worker.state == WorkerState::kStarting &&
                         now - worker.started_at >= limits.health.startup_timeout;
    if (is_late) {
      return absl::StrCat(WorkerName(key), " is not ready ", SecondsText(now - worker.started_at),
                          " after its start: ", worker.health.evidence);
    }
  }
  for (const Pool& pool : fleet.pools) {
    const bool has_halted = pool.restart && pool.restart->state == PoolRestart::State::kHalted;
    if (IsLaunched(pool) && has_halted) return pool.restart->detail;
  }
  return "";
}

bool IsProven(const Fleet& fleet, Instant now, const Limits& limits) {
  bool is_any_there = false;
  for (const Pool& pool : fleet.pools) {
    if (!IsLaunched(pool) || pool.state == PoolState::kStopped) continue;
    for (int32_t slot = 0; slot < pool.desired; ++slot) {
      const auto found = fleet.workers.find({pool.name, slot});
      const bool is_proof = found != fleet.workers.end() &&
                            Runs(found->second, fleet.config.wanted) &&
                            HasStood(found->second, now, limits);
      if (!is_proof) return false;
      is_any_there = true;
    }
  }
  return is_any_there;
}

void TakeBack(Fleet& fleet, std::string why) {
  ConfigRollout& rollout = fleet.config;
  for (Pool& pool : fleet.pools) {
    if (IsOurs(rollout, pool)) CancelWork(pool, "the configuration was taken back");
  }
  ConfigRollout back;
  back.state = State::kTakenBack;
  back.wanted = *rollout.former;
  back.rejected = rollout.wanted;
  back.detail = std::move(why);
  rollout = std::move(back);
}

void Judge(Fleet& fleet, Instant now, const Limits& limits) {
  ConfigRollout& rollout = fleet.config;
  if (rollout.state != State::kTrying) return;
  const bool has_one_stood =
      std::any_of(fleet.workers.begin(), fleet.workers.end(), [&](const auto& entry) {
        return Runs(entry.second, rollout.wanted) && HasStood(entry.second, now, limits);
      });
  if (has_one_stood) rollout.identical = 0;
  if (rollout.former) {
    if (std::string fault = Fault(fleet, now, limits); !fault.empty())
      return TakeBack(fleet, std::move(fault));
  }
  if (!IsProven(fleet, now, limits)) return;
  rollout.state = State::kProven;
  rollout.former.reset();
}

bool HasOutdated(const Fleet& fleet, const Pool& pool) {
  return std::any_of(fleet.workers.begin(), fleet.workers.end(), [&](const auto& entry) {
    const auto& [key, worker] = entry;
    return key.pool == pool.name && key.slot < pool.desired && worker.is_wanted &&
           IsOutdated(fleet, worker);
  });
}

// A restart that somebody has asked for goes first: what it starts is up to date. One of ours that
// has halted is for a person to go on with.
bool MayBegin(const ConfigRollout& rollout, const Pool& pool) {
  if (!IsLaunched(pool) || pool.state == PoolState::kStopped || IsUnderWay(pool)) return false;
  return !IsOurs(rollout, pool) || pool.restart->state != PoolRestart::State::kHalted;
}

}  // namespace

bool IsOutdated(const Fleet& fleet, const Worker& worker) {
  const uint64_t wanted = fleet.config.wanted.digest;
  return wanted != 0 && worker.config_digest != 0 && worker.config_digest != wanted;
}

void NoteEnd(ConfigRollout& rollout, const Worker& ended, const Exited& exit, Instant now,
             const Limits& limits) {
  const bool was_told =
      ended.state == WorkerState::kDraining || ended.state == WorkerState::kStopping;
  const Ending ending{exit.kind, exit.value};
  if (rollout.state != State::kTrying || was_told || IsFromOutside(ending)) return;
  if (!Runs(ended, rollout.wanted)) {
    // Others die so, too: it is not this configuration that kills.
    if (rollout.last_ending == ending) rollout.identical = 0;
    return;
  }
  const bool is_early = !ended.is_adopted && now - ended.started_at < limits.restart.healthy_after;
  if (!is_early) return;
  rollout.identical = rollout.last_ending == ending ? rollout.identical + 1 : 1;
  rollout.last_ending = ending;
}

void AdvanceConfig(Fleet& fleet, Instant now, const Limits& limits) {
  if (fleet.is_shutting_down) return;
  Judge(fleet, now, limits);
  ConfigRollout& rollout = fleet.config;
  for (const Pool& pool : fleet.pools) {
    if (IsOurs(rollout, pool) && IsUnderWay(pool)) return;
  }
  for (Pool& pool : fleet.pools) {
    if (!MayBegin(rollout, pool) || !HasOutdated(fleet, pool)) continue;
    BeginRestart(fleet, pool, RestartScope::kOutdated, 1);
    rollout.restarts[pool.name] = pool.restart->number;
    return;
  }
}

}  // namespace spillway::fleet
