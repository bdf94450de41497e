#include "server/fleet/fleet.h"

#include <algorithm>
#include <utility>

#include "server/fleet/reconcile.h"

namespace spillway::fleet {
namespace {

// A gap between steps longer than this means that this process itself stood still (stopped, machine
// asleep): then nobody else was silent.
constexpr Duration kOwnPause = 3 * kLongestTick;
// Twice what registered workers wait at most between two dials (worker/control/redial.h).
constexpr Duration kRegistrationGrace = std::chrono::seconds(6);

Pool* MutablePool(Fleet& fleet, const std::string& name) {
  return const_cast<Pool*>(FindPool(fleet, name));
}

class Stepper {
 public:
  Stepper(Fleet& fleet, Instant now, const Limits& limits, std::vector<Action>& actions)
      : fleet_(fleet), now_(now), limits_(limits), actions_(actions) {}

  void On(const Tick&) {}  // every step ticks every worker

  void On(const OfWorker& of) {
    const auto found = fleet_.workers.find(of.worker);
    if (found == fleet_.workers.end()) return;
    const bool is_adoption = std::holds_alternative<Adopted>(of.event);
    if (found->second.generation != of.generation && !is_adoption) return;
    const auto* exited = std::get_if<Exited>(&of.event);
    if (exited != nullptr) KeepEpochs(found->second, *exited);
    if (exited != nullptr) NoteEnd(fleet_.config, found->second, *exited, now_, limits_);
    if (const auto* reported = std::get_if<Reported>(&of.event)) {
      LearnPause(found->second, *reported->report);
      LearnShards(*reported->report);
    }
    StepWorker(fleet_, of.worker, of.event, now_, limits_, actions_);
  }

  void On(const Together& together) {
    for (const OfWorker& of : together.events) On(of);
  }

  void On(const FoundLeftovers& found) {
    for (const Leftover& leftover : found.leftovers) Adopt(leftover);
  }

  void Adopt(const Leftover& found) {
    Pool* pool = MutablePool(fleet_, found.worker.pool);
    if (pool == nullptr) {
      if (found.pid == 0) return;
      fleet_.pools.push_back({.name = found.worker.pool, .is_configured = false});
      pool = &fleet_.pools.back();
    }
    Generation& floor = pool->generations[found.worker.slot];
    floor = std::max(floor, found.generation);
    if (found.pid == 0) return;
    Worker worker;
    worker.key = found.worker;
    worker.role = pool->role;
    fleet_.workers.emplace(found.worker, std::move(worker));
    fleet_.adoption_deadline = now_ + limits_.health.handover_timeout;
    StepWorker(fleet_, found.worker, Adopted{found.pid, found.generation}, now_, limits_, actions_);
  }

  void On(const SaidGoodbye& goodbye) {
    const auto worker = fleet_.workers.find(goodbye.worker);
    if (worker == fleet_.workers.end() || worker->second.generation != goodbye.generation) return;
    worker->second.has_left = true;
    if (worker->second.is_registered) KeepEpochs(worker->second, goodbye.still_held);
    for (auto& [id, shard] : fleet_.shards) {
      const bool is_kept = std::count(goodbye.still_held.begin(), goodbye.still_held.end(), id) > 0;
      const bool is_its = shard.handover && shard.handover->from == goodbye.worker &&
                          shard.handover->generation == goodbye.generation;
      if (is_its && !is_kept) shard.handover.reset();
      const bool owns =
          shard.owner == goodbye.worker && shard.owner_generation == goodbye.generation;
      if (owns && !is_kept) shard.owner.reset();
    }
    if (worker->second.is_registered) {
      StepWorker(fleet_, goodbye.worker, Left{goodbye.still_held.empty()}, now_, limits_, actions_);
    }
  }

  void On(const WorkerRegistered& registered) {
    Pool* pool = MutablePool(fleet_, registered.worker.pool);
    if (pool == nullptr || !pool->is_configured) return;
    const auto found = fleet_.workers.find(registered.worker);
    const bool is_replaced =
        found != fleet_.workers.end() && found->second.generation != registered.generation;
    if (is_replaced) fleet_.workers.erase(found);
    Worker worker;
    worker.key = registered.worker;
    worker.role = pool->role;
    worker.generation = registered.generation;
    worker.is_registered = true;
    fleet_.workers.emplace(registered.worker, std::move(worker));
    Generation& floor = pool->generations[registered.worker.slot];
    floor = std::max(floor, registered.generation);
    StepWorker(fleet_, registered.worker, registered.process, now_, limits_, actions_);
  }

  void On(const ShardsFound& found) {
    for (int32_t id = 0; id < found.count; ++id) fleet_.shards.try_emplace(ShardId{id});
    for (const ShardId id : found.registered) fleet_.shards.try_emplace(id);
  }

  void On(const PoolResized& resized) {
    Pool* pool = MutablePool(fleet_, resized.pool);
    if (pool != nullptr) *pool = Wished(std::move(*pool), resized);
  }

  void On(const PoolWritten& written) {
    Pool* pool = MutablePool(fleet_, written.pool);
    if (pool == nullptr) {
      fleet_.pools.push_back(NewPool(written));
      pool = &fleet_.pools.back();
      if (auto floors = fleet_.floors.extract(written.pool)) pool->generations = floors.mapped();
    } else if (!pool->is_configured) {  // leftovers of its name have come to light meanwhile
      std::map<int32_t, Generation> floors = std::move(pool->generations);
      *pool = NewPool(written);
      pool->generations = std::move(floors);
    }
    *pool = Wished(std::move(*pool), written);
    if (pool->state == PoolState::kStopped) CancelWork(*pool, "the pool was stopped");
  }

  void On(const PoolDeleted& deleted) {
    Pool* pool = MutablePool(fleet_, deleted.pool);
    if (pool == nullptr) return;
    pool->is_configured = false;
    CancelWork(*pool, "the pool was deleted");
  }

  void On(const PoolStarted& started) {
    Pool* pool = MutablePool(fleet_, started.pool);
    if (pool == nullptr) return;
    *pool = Wished(std::move(*pool), started);
    for (auto& [key, worker] : fleet_.workers) {
      if (key.pool != started.pool || worker.state != WorkerState::kCrashLoop) continue;
      StepWorker(fleet_, key, ResetBudget{}, now_, limits_, actions_);
    }
  }

  void On(const PoolStopped& stopped) {
    Pool* pool = MutablePool(fleet_, stopped.pool);
    if (pool == nullptr || pool->state == PoolState::kStopped) return;
    *pool = Wished(std::move(*pool), stopped);
    CancelWork(*pool, "the pool was stopped");
  }

  void On(const PoolPaused& paused) {
    Pool* pool = MutablePool(fleet_, paused.pool);
    if (pool != nullptr) *pool = Wished(std::move(*pool), paused);
  }

  void On(const PoolResumed& resumed) {
    Pool* pool = MutablePool(fleet_, resumed.pool);
    if (pool != nullptr) *pool = Wished(std::move(*pool), resumed);
  }

  void On(const PoolDrained& drained) {
    Pool* pool = MutablePool(fleet_, drained.pool);
    if (pool == nullptr || pool->state == PoolState::kStopped) return;
    *pool = Wished(std::move(*pool), drained);
    BeginDrain(*pool, now_ + drained.timeout);
  }

  void On(const PoolRestarted& restarted) {
    Pool* pool = MutablePool(fleet_, restarted.pool);
    if (pool == nullptr || pool->state == PoolState::kStopped) return;
    *pool = Wished(std::move(*pool), restarted);
    BeginRestart(fleet_, *pool, restarted.scope, std::max(1, restarted.max_unavailable));
  }

  void On(const WorkerRestarted& restarted) {
    if (!fleet_.workers.contains(restarted.worker)) return;
    StepWorker(fleet_, restarted.worker, Restart{}, now_, limits_, actions_);
  }

  void On(const WishPutBack& back) {
    Pool* pool = MutablePool(fleet_, back.pool);
    if (pool == nullptr) return;
    *pool = Wished(std::move(*pool), back);
    if (pool->state == PoolState::kStopped) CancelWork(*pool, "the pool was stopped");
  }

  void On(const RestartCancelled& cancelled) {
    Pool* pool = MutablePool(fleet_, cancelled.pool);
    if (pool != nullptr) CancelWork(*pool, "was cancelled");
  }

  void On(const ShardRestarted& restarted) {
    const auto found = fleet_.shards.find(restarted.shard);
    if (found == fleet_.shards.end()) return;
    Shard& shard = found->second;
    if (shard.owner) {
      shard.handover = Handover{*shard.owner, shard.owner_generation, 0, now_};
      shard.owner.reset();
    }
    const ShardHolder holder = FindHolder(fleet_, wire::Role::kIngest, restarted.shard);
    if (holder.worker != nullptr) shard.retake = holder.report->epoch;
  }

  void On(const DropRulesChanged& event) { fleet_.drop_rules = event.rules; }
  void On(const ShutDown&) { fleet_.is_shutting_down = true; }

  // Time we slept does not count against anyone.
  void ForgiveOwnPause() {
    const Duration gap = now_ - fleet_.last_step;
    fleet_.last_step = now_;
    if (gap <= kOwnPause) return;
    for (auto& [key, worker] : fleet_.workers) {
      worker.report_at += gap;
      worker.started_at += gap;
      if (worker.deadline != kNever) worker.deadline += gap;
      for (auto& [shard, stall] : worker.stalls) stall.since += gap;
    }
    for (Pool& pool : fleet_.pools) PutOff(pool, gap);
    for (auto& [id, shard] : fleet_.shards) {
      if (shard.handover) shard.handover->since += gap;
    }
    for (Instant* deadline : {&fleet_.adoption_deadline, &fleet_.registration_deadline}) {
      if (*deadline != Instant::min()) *deadline += gap;
    }
  }

  void TickWorkers() {
    for (auto& [key, worker] : fleet_.workers) {
      StepWorker(fleet_, key, Tick{}, now_, limits_, actions_);
    }
  }

 private:
  // The epochs of a process that is proven dead now are dead for ever.
  // What one that says goodbye has not released (`except`) it may still end a claim of.
  void KeepEpochs(const Worker& dead, const std::vector<ShardId>& except = {}) {
    for (const auto& [shard, epochs] : dead.epochs) {
      if (std::count(except.begin(), except.end(), shard) > 0) continue;
      for (const Epoch& epoch : epochs) Append(fleet_.shards[shard].dead, {shard, epoch});
    }
  }

  void KeepEpochs(const Worker& dead, const Exited& exit) {
    KeepEpochs(dead);
    if (!exit.in_hand || dead.role != wire::Role::kFlush) return;
    // By its own word it was the owner, though it may have died before its first report.
    const auto shard = fleet_.shards.find(exit.in_hand->shard);
    if (shard == fleet_.shards.end()) return;
    Append(shard->second.dead, {shard->first, exit.in_hand->epoch, exit.in_hand->claim});
  }

  // What is there already learns what was in hand.
  static void Append(std::vector<wire::DeadEpoch>& known, const wire::DeadEpoch& dead) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const wire::DeadEpoch& other) {
      return other.epoch == dead.epoch;
    });
    if (found != known.end()) {
      if (dead.in_hand) found->in_hand = dead.in_hand;
      return;
    }
    if (known.size() >= kMaxDeadEpochs) known.erase(known.begin());
    known.push_back(dead);
  }

  // What runs shows what was wished before: a pause outlives the server that was told it.
  void LearnPause(const Worker& worker, const wire::WorkerReport& report) {
    Pool* pool = MutablePool(fleet_, worker.key.pool);
    const bool is_first_word = worker.is_adopted && worker.report == nullptr;
    const bool may_learn = pool->state == PoolState::kRunning && !pool->is_state_said;
    if (is_first_word && may_learn && report.is_paused) pool->state = PoolState::kPaused;
  }

  // A shard that a worker has exists, whatever discovery knows yet.
  void LearnShards(const wire::WorkerReport& report) {
    for (const wire::ShardReport& shard : report.shards) fleet_.shards.try_emplace(shard.shard);
  }

  Fleet& fleet_;
  const Instant now_;
  const Limits& limits_;
  std::vector<Action>& actions_;
};

}  // namespace

Fleet MakeFleet(const config::Config& config, uint64_t first_sequence, Instant now) {
  Fleet fleet;
  for (const config::Pool& pool : config.pools) {
    const wire::Role role =
        pool.role == config::Role::kIngest ? wire::Role::kIngest : wire::Role::kFlush;
    fleet.pools.push_back({.name = pool.name,
                           .role = role,
                           .desired = pool.replicas,
                           .min = pool.min,
                           .max = pool.max,
                           .scale_owner = pool.scale_owner});
  }
  fleet.order_sequence = first_sequence;
  fleet.last_step = now;
  const auto may_come_back = [](const Pool& pool) {
    return IsExternal(pool) && pool.role == wire::Role::kFlush;
  };
  if (std::any_of(fleet.pools.begin(), fleet.pools.end(), may_come_back)) {
    fleet.registration_deadline =
        now + std::min<Duration>(config.health.handover_timeout, kRegistrationGrace);
  }
  return fleet;
}

Transition Step(Fleet fleet, const Event& event, Instant now, const Limits& limits) {
  Transition transition{std::move(fleet), {}};
  Stepper stepper(transition.fleet, now, limits, transition.actions);
  stepper.ForgiveOwnPause();
  std::visit([&](const auto& e) { stepper.On(e); }, event);
  stepper.TickWorkers();
  // First: a process that is launched now is told whether its pool is paused.
  AdvanceDrains(transition.fleet, now, transition.actions);
  AdvanceConfig(transition.fleet, now, limits);
  ReconcilePools(transition.fleet, now, limits, transition.actions);
  AdvanceRestarts(transition.fleet, now, limits, transition.actions);
  ReconcileShards(transition.fleet, now, limits);
  ReconcileOrders(transition.fleet, now, limits, transition.actions);
  return transition;
}

Instant NextTick(const Fleet& fleet, Instant now, const Limits& limits) {
  Instant next = now + kLongestTick;
  for (const auto& [key, worker] : fleet.workers) next = std::min(next, NextTick(worker, limits));
  for (const Pool& pool : fleet.pools) next = std::min(next, NextDeadline(pool));
  for (const auto& [id, shard] : fleet.shards) {
    if (shard.handover)
      next = std::min(next, shard.handover->since + limits.health.handover_timeout);
  }
  if (fleet.registration_deadline > now) next = std::min(next, fleet.registration_deadline);
  return std::max(next, now);
}

bool IsExternal(const Pool& pool) { return pool.scale_owner == config::ScaleOwner::kExternal; }

const Pool* FindPool(const Fleet& fleet, const std::string& name) {
  for (const Pool& pool : fleet.pools) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

ShardHolder FindHolder(const Fleet& fleet, wire::Role role, ShardId shard) {
  ShardHolder holder;
  for (const auto& [key, worker] : fleet.workers) {
    if (worker.role != role || !worker.has_process || worker.report == nullptr) continue;
    for (const wire::ShardReport& held : worker.report->shards) {
      if (held.shard != shard) continue;
      if (holder.report == nullptr || holder.report->epoch < held.epoch) holder = {&worker, &held};
    }
  }
  return holder;
}

// The state that a verb on a pool asks for; empty: it is about something else.
static std::optional<PoolState> SaidState(const Pool& pool, const Event& event) {
  const bool is_stopped = pool.state == PoolState::kStopped;
  if (std::holds_alternative<PoolStarted>(event)) {
    return is_stopped ? PoolState::kRunning : pool.state;
  }
  if (std::holds_alternative<PoolStopped>(event)) return PoolState::kStopped;
  if (std::holds_alternative<PoolPaused>(event)) {
    return is_stopped ? pool.state : PoolState::kPaused;
  }
  if (std::holds_alternative<PoolResumed>(event)) {
    return is_stopped ? pool.state : PoolState::kRunning;
  }
  if (std::holds_alternative<PoolDrained>(event)) {
    return is_stopped ? pool.state : PoolState::kDraining;
  }
  return std::nullopt;
}

Pool NewPool(const PoolWritten& written) {
  return {.name = written.pool,
          .role = written.role,
          .is_created = true,
          .is_state_said = true,
          .revision = written.first_revision};
}

Pool Wished(Pool pool, const Event& event) {
  const Pool before = pool;
  if (const auto* resized = std::get_if<PoolResized>(&event)) {
    pool.desired = resized->desired;
    pool.min = resized->min;
    pool.max = resized->max;
  } else if (const auto* back = std::get_if<WishPutBack>(&event)) {
    pool.desired = back->desired;
    pool.min = back->min;
    pool.max = back->max;
    if (pool.state != back->state) CancelDrain(pool);
    pool.state = back->state;
    pool.is_state_said = true;
  } else if (const auto* written = std::get_if<PoolWritten>(&event)) {
    pool.desired = written->desired;
    pool.min = written->min;
    pool.max = written->max;
    if (written->state != pool.state) {
      CancelDrain(pool);
      pool.is_state_said = true;
    }
    pool.state = written->state;
    pool.scale_owner = written->scale_owner;
  } else if (const auto state = SaidState(pool, event)) {
    if (*state != pool.state) CancelDrain(pool);
    pool.state = *state;
    pool.is_state_said = true;
  }
  const bool is_same = pool.desired == before.desired && pool.min == before.min &&
                       pool.max == before.max && pool.state == before.state &&
                       pool.scale_owner == before.scale_owner &&
                       !std::holds_alternative<PoolRestarted>(event);
  if (!is_same) ++pool.revision;
  return pool;
}

Welcoming JudgeHello(const Fleet& fleet, const wire::Hello& hello) {
  const Pool* pool = FindPool(fleet, hello.pool);
  if (pool == nullptr || (pool->is_configured && pool->role != hello.role) || hello.slot < 0) {
    return Welcoming::kUnknown;
  }
  const auto found = fleet.workers.find({hello.pool, hello.slot});
  if (found == fleet.workers.end()) return Welcoming::kUnknown;
  const Worker& worker = found->second;
  if (worker.is_registered) return Welcoming::kStale;  // it says so itself when it dials
  if (!worker.has_process) {
    // Between the order to start and the start's answer nobody else may have the slot.
    const bool may_adopt = hello.generation.value != 0 && hello.generation >= worker.generation &&
                           worker.state != WorkerState::kPending;
    return may_adopt ? Welcoming::kAdopt : Welcoming::kStale;
  }
  if (worker.generation != hello.generation || worker.pid != hello.pid) return Welcoming::kStale;
  return worker.is_attached ? Welcoming::kDuplicate : Welcoming::kAccept;
}

}  // namespace spillway::fleet
