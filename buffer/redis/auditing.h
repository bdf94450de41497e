// Counts the live spans of a shard as of one instant, however busy the shard is: walks it in small
// steps, and reads in the shard's journal what changes meanwhile (audit_mirror.h).
#ifndef SPILLWAY_BUFFER_REDIS_AUDITING_H_
#define SPILLWAY_BUFFER_REDIS_AUDITING_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "base/loop.h"
#include "buffer/redis/audit_mirror.h"
#include "buffer/redis/keys.h"
#include "buffer/redis/redis_client.h"

namespace spillway::buffer {

// How much one call of an audit does: a millisecond of the server, or less.
struct AuditSteps {
  size_t names = 400;
  size_t parts = 200;
  size_t entries = 400;    // of all those parts together
  size_t records = 4'000;  // of the journal
};

// Make it with make_shared, then Run. Waits while another audit of the shard is under way. Gives up
// after kAuditTimeLimit, or when it had to begin kMaxRounds times: somebody changes the shard and
// does not write it into the journal. Loop thread. To be kept until it has answered, or until the
// client goes.
class Auditing : public std::enable_shared_from_this<Auditing> {
 public:
  Auditing(Loop& loop, RedisRoute route, ShardKeys keys, ShardId shard, Done<AuditReply> done,
           AuditSteps steps = {});
  void Run() { Begin(); }

 private:
  static constexpr int kMaxRounds = 10;
  static constexpr std::chrono::microseconds kLease =
      std::chrono::seconds(5);  // renewed by every step
  static constexpr Duration kPause = std::chrono::milliseconds(20);
  static constexpr size_t kMaxOutstanding = 4;   // other clients get their turn in between
  static constexpr size_t kStepsPerReading = 4;  // of the journal, while it walks

  using Handler = absl::AnyInvocable<void(AuditMirror::Change at, const Reply&)>;

  void Begin();
  void OnBegun(const Reply& reply);
  void BeginAgain();
  void Pump();
  bool SendNext();
  void SendNames();
  void SendClaim();
  void SendParts(std::vector<AuditMirror::Wanted> wanted);
  void SendReading();
  void OnParts(AuditMirror::Change at, const Reply& reply,
               const std::vector<AuditMirror::Wanted>& wanted);
  void OnRead(AuditMirror::Change at, const Reply& reply);
  void FinishIfAllIsRead();

  void AddStep(Command& command);
  void Send(Command command, Handler handler);
  void Expect(bool is_well);  // else it begins again after this reply
  void GiveUp();
  void Fail(StoreCode code, std::string message);
  void End(StoreResult<AuditReply> result);

  const RedisRoute route_;
  const ShardKeys keys_;
  const ShardId shard_;
  const AuditSteps steps_;
  const Instant deadline_;
  const std::string id_;
  Timer pause_;
  Done<AuditReply> done_;  // empty: answered

  int round_ = 0;
  int64_t step_ = 0;  // counts on from round to round
  ShardSummary summary_;

  // Of this round.
  std::optional<AuditMirror> mirror_;  // empty before it has begun
  bool is_well_ = true;
  size_t outstanding_ = 0;
  size_t readings_ = 0;       // of the outstanding calls
  size_t since_reading_ = 0;  // steps
  bool is_behind_ = false;    // the journal had more
  std::deque<ClaimId> claims_;
  std::string cursor_;
  std::set<std::string> foreign_names_;  // in `due`, but no part's
  bool is_paging_ = false;
  bool has_all_names_ = false;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_AUDITING_H_
