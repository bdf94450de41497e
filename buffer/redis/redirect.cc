#include "buffer/redis/redirect.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "buffer/redis/reply.h"

namespace spillway::buffer {
namespace {

using Kind = Refusal::Kind;

// "MOVED 3999 127.0.0.1:6381"
Refusal ParseRedirection(Kind kind, absl::string_view error, const std::string& asked_host) {
  const std::vector<absl::string_view> words = absl::StrSplit(error, ' ');
  uint32_t slot = 0;
  if (words.size() < 3 || !absl::SimpleAtoi(words[1], &slot) || slot >= kSlotCount) {
    return {.kind = Kind::kClusterDown, .slot = 0, .to = {}};
  }
  const std::optional<NodeAddress> to = ParseNodeAddress(words[2], asked_host);
  if (!to.has_value()) return {.kind = Kind::kClusterDown, .slot = 0, .to = {}};
  return {.kind = kind, .slot = static_cast<Slot>(slot), .to = *to};
}

Routing Pause(Routing routing, Instant now, const RoutingLimits& limits) {
  Attempts& attempts = routing.attempts;
  attempts.redirections = 0;
  if (!attempts.give_up_at.has_value()) attempts.give_up_at = now + limits.give_up_after;
  if (now >= *attempts.give_up_at) return routing;
  routing.step = NextStep::kPause;
  const int doublings = std::min(attempts.pauses++, 16);
  routing.pause = std::min(limits.pause_initial * (1 << doublings), limits.pause_max);
  return routing;
}

}  // namespace

Refusal ParseRefusal(absl::string_view error, const std::string& asked_host) {
  const absl::string_view word = ErrorWord(error);
  if (word == "MOVED") return ParseRedirection(Kind::kMoved, error, asked_host);
  if (word == "ASK") return ParseRedirection(Kind::kAsk, error, asked_host);
  if (word == "TRYAGAIN") return {.kind = Kind::kTryAgain, .slot = 0, .to = {}};
  if (word == "CLUSTERDOWN") return {.kind = Kind::kClusterDown, .slot = 0, .to = {}};
  return {};
}

Routing Decide(const Refusal& refusal, const Attempts& attempts, Instant now,
               const RoutingLimits& limits) {
  Routing routing;
  routing.attempts = attempts;
  routing.is_map_stale = refusal.kind == Kind::kMoved || refusal.kind == Kind::kClusterDown;
  switch (refusal.kind) {
    case Kind::kNone:
      return routing;
    case Kind::kMoved:
    case Kind::kAsk:
      if (++routing.attempts.redirections > limits.redirections) {
        return Pause(routing, now, limits);
      }
      routing.step = refusal.kind == Kind::kMoved ? NextStep::kResend : NextStep::kResendAsking;
      routing.to = refusal.to;
      return routing;
    case Kind::kTryAgain:
    case Kind::kClusterDown:
    case Kind::kConnecting:
      return Pause(routing, now, limits);
  }
  return routing;
}

}  // namespace spillway::buffer
