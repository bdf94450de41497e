// Drop rules between values and messages.
#ifndef SPILLWAY_PROTO_WIRE_DROP_RULE_PROTO_H_
#define SPILLWAY_PROTO_WIRE_DROP_RULE_PROTO_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/wire/drop_rule.h"
#include "spillway/v1/drop_rules.pb.h"
#include "spillway/v1/gateway.pb.h"

namespace spillway::wire {

// INVALID_ARGUMENT names the field and what would be right. A trace id may have dashes and
// capitals.
absl::StatusOr<DropRule> ReadDropRule(const v1::DropRule& proto);
v1::DropRule DropRuleToProto(const DropRule& rule);
// Those of an order: at most kMaxDropRules.
absl::StatusOr<std::vector<DropRule>> ReadDropRules(const v1::Order& order);

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_DROP_RULE_PROTO_H_
