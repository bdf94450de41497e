#include "base/time_account.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/fake_clock.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;

enum class State { kIdle, kStarting, kWaiting, kWorking };
using Account = TimeAccount<State, 4>;

Duration Of(const Account::Times& times, State state) { return times[static_cast<size_t>(state)]; }

Duration Sum(const Account::Times& times) {
  return std::accumulate(times.begin(), times.end(), Duration::zero());
}

TEST(TimeAccountTest, GivesEveryInstantToOneActivity) {
  FakeClock clock;
  Account account(clock.Now(), State::kStarting);
  clock.Advance(milliseconds(5));
  account.Enter(State::kWaiting, clock.Now());
  clock.Advance(milliseconds(7));
  account.Enter(State::kIdle, clock.Now());
  clock.Advance(milliseconds(11));

  const Account::Times times = account.Until(clock.Now());

  EXPECT_EQ(Of(times, State::kStarting), milliseconds(5));
  EXPECT_EQ(Of(times, State::kWaiting), milliseconds(7));
  EXPECT_EQ(Of(times, State::kIdle), milliseconds(11)) << "the present one counts";
  EXPECT_EQ(Sum(times), milliseconds(23));
}

TEST(TimeAccountTest, AskingChangesNothing) {
  FakeClock clock;
  Account account(clock.Now(), State::kIdle);
  clock.Advance(milliseconds(5));

  EXPECT_EQ(account.Until(clock.Now()), account.Until(clock.Now()));
  account.Enter(State::kWaiting, clock.Now());
  EXPECT_EQ(Of(account.Until(clock.Now()), State::kIdle), milliseconds(5));
}

TEST(TimeAccountTest, ATimeBeforeTheLastOneAddsNothing) {
  FakeClock clock;
  const Instant earlier = clock.Now();
  clock.Advance(milliseconds(5));
  Account account(clock.Now(), State::kIdle);

  account.Enter(State::kWaiting, earlier);
  EXPECT_EQ(Sum(account.Until(earlier)), Duration::zero());
  clock.Advance(milliseconds(2));
  EXPECT_EQ(Of(account.Until(clock.Now()), State::kWaiting), milliseconds(2));
}

TEST(TimeAccountTest, WorkInTheMiddleOfAWaitIsNoPartOfIt) {
  FakeClock clock;
  Account account(clock.Now(), State::kWaiting);
  clock.Advance(milliseconds(3));
  {
    const Stretch working(account, State::kWorking, clock);
    clock.Advance(milliseconds(4));
  }
  clock.Advance(milliseconds(5));

  EXPECT_EQ(account.current(), State::kWaiting);
  EXPECT_EQ(Of(account.Until(clock.Now()), State::kWaiting), milliseconds(8));
  EXPECT_EQ(Of(account.Until(clock.Now()), State::kWorking), milliseconds(4));
}

}  // namespace
}  // namespace spillway
