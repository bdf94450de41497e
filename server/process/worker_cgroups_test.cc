// On a tree of plain files: what is written where, what is refused, what goes.
#include "server/process/worker_cgroups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/clock.h"

namespace spillway::process {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const fleet::WorkerKey kWorker{"flush", 3};
constexpr Generation kGeneration{7};

class WorkerCgroupsTest : public ::testing::Test {
 protected:
  WorkerCgroupsTest() {
    std::string name = ::testing::TempDir() + "spillway-cgroups-XXXXXX";
    directory_ = mkdtemp(name.data());
    PutOwn("/own unit");
    File("proc/self/mountinfo", "40 23 0:38 / " + directory_ + "/mnt rw - cgroup2 cgroup rw\n");
    // A kernel's directory has its files from the beginning; here they are laid out.
    for (const char* file : {"cgroup.procs", "cgroup.subtree_control"}) File(own_ + file);
    File(own_ + "cgroup.type", "domain\n");
    File(own_ + "cgroup.controllers", "cpuset cpu io memory pids\n");
    File(own_ + "spillwayd/cgroup.procs");
    File(folder_ + "cgroup.subtree_control");
  }
  ~WorkerCgroupsTest() override {
    cgroups_.reset();
    std::filesystem::remove_all(directory_);
  }

  void PutOwn(const std::string& path) { File("proc/self/cgroup", "1:cpu:/\n0::" + path + "\n"); }
  void File(const std::string& name, const std::string& text = "") {
    const std::filesystem::path path = directory_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string Text(const std::string& name) const {
    std::ifstream file(directory_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool IsThere(const std::string& name) const {
    return std::filesystem::exists(directory_ + "/" + name);
  }
  void Remove(const std::string& name) { std::filesystem::remove_all(directory_ + "/" + name); }
  WorkerCgroups& Open(std::map<std::string, WorkerLimits> limits) {
    cgroups_ = std::make_unique<WorkerCgroups>(
        loop_, WorkerCgroupsOptions{"/run/spillway", std::move(limits), directory_ + "/proc"});
    return *cgroups_;
  }
  WorkerCgroups& Open() { return Open({{"flush", {512u << 20, 1.5}}}); }
  std::string FirstReason() const { return cgroups_->refused().at(0).reason; }
  // Lays out what the kernel would for a new cgroup.
  std::string WorkerFiles(const std::string& name) {
    for (const char* file : {"memory.max", "memory.oom.group", "cpu.max", "cgroup.kill"}) {
      File(folder_ + name + "/" + file);
    }
    return folder_ + name + "/";
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

  const std::string own_ = "mnt/own unit/";
  const std::string folder_ = own_ + WorkersFolder("/run/spillway") + "/";
  std::string directory_;
  Loop loop_;
  std::unique_ptr<WorkerCgroups> cgroups_;
};

TEST_F(WorkerCgroupsTest, WithoutALimitNothingIsTouched) {
  Remove(folder_);
  EXPECT_THAT(Open({}).refused(), IsEmpty());
  EXPECT_EQ(cgroups_->Add(kWorker, kGeneration), std::nullopt);
  EXPECT_FALSE(IsThere(folder_));
  EXPECT_EQ(Text(own_ + "cgroup.subtree_control"), "");
}

TEST_F(WorkerCgroupsTest, MakesRoomAndAsksForTheControllers) {
  EXPECT_THAT(Open().refused(), IsEmpty());
  EXPECT_EQ(Text(own_ + "spillwayd/cgroup.procs"), "0");
  EXPECT_EQ(Text(own_ + "cgroup.subtree_control"), "+cpu +memory");
  EXPECT_EQ(Text(folder_ + "cgroup.subtree_control"), "+cpu +memory");
}

TEST_F(WorkerCgroupsTest, AsksOnlyForWhatIsWanted) {
  Open({{"flush", {512u << 20, 0}}});
  EXPECT_EQ(Text(folder_ + "cgroup.subtree_control"), "+memory");
}

TEST_F(WorkerCgroupsTest, TheRootOfAllMayHoldTheServer) {
  Remove(own_ + "cgroup.type");
  EXPECT_THAT(Open().refused(), IsEmpty());
  EXPECT_EQ(Text(own_ + "spillwayd/cgroup.procs"), "");
  EXPECT_EQ(Text(own_ + "cgroup.subtree_control"), "+cpu +memory");
}

TEST_F(WorkerCgroupsTest, AServerThatWasStartedInTheLeafStaysThere) {
  PutOwn("/own unit/spillwayd");
  EXPECT_THAT(Open().refused(), IsEmpty());
  EXPECT_EQ(Text(own_ + "spillwayd/cgroup.procs"), "");
  EXPECT_EQ(Text(folder_ + "cgroup.subtree_control"), "+cpu +memory");
}

TEST_F(WorkerCgroupsTest, WhatIsHandedDownAlreadyIsNotAskedForAgain) {
  File(own_ + "cgroup.subtree_control", "cpu memory\n");
  EXPECT_THAT(Open().refused(), IsEmpty());
  EXPECT_EQ(Text(own_ + "cgroup.subtree_control"), "cpu memory\n");
  EXPECT_EQ(Text(own_ + "spillwayd/cgroup.procs"), "");
}

TEST_F(WorkerCgroupsTest, WritesThePoolsLimits) {
  const std::string worker = WorkerFiles("flush-3-g7");
  const std::string other = WorkerFiles("ingest-0-g1");
  const auto cgroup = Open().Add(kWorker, kGeneration);
  ASSERT_TRUE(cgroup);
  EXPECT_EQ(cgroup->directory() + "/", directory_ + "/" + worker);
  EXPECT_EQ(Text(worker + "memory.max"), "536870912");
  EXPECT_EQ(Text(worker + "memory.oom.group"), "1");
  EXPECT_EQ(Text(worker + "cpu.max"), "150000 100000");
  EXPECT_TRUE(cgroups_->Add({"ingest", 0}, Generation{1}));
  EXPECT_EQ(Text(other + "memory.max"), "") << "a pool without limits";
}

TEST_F(WorkerCgroupsTest, ALimitThatCannotBeWrittenDoesNotKeepTheWorker) {
  EXPECT_TRUE(Open().Add(kWorker, kGeneration)) << "its directory has no memory.max";
}

TEST_F(WorkerCgroupsTest, AMissingControllerIsNamedAndTheOthersAreKept) {
  File(own_ + "cgroup.controllers", "hugetlb cpu\n");
  const std::string worker = WorkerFiles("flush-3-g7");
  Open();
  ASSERT_THAT(cgroups_->refused(), SizeIs(1));
  EXPECT_EQ(cgroups_->refused()[0].pool, "flush");
  EXPECT_EQ(cgroups_->refused()[0].key, "pools.flush.memory_max");
  EXPECT_EQ(cgroups_->refused()[0].value, "512MiB");
  EXPECT_THAT(FirstReason(), AllOf(HasSubstr("/cgroup.controllers: no memory in it"),
                                   HasSubstr("right would be")));
  EXPECT_TRUE(cgroups_->Add(kWorker, kGeneration));
  EXPECT_EQ(Text(worker + "memory.max"), "");
  EXPECT_EQ(Text(worker + "cpu.max"), "150000 100000");
}

TEST_F(WorkerCgroupsTest, WithoutDelegationEveryLimitIsRefused) {
  Remove(own_ + "cgroup.procs");
  Open();
  ASSERT_THAT(cgroups_->refused(), SizeIs(2));
  EXPECT_EQ(cgroups_->refused()[0].key, "pools.flush.cpu_max");
  EXPECT_EQ(cgroups_->refused()[0].value, "1.5");
  EXPECT_EQ(cgroups_->refused()[1].key, "pools.flush.memory_max");
  EXPECT_THAT(FirstReason(), HasSubstr("Delegate=yes"));
  EXPECT_EQ(cgroups_->Add(kWorker, kGeneration), std::nullopt);
}

TEST_F(WorkerCgroupsTest, WithoutVersionTwoEveryLimitIsRefused) {
  File("proc/self/cgroup", "4:memory:/a\n");
  EXPECT_THAT(Open().refused(), SizeIs(2));
  EXPECT_THAT(FirstReason(), HasSubstr("no cgroup of version 2"));
}

TEST_F(WorkerCgroupsTest, StrangersInTheCgroupAreNamedAndTheServerGoesBack) {
  File(own_ + "cgroup.procs", "12\n345\n");
  Remove(own_ + "cgroup.subtree_control");
  std::filesystem::create_directory(directory_ + "/" + own_ + "cgroup.subtree_control");
  EXPECT_THAT(Open().refused(), SizeIs(2));
  EXPECT_THAT(FirstReason(), HasSubstr("other processes are in the cgroup (12, 345)"));
  EXPECT_EQ(Text(own_ + "cgroup.procs"), "0");
}

TEST_F(WorkerCgroupsTest, IsRemovedWhenTheKernelLetsGo) {
  const std::string worker = WorkerFiles("flush-3-g7");
  File(worker + "memory.events", "oom 1\noom_kill 1\n");
  const auto cgroup = Open().Add(kWorker, kGeneration);
  ASSERT_TRUE(cgroup);
  EXPECT_EQ(cgroups_->End(*cgroup), 512 << 20);
  EXPECT_EQ(Text(worker + "cgroup.kill"), "1");
  ASSERT_TRUE(IsThere(worker));
  for (const auto& entry : std::filesystem::directory_iterator(cgroup->directory())) {
    std::filesystem::remove(entry.path());
  }
  RunUntil([&] { return !IsThere(worker); });
}

TEST_F(WorkerCgroupsTest, LeavesTheTreeAsItWas) {
  Open();
  Remove(folder_ + "cgroup.subtree_control");
  Remove(own_ + "spillwayd/cgroup.procs");
  cgroups_.reset();
  EXPECT_FALSE(IsThere(folder_));
  EXPECT_FALSE(IsThere(own_ + "spillwayd"));
  EXPECT_EQ(Text(own_ + "cgroup.subtree_control"), "-cpu -memory");
  EXPECT_EQ(Text(own_ + "cgroup.procs"), "0");
}

TEST_F(WorkerCgroupsTest, RemovesWhatADeadServerLeftEmpty) {
  std::filesystem::create_directories(directory_ + "/" + folder_ + "flush-0-g1");
  File(folder_ + "flush-1-g1/busy");
  Open();
  EXPECT_FALSE(IsThere(folder_ + "flush-0-g1"));
  EXPECT_TRUE(IsThere(folder_ + "flush-1-g1")) << "a worker lives there";
  cgroups_.reset();
  EXPECT_TRUE(IsThere(folder_ + "flush-1-g1"));
  EXPECT_EQ(Text(own_ + "cgroup.subtree_control"), "+cpu +memory") << "it keeps its limits";
}

TEST_F(WorkerCgroupsTest, FindsThatOfAnAdoptedWorkerByItsName) {
  const std::string ours = WorkersFolder("/run/spillway");
  File("proc/12/cgroup", "0::/elsewhere/" + ours + "/flush-3-g7\n");
  File("proc/13/cgroup", "0::/elsewhere/" + ours + "/flush-3-g6\n");
  File("proc/14/cgroup", "0::/elsewhere/" + WorkersFolder("/run/other") + "/flush-3-g7\n");
  File("proc/15/cgroup", "0::/\n");
  Open({});
  const auto found = cgroups_->Find(12, kWorker, kGeneration);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->directory(), directory_ + "/mnt/elsewhere/" + ours + "/flush-3-g7");
  for (const int64_t pid : {13, 14, 15, 16}) {
    EXPECT_EQ(cgroups_->Find(pid, kWorker, kGeneration), std::nullopt) << pid;
  }
}

TEST(WorkerLimitsTest, ArePoolsThatAskForOne) {
  config::Pool a, b;
  a.name = "a";
  b.name = "b";
  b.cpu_max = 2;
  const auto limits = LimitsOf({a, b});
  ASSERT_THAT(limits, SizeIs(1));
  EXPECT_EQ(limits.at("b").cpu_max, 2);
}

TEST(WorkersFolderTest, IsTheSameForTheNextServer) {
  EXPECT_EQ(WorkersFolder("/run/spillway"), "spillway-9ffd7895");
  EXPECT_NE(WorkersFolder("/run/spillway"), WorkersFolder("/run/spillway2"));
}

}  // namespace
}  // namespace spillway::process
