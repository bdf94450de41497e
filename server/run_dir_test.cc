#include "server/run_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace spillway::server {
namespace {

using ::testing::HasSubstr;

class RunDirTest : public ::testing::Test {
 protected:
  RunDirTest() {
    std::string name = ::testing::TempDir() + "spillway-run-XXXXXX";
    directory_ = mkdtemp(name.data());
    config_.run_dir = directory_ + "/run";
    config_.gateway = "unix:" + directory_ + "/sockets/gateway.sock";
  }
  ~RunDirTest() override { std::filesystem::remove_all(directory_); }
  static std::string Read(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }
  std::string directory_;
  config::Server config_;
};

TEST_F(RunDirTest, MakesWhatIsMissing) {
  const auto run_dir = RunDir::Open(config_);
  ASSERT_TRUE(run_dir.ok()) << run_dir.status();
  EXPECT_TRUE(std::filesystem::is_directory(directory_ + "/sockets"));
}

TEST_F(RunDirTest, BelongsToOneServerAtATime) {
  {
    const auto first = RunDir::Open(config_);
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = RunDir::Open(config_);
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(getpid())));
  }
  EXPECT_TRUE(RunDir::Open(config_).ok());
}

TEST_F(RunDirTest, HasTheConfigurationsThatAreWrittenLast) {
  const auto run_dir = RunDir::Open(config_);
  ASSERT_TRUE(run_dir.ok());
  ASSERT_TRUE(run_dir->WriteConfigs({{1, "a: 1\n"}, {2, "a: old\n"}}).ok());
  const auto files = run_dir->WriteConfigs({{2, "a: 2\n"}, {3, "a: 3\n"}});
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->at(3), config_.run_dir + "/config.3.yaml");
  EXPECT_FALSE(std::filesystem::exists(config_.run_dir + "/config.1.yaml"));
  EXPECT_EQ(Read(config_.run_dir + "/config.2.yaml"), "a: 2\n");
  EXPECT_EQ(Read(config_.run_dir + "/config.3.yaml"), "a: 3\n");
}

TEST_F(RunDirTest, SaysWhatCannotBeMade) {
  config_.run_dir = "/proc/none";
  EXPECT_THAT(std::string(RunDir::Open(config_).status().message()),
              HasSubstr("server.run_dir: /proc/none"));
}

}  // namespace
}  // namespace spillway::server
