#include "base/failpoint.h"

#ifdef SPILLWAY_FAILPOINTS

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace spillway {
namespace {

// Where points are armed; a process looks it up once.
const std::string& Folder() {
  static const auto* const folder = [] {
    auto* name = new std::string(testing::TempDir() + "failpoint-XXXXXX");
    if (mkdtemp(name->data()) != nullptr) setenv("SPILLWAY_FAILPOINT_DIR", name->c_str(), 1);
    return name;
  }();
  std::filesystem::create_directories(*folder);
  return *folder;
}

TEST(FailpointTest, IsKnownBeforeItIsReached) {
  EXPECT_THAT(AllFailpoints(), testing::ElementsAre("test.first", "test.second"));
}

void ReachThrice() {
  for (int i = 0; i < 3; ++i) SPILLWAY_FAILPOINT("test.first");
  SPILLWAY_FAILPOINT("test.second");
}

// First: a process looks up the folder once, here only in the child.
TEST(FailpointTest, HangsIfToldTo) {
  std::string folder = testing::TempDir() + "failpoint-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  setenv("SPILLWAY_FAILPOINT_DIR", folder.c_str(), 1);
  std::ofstream(folder + "/test.first") << "1 hang\n";
  const auto hang_for_a_second_of_cpu = [] {
    const rlimit limit{.rlim_cur = 1, .rlim_max = 2};
    setrlimit(RLIMIT_CPU, &limit);
    ReachThrice();
  };
  EXPECT_EXIT(hang_for_a_second_of_cpu(), testing::KilledBySignal(SIGXCPU), "");
  EXPECT_FALSE(std::filesystem::exists(folder + "/test.first"));
  std::filesystem::remove_all(folder);
}

TEST(FailpointTest, KillsAtTheNumberedTimeAndOnlyOnce) {
  const auto armed = Folder() + "/test.first";
  std::ofstream(armed) << "3\n";
  EXPECT_EXIT(ReachThrice(), testing::KilledBySignal(SIGKILL), "");
  EXPECT_FALSE(std::filesystem::exists(armed));
  ReachThrice();
  std::ofstream(armed) << "4\n";
  ReachThrice();
  EXPECT_TRUE(std::filesystem::exists(armed));
  std::filesystem::remove_all(Folder());
}

TEST(FailpointTest, PoisonEndsEveryProcessThatTastesIt) {
  const auto poison = Folder() + "/test.taste.poison";
  SPILLWAY_POISON("test.taste", "a deadly meal");
  std::ofstream(poison) << "9 deadly\n";
  SPILLWAY_POISON("test.taste", "a good meal");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EXIT(SPILLWAY_POISON("test.taste", "a deadly meal"), testing::KilledBySignal(SIGKILL),
                "");
  }
  std::filesystem::remove_all(Folder());
}

TEST(FailpointTest, AStepIsForgottenOnceIfToldTo) {
  EXPECT_FALSE(SPILLWAY_FORGETS("test.step"));
  std::ofstream(Folder() + "/test.step") << "\n";
  EXPECT_TRUE(SPILLWAY_FORGETS("test.step"));
  EXPECT_FALSE(SPILLWAY_FORGETS("test.step"));
  std::filesystem::remove_all(Folder());
}

}  // namespace
}  // namespace spillway

#endif  // SPILLWAY_FAILPOINTS
