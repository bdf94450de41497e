// Drop rules as messages, and requests about them as values. No gRPC.
#ifndef SPILLWAY_SERVER_RPC_DROP_RULE_MESSAGES_H_
#define SPILLWAY_SERVER_RPC_DROP_RULE_MESSAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/supervisor/fleet_control.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

// Without its origin. INVALID_ARGUMENT / INVALID_DROP_RULE: the message names the field, what it
// says and what would be right.
absl::StatusOr<supervisor::DropRuleSetting> ToSetting(const v1::SetDropRuleRequest& request,
                                                      WallTime now);
// "dropRules/noisy-project" → "noisy-project". INVALID_ARGUMENT / INVALID_NAME.
absl::StatusOr<std::string> ParseDropRuleName(const std::string& name);
v1::DropRule ToMessage(const supervisor::DropRuleView& rule);
v1::ListDropRulesResponse DropRulesMessage(const supervisor::FleetSnapshot& snapshot);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_DROP_RULE_MESSAGES_H_
