// Random numbers for tests: the same seed gives the same numbers with every compiler and library,
// which the distributions of <random> do not promise.
#ifndef SPILLWAY_TESTS_SUPPORT_SEEDED_RANDOM_H_
#define SPILLWAY_TESTS_SUPPORT_SEEDED_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace spillway::test_support {

// SplitMix64. A value: copying it forks the sequence. Not thread-safe.
class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // A number in 0 … limit − 1; REQUIRES: 0 < limit < 2^32 (the bias is then below 2^-32).
  uint64_t Below(uint64_t limit) { return ((Next() >> 32) * limit) >> 32; }

  // True with this probability.
  bool Chance(double probability) {
    return static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability;
  }

  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace spillway::test_support

#endif  // SPILLWAY_TESTS_SUPPORT_SEEDED_RANDOM_H_
