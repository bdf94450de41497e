// Explanations and advice as messages of the API.
#ifndef SPILLWAY_SERVER_RPC_INSIGHT_MESSAGES_H_
#define SPILLWAY_SERVER_RPC_INSIGHT_MESSAGES_H_

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "server/supervisor/insight.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

// `now` is what the shard's ages are measured at.
v1::ShardExplanation ToMessage(const supervisor::ShardExplanation& explanation, Instant now);
// `pool`: "flush"
v1::ScaleAdvice ToMessage(absl::string_view pool, const fleet::ScaleAdvice& advice);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_INSIGHT_MESSAGES_H_
