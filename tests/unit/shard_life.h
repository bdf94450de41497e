// A shard that lives a random life, as its two owners would lead it: parts that open, grow, absorb
// one another, become due, are claimed, and leave or are given back.
#ifndef SPILLWAY_TESTS_UNIT_SHARD_LIFE_H_
#define SPILLWAY_TESTS_UNIT_SHARD_LIFE_H_

#include <map>
#include <set>
#include <vector>

#include "tests/support/seeded_random.h"
#include "tests/unit/shard_store_contract.h"

namespace spillway::buffer {

class ShardLife : public ShardStoreContract {
 protected:
  static constexpr int64_t kNever = 1'000'000'000'000;  // a deadline that the clock does not reach

  void Restart(uint64_t seed);  // an empty store, a new shard
  void Grow(size_t parts);      // that many are open
  void Live(int events);
  void ExpectEven(const AuditReply& audit) const;

 private:
  struct OpenPart {
    int64_t deadline = 0;
    std::vector<PartName> references;
  };
  // What one add is made of.
  struct Batch {
    std::vector<AddPart> parts;
    std::set<PartName> used;
    uint64_t spans = 0;
  };

  void AddSome(size_t new_parts);
  void OpenPartIn(Batch& batch);
  void ExtendPartIn(Batch& batch);
  void AbsorbPartIn(Batch& batch);
  AddPart ChunkFor(Batch& batch, std::optional<PartName> name, int64_t deadline);
  std::optional<PartName> PickOpen(const Batch& batch);
  void ClaimSome();
  void EndAClaim(bool is_delivered);

  test_support::SeededRandom random_{0};
  std::map<PartName, OpenPart> open_;
  std::map<PartName, uint64_t> spans_;  // of each list
  std::vector<Claim> claims_;
  uint64_t last_claim_ = 0;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_TESTS_UNIT_SHARD_LIFE_H_
