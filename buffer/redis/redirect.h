// What a cluster's refusal asks for, and what becomes of the call. Pure.
//
// A call may always be sent once more: it was refused whole (every key of a script is declared),
// and even a copy of one that had been executed is harmless, because every script is idempotent or
// compares before it sets (design section 4, invariants 1 and 3).
#ifndef SPILLWAY_BUFFER_REDIS_REDIRECT_H_
#define SPILLWAY_BUFFER_REDIS_REDIRECT_H_

#include <chrono>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "buffer/redis/slot_map.h"

namespace spillway::buffer {

struct Refusal {
  enum class Kind {
    kNone,         // no word of a cluster: the caller's answer
    kMoved,        // another node serves the slot
    kAsk,          // the slot is on its way; this call alone goes to the node it moves to
    kTryAgain,     // the slot is on its way and the call's keys are on both nodes
    kClusterDown,  // nobody serves the slot for now
    kConnecting,   // the node has only just been heard of: not sent
  };
  Kind kind = Kind::kNone;
  Slot slot = 0;   // kMoved, kAsk
  NodeAddress to;  // kMoved, kAsk
  bool operator==(const Refusal&) const = default;
};

// `error`: the whole text. A redirection to an address that cannot be read is kClusterDown.
Refusal ParseRefusal(absl::string_view error, const std::string& asked_host);

// A call's way so far.
struct Attempts {
  int redirections = 0;  // in a row, without a pause
  int pauses = 0;
  std::optional<Instant> give_up_at;  // once it has had to pause
};

struct RoutingLimits {
  int redirections = 5;  // more in a row: the nodes disagree, a pause
  Duration pause_initial = std::chrono::milliseconds(10);
  Duration pause_max = std::chrono::milliseconds(200);
  // Then the caller hears of it (kMoving, kUnavailable), closes its gate and tries again itself.
  Duration give_up_after = std::chrono::seconds(1);
};

enum class NextStep {
  kAnswer,        // the refusal is the answer
  kResend,        // to `to`, which serves the slot from now on
  kResendAsking,  // to `to` after ASKING; should it fail there, the slot's own node comes again
  kPause,         // then to the slot's node as the map says
};

struct Routing {
  NextStep step = NextStep::kAnswer;
  NodeAddress to;
  Duration pause{0};
  bool is_map_stale = false;
  Attempts attempts;  // with this one
};

Routing Decide(const Refusal& refusal, const Attempts& attempts, Instant now,
               const RoutingLimits& limits);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_REDIRECT_H_
