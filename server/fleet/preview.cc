#include "server/fleet/preview.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace spillway::fleet {
namespace {

// Of pools whose workers we start.
bool IsWanted(const Pool& pool, int32_t slot) {
  return pool.is_configured && pool.state != PoolState::kStopped && slot < pool.desired &&
         !IsExternal(pool);
}

bool TakesNothing(const Pool& pool) { return pool.state != PoolState::kRunning; }

class Previewer {
 public:
  Previewer(const Fleet& fleet, const Event& event, const Limits& limits)
      : fleet_(fleet), limits_(limits) {
    for (const Pool& pool : fleet.pools) {
      pools_.push_back(IsAbout(pool, event) ? Wished(pool, event) : pool);
      if (!IsAbout(pool, event)) continue;
      before_ = &pool;
      if (std::holds_alternative<PoolDeleted>(event)) pools_.back().is_configured = false;
    }
    const auto* written = std::get_if<PoolWritten>(&event);
    if (written != nullptr && before_ == nullptr) {
      made_ = NewPool(*written);
      before_ = &made_;
      pools_.push_back(Wished(made_, event));
    }
    for (const Pool& pool : pools_) {
      if (before_ != nullptr && pool.name == before_->name) after_ = &pool;
    }
  }

  Preview Make(const Event& event) {
    if (after_ == nullptr) return preview_;
    Processes(event);
    if (after_->role == wire::Role::kFlush) {
      Moves();
    } else if (!preview_.starts.empty() || !preview_.ends.empty() || !preview_.restarts.empty()) {
      Note(
          "Kafka's consumer group gives partitions anew: those that move are replayed from their "
          "low watermark");
    }
    if (TakesNothing(*after_) && !TakesNothing(*before_)) {
      preview_.pause.reset();
      Note(absl::StrCat(after_->name, " takes nothing new until it is ",
                        after_->state == PoolState::kStopped ? "started" : "resumed"));
    }
    if (const auto* restart = std::get_if<PoolRestarted>(&event)) {
      Note(absl::StrCat("at most ", restart->max_unavailable, " workers do not serve at a time"));
    }
    if (std::holds_alternative<RestartCancelled>(event)) {
      Note("no further worker would be restarted");
    } else if (std::holds_alternative<PoolDrained>(event) &&
               before_->state == PoolState::kDraining) {
      Note("the drain would begin anew, with the new deadline");
    } else if (std::holds_alternative<PoolDeleted>(event)) {
      Note("the pool would be forgotten");
    } else {
      Sameness();
    }
    return std::move(preview_);
  }

 private:
  static bool IsAbout(const Pool& pool, const Event& event) {
    return std::visit(
        [&pool](const auto& verb) {
          if constexpr (requires { verb.pool; }) {
            return verb.pool == pool.name;
          } else if constexpr (std::is_same_v<std::decay_t<decltype(verb)>, WorkerRestarted>) {
            return verb.worker.pool == pool.name;
          } else {
            return false;
          }
        },
        event);
  }

  void Note(std::string note) { preview_.notes.push_back(std::move(note)); }

  const Worker* Find(const WorkerKey& key) const {
    const auto found = fleet_.workers.find(key);
    return found == fleet_.workers.end() ? nullptr : &found->second;
  }

  void Processes(const Event& event) {
    const bool gives_budgets = std::holds_alternative<PoolStarted>(event);
    for (int32_t slot = 0; slot < after_->desired && IsWanted(*after_, slot); ++slot) {
      const WorkerKey key{after_->name, slot};
      const Worker* worker = Find(key);
      const bool is_given_up = worker != nullptr && worker->state == WorkerState::kCrashLoop;
      const bool is_new = !IsWanted(*before_, slot) && (worker == nullptr || !worker->has_process);
      if (is_new || (is_given_up && gives_budgets)) {
        preview_.starts.push_back(key);
      } else if (is_given_up && !std::holds_alternative<WorkerRestarted>(event) &&
                 !std::holds_alternative<PoolRestarted>(event)) {
        Note(absl::StrCat(key.pool, "/", key.slot, " is in CRASH_LOOP and stays so"));
      }
    }
    for (const auto& [key, worker] : fleet_.workers) {
      const bool ends = key.pool == after_->name && worker.has_process && worker.is_wanted &&
                        !worker.is_registered && !IsWanted(*after_, key.slot);
      if (ends) preview_.ends.push_back(key);
    }
    if (const auto* restart = std::get_if<PoolRestarted>(&event)) {
      Pool pool = *after_;
      BeginRestart(fleet_, pool, restart->scope, restart->max_unavailable);
      for (const auto& [slot, generation] : pool.restart->waiting) {
        preview_.restarts.push_back({pool.name, slot});
      }
    } else if (const auto* one = std::get_if<WorkerRestarted>(&event)) {
      preview_.restarts.push_back(one->worker);
      if (IsExternal(*after_)) Note("it is told to end; whoever started it starts the next one");
    }
  }

  // Whoever would serve in the end, all that are to start counted in.
  std::vector<Candidate> Candidates() const {
    std::vector<Candidate> candidates;
    for (const Pool& pool : pools_) {
      if (pool.role != wire::Role::kFlush) continue;
      for (int32_t slot = 0; slot < pool.desired && IsWanted(pool, slot); ++slot) {
        const WorkerKey key{pool.name, slot};
        const Worker* worker = Find(key);
        const bool is_given_up =
            worker != nullptr && worker->state == WorkerState::kCrashLoop &&
            std::count(preview_.starts.begin(), preview_.starts.end(), key) == 0;
        if (!is_given_up) candidates.push_back({key, true});
      }
    }
    for (const auto& [key, worker] : fleet_.workers) {
      const bool serves =
          worker.is_registered && worker.role == wire::Role::kFlush && Serves(worker);
      if (serves) candidates.push_back({key, true});
    }
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.worker < b.worker; });
    return candidates;
  }

  void Moves() {
    ShardOwners owners;
    for (const auto& [id, shard] : fleet_.shards) {
      owners[id] = shard.owner ? shard.owner : shard.desired;
    }
    for (const auto& [id, next] : PlanShards(owners, Candidates())) {
      const std::optional<WorkerKey>& now = owners.at(id);
      if (now != next) Move({id, now, next});
    }
    const std::set<WorkerKey> restarts(preview_.restarts.begin(), preview_.restarts.end());
    for (const auto& [id, owner] : owners) {
      if (owner && restarts.contains(*owner)) Move({id, owner, std::nullopt});
    }
    if (!restarts.empty() && !preview_.moves.empty()) {
      Note("each worker's shards go to whoever serves while it is replaced");
    }
    const bool are_left = std::any_of(preview_.moves.begin(), preview_.moves.end(),
                                      [](const ShardMove& move) { return !move.to; });
    if (are_left && !ServeMeanwhile(restarts)) {
      preview_.pause.reset();
      Note("no other worker serves meanwhile: these shards wait");
    }
    std::sort(preview_.moves.begin(), preview_.moves.end(),
              [](const ShardMove& a, const ShardMove& b) { return a.shard < b.shard; });
  }

  // Whether somebody has the shards of those that go, one after the other.
  bool ServeMeanwhile(const std::set<WorkerKey>& restarts) const {
    const std::vector<Candidate> candidates = Candidates();
    return !restarts.empty() && candidates.size() > 1;
  }

  void Move(ShardMove move) {
    Duration takes = kUsualHandover;
    const Worker* from = move.from ? Find(*move.from) : nullptr;
    if (from != nullptr && from->has_process && !from->is_attached) {
      takes = limits_.health.handover_timeout;  // nobody can ask it
    }
    if (preview_.pause) preview_.pause = std::max(*preview_.pause, takes);
    preview_.moves.push_back(std::move(move));
  }

  void Sameness() {
    const bool is_same = preview_.starts.empty() && preview_.ends.empty() &&
                         preview_.restarts.empty() && preview_.moves.empty() &&
                         after_->revision == before_->revision;
    if (is_same) Note("nothing would change");
  }

  const Fleet& fleet_;
  const Limits& limits_;
  std::vector<Pool> pools_;       // as they would be wished for
  Pool made_;                     // one that the verb would make
  const Pool* before_ = nullptr;  // the pool that the verb is about
  const Pool* after_ = nullptr;
  Preview preview_;
};

}  // namespace

Preview PreviewOf(const Fleet& fleet, const Event& event, const Limits& limits) {
  return Previewer(fleet, event, limits).Make(event);
}

}  // namespace spillway::fleet
