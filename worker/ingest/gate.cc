#include "worker/ingest/gate.h"

namespace spillway::ingest {

using wire::Cause;
using wire::GateState;

Gate::Gate(const config::Gate& marks, Instant now, WallTime wall)
    : marks_(marks), since_(wall), since_instant_(now) {}

bool Gate::WasClosedFor(Cause cause) const { return is_closed() && cause_ == cause; }

namespace {

// The state one figure asks for. `was_closed`: closed for this very figure.
template <typename Figure>
GateState Marked(Figure figure, Figure slow, Figure close, bool was_closed) {
  if (figure >= close) return GateState::kClosed;
  if (figure < slow) return GateState::kOpen;
  return was_closed ? GateState::kClosed : GateState::kSlow;
}

}  // namespace

// Causes outside ourselves come first, then the worst figure; of equals the first in this order.
Gate::Verdict Gate::Judge(const GateInputs& in) const {
  if (!in.is_owned) {
    const bool has_cause = in.take_cause != Cause::kNone;
    return {GateState::kClosed, has_cause ? in.take_cause : Cause::kOwnership};
  }
  if (in.is_redis_silent) return {GateState::kClosed, Cause::kRedis};
  if (in.is_redis_moving) return {GateState::kClosed, Cause::kRedisMoving};
  if (in.has_stuck_letters) return {GateState::kClosed, Cause::kDeadLetter};

  const bool was_memory = WasClosedFor(Cause::kRedisMemory);
  GateState memory = in.is_memory_refused ? GateState::kClosed
                                          : Marked(in.memory_ratio, marks_.redis_memory.slow,
                                                   marks_.redis_memory.close, was_memory);
  if (memory == GateState::kClosed && !in.is_memory_refused && !in.has_outstanding &&
      in.memory_ratio < marks_.redis_memory.close) {
    memory = GateState::kSlow;
  }
  const GateState index =
      in.max_index_bytes == 0 ? GateState::kOpen
      : in.index_bytes >= in.max_index_bytes ||
              (WasClosedFor(Cause::kIndex) && in.index_bytes >= in.max_index_bytes / 10 * 9)
          ? GateState::kClosed
          : GateState::kOpen;
  const Verdict verdicts[] = {
      {memory, Cause::kRedisMemory},
      {index, Cause::kIndex},
      {Marked(in.lateness, marks_.lateness.slow, marks_.lateness.close,
              WasClosedFor(Cause::kLateness)),
       Cause::kLateness},
      {Marked(in.backlog, marks_.backlog.slow, marks_.backlog.close, WasClosedFor(Cause::kBacklog)),
       Cause::kBacklog},
  };
  Verdict worst;
  for (const Verdict& verdict : verdicts) {
    if (verdict.state > worst.state) worst = verdict;
  }
  return worst;
}

bool Gate::Update(const GateInputs& inputs, Instant now, WallTime wall) {
  const Verdict verdict = Judge(inputs);
  if (verdict.state == state_ && verdict.cause == cause_) return false;
  if (is_closed()) closed_for_[static_cast<size_t>(cause_)] += now - since_instant_;
  if (state_ == GateState::kOpen) ++episodes_;
  state_ = verdict.state;
  cause_ = verdict.cause;
  since_ = wall;
  since_instant_ = now;
  return true;
}

bool Gate::wants_clock() const {
  return is_closed() && (cause_ == Cause::kRedisMemory || cause_ == Cause::kIndex);
}

wire::GateReport Gate::Report() const {
  return {.state = state_, .cause = cause_, .since = since_, .episodes = episodes_};
}

std::array<std::chrono::milliseconds, wire::kCauseCount> Gate::Blocked(Instant now) const {
  std::array<std::chrono::milliseconds, wire::kCauseCount> blocked{};
  for (size_t i = 0; i < blocked.size(); ++i) {
    Duration total = closed_for_[i];
    if (is_closed() && static_cast<size_t>(cause_) == i) total += now - since_instant_;
    blocked[i] = std::chrono::duration_cast<std::chrono::milliseconds>(total);
  }
  return blocked;
}

}  // namespace spillway::ingest
