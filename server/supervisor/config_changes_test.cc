// A new configuration of the workers, from the record to the record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/worker_settings.h"
#include "server/supervisor/recorded_config.h"
#include "server/supervisor/supervisor.h"
#include "tests/support/fake_launcher.h"
#include "tests/support/memory_record_store.h"
#include "tests/support/supervisor_harness.h"

namespace spillway::supervisor {
namespace {

using record::ConfigStanding;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

class ConfigChangesTest : public ::testing::Test {
 protected:
  // As the loader fills it in.
  ConfigChangesTest() { config_.input.dead_letter_topic = "ingest-spans-dlq"; }
  ~ConfigChangesTest() override { End(); }

  void Begin() {
    recorder_ = std::make_unique<record::Recorder>(
        std::make_unique<testing::MemoryRecordStore>(disk_), SystemClock());
    const RestoredConfig restored =
        RestoreConfig(config_, disk_.state().configs, false, SystemClock().Wall());
    Parts parts{loop_, SystemClock(), launcher_, discovery_, 1, {}, nullptr};
    parts.recorder = recorder_.get();
    parts.config_rollout = restored.rollout;
    parts.config_records = restored.records;
    for (const auto& [generation, whole] : restored.configs) {
      parts.config_files[generation] = std::to_string(generation);
    }
    supervisor_ = std::make_unique<Supervisor>(config_, parts);
    supervisor_->Begin();
  }
  void End() {
    supervisor_.reset();
    recorder_.reset();
  }
  bool Until(const std::function<bool()>& condition) {
    return testing::TurnUntil(loop_, condition);
  }
  record::ConfigRecord Record(uint64_t generation, int lease, ConfigStanding standing) {
    config::Config config = config_;
    config.flush.lease = config::Milliseconds(1000 * lease);
    return {generation, config::WorkerSettings(config), standing, {}, ""};
  }
  ConfigView View() { return FindPool(*supervisor_->Snapshot(), "flush")->config; }
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& [pid, entry] : launcher_.entries) files.push_back(entry.spec.config_file);
    return files;
  }

  config::Config config_ = testing::FlushPool(1);
  testing::RecordDisk disk_;
  testing::FakeDiscovery discovery_{4};
  Loop loop_;
  testing::FakeLauncher launcher_{loop_};
  std::unique_ptr<record::Recorder> recorder_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(ConfigChangesTest, WorkersAreStartedWithTheNewest) {
  ASSERT_TRUE(disk_.Commit({.configs = {Record(4, 50, ConfigStanding::kProven)}}).ok());
  Begin();
  ASSERT_TRUE(Until([&] { return launcher_.entries.size() == 1; }));
  EXPECT_THAT(Files(), ElementsAre("5"));
  EXPECT_EQ(View().generation, 5u);
  EXPECT_EQ(View().state, fleet::ConfigRollout::State::kTrying);
}

TEST_F(ConfigChangesTest, OneThatKillsItsWorkersIsTakenBackForEverAndSaidToBe) {
  ASSERT_TRUE(disk_.Commit({.configs = {Record(4, 50, ConfigStanding::kProven)}}).ok());
  Begin();
  for (size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(Until([&] { return launcher_.entries.size() == i; }));
    launcher_.Exit(launcher_.entries.rbegin()->first, 9, {});
  }
  ASSERT_TRUE(Until([&] { return launcher_.entries.size() == 4; }));
  EXPECT_THAT(Files(), ElementsAre("5", "5", "5", "4"));
  const ConfigView view = View();
  EXPECT_EQ(view.state, fleet::ConfigRollout::State::kTakenBack);
  EXPECT_EQ(view.generation, 4u);
  EXPECT_EQ(view.rejected, 5u);
  EXPECT_THAT(view.detail, HasSubstr("3 processes in a row exited with 9"));
  ASSERT_TRUE(Until([&] { return disk_.state().configs.size() == 2; }));
  EXPECT_EQ(disk_.state().configs[1].standing, ConfigStanding::kRejected);
  EXPECT_EQ(disk_.state().configs[1].detail, view.detail);
  EXPECT_THAT(disk_.events(),
              ::testing::Contains(AllOf(Field(&record::Event::action, "configuration taken back"),
                                        Field(&record::Event::before, "generation 5"),
                                        Field(&record::Event::after, "generation 4"),
                                        Field(&record::Event::detail, view.detail))));
  End();
  Begin();
  EXPECT_EQ(View().generation, 4u);
  EXPECT_EQ(View().rejected, 5u);
  const SnapshotPtr snapshot = supervisor_->Snapshot();
  EXPECT_THAT(snapshot->checks,
              ::testing::Contains(AllOf(
                  Field(&Check::name, "config"), Field(&Check::ok, true),
                  Field(&Check::detail, HasSubstr("generation 5 was taken back: 3 processes")))));
}

TEST_F(ConfigChangesTest, AWorkerSaysWhichItRuns) {
  ASSERT_TRUE(disk_.Commit({.configs = {Record(4, 50, ConfigStanding::kProven)}}).ok());
  launcher_.leftovers = {{{"flush", 0}, Generation{3}, 77}};
  Begin();
  const record::ConfigRecord former = Record(4, 50, ConfigStanding::kProven);
  wire::Hello hello;
  hello.uid = "u";
  hello.pid = 77;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  hello.generation = Generation{3};
  hello.config_digest = config::SettingsDigest(former.settings);
  supervisor_->Attach(hello, std::make_shared<testing::FakeWorkerLink>(), [](auto) {});
  ASSERT_TRUE(Until([&] { return View().outdated == 1; }));
  EXPECT_EQ(supervisor_->Snapshot()->workers.at(0).config_generation, 4u);
}

}  // namespace
}  // namespace spillway::supervisor
