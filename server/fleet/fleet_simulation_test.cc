// The fleet's decisions in the world of fleet_world.h.
//   fleet_simulation_test [--seeds=N]    the first N seeds
//   fleet_simulation_test --seed=N       one of them
#include <gtest/gtest.h>

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "server/fleet/fleet_world.h"

namespace spillway::fleet {
namespace {

struct Flags {
  uint64_t seeds = 1000;
  std::optional<uint64_t> seed;
};
Flags& TheFlags() {
  static Flags flags;
  return flags;
}

TEST(FleetSimulationTest, OneOwnerAShardAndEverythingConverges) {
  const Flags& flags = TheFlags();
  const uint64_t first = flags.seed.value_or(1), last = flags.seed.value_or(flags.seeds);
  std::array<int64_t, kFaultCount> strikes{};
  for (uint64_t seed = first; seed <= last; ++seed) {
    World world(seed);
    world.Run();
    ASSERT_FALSE(HasFailure()) << "replay: fleet_simulation_test --seed=" << seed;
    for (size_t i = 0; i < strikes.size(); ++i) strikes[i] += world.strikes()[i];
  }
  if (flags.seed) return;
  for (size_t i = 0; i < strikes.size(); ++i) {
    EXPECT_GT(strikes[i], static_cast<int64_t>(flags.seeds / 4)) << "fault " << i << " is too rare";
  }
}

bool Read(absl::string_view argument) {
  if (absl::ConsumePrefix(&argument, "--seeds=")) {
    return absl::SimpleAtoi(argument, &TheFlags().seeds);
  }
  uint64_t seed = 0;
  if (!absl::ConsumePrefix(&argument, "--seed=")) return false;
  if (!absl::SimpleAtoi(argument, &seed)) return false;
  TheFlags().seed = seed;
  return true;
}

}  // namespace
}  // namespace spillway::fleet

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (spillway::fleet::Read(argv[i])) continue;
    std::fprintf(stderr, "%s: not --seed=N or --seeds=N\n", argv[i]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
