#include "server/fleet/worker_machine.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/fleet/registered_worker.h"

namespace spillway::fleet {
namespace {

std::string StacksText(const Stacks& stacks) {
  std::vector<std::string> parts;
  if (!stacks.summary.empty()) parts.push_back("main thread: " + stacks.summary);
  if (!stacks.problem.empty()) parts.push_back("stacks: " + stacks.problem);
  if (!stacks.file.empty()) parts.push_back("all threads: " + stacks.file);
  return absl::StrJoin(parts, "; ");
}

// One step of one worker.
class Machine {
 public:
  Machine(Worker worker, Instant now, const Limits& limits)
      : w_(std::move(worker)), now_(now), limits_(limits) {}

  void On(const Want&) {
    if (w_.is_wanted) return Ensure();
    w_.is_wanted = true;
    if (w_.state == WorkerState::kStopped) {
      w_.history = {};
      Launch();
    }
  }

  void On(const Retire&) {
    w_.is_wanted = false;
    switch (w_.state) {
      case WorkerState::kStarting:
      case WorkerState::kReady:
        return Finish();
      case WorkerState::kBackoff:
      case WorkerState::kCrashLoop:
      case WorkerState::kLost:
        return Become(WorkerState::kStopped);
      case WorkerState::kPending:  // its start is ordered: ended when it has started
      case WorkerState::kDraining:
      case WorkerState::kStopping:
      case WorkerState::kStopped:
        return;
    }
  }

  void On(const ResetBudget&) {
    w_.history = {};
    const bool waits = w_.state == WorkerState::kCrashLoop || w_.state == WorkerState::kBackoff;
    if (waits && w_.is_wanted) Launch();
  }

  void On(const Restart&) {
    if (!w_.is_wanted) return;
    w_.history = {};
    switch (w_.state) {
      case WorkerState::kStarting:
      case WorkerState::kReady:
        return Finish();
      case WorkerState::kBackoff:
      case WorkerState::kCrashLoop:
        return Launch();
      case WorkerState::kPending:   // a new process is on its way
      case WorkerState::kDraining:  // it is ending already, and wanted: so is its successor
      case WorkerState::kStopping:
      case WorkerState::kStopped:
      case WorkerState::kLost:  // nobody could prove its end
        return;
    }
  }

  void On(const Started& started) {
    if (w_.state != WorkerState::kPending) return;
    TakeProcess(started.pid, false);
    if (!w_.is_wanted)
      Terminate(limits_.drain_timeout + limits_.term_timeout, "not wanted any more");
  }

  void On(const StartFailed& failed) {
    if (w_.state != WorkerState::kPending) return;
    Die(absl::StrCat("could not be started: ", failed.why), false);
  }

  void On(const Adopted& adopted) {
    if (w_.has_process || adopted.generation < w_.generation) return;
    w_.generation = adopted.generation;
    w_.config_digest = 0;
    TakeProcess(adopted.pid, true);
    Remark(false, "worker adopted", absl::StrCat("pid ", adopted.pid));
    if (!w_.is_wanted)
      Terminate(limits_.drain_timeout + limits_.term_timeout, "not wanted any more");
  }

  void On(const Attached& attached) {
    if (!w_.has_process) return;
    w_.uid = attached.uid;
    w_.version = attached.version;
    // Of one that was started here it is known: what it says may only be written otherwise.
    if (w_.is_adopted) w_.config_digest = attached.config_digest;
    w_.is_attached = true;
    w_.is_order_sent = false;
  }

  void On(const Reported& reported) {
    if (!w_.has_process) return;
    w_.report = reported.report;
    w_.report_at = now_;
    WatchProgress(w_, *reported.report, now_);
    RememberEpochs(w_, *reported.report);
    // One that an earlier server started and that holds shards has been ready before.
    const bool can_work =
        reported.report->is_ready || (w_.is_adopted && !reported.report->shards.empty());
    if (w_.state == WorkerState::kStarting && can_work) {
      Become(WorkerState::kReady);
      Remark(false, "worker ready",
             absl::StrCat(SecondsText(now_ - w_.started_at), " after start"));
    }
    Watch();
  }

  void On(const Detached&) { w_.is_attached = false; }

  void On(const Exited& exit) {
    if (!w_.has_process) return;
    const std::string text = DeathText(w_, exit, now_);
    const bool is_expected =
        (w_.state == WorkerState::kDraining || w_.state == WorkerState::kStopping) && !w_.is_failed;
    const bool is_bad_configuration =
        exit.kind == Exited::Kind::kExited && exit.value == kBadConfigurationExit;
    LoseProcess();
    if (is_expected) return Bury(text);
    Die(text, is_bad_configuration);
  }

  void On(const StacksCaptured& captured) {
    const bool is_its = w_.has_process && w_.is_failed && w_.state == WorkerState::kStopping;
    if (!is_its) return;
    w_.stacks = captured.stacks;
    Remark(true, "worker stacks", StacksText(w_.stacks));
    if (w_.is_capturing) EndCapture();
  }

  void On(const Registered&) {}
  void On(const Left&) {}

  void On(const Tick&) {
    if (w_.state == WorkerState::kBackoff && now_ >= w_.next_start) return Launch();
    if (now_ >= w_.deadline) Overrun();
    Watch();
  }

  WorkerTransition Take() {
    UpdateHealth();
    return {std::move(w_), std::move(actions_)};
  }

 private:
  void Become(WorkerState state, Instant deadline = kNever) {
    w_.state = state;
    w_.deadline = deadline;
  }

  // A worker that is wanted and has never been started.
  void Ensure() {
    if (w_.state == WorkerState::kPending && w_.deadline == kNever && !w_.has_process) Launch();
  }

  void Launch() {
    ++w_.generation.value;
    w_.next_start = kNever;
    // The launcher answers at once; the deadline only marks that the start has been ordered.
    Become(WorkerState::kPending, now_ + limits_.health.startup_timeout);
    actions_.push_back(Spawn{w_.key, w_.role, w_.generation});
  }

  void TakeProcess(int64_t pid, bool is_adopted) {
    LoseProcess();
    w_.is_failed = false;
    w_.has_process = true;
    w_.is_adopted = is_adopted;
    w_.pid = pid;
    w_.started_at = now_;
    w_.next_start = kNever;
    Become(WorkerState::kStarting);
  }

  void LoseProcess() {
    w_.has_process = w_.is_adopted = w_.is_capturing = w_.is_killed = w_.has_left = false;
    w_.stacks = {};
    w_.is_attached = w_.is_order_sent = false;
    w_.pid = 0;
    w_.uid.clear();
    w_.report.reset();
    w_.stalls.clear();
    w_.epochs.clear();
    w_.order = {};
  }

  // Without a stream there is no order to drain: TERM means the same to a worker.
  void Finish() {
    if (w_.is_attached) return Drain();
    Terminate(limits_.drain_timeout + limits_.term_timeout, "");
  }

  void Drain() {
    Become(WorkerState::kDraining, now_ + limits_.drain_timeout);
    Remark(false, "worker draining", "");
  }

  // What it hangs in is lost with it: asked before it is told to end.
  void BeginCapture() {
    w_.is_capturing = true;
    Become(WorkerState::kStopping, now_ + limits_.capture_timeout);
    actions_.push_back(CaptureStacks{w_.key, w_.generation});
    Remark(true, "worker unhealthy", w_.health.evidence);
  }

  void EndCapture() {
    w_.is_capturing = false;
    Terminate(limits_.term_timeout, w_.health.evidence);
  }

  void Terminate(Duration limit, const std::string& why) {
    Become(WorkerState::kStopping, now_ + limit);
    actions_.push_back(Signal{w_.key, w_.generation, false});
    Remark(!why.empty(), "worker told to end", why);
  }

  void Kill() {
    const bool is_again = std::exchange(w_.is_killed, true);
    w_.deadline = now_ + limits_.term_timeout;
    actions_.push_back(Signal{w_.key, w_.generation, true});
    Remark(true, "worker killed",
           is_again ? "again: the process does not end" : "it did not end by itself");
  }

  // The state has lasted longer than it may.
  void Overrun() {
    if (w_.state == WorkerState::kDraining) {
      Terminate(limits_.term_timeout, "its drain took too long");
    } else if (w_.is_capturing) {
      EndCapture();
    } else if (w_.state == WorkerState::kStopping) {
      Kill();
    }
  }

  // Ends a worker that is not healthy, forgets the deaths of one that has been for long.
  void Watch() {
    const bool is_watched = w_.state == WorkerState::kStarting || w_.state == WorkerState::kReady;
    if (!is_watched) return;
    UpdateHealth();
    if (w_.health.state == HealthState::kUnhealthy) {
      w_.is_failed = true;
      BeginCapture();
    } else if (w_.health.state == HealthState::kHealthy && !w_.history.deaths.empty() &&
               now_ - w_.health.since >= limits_.restart.healthy_after) {
      w_.history = {};
    }
  }

  // An end that was asked for.
  void Bury(const std::string& text) {
    Remark(false, "worker ended", text);
    w_.last_death = text;
    Become(WorkerState::kStopped);
    if (w_.is_wanted) Launch();  // wanted again meanwhile
  }

  void Die(std::string text, bool is_in_vain) {
    if (w_.is_failed) text = absl::StrCat(w_.health.evidence, "; ", text);
    w_.is_failed = false;
    w_.last_death = std::move(text);
    Remark(true, "worker died", w_.last_death);
    if (!w_.is_wanted) return Become(WorkerState::kStopped);
    const std::optional<Instant> next = NextStart(w_.history, now_, limits_.restart, JitterSeed());
    if (is_in_vain || !next) {
      Become(WorkerState::kCrashLoop);
      return Remark(true, "worker given up",
                    is_in_vain ? "its configuration cannot work" : "its restart budget is spent");
    }
    w_.next_start = *next;
    Become(WorkerState::kBackoff);
    Remark(false, "worker waits to restart", absl::StrCat("for ", SecondsText(*next - now_)));
  }

  uint64_t JitterSeed() const {
    uint64_t seed = limits_.seed ^ (w_.generation.value << 32) ^ static_cast<uint32_t>(w_.key.slot);
    for (const char c : w_.key.pool) seed = seed * 31 + static_cast<unsigned char>(c);
    return seed;
  }

  void UpdateHealth() {
    Health health = Judge(w_, now_, limits_);
    const bool is_same = health.state == w_.health.state && health.reason == w_.health.reason &&
                         w_.health.since != Instant();
    health.since = is_same ? w_.health.since : now_;
    // What ended a worker stays its cause until the process is gone.
    if (w_.is_failed && w_.health.state == HealthState::kUnhealthy) return;
    w_.health = std::move(health);
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

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string UsageText(const Exited& exit) {
  if (exit.max_rss_bytes == 0) return "";
  return absl::StrFormat("; used %.2f s CPU + %.2f s in the kernel, %d MiB", Seconds(exit.user_cpu),
                         Seconds(exit.system_cpu), exit.max_rss_bytes >> 20);
}

std::string MemoryText(const Exited& exit) {
  if (!exit.memory_kill) return "";
  if (*exit.memory_kill == 0) {
    return ", by the kernel for want of memory, not at a limit of its own";
  }
  return absl::StrCat(", by the kernel at its memory limit of ", *exit.memory_kill >> 20,
                      " MiB (memory_max of its pool)");
}

}  // namespace

std::string ExitText(const Exited& exit) {
  switch (exit.kind) {
    case Exited::Kind::kExited:
      return absl::StrCat("exited with ", exit.value);
    case Exited::Kind::kSignaled:
      return absl::StrCat("killed by SIG", sigabbrev_np(exit.value));
    case Exited::Kind::kUnknown:
      return "ended";
  }
  return "";
}

WorkerTransition Step(Worker worker, const WorkerEvent& event, Instant now, const Limits& limits) {
  if (worker.is_registered) return StepRegistered(std::move(worker), event, now, limits);
  Machine machine(std::move(worker), now, limits);
  std::visit([&](const auto& e) { machine.On(e); }, event);
  return machine.Take();
}

Instant NextTick(const Worker& worker, const Limits& limits) {
  Instant next = std::min(worker.deadline, worker.next_start);
  // One that was launched is no longer judged while it ends: that has limits of its own.
  const bool is_watched = worker.state == WorkerState::kStarting ||
                          worker.state == WorkerState::kReady ||
                          (worker.state == WorkerState::kDraining && worker.is_registered);
  if (is_watched) next = std::min(next, NextJudgement(worker, limits));
  // A start that has been ordered has a deadline only as a mark.
  return worker.state == WorkerState::kPending ? kNever : next;
}

std::string DeathText(const Worker& worker, const Exited& exit, Instant now) {
  std::string text = absl::StrCat(ExitText(exit), " ", SecondsText(now - worker.started_at),
                                  worker.is_adopted ? " after its adoption" : " after its start");
  absl::StrAppend(&text, MemoryText(exit));
  if (worker.report == nullptr) absl::StrAppend(&text, ", before its first report");
  if (exit.in_hand) {
    absl::StrAppend(&text, ", while it worked on a claim of shards/", exit.in_hand->shard.value);
  }
  absl::StrAppend(&text, UsageText(exit));
  if (const std::string stacks = StacksText(worker.stacks); !stacks.empty()) {
    absl::StrAppend(&text, "; ", stacks);
  }
  // Of an adopted process nobody learns the code: if it was told to end, it is taken for clean.
  const bool is_told =
      worker.state == WorkerState::kDraining || worker.state == WorkerState::kStopping;
  const bool is_clean = exit.kind == Exited::Kind::kUnknown
                            ? is_told
                            : exit.kind == Exited::Kind::kExited && exit.value == 0;
  if (!exit.last_lines.empty() && !is_clean) {
    absl::StrAppend(&text, "; last lines: ", absl::StrJoin(exit.last_lines, " | "));
  }
  return text;
}

}  // namespace spillway::fleet
