// What every launcher promises, checked on real processes and on the tests' fake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_split.h"
#include "base/hand_file.h"
#include "base/lock_file.h"
#include "server/process/local_launcher.h"
#include "server/process/output_file.h"
#include "server/process/output_pages.h"
#include "server/process/stack_capture.h"
#include "tests/support/fake_launcher.h"

namespace spillway::process {
namespace {

using supervisor::ExitReport;
using supervisor::LaunchSpec;
using supervisor::Process;
using supervisor::StackReport;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const fleet::WorkerKey kWorker{"flush", 3};

// How a test makes processes behave, on either launcher.
class LauncherUnderTest {
 public:
  virtual ~LauncherUnderTest() = default;
  virtual supervisor::Launcher& launcher() = 0;
  virtual void BehaveFromNowOn(const std::string& mode) = 0;  // words of stand_in_worker
  virtual void AfterLaunch(int64_t pid) = 0;                  // lets the behaviour begin
  virtual std::string config_file() const { return ""; }
  virtual bool HasBegun() = 0;                       // the behaviour
  virtual void Write(const std::string& lines) = 0;  // to the worker's output
};

// Goes after the loop: a pool thread may still be writing stacks into it.
class Folder {
 public:
  Folder() {
    std::string name = ::testing::TempDir() + "spillway-launcher-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  // A process that is being ended may still write into it.
  ~Folder() {
    std::error_code error;
    do {
      std::filesystem::remove_all(path_, error);
    } while (error == std::errc::directory_not_empty);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class RealLauncher final : public LauncherUnderTest {
 public:
  RealLauncher(Loop& loop, const std::string& directory) : directory_(directory) {
    launcher_ = std::make_unique<LocalLauncher>(
        loop, LocalLauncherOptions{SPILLWAY_STAND_IN_WORKER, directory_, ""});
    BehaveFromNowOn("wait");
  }
  supervisor::Launcher& launcher() override { return *launcher_; }
  void BehaveFromNowOn(const std::string& mode) override {
    std::ofstream(directory_ + "/mode") << mode;
  }
  void AfterLaunch(int64_t) override {}
  std::string config_file() const override { return directory_ + "/mode"; }
  void Write(const std::string& lines) override {
    std::ofstream(directory_ + "/flush-3.log", std::ios::app) << lines;
  }
  bool HasBegun() override { return !OutputFile(directory_ + "/flush-3.log").LastLines().empty(); }
  const std::string& directory() const { return directory_; }

 private:
  const std::string directory_;
  std::unique_ptr<LocalLauncher> launcher_;
};

class FakeUnderTest final : public LauncherUnderTest {
 public:
  explicit FakeUnderTest(Loop& loop) : launcher_(loop) {}
  supervisor::Launcher& launcher() override { return launcher_; }
  void BehaveFromNowOn(const std::string& mode) override { mode_ = mode; }
  void AfterLaunch(int64_t pid) override {
    if (mode_ == "ignore_term") launcher_.entries.at(pid).ignores_term = true;
    if (mode_ == "exit 3") launcher_.Exit(pid, 3, {"about to exit"});
  }
  bool HasBegun() override { return true; }
  void Write(const std::string& lines) override {
    for (const auto line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
      launcher_.logs[kWorker].emplace_back(line);
    }
  }

 private:
  testing::FakeLauncher launcher_;
  std::string mode_;
};

// One process on a loop that runs until something has happened, 20 s at most.
class ContractTest : public ::testing::TestWithParam<const char*> {
 protected:
  ContractTest() {
    if (std::string(GetParam()) == "real") {
      under_test_ = std::make_unique<RealLauncher>(loop_, folder_.path());
    } else {
      under_test_ = std::make_unique<FakeUnderTest>(loop_);
    }
  }
  ~ContractTest() override {
    process_.reset();
    under_test_.reset();
  }

  void Launch() {
    auto process = under_test_->launcher().Launch(
        {kWorker, wire::Role::kFlush, Generation{7}, false, under_test_->config_file()},
        [this](const ExitReport& report) {
          report_ = report;
          process_.reset();
          loop_.Stop();
        });
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    under_test_->AfterLaunch(process_->pid());
  }
  absl::StatusOr<supervisor::LogPage> ReadLog(const supervisor::LogQuery& query) {
    std::optional<absl::StatusOr<supervisor::LogPage>> page;
    under_test_->launcher().ReadLog(
        query, [&](absl::StatusOr<supervisor::LogPage> read) { page = std::move(read); });
    RunUntil([&] { return page.has_value(); });
    return *page;
  }
  void UntilItWaits() {
    RunUntil([this] { return under_test_->HasBegun(); });
  }
  void RunUntilExit() {
    Timer limit(loop_, [this] { loop_.Stop(); });
    limit.Start(std::chrono::seconds(20));
    loop_.Run();
    ASSERT_TRUE(report_.has_value()) << "the process has not ended";
  }
  // Runs the loop until `condition` holds.
  void RunUntil(absl::AnyInvocable<bool()> condition) {
    const Instant deadline = SystemClock().Now() + std::chrono::seconds(20);
    Timer poll(loop_, [this] { loop_.Stop(); });
    while (!condition() && SystemClock().Now() < deadline) {
      poll.Start(std::chrono::milliseconds(2));
      loop_.Run();
    }
    ASSERT_TRUE(condition());
  }

  Folder folder_;
  Loop loop_;
  std::unique_ptr<LauncherUnderTest> under_test_;
  std::unique_ptr<Process> process_;
  std::optional<ExitReport> report_;
};

TEST_P(ContractTest, TellsTheExitCodeAndTheLastLines) {
  under_test_->BehaveFromNowOn("exit 3");
  Launch();
  RunUntilExit();
  EXPECT_EQ(report_->kind, ExitReport::Kind::kExited);
  EXPECT_EQ(report_->value, 3);
  EXPECT_THAT(report_->last_lines, ElementsAre("about to exit"));
}

TEST_P(ContractTest, TellsTheSignal) {
  under_test_->BehaveFromNowOn("ignore_term");
  Launch();
  process_->Terminate();
  process_->Kill();
  RunUntilExit();
  EXPECT_EQ(report_->kind, ExitReport::Kind::kSignaled);
}

TEST_P(ContractTest, ProcessesHaveNumbers) {
  Launch();
  EXPECT_GT(process_->pid(), 0);
  process_->Kill();
  RunUntilExit();
}

TEST_P(ContractTest, TellsWhereTheThreadsAre) {
  Launch();
  UntilItWaits();
  std::optional<StackReport> first, second;
  process_->CaptureStacks([&](const StackReport& report) { first = report; });
  process_->CaptureStacks([&](const StackReport& report) { second = report; });
  EXPECT_FALSE(first) << "never at once";
  RunUntil([&] { return first && second; });
  EXPECT_EQ(first->problem, "");
  EXPECT_THAT(first->summary, HasSubstr("main"));
  EXPECT_THAT(first->text, HasSubstr("thread "));
  EXPECT_EQ(second->text, first->text) << "one answer for both";
  first.reset();
  process_->CaptureStacks([&](const StackReport& report) { first = report; });
  RunUntil([&] { return first.has_value(); });
  EXPECT_THAT(first->summary, HasSubstr("main")) << "again";
  process_->Kill();
  RunUntilExit();
}

TEST_P(ContractTest, AQuestionForStacksEndsWithItsProcess) {
  Launch();
  process_->CaptureStacks([](const StackReport&) { FAIL() << "nobody is there any more"; });
  process_->Kill();
  process_.reset();
  loop_.Post([this] { loop_.Stop(); });
  loop_.Run();
}

TEST_P(ContractTest, ReadsALogFromItsEndAndOn) {
  EXPECT_EQ(ReadLog({kWorker}).status().code(), absl::StatusCode::kNotFound);
  under_test_->Write("one\ntwo\nthree\n");
  supervisor::LogQuery query{.worker = kWorker, .lines = 2, .is_followed = true};
  const auto page = ReadLog(query);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(page->lines, ElementsAre("two", "three"));
  query.after = page->next;
  EXPECT_THAT(ReadLog(query)->lines, IsEmpty());
  under_test_->Write("four\n");
  const auto next = ReadLog(query);
  EXPECT_THAT(next->lines, ElementsAre("four"));
  EXPECT_GT(next->next, page->next);
}

TEST_P(ContractTest, AdoptingAProcessThatIsGoneIsRefused) {
  const auto adopted =
      under_test_->launcher().Adopt({kWorker, Generation{1}, 0}, [](const ExitReport&) {});
  EXPECT_EQ(adopted.status().code() == absl::StatusCode::kNotFound, true) << adopted.status();
}

INSTANTIATE_TEST_SUITE_P(All, ContractTest, ::testing::Values("real", "fake"),
                         [](const auto& row) { return std::string(row.param); });

// ---- what only real processes have --------------------------------------------------------------

class LocalLauncherTest : public ContractTest {
 protected:
  RealLauncher& real() { return static_cast<RealLauncher&>(*under_test_); }
  std::vector<supervisor::Leftover> Live() {
    std::vector<supervisor::Leftover> live = real().launcher().FindLeftovers();
    std::erase_if(live, [](const supervisor::Leftover& leftover) { return leftover.pid == 0; });
    return live;
  }
};

TEST_P(LocalLauncherTest, TermEndsAWorkerInItsOwnTime) {
  Launch();
  RunUntil([this] { return !Live().empty(); });
  RunUntil([this] { return !OutputFile(real().directory() + "/flush-3.log").LastLines().empty(); });
  process_->Terminate();
  RunUntilExit();
  EXPECT_EQ(report_->kind, ExitReport::Kind::kExited);
  EXPECT_EQ(report_->value, 0);
}

TEST_P(LocalLauncherTest, TellsWhatTheProcessUsed) {
  under_test_->BehaveFromNowOn("exit 3");
  Launch();
  RunUntilExit();
  EXPECT_GT(report_->user_cpu + report_->system_cpu, std::chrono::microseconds(0));
  EXPECT_GT(report_->max_rss_bytes, 1 << 20);
}

TEST_P(LocalLauncherTest, TellsWhatTheProcessHadInHandAndNotItsPredecessor) {
  const ClaimInHand claim{.shard = {4}, .epoch = {1, 2}, .claim = {3, 4}};
  const std::string path = HandFilePath(real().directory(), kWorker.pool, kWorker.slot);
  for (const uint64_t generation : {6, 7}) {
    const auto file = HandFile::Create(path, Generation{generation});  // as the worker does
    ASSERT_TRUE(file.ok()) << file.status();
    (*file)->Note(claim);
    report_.reset();
    under_test_->BehaveFromNowOn("exit 3");
    Launch();
    RunUntilExit();
    EXPECT_EQ(report_->in_hand.has_value(), generation == 7);
  }
  EXPECT_EQ(report_->in_hand, claim);
}

#if defined(__SANITIZE_THREAD__)
constexpr bool kInterruptsLoops = false;  // ThreadSanitizer delivers signals at its own calls only
#else
constexpr bool kInterruptsLoops = true;
#endif

TEST_P(LocalLauncherTest, TheStacksNameTheFunctionThatHangs) {
  if (!kInterruptsLoops) GTEST_SKIP() << "ThreadSanitizer holds signals back";
  under_test_->BehaveFromNowOn("hang");
  Launch();
  UntilItWaits();
  std::optional<StackReport> stacks;
  process_->CaptureStacks([&](const StackReport& report) { stacks = report; });
  RunUntil([&] { return stacks.has_value(); });
  EXPECT_EQ(stacks->problem, "");
  EXPECT_THAT(stacks->summary, ::testing::StartsWith("HangsHere <- main")) << stacks->text;
  EXPECT_THAT(stacks->text, HasSubstr("HangsHere() at stand_in_worker.cc:"));
  EXPECT_THAT(stacks->file, ::testing::StartsWith(real().directory() + "/stacks/flush-3-g7-"));
  std::ifstream kept(stacks->file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(kept), {}), stacks->text);
  process_->Kill();
  RunUntilExit();
}

TEST_P(LocalLauncherTest, AStoppedProcessIsSaidToBeStopped) {
  Launch();
  UntilItWaits();
  ::kill(static_cast<pid_t>(process_->pid()), SIGSTOP);
  std::optional<StackReport> stacks;
  process_->CaptureStacks([&](const StackReport& report) { stacks = report; });
  const Instant start = SystemClock().Now();
  RunUntil([&] { return stacks.has_value(); });
  EXPECT_LT(SystemClock().Now() - start, 3 * kStackCaptureTimeout);
  EXPECT_EQ(stacks->problem, "no answer within 3 s: the process is stopped (SIGSTOP)");
  EXPECT_THAT(stacks->text, HasSubstr("(T)"));
  process_->Kill();
  RunUntilExit();
}

TEST_P(LocalLauncherTest, AProcessWithoutAHandlerIsNotHarmed) {
  under_test_->BehaveFromNowOn("deaf");
  Launch();
  UntilItWaits();
  std::optional<StackReport> stacks;
  process_->CaptureStacks([&](const StackReport& report) { stacks = report; });
  RunUntil([&] { return stacks.has_value(); });
  EXPECT_EQ(stacks->problem, "the process cannot be asked");
  process_->Terminate();
  RunUntilExit();
  EXPECT_EQ(report_->kind, ExitReport::Kind::kExited);
}

TEST_P(LocalLauncherTest, KeepsABoundedNumberOfStacks) {
  const std::string folder = real().directory() + "/stacks";
  std::filesystem::create_directory(folder);
  for (size_t i = 0; i < 2 * kKeptStacks; ++i) {
    std::ofstream(folder + "/old-" + std::to_string(i)) << "old";
  }
  Launch();
  UntilItWaits();
  std::optional<StackReport> stacks;
  process_->CaptureStacks([&](const StackReport& report) { stacks = report; });
  RunUntil([&] { return stacks.has_value(); });
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  EXPECT_EQ(count, kKeptStacks);
  EXPECT_TRUE(std::filesystem::exists(stacks->file)) << "the newest stays";
  process_->Kill();
  RunUntilExit();
}

TEST_P(LocalLauncherTest, TheChildHasItsOwnSessionAndOnlyThreeDescriptors) {
  Launch();
  RunUntil([this] { return !Live().empty(); });
  const int64_t pid = process_->pid();
  EXPECT_EQ(getsid(static_cast<pid_t>(pid)), pid);
  const std::string fds = "/proc/" + std::to_string(pid) + "/fd";
  std::vector<std::string> targets;
  for (const auto& entry : std::filesystem::directory_iterator(fds)) {
    std::error_code gone;
    targets.push_back(std::filesystem::read_symlink(entry.path(), gone));
  }
  EXPECT_THAT(targets, ::testing::SizeIs(::testing::Le(7u)))
      << "three, its lock, its mode file, its stacks' file and counter";
  EXPECT_THAT(targets, Contains("/dev/null"));
  process_->Kill();
  RunUntilExit();
}

TEST_P(LocalLauncherTest, AProgramThatIsNotThereIsNotFound) {
  LocalLauncher launcher(loop_, {"/nonexistent/worker", real().directory(), ""});
  const auto process = launcher.Launch({kWorker, wire::Role::kFlush, Generation{1}},
                                       [](const ExitReport&) { FAIL(); });
  EXPECT_EQ(process.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(process.status().message()), HasSubstr("/nonexistent/worker"));
}

TEST_P(LocalLauncherTest, FindsAndAdoptsWhatAnEarlierServerLeft) {
  Launch();
  RunUntil([this] { return !Live().empty(); });
  const int64_t pid = process_->pid();
  ASSERT_EQ(Live().size(), 1u);
  EXPECT_EQ(Live()[0].worker, kWorker);
  EXPECT_EQ(Live()[0].generation, Generation{7});
  EXPECT_EQ(Live()[0].pid, pid);
  bool has_ended = false;
  auto adopted = real().launcher().Adopt(Live()[0], [&](const ExitReport&) { has_ended = true; });
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  (*adopted)->Kill();
  RunUntil([&] { return has_ended && report_.has_value(); });
  EXPECT_THAT(Live(), IsEmpty());
  EXPECT_EQ(real().launcher().FindLeftovers()[0].generation, Generation{7}) << "the floor stays";
}

TEST_P(LocalLauncherTest, AdoptsNobodyWhoseLockFileDoesNotNameIt) {
  Launch();
  RunUntil([this] { return !Live().empty(); });
  supervisor::Leftover stranger = Live()[0];
  stranger.pid = getpid();
  EXPECT_EQ(real().launcher().Adopt(stranger, [](const ExitReport&) {}).status().code(),
            absl::StatusCode::kNotFound);
  supervisor::Leftover other = Live()[0];
  ++other.worker.slot;
  EXPECT_EQ(real().launcher().Adopt(other, [](const ExitReport&) {}).status().code(),
            absl::StatusCode::kNotFound);
  process_->Kill();
  RunUntilExit();
}

TEST_P(LocalLauncherTest, LettingGoLeavesTheProcessRunning) {
  Launch();
  RunUntil([this] { return !Live().empty(); });
  process_.reset();
  ASSERT_EQ(Live().size(), 1u);
  bool has_ended = false;
  auto again = real().launcher().Adopt(Live()[0], [&](const ExitReport&) { has_ended = true; });
  ASSERT_TRUE(again.ok());
  const auto pid = static_cast<pid_t>((*again)->pid());
  (*again)->Kill();
  RunUntil([&] { return has_ended; });
  waitpid(pid, nullptr, 0);  // nobody else reaps what was let go of
}

TEST_P(LocalLauncherTest, OutputOfAnEarlierGenerationIsNotTold) {
  under_test_->BehaveFromNowOn("exit 3");
  Launch();
  RunUntilExit();
  report_.reset();
  Launch();
  RunUntilExit();
  EXPECT_THAT(report_->last_lines, ElementsAre("about to exit"));
}

TEST_P(LocalLauncherTest, OutputStaysBoundedWhileTheWorkerRuns) {
  under_test_->BehaveFromNowOn("chatter");
  LocalLauncher launcher(
      loop_, {SPILLWAY_STAND_IN_WORKER, real().directory(), "", std::chrono::milliseconds(20)});
  auto process =
      launcher.Launch({kWorker, wire::Role::kFlush, Generation{1}, false, real().config_file()},
                      [&](const ExitReport& report) {
                        report_ = report;
                        process_.reset();
                        loop_.Stop();
                      });
  ASSERT_TRUE(process.ok()) << process.status();
  process_ = *std::move(process);
  const std::string path = real().directory() + "/flush-3.log";
  RunUntil([&] { return !OutputFile(path).LastLines().empty(); });
  // As if it had run for months; it writes on at the file's end.
  std::filesystem::resize_file(path, OutputFile::kMaxBytes + 1);
  RunUntil([&] { return std::filesystem::exists(path + ".1"); });
  RunUntil([&] { return !OutputFile(path).LastLines().empty(); });
  EXPECT_LT(std::filesystem::file_size(path), size_t{1} << 20);
  EXPECT_GT(std::filesystem::file_size(path + ".1"), size_t{OutputFile::kMaxBytes});
  process_->Kill();
  RunUntilExit();
  EXPECT_THAT(report_->last_lines, Contains("chatter"));
}

INSTANTIATE_TEST_SUITE_P(Real, LocalLauncherTest, ::testing::Values("real"));

class OutputPagesTest : public ::testing::Test {
 protected:
  OutputPagesTest() {
    std::string name = ::testing::TempDir() + "spillway-pages-XXXXXX";
    directory_ = mkdtemp(name.data());
    path_ = directory_ + "/a.log";
  }
  ~OutputPagesTest() override { std::filesystem::remove_all(directory_); }
  void Write(const std::string& text, const std::string& suffix = "") {
    std::ofstream(path_ + suffix, std::ios::app) << text;
  }
  std::string directory_, path_;
};

TEST_F(OutputPagesTest, AnUnfinishedLineWaitsForItsEndOnlyIfFollowed) {
  Write("one\ntw");
  EXPECT_THAT(ReadOutput(path_, {kWorker})->lines, ElementsAre("one", "tw"));
  supervisor::LogQuery query{.worker = kWorker, .is_followed = true};
  const auto page = ReadOutput(path_, query);
  EXPECT_THAT(page->lines, ElementsAre("one"));
  query.after = page->next;
  Write("o\n");
  EXPECT_THAT(ReadOutput(path_, query)->lines, ElementsAre("two"));
}

TEST_F(OutputPagesTest, GoesOnAtTheBeginningOfATrimmedFile) {
  Write("new\n");
  EXPECT_THAT(ReadOutput(path_, {.worker = kWorker, .after = 1'000'000})->lines,
              ElementsAre("new"));
}

TEST_F(OutputPagesTest, TakesEarlierLinesFromWhatWasTrimmed) {
  Write("one\ntwo\n", ".1");
  Write("three\n");
  EXPECT_THAT(ReadOutput(path_, {.worker = kWorker, .lines = 2})->lines,
              ElementsAre("two", "three"));
}

TEST_F(OutputPagesTest, StaysBoundedWhateverTheLinesAre) {
  Write(std::string(3 * kMaxPageBytes, 'x') + "\n\xff end\n");
  const auto last = ReadOutput(path_, {.worker = kWorker});
  EXPECT_THAT(last->lines, Contains("? end"));
  supervisor::LogQuery query{.worker = kWorker, .after = 0, .is_followed = true};
  int pages = 0;
  for (bool is_done = false; !is_done; ++pages) {
    const auto page = ReadOutput(path_, query);
    for (const std::string& line : page->lines) EXPECT_LE(line.size(), kMaxLogLine);
    is_done = page->next == query.after;
    query.after = page->next;
  }
  EXPECT_EQ(pages, 5) << "three, the rest, nothing";
}

TEST(OutputFileTest, KeepsWithinItsLimit) {
  std::string name = ::testing::TempDir() + "spillway-output-XXXXXX";
  const std::string directory = mkdtemp(name.data());
  OutputFile output(directory + "/a.log");
  ASSERT_TRUE(output.Open().ok());
  ASSERT_EQ(truncate(output.path().c_str(), OutputFile::kMaxBytes + 1), 0);
  output.Trim();
  EXPECT_EQ(std::filesystem::file_size(output.path()), 0u);
  EXPECT_TRUE(std::filesystem::exists(output.path() + ".1"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace spillway::process
