#include "server/fleet/restart_policy.h"

#include <gtest/gtest.h>

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const config::Restart kRestart;  // 5 in 10 min, 500 ms … 60 s

Instant At(Duration since_start) { return Instant(seconds(1000)) + since_start; }

TEST(RestartPolicyTest, PausesDoubleGiveOrTakeAFifth) {
  RestartHistory history;
  for (const int64_t expected_ms : {500, 1000, 2000, 4000, 8000}) {
    const auto next = NextStart(history, At(seconds(0)), kRestart, 7);
    ASSERT_TRUE(next.has_value());
    EXPECT_GE(*next - At(seconds(0)), milliseconds(expected_ms * 8 / 10));
    EXPECT_LE(*next - At(seconds(0)), milliseconds(expected_ms * 12 / 10));
  }
}

TEST(RestartPolicyTest, TheBudgetIsSpentAfterMaxRestartsWithinTheWindow) {
  RestartHistory history;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(NextStart(history, At(minutes(i)), kRestart, 1));
  EXPECT_EQ(RestartCount(history, At(minutes(5)), kRestart), 5);
  EXPECT_FALSE(NextStart(history, At(minutes(5)), kRestart, 1).has_value());
}

TEST(RestartPolicyTest, OldDeathsAreForgottenButThePauseIsNot) {
  RestartHistory history;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(NextStart(history, At(seconds(0)), kRestart, 1));
  const Instant later = At(minutes(11));
  EXPECT_EQ(RestartCount(history, later, kRestart), 0);
  const auto next = NextStart(history, later, kRestart, 1);
  ASSERT_TRUE(next.has_value());
  EXPECT_GE(*next - later, seconds(12));
}

TEST(RestartPolicyTest, PausesNeverExceedTheLongest) {
  RestartHistory history{{}, 40};
  const auto next = NextStart(history, At(seconds(0)), kRestart, 1);
  ASSERT_TRUE(next.has_value());
  EXPECT_LE(*next - At(seconds(0)), seconds(72));
}

TEST(RestartPolicyTest, SeedsSpreadThePauses) {
  RestartHistory a, b;
  EXPECT_NE(NextStart(a, At(seconds(0)), kRestart, 1), NextStart(b, At(seconds(0)), kRestart, 2));
}

TEST(RestartPolicyTest, NoBudgetMeansNoRestart) {
  RestartHistory history;
  config::Restart none;
  none.max_restarts = 0;
  EXPECT_FALSE(NextStart(history, At(seconds(0)), none, 1).has_value());
}

}  // namespace
}  // namespace spillway::fleet
