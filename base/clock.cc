#include "base/clock.h"

namespace spillway {
namespace {

class MachineClock final : public Clock {
 public:
  Instant Now() const override { return std::chrono::steady_clock::now(); }
  WallTime Wall() const override {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count()};
  }
};

}  // namespace

std::chrono::system_clock::time_point WallDeadline(Duration timeout) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout);
}

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace spillway
