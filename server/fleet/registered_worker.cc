#include "server/fleet/registered_worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spillway::fleet {
namespace {

class Machine {
 public:
  Machine(Worker worker, Instant now, const Limits& limits)
      : w_(std::move(worker)), now_(now), limits_(limits) {}

  void On(const Registered& registered) {
    w_.pid = registered.pid;
    w_.uid = registered.uid;
    w_.version = registered.version;
    w_.config_digest = registered.config_digest;
    w_.is_attached = true;
    w_.is_order_sent = false;
    const bool is_back = w_.state == WorkerState::kLost;
    const bool is_new = w_.state == WorkerState::kPending || w_.state == WorkerState::kStopped;
    if (!is_back && !is_new) return;  // only its stream had broken
    w_.has_process = true;
    w_.has_left = w_.is_failed = false;
    w_.is_adopted = is_back || registered.is_known;
    w_.started_at = now_;
    w_.report.reset();
    w_.stalls.clear();
    Become(WorkerState::kStarting);
    Tell(is_back ? "worker is back" : "worker registered",
         absl::StrCat("pid ", w_.pid, ", uid ", w_.uid));
  }

  void On(const Reported& reported) {
    if (!w_.has_process) return;
    w_.report = reported.report;
    w_.report_at = now_;
    WatchProgress(w_, *reported.report, now_);
    RememberEpochs(w_, *reported.report);
    const bool can_work =
        reported.report->is_ready || (w_.is_adopted && !reported.report->shards.empty());
    const bool may_serve = w_.state == WorkerState::kStarting ||
                           (w_.state == WorkerState::kLost && w_.is_attached && !w_.has_left);
    if (may_serve && can_work) {
      w_.is_failed = false;
      Become(WorkerState::kReady);
      Remark(false, "worker ready", "");
    }
    Watch();
  }

  void On(const Detached&) { w_.is_attached = false; }

  void On(const Left& left) {
    if (!w_.has_process) return;
    w_.has_left = true;
    w_.is_attached = false;
    if (!left.has_released_all) return Lose("has left with shards that it has not released");
    Tell("worker left", absl::StrCat("pid ", w_.pid, ", uid ", w_.uid));
    w_.has_process = w_.is_failed = false;
    w_.last_death = "has left";
    w_.report.reset();
    w_.stalls.clear();
    Become(WorkerState::kStopped);
  }

  void On(const Want&) { w_.is_wanted = true; }
  void On(const Retire&) {
    w_.is_wanted = false;
    Finish("its pool has no place for it");
  }
  void On(const Restart&) { Finish("a person restarts it"); }

  void On(const Tick&) {
    if (now_ >= w_.deadline) Overrun();
    Watch();
  }

  // Of launched workers.
  void On(const ResetBudget&) {}
  void On(const Started&) {}
  void On(const StartFailed&) {}
  void On(const Adopted&) {}
  void On(const Attached&) {}
  void On(const Exited&) {}
  void On(const StacksCaptured&) {}

  WorkerTransition Take() {
    UpdateHealth();
    return {std::move(w_), std::move(actions_)};
  }

 private:
  void Become(WorkerState state, Instant deadline = kNever) {
    w_.state = state;
    w_.deadline = deadline;
  }

  void Finish(const std::string& why) {
    if (w_.state == WorkerState::kLost) return Forget();
    if (w_.state != WorkerState::kStarting && w_.state != WorkerState::kReady) return;
    Become(WorkerState::kDraining, now_ + limits_.drain_timeout);
    Tell("worker told to end", why);
  }

  void Lose(const std::string& why) {
    Become(WorkerState::kLost,
           now_ + std::max<Duration>(kLostKept, 2 * Duration(limits_.health.handover_timeout)));
    w_.is_failed = false;
    w_.last_death = why;
    Remark(true, "worker lost", why);
  }

  void Forget() {
    if (w_.is_attached) return;  // stopped, perhaps; its stream is about to break
    Become(WorkerState::kStopped);
    w_.has_process = false;
    Remark(false, "worker forgotten", w_.last_death);
  }

  void Overrun() {
    if (w_.state == WorkerState::kLost) return Forget();
    w_.deadline = kNever;
    Remark(true, "worker does not end", "end it where it was started");
  }

  void Watch() {
    const bool is_watched = w_.state == WorkerState::kStarting || w_.state == WorkerState::kReady ||
                            w_.state == WorkerState::kDraining;
    if (!is_watched) return;
    const Health health = Judge(w_, now_, limits_);
    if (health.state != HealthState::kUnhealthy) return;
    if (health.reason != UnhealthyReason::kStalled) return Lose(health.evidence);
    if (w_.state == WorkerState::kDraining) return;
    UpdateHealth();
    w_.is_failed = true;
    Finish(health.evidence);
  }

  void UpdateHealth() {
    // What it was told to end for stays the cause until it has.
    if (w_.is_failed) return;
    Health health = Judge(w_, now_, limits_);
    if (w_.state == WorkerState::kLost) {
      if (health.state != HealthState::kUnhealthy) health.reason = UnhealthyReason::kSilent;
      health.state = HealthState::kUnhealthy;
      if (w_.has_left) health.evidence = w_.last_death;
    }
    const bool is_same = health.state == w_.health.state && health.reason == w_.health.reason &&
                         w_.health.since != Instant();
    health.since = is_same ? w_.health.since : now_;
    w_.health = std::move(health);
  }

  // Comings and goings, of which nobody but whoever started it would know.
  void Tell(std::string event, std::string detail) {
    Remark(w_.is_failed, std::move(event), std::move(detail));
    std::get<Note>(actions_.back()).is_told = true;
  }

  void Remark(bool is_warning, std::string event, std::string detail) {
    actions_.push_back(
        Note{is_warning, std::move(event), w_.key, w_.generation, std::move(detail)});
  }

  Worker w_;
  std::vector<Action> actions_;
  const Instant now_;
  const Limits& limits_;
};

}  // namespace

WorkerTransition StepRegistered(Worker worker, const WorkerEvent& event, Instant now,
                                const Limits& limits) {
  Machine machine(std::move(worker), now, limits);
  std::visit([&](const auto& e) { machine.On(e); }, event);
  return machine.Take();
}

}  // namespace spillway::fleet
