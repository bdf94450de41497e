#include "base/log_limiter.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

using std::chrono::seconds;

TEST(LogLimiterTest, WritesAFewLinesInEachIntervalAndCountsTheRest) {
  LogLimiter limiter(2, seconds(10));
  const Instant start{seconds(100)};
  EXPECT_EQ(limiter.Admit(start), 0u);
  EXPECT_EQ(limiter.Admit(start + seconds(1)), 0u);
  EXPECT_EQ(limiter.Admit(start + seconds(2)), std::nullopt);
  EXPECT_EQ(limiter.Admit(start + seconds(9)), std::nullopt);
  EXPECT_EQ(limiter.Admit(start + seconds(10)), 2u);
  EXPECT_EQ(limiter.Admit(start + seconds(11)), 0u);
  EXPECT_EQ(limiter.Admit(start + seconds(12)), std::nullopt);
}

TEST(LogLimiterTest, APauseBeginsAnew) {
  LogLimiter limiter(1, seconds(10));
  EXPECT_EQ(limiter.Admit(Instant{seconds(1)}), 0u);
  EXPECT_EQ(limiter.Admit(Instant{seconds(1000)}), 0u);
}

}  // namespace
}  // namespace spillway
