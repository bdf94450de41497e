// Whether an ingest worker may read a shard (design section 6, backpressure). Pure.
#ifndef SPILLWAY_WORKER_INGEST_GATE_H_
#define SPILLWAY_WORKER_INGEST_GATE_H_

#include <array>
#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "config/config.h"
#include "proto/wire/worker_report.h"

namespace spillway::ingest {

// What is known of a shard when its gate is judged. Figures keep their last value between replies.
struct GateInputs {
  bool is_owned = false;  // taken, and the index is whole
  // Not owned because the last try to take it met this: kKafka, kRedis, kRedisMoving. Else kNone.
  wire::Cause take_cause = wire::Cause::kNone;
  bool is_redis_silent = false;  // the last call was not answered
  bool is_redis_moving = false;  // the last call met a moving cluster slot
  bool is_memory_refused =
      false;  // the last add was refused for memory, and nothing says it is better
  bool has_stuck_letters =
      false;                     // a dead letter has waited for longer than output.delivery_timeout
  bool has_outstanding = true;   // parts due or in flight in Redis
  uint64_t index_bytes = 0;      // this shard's share of what counts against the limit
  uint64_t max_index_bytes = 0;  // 0: no limit
  std::chrono::milliseconds lateness{0};
  uint64_t backlog = 0;     // due parts
  double memory_ratio = 0;  // 0: Redis has no limit
};

// OPEN, SLOW (read less) or CLOSED (do not read), with the cause and since when.
//
// Each figure has two marks: CLOSED from `close` on, and from there OPEN again only below `slow`;
// in between, SLOW on the way up, CLOSED on the way down. The index has its limit and nine tenths
// of it. Redis memory that others hold does not keep the gate closed for ever: with nothing of ours
// left to drain, being below `close` is enough.
class Gate {
 public:
  Gate(const config::Gate& marks, Instant now, WallTime wall);

  // True if the state or the cause has changed.
  bool Update(const GateInputs& inputs, Instant now, WallTime wall);

  wire::GateState state() const { return state_; }
  wire::Cause cause() const { return cause_; }
  bool is_closed() const { return state_ == wire::GateState::kClosed; }
  // Closed for a cause that only the event clock can heal (invariant 8): parts must leave early.
  bool wants_clock() const;
  wire::GateReport Report() const;
  // How long it has been closed for each cause, up to `now`.
  std::array<std::chrono::milliseconds, wire::kCauseCount> Blocked(Instant now) const;

 private:
  struct Verdict {
    wire::GateState state = wire::GateState::kOpen;
    wire::Cause cause = wire::Cause::kNone;
  };
  Verdict Judge(const GateInputs& inputs) const;
  bool WasClosedFor(wire::Cause cause) const;

  config::Gate marks_;
  wire::GateState state_ = wire::GateState::kClosed;
  wire::Cause cause_ = wire::Cause::kOwnership;
  WallTime since_;
  Instant since_instant_;
  int64_t episodes_ = 0;
  std::array<Duration, wire::kCauseCount> closed_for_{};
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_GATE_H_
