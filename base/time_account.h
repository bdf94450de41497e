// Where something's time goes: how long it was in each of N states. Pure.
#ifndef SPILLWAY_BASE_TIME_ACCOUNT_H_
#define SPILLWAY_BASE_TIME_ACCOUNT_H_

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/clock.h"

namespace spillway {

// `State`: an enum with the values 0…N−1. Every instant from the beginning on belongs to exactly
// one state, so the times add up to the account's age by construction. A change costs an addition.
// Not thread-safe.
template <typename State, size_t N>
class TimeAccount {
 public:
  using Times = std::array<Duration, N>;

  TimeAccount(Instant begin, State first) : current_(first), since_(begin) {}

  // From `now` on it is `next`. A `now` before the last one counts as the last one.
  void Enter(State next, Instant now) {
    if (now > since_) {
      times_[static_cast<size_t>(current_)] += now - since_;
      since_ = now;
    }
    current_ = next;
  }
  State current() const { return current_; }

  // Up to `now`, the present state included.
  Times Until(Instant now) const {
    Times times = times_;
    times[static_cast<size_t>(current_)] += std::max(Duration::zero(), Duration(now - since_));
    return times;
  }

 private:
  State current_;
  Instant since_;
  Times times_{};
};

// A stretch of `state` in the middle of another one, which goes on afterwards. `account` and
// `clock` must outlive it.
template <typename State, size_t N>
class Stretch {
 public:
  Stretch(TimeAccount<State, N>& account, State state, const Clock& clock)
      : account_(account), clock_(clock), before_(account.current()) {
    account_.Enter(state, clock_.Now());
  }
  ~Stretch() { account_.Enter(before_, clock_.Now()); }
  Stretch(const Stretch&) = delete;
  Stretch& operator=(const Stretch&) = delete;

 private:
  TimeAccount<State, N>& account_;
  const Clock& clock_;
  const State before_;
};

}  // namespace spillway

#endif  // SPILLWAY_BASE_TIME_ACCOUNT_H_
