#include "base/lock_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace spillway {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LockFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "spillway-lock-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(LockFileTest, SaysWhoHasTheSlot) {
  const auto lock = LockFile::Acquire(directory_, "flush", 2, Generation{7});
  ASSERT_TRUE(lock.ok()) << lock.status();
  const std::vector<FoundLock> found = ReadLockFiles(directory_);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].is_alive);
  EXPECT_EQ(found[0].record.pool, "flush");
  EXPECT_EQ(found[0].record.slot, 2);
  EXPECT_EQ(found[0].record.generation, Generation{7});
  EXPECT_EQ(found[0].record.pid, getpid());
}

TEST_F(LockFileTest, RefusesASlotThatIsTaken) {
  const auto first = LockFile::Acquire(directory_, "flush", 0, Generation{1});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = LockFile::Acquire(directory_, "flush", 0, Generation{2});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(getpid())));
}

TEST_F(LockFileTest, AFreedSlotCanBeTakenAgain) {
  { ASSERT_TRUE(LockFile::Acquire(directory_, "flush", 0, Generation{1}).ok()); }
  EXPECT_TRUE(LockFile::Acquire(directory_, "flush", 0, Generation{2}).ok());
  EXPECT_EQ(ReadLockFiles(directory_)[0].record.generation, Generation{2});
}

TEST_F(LockFileTest, KnowsAProcessNumberThatWasGivenAgain) {
  std::ofstream(directory_ + "/flush-0.lock")
      << "pool=flush\nslot=0\ngeneration=3\npid=" << getpid() << "\nstart_ticks=1\n";
  ASSERT_EQ(ReadLockFiles(directory_).size(), 1u);
  EXPECT_FALSE(ReadLockFiles(directory_)[0].is_alive);
}

TEST_F(LockFileTest, SkipsWhatItCannotRead) {
  std::ofstream(directory_ + "/flush-0.lock") << "";
  std::ofstream(directory_ + "/flush-1.lock") << "pool=flush\nslot=x\n";
  std::ofstream(directory_ + "/other.txt") << "pool=flush\n";
  EXPECT_THAT(ReadLockFiles(directory_), IsEmpty());
  EXPECT_THAT(ReadLockFiles(directory_ + "/none"), IsEmpty());
}

}  // namespace
}  // namespace spillway
