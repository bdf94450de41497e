#include "base/hand_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace spillway {
namespace {

using ::testing::Eq;
using ::testing::Optional;

constexpr ClaimInHand kClaim{.shard = {3}, .epoch = {7, 70}, .claim = {1, 2}};
constexpr ClaimInHand kOther{.shard = {4}, .epoch = {8, 80}, .claim = {3, 4}};

class HandFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "spillway-hand-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    path_ = HandFilePath(directory_, "flush", 0);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_, path_;
};

TEST_F(HandFileTest, TellsWhatIsInHand) {
  const auto file = HandFile::Create(path_, Generation{5});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(ReadHandFile(path_, Generation{5}), std::nullopt);
  (*file)->Note(kClaim);
  EXPECT_THAT(ReadHandFile(path_, Generation{5}), Optional(Eq(kClaim)));
  (*file)->Note(kOther);
  EXPECT_THAT(ReadHandFile(path_, Generation{5}), Optional(Eq(kOther)));
  (*file)->Note({});
  EXPECT_EQ(ReadHandFile(path_, Generation{5}), std::nullopt);
}

TEST_F(HandFileTest, SurvivesAProcessThatIsKilled) {
  const auto note_and_die = [this] {
    const auto file = HandFile::Create(path_, Generation{5});
    if (file.ok()) (*file)->Note(kClaim);
    std::raise(SIGKILL);
  };
  EXPECT_EXIT(note_and_die(), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_THAT(ReadHandFile(path_, Generation{5}), Optional(Eq(kClaim)));
}

TEST_F(HandFileTest, AnotherGenerationsWordIsNotTaken) {
  const auto file = HandFile::Create(path_, Generation{5});
  (*file)->Note(kClaim);
  EXPECT_EQ(ReadHandFile(path_, Generation{4}), std::nullopt);
  EXPECT_EQ(ReadHandFile(path_, Generation{6}), std::nullopt);
}

TEST_F(HandFileTest, ASuccessorBeginsWithNothing) {
  const auto before = HandFile::Create(path_, Generation{5});
  (*before)->Note(kClaim);
  const auto after = HandFile::Create(path_, Generation{5});
  ASSERT_TRUE(after.ok()) << after.status();
  (*before)->Note(kOther);
  EXPECT_EQ(ReadHandFile(path_, Generation{5}), std::nullopt);
}

TEST_F(HandFileTest, WhatIsNoHandFileTellsNothing) {
  EXPECT_EQ(ReadHandFile(path_, Generation{0}), std::nullopt);
  std::ofstream(path_) << "short";
  EXPECT_EQ(ReadHandFile(path_, Generation{0}), std::nullopt);
  std::ofstream(path_) << std::string(4096, '\0');
  EXPECT_EQ(ReadHandFile(path_, Generation{0}), std::nullopt);
}

TEST_F(HandFileTest, SaysWhereItCannotBe) {
  const auto file = HandFile::Create(directory_ + "/absent/flush-0.hand", Generation{1});
  EXPECT_THAT(std::string(file.status().message()), ::testing::HasSubstr("flush-0.hand"));
}

}  // namespace
}  // namespace spillway
