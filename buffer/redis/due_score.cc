#include "buffer/redis/due_score.h"

#include <algorithm>
#include <array>

namespace spillway::buffer {
namespace {

constexpr int64_t kClasses = 64;

// Most bytes of each class.
constexpr std::array<uint64_t, kClasses> MakeLimits() {
  std::array<uint64_t, kClasses> limits{};
  limits[1] = 64;
  for (size_t i = 2; i < limits.size(); ++i) limits[i] = limits[i - 1] + limits[i - 1] / 4;
  return limits;
}
constexpr std::array<uint64_t, kClasses> kLimits = MakeLimits();

}  // namespace

int64_t DueScore(EventTime deadline, uint64_t part_bytes) {
  const auto* limit = std::ranges::lower_bound(kLimits, std::min(part_bytes, kLimits.back()));
  return deadline.ms * kClasses + (limit - kLimits.begin());
}

EventTime DeadlineOfScore(int64_t score) { return {score >> 6}; }

uint64_t PartBytesOfScore(int64_t score) { return kLimits[static_cast<size_t>(score & 63)]; }

}  // namespace spillway::buffer
