#include "server/fleet/pool_work.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "server/fleet/fleet.h"
#include "server/fleet/reconcile.h"

namespace spillway::fleet {
namespace {

using State = PoolRestart::State;

const Worker* FindWorker(const Fleet& fleet, const Pool& pool, int32_t slot) {
  const auto found = fleet.workers.find({pool.name, slot});
  return found == fleet.workers.end() ? nullptr : &found->second;
}

bool ServesIn(const Fleet& fleet, const Pool& pool, int32_t slot) {
  const Worker* worker = FindWorker(fleet, pool, slot);
  return worker != nullptr && Serves(*worker);
}

bool HasFailed(const Worker& worker) {
  return worker.state == WorkerState::kBackoff || worker.state == WorkerState::kCrashLoop ||
         worker.health.state == HealthState::kUnhealthy;
}

int32_t Unavailable(const Fleet& fleet, const Pool& pool) {
  int32_t unavailable = 0;
  for (int32_t slot = 0; slot < pool.desired; ++slot) unavailable += !ServesIn(fleet, pool, slot);
  return unavailable;
}

// "pools/flush/workers/1 is BACKOFF: exited with 1 …"
std::string WhyNot(const Worker& worker) {
  return absl::StrCat(WorkerName(worker.key), " is ", StateName(worker.state), ": ",
                      worker.health.evidence);
}

void End(PoolRestart& restart, State state, std::string detail) {
  restart.state = state;
  restart.detail = std::move(detail);
}

// A server that has just come back does not know yet who of its pool serves.
bool IsAdopting(const Fleet& fleet, const Pool& pool, Instant now) {
  return now < fleet.adoption_deadline &&
         std::any_of(fleet.workers.begin(), fleet.workers.end(), [&](const auto& entry) {
           const Worker& worker = entry.second;
           return entry.first.pool == pool.name && worker.has_process && worker.is_adopted &&
                  worker.report == nullptr;
         });
}

// One step of one restart.
class Restarter {
 public:
  Restarter(Fleet& fleet, Pool& pool, Instant now, const Limits& limits,
            std::vector<Action>& actions)
      : fleet_(fleet),
        pool_(pool),
        restart_(*pool.restart),
        now_(now),
        limits_(limits),
        actions_(actions) {}

  void Advance() {
    ForgetLostSlots();
    NoticeReplaced();
    Judge();
    if (restart_.state != State::kUnderWay) return Report();
    while (const std::optional<int32_t> slot = Next()) Replace(*slot);
    if (restart_.waiting.empty() && restart_.replacing.empty()) {
      End(restart_, State::kDone, "");
      return Report();
    }
    restart_.detail = WaitsFor();
  }

 private:
  void ForgetLostSlots() {
    const auto is_lost = [&](const auto& entry) { return entry.first >= pool_.desired; };
    std::erase_if(restart_.waiting, is_lost);
    std::erase_if(restart_.replacing, is_lost);
  }

  // Slots that have got a newer process without us: only that it serves is still to be seen.
  void NoticeReplaced() {
    std::erase_if(restart_.waiting, [&](const auto& entry) {
      const auto& [slot, generation] = entry;
      const Worker* worker = FindWorker(fleet_, pool_, slot);
      if (worker == nullptr || worker->generation <= generation) return false;
      restart_.replacing[slot] = {generation, Deadline()};
      return true;
    });
  }

  void Judge() {
    std::erase_if(restart_.replacing, [&](const auto& entry) {
      const Worker* worker = FindWorker(fleet_, pool_, entry.first);
      const bool is_newer =
          worker != nullptr && worker->generation > entry.second.replaced && Serves(*worker);
      restart_.replaced += is_newer;
      return is_newer;
    });
    for (const auto& [slot, replacing] : restart_.replacing) {
      const Worker* worker = FindWorker(fleet_, pool_, slot);
      if (worker == nullptr) continue;
      const bool is_given_up =
          worker->state == WorkerState::kCrashLoop && worker->generation > replacing.replaced;
      if (is_given_up || now_ >= replacing.deadline) {
        return End(restart_, State::kHalted, WhyNot(*worker));
      }
    }
  }

  // What does not serve is nobody's loss; of the rest as much as may be missed.
  std::optional<int32_t> Next() const {
    for (const auto& [slot, generation] : restart_.waiting) {
      if (!ServesIn(fleet_, pool_, slot)) return slot;
    }
    const bool may_go_on =
        !restart_.waiting.empty() && Unavailable(fleet_, pool_) < restart_.max_unavailable;
    if (!may_go_on) return std::nullopt;
    return restart_.waiting.begin()->first;
  }

  void Replace(int32_t slot) {
    restart_.replacing[slot] = {restart_.waiting.at(slot), Deadline()};
    restart_.waiting.erase(slot);
    const WorkerKey key{pool_.name, slot};
    if (fleet_.workers.contains(key)) {
      StepWorker(fleet_, key, Restart{}, now_, limits_, actions_);
    }
  }

  Instant Deadline() const {
    return now_ + limits_.drain_timeout + 2 * limits_.term_timeout + limits_.health.startup_timeout;
  }

  std::string WaitsFor() const {
    for (int32_t slot = 0; slot < pool_.desired; ++slot) {
      const Worker* worker = FindWorker(fleet_, pool_, slot);
      if (worker != nullptr && !Serves(*worker)) return absl::StrCat("waits: ", WhyNot(*worker));
    }
    return "";
  }

  void Report() {
    const bool is_done = restart_.state == State::kDone;
    actions_.push_back(Note{!is_done,
                            is_done ? "pool restarted" : "restart of the pool halted",
                            {pool_.name, -1},
                            {},
                            restart_.detail});
  }

  Fleet& fleet_;
  Pool& pool_;
  PoolRestart& restart_;
  const Instant now_;
  const Limits& limits_;
  std::vector<Action>& actions_;
};

}  // namespace

bool Serves(const Worker& worker) {
  return worker.has_process && worker.state == WorkerState::kReady &&
         worker.health.state == HealthState::kHealthy;
}

void BeginRestart(const Fleet& fleet, Pool& pool, RestartScope scope, int32_t max_unavailable) {
  PoolRestart restart;
  restart.number = pool.restart ? pool.restart->number + 1 : 1;
  restart.scope = scope;
  restart.max_unavailable = max_unavailable;
  for (int32_t slot = 0; slot < pool.desired; ++slot) {
    const Worker* worker = FindWorker(fleet, pool, slot);
    if (worker == nullptr) continue;  // its first process is a new one
    if (scope == RestartScope::kFailed && !HasFailed(*worker)) continue;
    if (scope == RestartScope::kOutdated && !IsOutdated(fleet, *worker)) continue;
    Generation replaced = worker->generation;
    // A start that has just been ordered is the newer process already.
    if (worker->state == WorkerState::kPending && replaced.value > 0) --replaced.value;
    restart.waiting[slot] = replaced;
  }
  pool.restart = std::move(restart);
}

void CancelWork(Pool& pool, const std::string& why) {
  if (pool.restart && pool.restart->state == State::kUnderWay) {
    End(*pool.restart, State::kCancelled, why);
  }
}

void AdvanceRestarts(Fleet& fleet, Instant now, const Limits& limits,
                     std::vector<Action>& actions) {
  if (fleet.is_shutting_down) return;
  for (Pool& pool : fleet.pools) {
    const bool is_under_way = pool.restart && pool.restart->state == State::kUnderWay;
    if (is_under_way && !IsAdopting(fleet, pool, now))
      Restarter(fleet, pool, now, limits, actions).Advance();
  }
}

Instant NextDeadline(const Pool& pool) {
  Instant next = kNever;
  if (pool.restart && pool.restart->state == State::kUnderWay) {
    for (const auto& [slot, replacing] : pool.restart->replacing) {
      next = std::min(next, replacing.deadline);
    }
  }
  if (IsDraining(pool) && pool.drain) next = std::min(next, pool.drain->deadline);
  return next;
}

void PutOff(Pool& pool, Duration gap) {
  if (IsDraining(pool) && pool.drain) pool.drain->deadline += gap;
  if (!pool.restart) return;
  for (auto& [slot, replacing] : pool.restart->replacing) replacing.deadline += gap;
}

}  // namespace spillway::fleet
