#include "client/commands/goal.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

// Counts of one pool's workers and of the shards on their way to or from it.
struct Figures {
  int64_t holding = 0;    // workers with shards
  int64_t misplaced = 0;  // shards that are not yet where they shall be
  int64_t held = 0;       // shards that some worker of the pool has, or is to have
  int64_t in_flight = 0;  // parts of these that it has claimed
  const v1::Worker* crash_loop = nullptr;
  const v1::Worker* backing_off = nullptr;
};

Figures FiguresOf(const std::string& pool, const FleetState& fleet) {
  Figures figures;
  const std::string prefix = pool + "/";
  for (const auto& [name, worker] : fleet.workers) {
    if (!absl::StartsWith(name, prefix)) continue;
    if (worker.shards_size() > 0) ++figures.holding;
    if (worker.state() == v1::WORKER_STATE_CRASH_LOOP) figures.crash_loop = &worker;
    if (worker.state() == v1::WORKER_STATE_BACKOFF) figures.backing_off = &worker;
  }
  for (const auto& [name, shard] : fleet.shards) {
    const bool concerns = absl::StartsWith(shard.flush_worker_desired(), prefix);
    if (concerns && shard.flush_worker() != shard.flush_worker_desired()) ++figures.misplaced;
    const bool flushes = absl::StartsWith(shard.flush_worker(), prefix);
    if (concerns || flushes || absl::StartsWith(shard.ingest_worker(), prefix)) ++figures.held;
    if (flushes) figures.in_flight += static_cast<int64_t>(shard.in_flight());
  }
  return figures;
}

Verdict Impossible(ExitCode code, std::string why) {
  return {Verdict::State::kImpossible, std::move(why), code};
}

Verdict Answer(bool is_reached, std::string text) {
  return {is_reached ? Verdict::State::kReached : Verdict::State::kWaiting, std::move(text),
          kExitDone};
}

// Nothing is expected of a worker that its budget has given up.
Verdict GivenUp(const v1::Worker& worker) {
  return Impossible(kExitFailed, absl::StrCat(ShortName(worker.name()),
                                              ": in CRASH_LOOP: ", worker.last_death()));
}

Verdict JudgePaused(const v1::Pool& pool, const Figures& figures) {
  return Answer(
      pool.state() == v1::POOL_STATE_PAUSED && pool.paused() == pool.observed() &&
          figures.in_flight == 0,
      absl::StrCat(ShortName(pool.name()), ": ", Text(pool.state()), ", ", pool.paused(), " of ",
                   pool.observed(), " paused, ", figures.in_flight, " parts in flight"));
}

Verdict JudgeHealthy(const Goal& goal, const v1::Pool& pool, const Figures& figures) {
  const std::string name = ShortName(pool.name());
  const bool is_current = !goal.desired || pool.desired() == *goal.desired;
  if (is_current && pool.state() == v1::POOL_STATE_STOPPED && !goal.desired) {
    return Impossible(kExitRefused, absl::StrCat(name, ": is stopped; start it first"));
  }
  const bool is_paused =
      pool.state() == v1::POOL_STATE_PAUSED || pool.state() == v1::POOL_STATE_DRAINING;
  if (is_paused && !goal.desired) {
    return Impossible(kExitRefused, absl::StrCat(name, ": is paused; resume it first"));
  }
  if (is_current && figures.crash_loop != nullptr) return GivenUp(*figures.crash_loop);
  std::string text = absl::StrCat(name, ": ", pool.ready(), " of ", pool.desired(), " ready, ",
                                  pool.observed(), " running, ", Text(pool.health()));
  if (figures.misplaced > 0)
    absl::StrAppend(&text, ", ", figures.misplaced, " shards on their way");
  if (figures.backing_off != nullptr) {
    absl::StrAppend(&text, "; ", ShortName(figures.backing_off->name()), " ",
                    figures.backing_off->last_death(), ", starts again soon");
  }
  const bool is_healthy = pool.health().state() == v1::HEALTH_STATE_HEALTHY || pool.desired() == 0;
  return Answer(is_current && (is_paused || pool.state() == v1::POOL_STATE_RUNNING) &&
                    pool.ready() == pool.desired() && pool.observed() == pool.desired() &&
                    is_healthy && figures.misplaced == 0,
                std::move(text));
}

// A side that nobody had may stay so.
Verdict JudgeShard(const v1::Shard& before, const FleetState& fleet) {
  const auto found = fleet.shards.find(before.name());
  if (found == fleet.shards.end()) {
    return Impossible(kExitNotFound, absl::StrCat(before.name(), ": there is no such shard"));
  }
  const v1::Shard& shard = found->second;
  const auto is_new = [](uint64_t earlier, uint64_t now) { return earlier == 0 || now > earlier; };
  return Answer(is_new(before.ingest_epoch(), shard.ingest_epoch()) &&
                    is_new(before.flush_epoch(), shard.flush_epoch()),
                absl::StrCat(shard.name(), ": ingest epoch ", before.ingest_epoch(), " -> ",
                             shard.ingest_epoch(), ", flush epoch ", before.flush_epoch(), " -> ",
                             shard.flush_epoch()));
}

}  // namespace

void FleetState::Apply(const v1::WatchFleetResponse& response) {
  if (response.is_full()) *this = {};
  for (const v1::Pool& pool : response.pools()) pools[pool.name()] = pool;
  for (const v1::Worker& worker : response.workers()) workers[worker.name()] = worker;
  for (const v1::Shard& shard : response.shards()) shards[shard.name()] = shard;
  for (const std::string& name : response.removed()) {
    pools.erase(name);
    workers.erase(name);
    shards.erase(name);
  }
}

Verdict Judge(const Goal& goal, const FleetState& fleet) {
  if (goal.kind == Goal::Kind::kShardRestarted) return JudgeShard(goal.shard, fleet);
  const auto found = fleet.pools.find(goal.pool);
  if (found == fleet.pools.end()) {
    return Impossible(kExitNotFound, absl::StrCat(goal.pool, ": there is no such pool"));
  }
  const v1::Pool& pool = found->second;
  const Figures figures = FiguresOf(goal.pool, fleet);
  const std::string name = ShortName(pool.name());
  switch (goal.kind) {
    case Goal::Kind::kHealthy:
      return JudgeHealthy(goal, pool, figures);
    case Goal::Kind::kStopped:
      return Answer(
          pool.state() == v1::POOL_STATE_STOPPED && pool.observed() == 0,
          absl::StrCat(name, ": ", Text(pool.state()), ", ", pool.observed(), " still running"));
    case Goal::Kind::kPaused:
      return JudgePaused(pool, figures);
    case Goal::Kind::kResumed:
      return Answer(
          pool.state() == v1::POOL_STATE_RUNNING && pool.paused() == 0,
          absl::StrCat(name, ": ", Text(pool.state()), ", ", pool.paused(), " still paused"));
    case Goal::Kind::kShardRestarted:
      break;  // above: it has no pool
    case Goal::Kind::kDrained:
      return Answer(
          (figures.holding == 0 && figures.held == 0) ||
              (pool.state() == v1::POOL_STATE_PAUSED &&
               pool.drain().state() == v1::DRAIN_STATE_DONE),
          absl::StrCat(name, ": ", figures.holding, " workers hold shards, ", figures.held,
                       " shards are theirs, ", figures.in_flight, " parts in flight"));
  }
  return Impossible(kExitFailed, "no such goal");
}

}  // namespace spillway::client
