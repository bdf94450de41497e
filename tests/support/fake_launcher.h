// A launcher of processes that exist only in the test: they end when the test, or a signal that
// they obey, says so. Passes the same contract suite as the real one.
#ifndef SPILLWAY_TESTS_SUPPORT_FAKE_LAUNCHER_H_
#define SPILLWAY_TESTS_SUPPORT_FAKE_LAUNCHER_H_

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "server/supervisor/launcher.h"

namespace spillway::testing {

// Loop thread only.
class FakeLauncher final : public supervisor::Launcher {
 public:
  struct Entry {
    supervisor::LaunchSpec spec;
    bool ignores_term = false;
    bool is_alive = true;
    bool is_held = true;  // by a Process
    std::vector<int> signals;
    std::vector<supervisor::StacksDone> stacks_asked;
    supervisor::OnExit on_exit;
  };

  explicit FakeLauncher(Loop& loop) : loop_(loop) {}

  absl::StatusOr<std::unique_ptr<supervisor::Process>> Launch(const supervisor::LaunchSpec& spec,
                                                              supervisor::OnExit on_exit) override {
    if (!next_error.ok()) return std::exchange(next_error, absl::OkStatus());
    return Add(++last_pid_, spec, std::move(on_exit));
  }
  absl::StatusOr<std::unique_ptr<supervisor::Process>> Adopt(const supervisor::Leftover& leftover,
                                                             supervisor::OnExit on_exit) override {
    if (leftover.pid <= 0) return absl::NotFoundError("no such process");
    return Add(leftover.pid, {leftover.worker, wire::Role::kFlush, leftover.generation},
               std::move(on_exit));
  }
  std::vector<supervisor::Leftover> FindLeftovers() override { return leftovers; }

  // Lines are numbered from 0: `after` is the number of lines that were read.
  void ReadLog(const supervisor::LogQuery& query, supervisor::LogDone done) override {
    absl::StatusOr<supervisor::LogPage> page = absl::NotFoundError("no output");
    if (const auto found = logs.find(query.worker); found != logs.end()) {
      const auto size = static_cast<int64_t>(found->second.size());
      const int64_t first = query.after.value_or(std::max<int64_t>(0, size - query.lines));
      page = supervisor::LogPage{{found->second.begin() + first, found->second.end()}, size};
    }
    loop_.Post([done = std::move(done), page = std::move(page)]() mutable { done(page); });
  }

  // The process ends; told from the loop, as a real one's end is.
  void End(int64_t pid, supervisor::ExitReport report) {
    Entry& entry = entries.at(pid);
    if (!std::exchange(entry.is_alive, false)) return;
    loop_.Post([on_exit = std::move(entry.on_exit), report = std::move(report),
                held = std::weak_ptr<bool>(alive_)]() mutable {
      if (!held.expired() && on_exit) on_exit(report);
    });
  }
  void Exit(int64_t pid, int code, std::vector<std::string> last_lines = {}) {
    supervisor::ExitReport report;
    report.kind = supervisor::ExitReport::Kind::kExited;
    report.value = code;
    report.last_lines = std::move(last_lines);
    End(pid, std::move(report));
  }

  // The process answers everyone who has asked for its stacks.
  void AnswerStacks(int64_t pid, supervisor::StackReport report) {
    loop_.Post([this, pid, report = std::move(report), held = std::weak_ptr<bool>(alive_)] {
      if (held.expired() || !entries.at(pid).is_held) return;
      for (auto& done : std::exchange(entries.at(pid).stacks_asked, {})) done(report);
    });
  }

  absl::Status next_error;    // of the next Launch
  bool holds_stacks = false;  // they are answered by AnswerStacks, else at once with:
  supervisor::StackReport next_stacks{"", "main", "process\nthread 1 main (S)\n    0x1 main\n", ""};
  std::vector<supervisor::Leftover> leftovers;
  std::map<fleet::WorkerKey, std::vector<std::string>> logs;  // by the test
  std::map<int64_t, Entry> entries;                           // by pid; the dead ones too

 private:
  class Handle final : public supervisor::Process {
   public:
    Handle(FakeLauncher& launcher, int64_t pid) : launcher_(launcher), pid_(pid) {}
    ~Handle() override {
      launcher_.entries.at(pid_).on_exit = nullptr;
      launcher_.entries.at(pid_).is_held = false;
    }
    int64_t pid() const override { return pid_; }
    void Terminate() override { launcher_.Receive(pid_, SIGTERM); }
    void Kill() override { launcher_.Receive(pid_, SIGKILL); }
    void CaptureStacks(supervisor::StacksDone done) override {
      launcher_.entries.at(pid_).stacks_asked.push_back(std::move(done));
      if (!launcher_.holds_stacks) launcher_.AnswerStacks(pid_, launcher_.next_stacks);
    }

   private:
    FakeLauncher& launcher_;
    const int64_t pid_;
  };

  std::unique_ptr<supervisor::Process> Add(int64_t pid, const supervisor::LaunchSpec& spec,
                                           supervisor::OnExit on_exit) {
    Entry& entry = entries[pid];
    entry = Entry{};
    entry.spec = spec;
    entry.on_exit = std::move(on_exit);
    return std::make_unique<Handle>(*this, pid);
  }
  void Receive(int64_t pid, int signal) {
    Entry& entry = entries.at(pid);
    if (!entry.is_alive) return;
    entry.signals.push_back(signal);
    if (signal == SIGTERM && entry.ignores_term) return;
    supervisor::ExitReport report;
    report.kind = supervisor::ExitReport::Kind::kSignaled;
    report.value = signal;
    End(pid, std::move(report));
  }

  Loop& loop_;
  int64_t last_pid_ = 100;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::testing

#endif  // SPILLWAY_TESTS_SUPPORT_FAKE_LAUNCHER_H_
