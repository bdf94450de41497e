// What must hold in fleet_world.h's world.
#include <gtest/gtest.h>

#include <algorithm>

#include "server/fleet/fleet_world.h"

namespace spillway::fleet {

std::set<int32_t> World::Serving(const Server& server) const {
  std::set<int32_t> slots;
  const Pool pool = PoolOf(server);
  for (const auto& [key, worker] : server.fleet.workers) {
    if (key.slot < pool.desired && Serves(worker)) slots.insert(key.slot);
  }
  return slots;
}

// A restart that takes a worker from its service leaves enough others.
void World::CheckRestart(Server& server, const std::set<int32_t>& served, const Event& event) {
  const Pool pool = PoolOf(server);
  const bool is_under_way = pool.restart && pool.restart->state == PoolRestart::State::kUnderWay;
  if (!is_under_way || std::holds_alternative<WorkerRestarted>(event)) return;
  const std::set<int32_t> serving = Serving(server);
  const bool has_taken = std::any_of(served.begin(), served.end(), [&](int32_t slot) {
    return pool.restart->replacing.contains(slot) && !serving.contains(slot) &&
           server.fleet.workers.at({"flush", slot}).state == WorkerState::kDraining &&
           server.asked.insert({pool.restart->number, slot}).second;
  });
  if (!has_taken) return;
  ASSERT_LE(pool.desired - static_cast<int32_t>(serving.size()), pool.restart->max_unavailable)
      << "more down than the restart may miss";
}

// What a restart of the pool replaces gets a new budget, once.
void World::NoteBudgets(Server& server) {
  const Pool pool = PoolOf(server);
  for (int32_t slot = 0; pool.restart && slot < pool.desired; ++slot) {
    const bool is_new = pool.restart->replacing.contains(slot) &&
                        server.given.insert({pool.restart->number, slot}).second;
    if (is_new) server.restarts.erase({"flush", slot});
  }
}

void World::CheckNoStorm(Server& server, const Note& note) {
  if (note.event == "worker waits to restart") server.restarts[note.worker].push_back(now_);
  for (auto& [key, times] : server.restarts) {
    while (!times.empty() && now_ - times.front() > limits_.restart.window) times.pop_front();
    ASSERT_LE(times.size(), static_cast<size_t>(limits_.restart.max_restarts)) << "restart storm";
  }
}

// Nobody may still work under an epoch that is called dead.
void World::CheckDead(const wire::DeadEpoch& dead) {
  const auto owner = granted_.find({dead.shard, dead.epoch});
  ASSERT_TRUE(owner != granted_.end()) << "an epoch nobody had is called dead";
  ASSERT_FALSE(processes_.contains(owner->second))
      << "shard " << dead.shard.value << ": the epoch of a living process is called dead";
}

// THE promise: nobody is told to take a shard that another live worker still has, unless that one
// was asked to give it up a handover_timeout ago, or never spoke to this server. With two servers
// only the epochs in Redis keep it.
void World::CheckFree(Server& server, ShardId shard, const Process& next) {
  for (const auto& [pid, other] : processes_) {
    if (pid == next.pid || !other.held.contains(shard)) continue;
    const auto taken = server.taken_away.find(shard);
    const Duration patience = limits_.health.handover_timeout;
    const bool has_timed_out = taken != server.taken_away.end() && now_ - taken->second >= patience;
    const bool is_stranger = now_ - server.started >= patience && !server.spoken.contains(pid);
    const bool is_allowed = has_timed_out || is_stranger || overtaken_.contains({pid, shard});
    ASSERT_TRUE(is_allowed || servers_.size() == 2)
        << "shard " << shard.value << " given to slot " << next.key.slot << " while slot "
        << other.key.slot << " has it";
    overtaken_.insert({pid, shard});
  }
}

void World::CheckOrdersAreDisjoint(const Server& server) {
  std::map<ShardId, WorkerKey> named;
  for (const auto& [key, worker] : server.fleet.workers) {
    if (!worker.has_process) continue;
    for (const ShardId shard : worker.order.shards) {
      ASSERT_TRUE(named.emplace(shard, key).second) << "shard in two orders";
    }
  }
}

std::string World::Everyone() const {
  std::string text;
  for (const auto& [key, worker] : servers_.back()->fleet.workers) {
    text += "\n" + WorkerName(key) + " " + StateName(worker.state) + ": " + worker.last_death;
  }
  return text;
}

void World::CheckConverged() {
  const Fleet& fleet = servers_.back()->fleet;
  const Pool pool = PoolOf(*servers_.back());
  ASSERT_EQ(servers_.size(), 1u);
  ASSERT_EQ(pool.state, PoolState::kRunning);
  ASSERT_FALSE(pool.restart && pool.restart->state == PoolRestart::State::kUnderWay)
      << "the restart neither ends nor halts: " << pool.restart->detail;
  ASSERT_EQ(fleet.workers.size(), static_cast<size_t>(pool.desired));
  ASSERT_EQ(processes_.size(), fleet.workers.size()) << "leaked or missing processes" << Everyone();
  for (const auto& [key, worker] : fleet.workers) {
    ASSERT_EQ(worker.state, WorkerState::kReady) << WorkerName(key) << ": " << worker.last_death;
    ASSERT_EQ(worker.health.state, HealthState::kHealthy);
  }
  CheckConfig(fleet, pool);
  for (const auto& [pid, process] : processes_) {
    ASSERT_FALSE(process.is_paused) << "pid " << pid;
    ASSERT_TRUE(process.idle.empty()) << "pid " << pid;
  }
  for (const auto& [id, shard] : fleet.shards) {
    ASSERT_TRUE(shard.owner.has_value()) << "shard " << id.value << " has no owner";
    CheckDeathsAreTold(id, fleet.workers.at(*shard.owner).order);
    for (const auto& [pid, process] : processes_) {
      ASSERT_EQ(process.held.contains(id), process.key == *shard.owner) << "shard " << id.value;
    }
  }
}

// All run what is wanted, and that is nothing that they cannot live with. A restart that has halted
// waits for a person.
void World::CheckConfig(const Fleet& fleet, const Pool& pool) {
  ASSERT_EQ(flaws_.at(fleet.config.wanted.number), Flaw::kNone)
      << "configuration " << fleet.config.wanted.number << " was not taken back";
  if (pool.restart && pool.restart->state == PoolRestart::State::kHalted) return;
  for (const auto& [pid, process] : processes_) {
    ASSERT_EQ(process.config, fleet.config.wanted.number)
        << "slot " << process.key.slot << " runs another configuration";
  }
}

// Of the epochs that this server heard of, those of its newest dead are in the owner's order.
void World::CheckDeathsAreTold(ShardId id, const wire::Order& order) {
  const std::vector<Epoch>& dead = servers_.back()->dead[id];
  for (size_t i = dead.size() > kMaxDeadEpochs ? dead.size() - kMaxDeadEpochs : 0; i < dead.size();
       ++i) {
    const wire::DeadEpoch told{id, dead[i], {}};
    ASSERT_NE(std::find(order.dead.begin(), order.dead.end(), told), order.dead.end())
        << "shard " << id.value << ": the death of epoch " << dead[i].number << " is not told";
  }
}

}  // namespace spillway::fleet
