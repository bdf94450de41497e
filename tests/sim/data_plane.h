// The whole data plane in one thread: ingest sessions and flush engines over one fake Kafka and one
// fake Redis, on a clock that only the simulation moves.
#ifndef SPILLWAY_TESTS_SIM_DATA_PLANE_H_
#define SPILLWAY_TESTS_SIM_DATA_PLANE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/seeded_random.h"
#include "worker/flush/flush_engine.h"
#include "worker/ingest/session_harness.h"

namespace spillway::sim {

inline constexpr char kOutput[] = "buffered-segments";

// Whether a message that a flush worker makes of spans ends the worker.
using Kills = std::function<bool(const std::string& payload)>;

// One flush process.
class FlushOwner {
 public:
  // Thrown from wherever the process is when it dies, to whoever let it run.
  struct Died {
    const FlushOwner* owner;
  };
  FlushOwner(ingest::Harness& world, test_support::SeededRandom& random,
             const flush::FlushOptions& options, const Kills& kills);
  // The control plane's word; `dead`: epochs of the shard whose processes are proven dead.
  void Order(bool owns_shard, const std::vector<wire::DeadEpoch>& dead);
  bool PollIfDue();  // true if anything was due
  void Report();     // to the control plane, which keeps what it hears:
  const std::vector<Epoch>& reported_epochs() const { return reported_epochs_; }
  // What it had noted when it died; empty: nothing, as of one that lives.
  const std::optional<ClaimInHand>& in_hand() const { return in_hand_; }

  kafka::FakeProducer producer;

 private:
  const ingest::Harness& world_;
  bool is_dead_ = false;
  std::optional<ClaimInHand> in_hand_;  // outlives the process
  flush::FlushEngine engine_;
  std::optional<Instant> wake_;
  uint64_t sequence_ = 0;
  std::vector<Epoch> reported_epochs_;
};

class DataPlane {
 public:
  static constexpr size_t kOwners = 3;  // of each role
  using Policy = kafka::FakeProducer::Policy;

  // Nobody owns the shard yet. `policy`: what becomes of every message produced.
  DataPlane(test_support::SeededRandom& random, Policy policy, Kills kills);

  // Ingest: the group gives the shard to `to`. How the one that had it learns of it:
  enum class Notice { kRevoked, kLost, kLater };
  void AssignIngest(size_t to, Notice notice);
  void TellEvicted();  // those that were to learn it later
  void CrashIngest(size_t owner);
  void AssignFlush(size_t to);
  // `is_proven`: the control plane knows that it is dead, and under which epochs it worked.
  void CrashFlush(size_t owner, bool is_proven);

  // A flush worker has died of what it was doing. Called before the control plane learns of it.
  std::function<void(const std::optional<ClaimInHand>& in_hand)> on_death;

  // Runs one thing that waits, in an order that `random` chooses; false: nothing waits.
  bool StepOnce();
  void Advance(Duration time);  // and nothing else
  void Settle();                // until nothing waits

  // C as committed; 0: none.
  Offset committed();
  size_t ingest_owner() const { return ingest_owner_; }
  size_t flush_owner() const { return flush_owner_; }
  FlushOwner& flusher(size_t owner) { return *flushers_[owner]; }

  ingest::Harness world;
  flush::FlushOptions flush_options;  // as of the next start

 private:
  void StartFlush(size_t owner);
  void Bury(const FlushOwner::Died& died);
  void KeepDead(const wire::DeadEpoch& dead);

  test_support::SeededRandom& random_;
  Policy policy_;
  Kills kills_;
  std::vector<std::unique_ptr<FlushOwner>> flushers_;
  std::vector<size_t> evicted_;
  size_t ingest_owner_ = kOwners;  // kOwners: nobody
  size_t flush_owner_ = kOwners;
  std::vector<wire::DeadEpoch> dead_;  // oldest first
};

}  // namespace spillway::sim

#endif  // SPILLWAY_TESTS_SIM_DATA_PLANE_H_
