// The whole data plane under one seeded random source. Whatever happens: every valid span leaves,
// every invalid message becomes a dead letter, C is never above what has not left, nothing stays
// behind, the ledger explains everything; and without a fault that permits it nothing is doubled.
//
//   data_plane_sim [--mix=NAME] [--seeds=N]     the first N seeds of one mix or all
//   data_plane_sim --mix=NAME --seed=N          one run, with a trace of its events
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <ostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/log.h"
#include "tests/sim/simulation.h"

namespace spillway::sim {

// Found by GoogleTest.
void PrintTo(const Mix& mix, std::ostream* out) { *out << mix.name; }

namespace {

struct Flags {
  std::string mix;  // empty: all
  std::optional<uint64_t> seed, seeds;
};
Flags& TheFlags() {
  static Flags flags;
  return flags;
}

// False: not one of ours, or no number where one belongs.
bool ParseFlag(absl::string_view argument, Flags& flags) {
  uint64_t number = 0;
  if (absl::ConsumePrefix(&argument, "--mix=")) {
    flags.mix = std::string(argument);
    return true;
  }
  if (absl::ConsumePrefix(&argument, "--seed=")) {
    return absl::SimpleAtoi(argument, &number) && (flags.seed = number).has_value();
  }
  if (absl::ConsumePrefix(&argument, "--seeds=")) {
    return absl::SimpleAtoi(argument, &number) && (flags.seeds = number).has_value();
  }
  return false;
}

// Where a failed CHECK of the product ends the process.
struct Running {
  const char* mix = "";
  unsigned long seed = 0;
};
Running running;
void OnAbort(int) {
  std::fprintf(stderr, "replay: data_plane_sim --mix=%s --seed=%lu\n", running.mix, running.seed);
}

class DataPlaneSim : public testing::TestWithParam<Mix> {};

TEST_P(DataPlaneSim, LosesNothingAndComesToRest) {
  const Mix& mix = GetParam();
  const Flags& flags = TheFlags();
  if (!flags.mix.empty() && flags.mix != mix.name) GTEST_SKIP() << "--mix=" << flags.mix;
  if (flags.seed.has_value()) {
    running = {mix.name.c_str(), *flags.seed};
    EXPECT_EQ(Simulation(mix, *flags.seed, /*is_traced=*/true).Run(), "");
    return;
  }
  const uint64_t seeds = flags.seeds.value_or(mix.seeds);
  RecordProperty("runs", static_cast<int>(seeds));
  uint64_t dangerous_runs = 0;
  uint64_t deadly_parts = 0;
  uint64_t dictionaries_dropped = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    running = {mix.name.c_str(), seed};
    Simulation simulation(mix, seed);
    const std::string wrong = simulation.Run();
    if (simulation.dangerous_rollbacks() > 0) ++dangerous_runs;
    deadly_parts += simulation.deadly_parts();
    dictionaries_dropped += simulation.dictionaries_dropped();
    ASSERT_EQ(wrong, "") << "replay: data_plane_sim --mix=" << mix.name << " --seed=" << seed;
  }
  if (seeds >= 20) {
    EXPECT_GT(dictionaries_dropped, 0u);
  }
  if (mix.has_poison) {
    EXPECT_GT(deadly_parts, seeds);
  }
  // Conformance K9b is about these.
  if (mix.rollback >= 0.1) {
    EXPECT_GT(dangerous_runs, seeds / 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Mixes, DataPlaneSim, testing::ValuesIn(AllMixes()),
                         [](const auto& mix) { return mix.param.name; });

}  // namespace
}  // namespace spillway::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (spillway::sim::ParseFlag(argv[i], spillway::sim::TheFlags())) continue;
    std::fprintf(stderr, "%s: not --mix=NAME, --seed=N or --seeds=N\n", argv[i]);
    return 2;
  }
  spillway::ConfigureLog(spillway::LogFormat::kText, spillway::sim::TheFlags().seed
                                                         ? spillway::LogLevel::kInfo
                                                         : spillway::LogLevel::kError);
  std::signal(SIGABRT, spillway::sim::OnAbort);
  return RUN_ALL_TESTS();
}
