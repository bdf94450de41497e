// Which events and faults a simulation draws, and how often.
#ifndef SPILLWAY_TESTS_SIM_MIXES_H_
#define SPILLWAY_TESTS_SIM_MIXES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace spillway::sim {

// Probabilities: of a call or message for the first group, each time something disturbs for the
// second.
struct Mix {
  std::string name;
  uint64_t seeds = 100;

  double net = 0;     // a store call is lost, its reply is lost, it comes late, a slot moves
  double memory = 0;  // an add is refused; and for a while, as often as something disturbs, all are
  double delivery = 0;   // a message is certainly not delivered
  double ambiguous = 0;  // nobody can tell whether it was
  double refused = 0;    // the broker will never take it (dead letters excepted)

  double rebalance = 0;   // the group moves the shard, in order or as lost
  double eviction = 0;    // the same, and the old owner does not know for a while
  double flush_move = 0;  // the control plane moves it
  double ingest_crash = 0;
  double flush_crash = 0;
  double proven_dead = 0;  // of such a crash: the control plane proves it, and says so
  double kafka = 0;        // unreachable or refusing commits, for a while
  double hold = 0;         // deliveries take their time
  double rollback = 0;     // Redis is restored to a snapshot, most likely from below C
  double loss = 0;         // Redis forgets everything
  double new_log = 0;      // the input topic is deleted and made again (at most once)

  // One trace is poison: who makes a message of its spans dies of it, and that is proven. Only its
  // dead letters can be written.
  bool has_poison = false;

  // No part reaches its deadline before the faults stop: what leaves must be what the reference
  // model says.
  bool is_generous = false;

  // Nothing happens after which a span may leave more often than it came (design section 4,
  // "Sources of duplicates").
  bool PermitsDuplicates() const {
    return flush_crash > 0 || has_poison || ambiguous > 0 || rollback > 0 || loss > 0;
  }
  // Spans leave more often than they came only because Redis has lost them: the ledger bounds that.
  bool OnlyLosesRedis() const {
    return loss > 0 && flush_crash == 0 && ambiguous == 0 && rollback == 0 && net == 0;
  }
  // Every death is proven: no lease is ever waited for, and none ends under a living owner.
  bool ProvesEveryDeath() const { return proven_dead >= 1; }
  // Redis may forget what it knew.
  bool Forgets() const { return rollback > 0 || loss > 0; }
};

const std::vector<Mix>& AllMixes();

}  // namespace spillway::sim

#endif  // SPILLWAY_TESTS_SIM_MIXES_H_
