#include "server/process/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace spillway::process {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(CgroupPathTest, IsTheLineOfVersionTwo) {
  EXPECT_EQ(ParseCgroupPath("0::/system.slice/spillwayd.service\n"),
            "/system.slice/spillwayd.service");
  EXPECT_EQ(ParseCgroupPath("9:name=systemd:/\n4:memory:/a\n0::/\n"), "/");
  EXPECT_EQ(ParseCgroupPath("0::/a b:c\\d\n"), "/a b:c\\d") << "written as it is";
}

TEST(CgroupPathTest, OfVersionOneAloneThereIsNone) {
  EXPECT_EQ(ParseCgroupPath("4:memory:/a\n1:cpu:/\n"), std::nullopt);
  EXPECT_EQ(ParseCgroupPath("10::/a\n"), std::nullopt);
  EXPECT_EQ(ParseCgroupPath("0::\n"), std::nullopt);
  EXPECT_EQ(ParseCgroupPath(""), std::nullopt);
}

constexpr const char* kMounts =
    "23 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw\n"
    "31 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "40 23 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw\n";

TEST(CgroupDirectoryTest, IsBelowTheMount) {
  EXPECT_EQ(*ParseCgroupDirectory(kMounts, "/a/b"), "/sys/fs/cgroup/unified/a/b");
  EXPECT_EQ(*ParseCgroupDirectory(kMounts, "/"), "/sys/fs/cgroup/unified");
}

TEST(CgroupDirectoryTest, IsBelowThePartThatIsMounted) {
  const std::string mounts = "40 23 0:38 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  EXPECT_EQ(*ParseCgroupDirectory(mounts, "/docker/1"), "/sys/fs/cgroup");
  EXPECT_EQ(*ParseCgroupDirectory(mounts, "/docker/1/a"), "/sys/fs/cgroup/a");
  EXPECT_FALSE(ParseCgroupDirectory(mounts, "/docker/12").ok());
  EXPECT_FALSE(ParseCgroupDirectory(mounts, "/").ok());
}

TEST(CgroupDirectoryTest, ReadsEscapes) {
  const std::string mounts =
      "40 23 0:38 /with\\040space /mnt/tab\\011and\\134slash\\ rw - cgroup2 cgroup rw\n";
  EXPECT_EQ(*ParseCgroupDirectory(mounts, "/with space/a"), "/mnt/tab\tand\\slash\\/a");
}

TEST(CgroupDirectoryTest, SaysWhatWouldBeRight) {
  const std::string none = "31 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\nodd\n";
  EXPECT_THAT(std::string(ParseCgroupDirectory(none, "/a").status().message()),
              AllOf(StartsWith("cgroup /a: no cgroup2 file system"), HasSubstr("right would be")));
  EXPECT_THAT(std::string(ParseCgroupDirectory(kMounts, "/../../a").status().message()),
              AllOf(HasSubstr("outside of the cgroup namespace"), HasSubstr("Delegate=yes")));
}

class CgroupTest : public ::testing::Test {
 protected:
  CgroupTest() {
    std::string name = ::testing::TempDir() + "spillway-cgroup-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~CgroupTest() override { std::filesystem::remove_all(directory_); }
  void File(const std::string& name, const std::string& text = "") {
    std::filesystem::create_directories(
        std::filesystem::path(directory_ + "/" + name).parent_path());
    std::ofstream(directory_ + "/" + name) << text;
  }
  void Delegated(const std::string& where) {
    File(where + "/cgroup.procs");
    File(where + "/cgroup.subtree_control");
  }
  std::string Refusal(const std::string& where) {
    return std::string(CheckDelegated(directory_ + where).message());
  }
  Cgroup Here() const { return Cgroup(directory_); }

  std::string directory_;
};

TEST_F(CgroupTest, FindsThatOfAProcess) {
  File("proc/self/cgroup", "0::/own\n");
  File("proc/12/cgroup", "0::/own/a\n");
  File("proc/13/cgroup", "1:cpu:/\n");
  File("proc/self/mountinfo", "40 23 0:38 / /mnt rw - cgroup2 cgroup rw\n");
  const std::string proc = directory_ + "/proc";
  EXPECT_EQ(*FindCgroup(proc, "self"), "/mnt/own");
  EXPECT_EQ(*FindCgroup(proc, "12"), "/mnt/own/a");
  EXPECT_THAT(std::string(FindCgroup(proc, "13").status().message()),
              HasSubstr("names no cgroup of version 2"));
  EXPECT_FALSE(FindCgroup(proc, "14").ok());
}

TEST_F(CgroupTest, IsDelegatedIfItsFilesCanBeWritten) {
  EXPECT_THAT(Refusal(""), AllOf(HasSubstr("/cgroup.procs: not writable (No such file"),
                                 HasSubstr("Delegate=yes")));
  Delegated("");
  EXPECT_EQ(Refusal(""), "");
}

TEST_F(CgroupTest, WhatSystemdHasNotDelegatedIsNotTaken) {
  Delegated("/a.slice/b.service");
  Delegated("/a.slice/b.service/sub");
  for (const char* where : {"/a.slice/b.service", "/a.slice/b.service/sub"}) {
    EXPECT_EQ(Refusal(where).find(directory_ + "/a.slice/b.service: systemd has not delegated it"),
              0u)
        << Refusal(where);
  }
}

TEST_F(CgroupTest, ErrorsNameFileAndText) {
  EXPECT_THAT(std::string(Here().Write("memory.max", "1").message()),
              HasSubstr("/memory.max: No such file or directory"));
  EXPECT_FALSE(Here().Read("memory.max").ok());
  EXPECT_FALSE(Cgroup::Make(directory_ + "/a/b").ok());
}

TEST_F(CgroupTest, IsGoneOnceItIsEmpty) {
  const Cgroup cgroup = *Cgroup::Make(directory_ + "/a");
  ASSERT_TRUE(Cgroup::Make(directory_ + "/a").ok()) << "that which is there";
  File("a/busy");
  EXPECT_FALSE(cgroup.TryRemove());
  EXPECT_FALSE(cgroup.RemoveWithin(std::chrono::hours(1))) << "nothing tells when it is empty";
  std::filesystem::remove(directory_ + "/a/busy");
  EXPECT_TRUE(cgroup.TryRemove());
  EXPECT_TRUE(cgroup.TryRemove()) << "it is gone";
}

TEST_F(CgroupTest, TellsAKillingForWantOfMemory) {
  EXPECT_EQ(Here().MemoryKill(), std::nullopt) << "no memory controller";
  File("memory.events", "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n");
  File("memory.max", "536870912\n");
  EXPECT_EQ(Here().MemoryKill(), std::nullopt);
  File("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 1\n");
  EXPECT_EQ(Here().MemoryKill(), 536'870'912);
  File("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\noom_group_kill 0\n");
  EXPECT_EQ(Here().MemoryKill(), 0) << "another's want";
  File("memory.events", "oom 1\noom_kill 1\n");
  File("memory.max", "max\n");
  EXPECT_EQ(Here().MemoryKill(), 0);
}

TEST_F(CgroupTest, ReadsWords) {
  EXPECT_THAT(CgroupWords("cpu memory\n"), ElementsAre("cpu", "memory"));
  EXPECT_THAT(CgroupWords("1\n22\n"), ElementsAre("1", "22"));
  EXPECT_THAT(CgroupWords("\n"), ElementsAre());
}

}  // namespace
}  // namespace spillway::process
