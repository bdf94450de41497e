#include "buffer/redis/due_score.h"

#include <gtest/gtest.h>

namespace spillway::buffer {
namespace {

TEST(DueScoreTest, KeepsDeadlineAndAboutTheSize) {
  constexpr EventTime kDeadline{1'700'000'000'123};
  for (uint64_t bytes = 1; bytes <= (60u << 20); bytes = bytes * 9 / 8 + 1) {
    const int64_t score = DueScore(kDeadline, bytes);
    EXPECT_EQ(DeadlineOfScore(score), kDeadline);
    EXPECT_GE(PartBytesOfScore(score), bytes);
    EXPECT_LE(PartBytesOfScore(score), bytes + std::max<uint64_t>(bytes / 4 + 1, 64));
  }
}

TEST(DueScoreTest, KnowsNothingOfAPartWithoutASize) {
  EXPECT_EQ(PartBytesOfScore(DueScore({5}, 0)), 0u);
  EXPECT_EQ(DueScore({5}, 0), 320);
}

TEST(DueScoreTest, OrdersByDeadlineFirst) {
  EXPECT_LT(DueScore({5}, 1u << 30), DueScore({6}, 1));
  EXPECT_GT(PartBytesOfScore(DueScore({5}, 1u << 30)), 61u << 20);
}

TEST(DueScoreTest, IsExactAsADouble) {
  const int64_t score = DueScore({4'102'444'800'000}, 12345);  // in the year 2100
  EXPECT_EQ(static_cast<int64_t>(static_cast<double>(score)), score);
}

}  // namespace
}  // namespace spillway::buffer
