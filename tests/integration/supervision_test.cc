// The life of real processes under the supervisor: conformance rows P1, P2, P3, P5, and that a
// worker that was stopped is replaced. The workers' streams are the test's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <fstream>

#include "server/process/local_launcher.h"
#include "server/supervisor/supervisor.h"
#include "tests/support/processes.h"
#include "tests/support/supervisor_harness.h"

namespace spillway {
namespace {

using fleet::HealthState;
using fleet::UnhealthyReason;
using fleet::WorkerState;
using supervisor::WorkerView;
using ::testing::HasSubstr;

bool Exists(int64_t pid) { return kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH; }

class SupervisionTest : public ::testing::Test {
 protected:
  SupervisionTest()
      : launcher_(loop_, {SPILLWAY_STAND_IN_WORKER, directory_.path(), "unix:/none"}) {
    Behave("wait");
  }
  ~SupervisionTest() override {
    EndEverything();
    supervisor_.reset();
  }

  std::string ConfigFile() const { return directory_.path() + "/mode"; }
  // What workers started from now on do: words of stand_in_worker.
  void Behave(const std::string& mode) { std::ofstream(ConfigFile()) << mode; }
  void Begin(const config::Config& config, fleet::EndLimits ends = {}) {
    supervisor::Parts parts{loop_, SystemClock(), launcher_, discovery_, 1, ends};
    parts.config_files = {{0, ConfigFile()}};
    supervisor_ = std::make_unique<supervisor::Supervisor>(config, parts);
    supervisor_->Begin();
  }
  bool Until(const std::function<bool()>& condition) {
    return testing::TurnUntil(loop_, [&] {
      for (auto& [pid, worker] : workers_) worker->Report();
      return condition();
    });
  }
  std::optional<WorkerView> Find(int slot) {
    const supervisor::SnapshotPtr snapshot = supervisor_->Snapshot();
    const WorkerView* view = FindWorker(*snapshot, {"flush", slot});
    return view == nullptr ? std::nullopt : std::optional(*view);
  }
  bool UntilState(int slot, WorkerState state) {
    return Until([&] { return Find(slot) && Find(slot)->state == state; });
  }
  // The stand-in has taken its lock, which is the last thing it does before it waits.
  bool UntilRunning(int64_t pid) {
    return Until([&] {
      for (const supervisor::Leftover& leftover : launcher_.FindLeftovers()) {
        if (leftover.pid == pid) return true;
      }
      return false;
    });
  }
  WorkerView MakeReady(int slot) {
    EXPECT_TRUE(UntilState(slot, WorkerState::kStarting));
    const WorkerView worker = *Find(slot);
    EXPECT_TRUE(UntilRunning(worker.pid));
    workers_[worker.pid] =
        std::make_unique<testing::FakeWorker>(*supervisor_, testing::HelloOf(worker));
    EXPECT_TRUE(UntilState(slot, WorkerState::kReady));
    return worker;
  }

  Instant Now() { return SystemClock().Now(); }

  TemporaryDirectory directory_;
  testing::FakeDiscovery discovery_{2};
  Loop loop_;
  process::LocalLauncher launcher_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::map<int64_t, std::unique_ptr<testing::FakeWorker>> workers_;

 private:
  // No test leaves a process behind, whatever it found.
  void EndEverything() {
    if (supervisor_ == nullptr) return;
    bool has_drained = false;
    supervisor_->Drain([&](const absl::Status&) { has_drained = true; });
    for (const WorkerView& worker : supervisor_->Snapshot()->workers) {
      if (worker.pid > 0) kill(static_cast<pid_t>(worker.pid), SIGKILL);
    }
    EXPECT_TRUE(testing::TurnUntil(loop_, [&] { return has_drained; }));
  }
};

TEST_F(SupervisionTest, P1AWorkerThatExitsAtOnceFailsFastWithItsLastLines) {
  Behave("exit 3");
  config::Config config = testing::FlushPool(1);
  config.restart.max_restarts = 0;
  Begin(config);
  const Instant start = Now();
  ASSERT_TRUE(UntilState(0, WorkerState::kCrashLoop));
  EXPECT_LT(Now() - start, config.health.startup_timeout / 2) << "not a time-out";
  EXPECT_EQ(Find(0)->health.state, HealthState::kUnhealthy);
  EXPECT_EQ(Find(0)->health.reason, UnhealthyReason::kDead);
  EXPECT_THAT(Find(0)->health.evidence, HasSubstr("exited with 3"));
  EXPECT_THAT(Find(0)->health.evidence, HasSubstr("about to exit"));
}

TEST_F(SupervisionTest, P1ABadConfigurationIsNotRetried) {
  Behave("exit 78");
  Begin(testing::FlushPool(1));
  ASSERT_TRUE(UntilState(0, WorkerState::kCrashLoop));
  EXPECT_EQ(Find(0)->generation, Generation{1});
}

TEST_F(SupervisionTest, P2AWorkerThatNeverReportsIsKilledAndReaped) {
  Behave("ignore_term");
  config::Config config = testing::FlushPool(1);
  config.health.startup_timeout = config::Milliseconds(300);
  Begin(config, {std::chrono::milliseconds(10), std::chrono::milliseconds(50)});
  ASSERT_TRUE(UntilState(0, WorkerState::kStarting));
  const int64_t pid = Find(0)->pid;
  ASSERT_TRUE(Until([&] { return Find(0)->generation > Generation{1}; }));
  EXPECT_FALSE(Exists(pid)) << "gone and reaped before its successor";
  EXPECT_THAT(Find(0)->last_death, HasSubstr("no report"));
  EXPECT_THAT(Find(0)->last_death, HasSubstr("killed by SIGKILL"));
}

TEST_F(SupervisionTest, P3WorkersThatIgnoreStopAreKilledConcurrently) {
  Behave("ignore_term");
  config::Config config = testing::FlushPool(3);
  config.flush.drain_timeout = config::Milliseconds(10);
  Begin(config, {std::chrono::milliseconds(0), std::chrono::milliseconds(500)});
  std::vector<int64_t> pids;
  for (int slot = 0; slot < 3; ++slot) pids.push_back(MakeReady(slot).pid);
  const Instant start = Now();
  std::optional<absl::Status> drained;
  supervisor_->Drain([&](const absl::Status& status) { drained = status; });
  ASSERT_TRUE(Until([&] { return drained.has_value(); }));
  EXPECT_LT(Now() - start, std::chrono::milliseconds(1'400)) << "one after another: 1.5 s";
  for (const int64_t pid : pids) EXPECT_FALSE(Exists(pid));
  EXPECT_EQ(drained->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(drained->message()), HasSubstr("pools/flush/workers/2"));
}

TEST_F(SupervisionTest, P5AKilledWorkerIsReplacedAfterItIsGone) {
  Begin(testing::FlushPool(2));
  const WorkerView first = MakeReady(0);
  MakeReady(1);
  ASSERT_TRUE(Until([&] { return workers_[first.pid]->OrderedShards().size() == 1; }));
  kill(static_cast<pid_t>(first.pid), SIGKILL);
  ASSERT_TRUE(Until([&] {
    const auto now = Find(0);
    if (now->pid != 0 && now->pid != first.pid) return true;
    EXPECT_TRUE(now->pid == 0 || now->generation == first.generation);
    return false;
  }));
  EXPECT_FALSE(Exists(first.pid));
  EXPECT_GT(Find(0)->generation, first.generation);
  EXPECT_THAT(Find(0)->last_death, HasSubstr("killed by SIGKILL"));
  MakeReady(0);
}

TEST_F(SupervisionTest, P6AStoppedProcessIsSilentKilledAndReplaced) {
  config::Config config = testing::FlushPool(1);
  config.health.silence_timeout = config::Milliseconds(400);
  Begin(config, {std::chrono::milliseconds(10), std::chrono::milliseconds(50)});
  const WorkerView worker = MakeReady(0);
  kill(static_cast<pid_t>(worker.pid), SIGSTOP);
  workers_.clear();  // and so it says nothing any more
  ASSERT_TRUE(Until([&] { return Find(0)->generation > worker.generation; }));
  EXPECT_FALSE(Exists(worker.pid));
  EXPECT_THAT(Find(0)->last_death, HasSubstr("no report for"));
  EXPECT_THAT(Find(0)->last_death, HasSubstr("the process is stopped (SIGSTOP)"));
}

TEST_F(SupervisionTest, P6AHangingProcessTellsWhereBeforeItIsKilled) {
  Behave("hang");
  config::Config config = testing::FlushPool(1);
  config.health.silence_timeout = config::Milliseconds(400);
  Begin(config, {std::chrono::milliseconds(10), std::chrono::milliseconds(50)});
  const WorkerView worker = MakeReady(0);
  workers_.clear();
  ASSERT_TRUE(Until([&] { return Find(0)->generation > worker.generation; }));
  EXPECT_FALSE(Exists(worker.pid));
  EXPECT_THAT(Find(0)->last_death, HasSubstr("no report for"));
  EXPECT_THAT(Find(0)->last_death, HasSubstr("killed by SIGKILL"));
  EXPECT_THAT(Find(0)->last_death, HasSubstr("main thread: HangsHere <- main"));
}

TEST_F(SupervisionTest, TheNextSupervisorAdoptsTheSameProcesses) {
  Begin(testing::FlushPool(1));
  const WorkerView worker = MakeReady(0);
  workers_.clear();
  supervisor_.reset();
  EXPECT_TRUE(Exists(worker.pid));
  Begin(testing::FlushPool(1));
  const WorkerView adopted = MakeReady(0);
  EXPECT_EQ(adopted.pid, worker.pid);
  EXPECT_EQ(adopted.generation, worker.generation);
  bool has_drained = false;
  supervisor_->Drain([&](const absl::Status&) { has_drained = true; });
  kill(static_cast<pid_t>(worker.pid), SIGTERM);
  ASSERT_TRUE(Until([&] { return has_drained; }));
  waitpid(static_cast<pid_t>(worker.pid), nullptr, 0);  // still this process's child
}

}  // namespace
}  // namespace spillway
