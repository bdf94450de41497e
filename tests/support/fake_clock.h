// A clock that moves only when a test says so.
#ifndef SPILLWAY_TESTS_SUPPORT_FAKE_CLOCK_H_
#define SPILLWAY_TESTS_SUPPORT_FAKE_CLOCK_H_

#include "base/clock.h"
#include "base/mutex.h"

namespace spillway {

// Both times move together with Advance; SetWall moves the wall clock alone, as an operator may.
// Thread-safe.
class FakeClock final : public Clock {
 public:
  Instant Now() const override {
    MutexLock lock(&mutex_);
    return now_;
  }
  WallTime Wall() const override {
    MutexLock lock(&mutex_);
    return wall_;
  }
  void Advance(Duration duration) {
    MutexLock lock(&mutex_);
    now_ += duration;
    wall_.us += std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  }
  void SetWall(WallTime wall) {
    MutexLock lock(&mutex_);
    wall_ = wall;
  }

 private:
  mutable Mutex mutex_;
  // Not zero: a default-made Instant must not look like "now".
  Instant now_ ABSL_GUARDED_BY(mutex_) = Instant(std::chrono::hours(24));
  WallTime wall_ ABSL_GUARDED_BY(mutex_) = {1'700'000'000'000'000};
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_SUPPORT_FAKE_CLOCK_H_
