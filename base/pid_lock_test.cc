#include "base/pid_lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace spillway {
namespace {

class PidLockTest : public ::testing::Test {
 protected:
  PidLockTest() {
    std::string name = ::testing::TempDir() + "spillway-lock-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~PidLockTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(PidLockTest, TellsWhoHasItUntilHeGoes) {
  const std::string path = folder_ + "/lock";
  {
    const auto first = PidLock::Acquire(path);
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = PidLock::Acquire(path);
    EXPECT_EQ(second.status(), absl::AlreadyExistsError(std::to_string(getpid())));
  }
  EXPECT_TRUE(PidLock::Acquire(path).ok());
}

TEST_F(PidLockTest, NamesTheFileThatCannotBeMade) {
  const auto lock = PidLock::Acquire(folder_ + "/none/lock");
  EXPECT_EQ(lock.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(lock.status().message().find(folder_ + "/none/lock"), std::string::npos);
}

}  // namespace
}  // namespace spillway
