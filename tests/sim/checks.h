// What must hold in a simulation of the data plane, judged from what left it alone.
#ifndef SPILLWAY_TESTS_SIM_CHECKS_H_
#define SPILLWAY_TESTS_SIM_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/data_plane.h"
#include "tests/sim/input_log.h"
#include "tests/sim/mixes.h"

namespace spillway::sim {

// The first broken rule counts.
class Checks {
 public:
  Checks(const Mix& mix, DataPlane& plane, const InputLog& input);

  // After every step: no offset below C is undelivered, C never falls, nothing is written to what
  // can be claimed, and every chunk in Redis has its dictionary.
  void AfterStep();
  // The input starts again at offset 0, and so does C.
  void OnNewLog();
  // A flush worker has died of poison, and this was noted.
  void OnDeath(const std::optional<ClaimInHand>& in_hand);
  // How many parts have ended workers.
  size_t deadly_parts() const { return deaths_.size(); }
  // Redis is about to lose everything.
  void OnLoss();
  // Whether nothing is left to do: C and W at the end of the log, nothing but meta in Redis.
  bool IsQuiet();
  // Once it is quiet.
  void AtEnd();

  // Of a mix that proves every death, and says so: claims of the dead were released at once, those
  // of the living not at all (their acknowledges would have come too late).
  void NoLeaseWasWaitedFor(bool was_soon_quiet);

  // Empty: all is well.
  const std::string& wrong() const { return wrong_; }
  void Fail(const std::string& what);

 private:
  void ReadOutput();
  bool IsPoison(const InputRecord& record) const {
    return mix_.has_poison && input_.IsPoison(record.tag);
  }
  bool HasLeft(const InputRecord& record) const;
  void CheckLetters();
  void CheckDeaths();
  void CheckNothingIsLost();
  void CheckNothingIsDoubled();
  void CheckReplayed();
  void CheckLedger();
  void CheckSegments();
  std::string Position() const;

  struct Sent {
    std::vector<size_t> tags;
    std::vector<std::string> segments;  // as each span tells
  };

  const Mix& mix_;
  DataPlane& plane_;
  const InputLog& input_;
  std::vector<Sent> sent_;            // what is on the output topic
  std::vector<size_t> times_sent_;    // by tag
  std::vector<size_t> dead_letters_;  // by tag
  size_t letters_read_ = 0;
  Offset low_ = 0;                       // C as last seen
  std::map<PartName, uint32_t> deaths_;  // of workers that had it in hand
  uint64_t replayed_ = 0;                // that ledgers had counted when they were lost
  bool has_lost_uncommitted_ = false;
  std::string wrong_;
};

}  // namespace spillway::sim

#endif  // SPILLWAY_TESTS_SIM_CHECKS_H_
