// One run: random events and faults from one seed, then peace until everything has left.
#ifndef SPILLWAY_TESTS_SIM_SIMULATION_H_
#define SPILLWAY_TESTS_SIM_SIMULATION_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/sim/checks.h"
#include "tests/sim/data_plane.h"
#include "tests/sim/input_log.h"
#include "tests/sim/mixes.h"

namespace spillway::sim {

class Simulation {
 public:
  // `is_traced`: what happens is printed to standard output.
  Simulation(const Mix& mix, uint64_t seed, bool is_traced = false);

  // Empty: all is well; else the first rule that was broken.
  std::string Run();

  uint64_t dictionaries_dropped() const { return plane_.world.store.dictionaries_dropped(); }

  size_t deadly_parts() const { return checks_.deadly_parts(); }

  // How often Redis was set back to a time whose watermark is below C (conformance K9b).
  int dangerous_rollbacks() const { return dangerous_rollbacks_; }

 private:
  bool IsDeadly(const std::string& payload) const;
  void ChooseLimits();
  void Step();
  void RunSome(uint64_t most);
  void Converge();

  // Each may do one disturbing thing.
  void Disturb();
  void MoveOwners();
  void CrashOwners();
  void TroubleKafka();
  void TroubleRedis();
  void SetMemoryFull(bool is_full);
  void Rollback();
  void NewLog();

  buffer::StoreFault NextStoreFault(buffer::StoreCall call);
  kafka::FakeProducer::Outcome NextOutcome(const std::string& topic);
  void Trace(absl::string_view what);

  const Mix mix_;
  const bool is_traced_;
  test_support::SeededRandom random_;
  DataPlane plane_;
  InputLog input_;
  Checks checks_;
  std::vector<std::pair<Offset, buffer::FakeShardStore::Shards>> snapshots_;  // with W
  int step_ = 0;
  int dangerous_rollbacks_ = 0;
  bool has_new_log_ = false;
  bool is_memory_full_ = false;
  bool is_over_ = false;  // no more faults
};

}  // namespace spillway::sim

#endif  // SPILLWAY_TESTS_SIM_SIMULATION_H_
