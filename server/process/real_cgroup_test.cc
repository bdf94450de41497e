// Workers in cgroups of the kernel's, where this machine lets us make some; else each test is
// skipped with the reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/unique_fd.h"
#include "server/process/local_launcher.h"
#include "server/process/output_file.h"

namespace spillway::process {
namespace {

using supervisor::ExitReport;
using ::testing::HasSubstr;

const fleet::WorkerKey kWorker{"flush", 3};
constexpr uint64_t kMemory = 64u << 20;

class RealCgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "spillway-real-cgroup-XXXXXX";
    directory_ = mkdtemp(name.data());
    const absl::StatusOr<std::string> own = FindCgroup("/proc", "self");
    if (!own.ok()) GTEST_SKIP() << own.status().message();
    const absl::Status delegated = CheckDelegated(*own);
    if (!delegated.ok()) GTEST_SKIP() << delegated.message();
    Open({{"flush", {kMemory, 0}}});
    const std::optional<Cgroup> trial = cgroups_->Add({"trial", 0}, Generation{1});
    if (!trial) GTEST_SKIP() << "no cgroup can be made: " << cgroups_->refused().at(0).reason;
    cgroups_->End(*trial);
  }
  void TearDown() override {
    process_.reset();
    launcher_.reset();
    cgroups_.reset();
    // A process that is being ended may still write into it.
    std::error_code error;
    do {
      std::filesystem::remove_all(directory_, error);
    } while (error == std::errc::directory_not_empty);
  }

  // As a server that starts: what was there before has gone.
  void Open(std::map<std::string, WorkerLimits> limits) {
    launcher_.reset();
    cgroups_.reset();
    cgroups_ = std::make_unique<WorkerCgroups>(loop_, WorkerCgroupsOptions{directory_, limits});
    LocalLauncherOptions options{SPILLWAY_STAND_IN_WORKER, directory_, ""};
    options.cgroups = cgroups_.get();
    launcher_ = std::make_unique<LocalLauncher>(loop_, options);
  }
  supervisor::OnExit Ends() {
    return [this](const ExitReport& report) {
      report_ = report;
      process_.reset();
    };
  }
  void Launch(const std::string& mode) {
    std::ofstream(directory_ + "/mode") << mode;
    auto process = launcher_->Launch(
        {kWorker, wire::Role::kFlush, Generation{7}, false, directory_ + "/mode"}, Ends());
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    place_ = *FindCgroup("/proc", std::to_string(process_->pid()));
  }
  void RunUntil(absl::AnyInvocable<bool()> condition) {
    const Instant deadline = SystemClock().Now() + std::chrono::seconds(60);
    Timer poll(loop_, [this] { loop_.Stop(); });
    while (!condition() && SystemClock().Now() < deadline) {
      poll.Start(std::chrono::milliseconds(2));
      loop_.Run();
    }
    ASSERT_TRUE(condition());
  }
  void RunUntilExit() {
    RunUntil([this] { return report_.has_value(); });
  }
  void RunUntilRemoved() {
    RunUntil([this] { return !std::filesystem::exists(place_); });
  }
  // What the worker has started, once it has said so.
  UniqueFd Child() {
    int pid = 0;
    RunUntil([&] {
      for (const std::string& line : OutputFile(directory_ + "/flush-3.log").LastLines()) {
        absl::string_view rest = line;
        if (absl::ConsumePrefix(&rest, "child ") && absl::SimpleAtoi(rest, &pid)) return true;
      }
      return false;
    });
    EXPECT_EQ(*FindCgroup("/proc", std::to_string(pid)), place_) << "it cannot leave";
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  }
  static bool HasEnded(const UniqueFd& pid_fd) {
    pollfd poll{pid_fd.get(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  bool CanKill() const { return std::filesystem::exists(place_ + "/cgroup.kill"); }

  std::string directory_, place_;
  Loop loop_;
  std::unique_ptr<WorkerCgroups> cgroups_;
  std::unique_ptr<LocalLauncher> launcher_;
  std::unique_ptr<supervisor::Process> process_;
  std::optional<ExitReport> report_;
};

TEST_F(RealCgroupTest, AWorkerLivesInItsOwnAndItGoesWithIt) {
  Launch("wait");
  EXPECT_THAT(place_, HasSubstr("/" + WorkersFolder(directory_) + "/flush-3-g7"));
  RunUntil([this] { return !OutputFile(directory_ + "/flush-3.log").LastLines().empty(); });
  process_->Terminate();
  RunUntilExit();
  EXPECT_EQ(report_->kind, ExitReport::Kind::kExited);
  EXPECT_EQ(report_->value, 0);
  EXPECT_EQ(report_->memory_kill, std::nullopt);
  RunUntilRemoved();
  const std::string folder = std::filesystem::path(place_).parent_path();
  launcher_.reset();
  cgroups_.reset();
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(RealCgroupTest, TheWorkerHasItsOwnSessionAndOnlyThreeDescriptors) {
  Launch("wait");
  const int64_t pid = process_->pid();
  EXPECT_EQ(getsid(static_cast<pid_t>(pid)), pid);
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    ++count;
  }
  EXPECT_LE(count, 7u) << "three, its lock, its mode file, its stacks' file and counter";
  process_->Kill();
  RunUntilExit();
  EXPECT_EQ(report_->kind, ExitReport::Kind::kSignaled);
  EXPECT_EQ(report_->value, SIGKILL);
  RunUntilRemoved();
}

TEST_F(RealCgroupTest, KillTakesWhatTheWorkerHasStarted) {
  Launch("spawn");
  if (!CanKill()) GTEST_SKIP() << "no cgroup.kill: Linux is older than 5.14";
  const UniqueFd child = Child();
  EXPECT_FALSE(HasEnded(child));
  process_->Kill();
  RunUntilExit();
  RunUntil([&] { return HasEnded(child); });
  RunUntilRemoved();
}

TEST_F(RealCgroupTest, TheServersEndRemovesWhatIsBeingKilled) {
  Launch("spawn");
  if (!CanKill()) GTEST_SKIP() << "no cgroup.kill: Linux is older than 5.14";
  const UniqueFd child = Child();
  ASSERT_TRUE(Cgroup(place_).Kill().ok());
  EXPECT_TRUE(Cgroup(place_).RemoveWithin(std::chrono::seconds(60)));
  RunUntilExit();
}

TEST_F(RealCgroupTest, WhatAWorkerLeavesGoesWithIt) {
  Launch("spawn_exit 3");
  if (!CanKill()) GTEST_SKIP() << "no cgroup.kill: Linux is older than 5.14";
  RunUntilExit();
  EXPECT_EQ(report_->value, 3);
  RunUntilRemoved();
}

TEST_F(RealCgroupTest, AnAdoptedWorkersIsFoundAgain) {
  Launch("spawn");
  if (!CanKill()) GTEST_SKIP() << "no cgroup.kill: Linux is older than 5.14";
  const UniqueFd child = Child();
  const auto pid = static_cast<pid_t>(process_->pid());
  process_.reset();
  Open({});  // the next server's pools ask for no limit any more
  ASSERT_TRUE(std::filesystem::exists(place_)) << "it lives there";
  auto adopted = launcher_->Adopt({kWorker, Generation{7}, pid}, Ends());
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  process_ = *std::move(adopted);
  process_->Kill();
  RunUntil([&] { return HasEnded(child); });
  RunUntilExit();
  place_ = std::filesystem::path(place_).parent_path();
  RunUntilRemoved();
}

TEST_F(RealCgroupTest, AProgramThatIsNotThereLeavesNoCgroup) {
  LocalLauncherOptions options{"/nonexistent/worker", directory_, ""};
  options.cgroups = cgroups_.get();
  LocalLauncher launcher(loop_, options);
  const auto process = launcher.Launch({kWorker, wire::Role::kFlush, Generation{8}},
                                       [](const ExitReport&) { FAIL(); });
  EXPECT_EQ(process.status().code(), absl::StatusCode::kNotFound);
  const auto cgroup = cgroups_->Add(kWorker, Generation{8});
  ASSERT_TRUE(cgroup);
  EXPECT_EQ(*cgroup->Read("cgroup.procs"), "");
  RunUntil([&] { return cgroup->TryRemove(); });
}

TEST_F(RealCgroupTest, TheKernelEndsAWorkerAtItsMemoryLimit) {
  if (!cgroups_->refused().empty()) GTEST_SKIP() << cgroups_->refused()[0].reason;
  std::ofstream(directory_ + "/mode") << "wait";
  const auto cgroup = cgroups_->Add(kWorker, Generation{7});
  ASSERT_TRUE(cgroup);
  cgroup->Write("memory.swap.max", "0").IgnoreError();  // else it would be slow before it dies
  EXPECT_EQ(*cgroup->Read("memory.max"), std::to_string(kMemory) + "\n");
  Launch("eat");
  RunUntilExit();
  EXPECT_EQ(report_->kind, ExitReport::Kind::kSignaled);
  EXPECT_EQ(report_->value, SIGKILL);
  EXPECT_EQ(report_->memory_kill, static_cast<int64_t>(kMemory));
  RunUntilRemoved();
}

}  // namespace
}  // namespace spillway::process
