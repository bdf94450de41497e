// Decides what a flush owner does about one shard: become its owner, look for due parts, claim
// them, release claims nobody holds, hand the shard over (design section 4, invariants 2 and 5).
// Pure: no clock, no I/O; what a claim goes through once it is made is claim_run.h.
#ifndef SPILLWAY_WORKER_FLUSH_SHARD_FLUSHER_H_
#define SPILLWAY_WORKER_FLUSH_SHARD_FLUSHER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "buffer/shard_store.h"
#include "proto/wire/worker_report.h"
#include "worker/flush/backoff.h"
#include "worker/flush/flush_options.h"

namespace spillway::flush {

// 64 random bits a call.
using RandomSource = std::function<uint64_t()>;

// How a claim ended.
struct ClaimEnded {
  enum class How {
    kAcknowledged,
    kReleased,  // its parts are due again
    kLost,      // Redis no longer knows it
  };
  buffer::ClaimId id;
  How how = How::kAcknowledged;
  wire::Cause cause = wire::Cause::kNone;  // of a release: what stood in the way
  bool has_changed = false;                // of a release: what was loaded was not what was claimed
};

// What happened. Each store call that an action asked for comes back as one event.
struct Tick {};  // time has passed, or there is room to claim again
// The control plane's last word about this shard.
struct Wanted {
  bool is_wanted = true;
  // Of this shard; of processes proven dead: nobody ends their claims any more.
  std::vector<wire::DeadEpoch> dead{};
};
using Acquired = buffer::StoreResult<Epoch>;
using Peeked = buffer::StoreResult<buffer::PeekReply>;
using Claimed = buffer::StoreResult<buffer::Claim>;
struct StaleReleased {
  buffer::StoreCode code = buffer::StoreCode::kOk;
};
using FlusherEvent =
    std::variant<Tick, Wanted, Acquired, Peeked, Claimed, StaleReleased, ClaimEnded>;

// What to do. At most one store call is under way at a time.
struct DoAcquire {
  buffer::AcquireRequest request;
};
struct DoPeek {
  Epoch epoch;
  uint32_t limit = 0;
};
struct DoClaim {
  buffer::ClaimRequest request;
};
struct DoReleaseStale {
  buffer::ClaimId id;
  // As the control plane knows; else its lease has ended, or it is ours.
  bool is_owner_dead = false;
  bool counts_attempt = false;  // the owner died while it worked on this very claim
};
struct RunClaim {  // a claim is ours: take it through
  buffer::Claim claim;
  Epoch epoch;
  bool to_dead_letters = false;  // too many attempts
};
struct StopClaims {};    // hand-over takes long: release what is not with Kafka
struct ForgetClaims {};  // its time is up: leave the rest to the leases
using FlusherAction =
    std::variant<DoAcquire, DoPeek, DoClaim, DoReleaseStale, RunClaim, StopClaims, ForgetClaims>;

// What a flusher can do at this moment, decided by its worker.
struct FlusherRoom {
  bool may_claim = true;  // not paused, and bytes in flight below the limit
};

struct PendingClaim {
  buffer::ClaimRequest request;
  bool to_dead_letters = false;
};

// Not thread-safe. Made when the shard is assigned, thrown away when is_gone().
class ShardFlusher {
 public:
  using Actions = std::vector<FlusherAction>;

  ShardFlusher(const FlushOptions& options, RandomSource random);

  // Combinations that make no sense (a reply nobody waits for) change nothing.
  Actions Step(FlusherEvent event, Instant now, FlusherRoom room);

  // When to step with Tick next, at the latest.
  Instant wake() const;
  // Unwanted, and nothing held any more.
  bool is_gone() const { return is_gone_; }

  // For the report.
  wire::ShardStage stage() const;
  Epoch epoch() const { return epoch_.value_or(Epoch{}); }
  const buffer::PeekReply& last_peek() const { return peek_; }  // without its lists
  uint64_t parts_in_flight() const;
  uint64_t claims_of_others() const { return claims_of_others_; }  // as the last peek saw them
  uint64_t steps() const { return steps_; }  // completed, looking not included
  wire::Cause blocked_cause() const;
  // What the shard waits for, its claims apart: what those wait for comes before this.
  wire::Activity activity(Instant now, FlusherRoom room) const;

 private:
  enum class Call { kNone, kAcquire, kPeek, kClaim, kReleaseStale };
  void OnEvent(const Tick&, Instant) {}
  void OnEvent(const Wanted& event, Instant now);
  void OnEvent(Acquired& event, Instant now);
  void OnEvent(Peeked& event, Instant now);
  void OnEvent(Claimed& event, Instant now);
  void OnEvent(const StaleReleased& event, Instant now);
  void OnEvent(const ClaimEnded& event, Instant now);

  void Decide(Instant now, FlusherRoom room);
  void HandOver(Instant now);
  void FindStale();
  const wire::DeadEpoch* FindDead(const Epoch& epoch) const;  // null: not known to be dead
  void Choose(Instant now);
  void SchedulePeek(EventTime clock_before, Instant now);
  void LoseEpoch(Instant now);
  // Waits before the next store call; `code` says for what.
  void WaitAfter(buffer::StoreCode code, Instant now);
  void Perform(Call call, FlusherAction action);

  const FlushOptions options_;
  RandomSource random_;
  Actions actions_;  // of the step under way

  bool is_wanted_ = true;
  bool is_gone_ = false;
  Call call_ = Call::kNone;
  Instant not_before_{};  // next store call
  Backoff store_backoff_;
  wire::Cause store_cause_ = wire::Cause::kNone;

  std::optional<Epoch> epoch_;
  uint64_t highest_number_ = 0;
  Backoff epoch_backoff_;
  Instant owned_since_{};

  buffer::PeekReply peek_;
  std::vector<buffer::PeekedPart> due_;  // of the last peek, until chosen from
  Instant next_peek_{};
  Duration peek_interval_;

  std::optional<PendingClaim> pending_;
  std::map<buffer::ClaimId, size_t> claims_;  // held: number of parts
  std::vector<DoReleaseStale> stale_;
  std::vector<wire::DeadEpoch> dead_;    // as told last
  uint64_t usual_part_bytes_ = 8 << 10;  // moving average

  Backoff delivery_backoff_;
  Instant claim_not_before_{};
  wire::Cause delivery_cause_ = wire::Cause::kNone;
  bool counts_entries_ = false;  // the last claim's load was not complete

  std::optional<Instant> stop_at_, forget_at_;  // of a hand-over
  uint64_t claims_of_others_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_SHARD_FLUSHER_H_
