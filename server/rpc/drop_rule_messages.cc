#include "server/rpc/drop_rule_messages.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "proto/wire/convert.h"
#include "proto/wire/drop_rule_proto.h"

namespace spillway::rpc {
namespace {

absl::Status Invalid(absl::string_view message) {
  return supervisor::Refusal(absl::StatusCode::kInvalidArgument, "INVALID_DROP_RULE", message);
}

// Wide enough for all that is allowed, and far from where a sum would leave 64 bits.
constexpr int64_t kMaxTtlSeconds = 400LL * 24 * 3600;

}  // namespace

absl::StatusOr<supervisor::DropRuleSetting> ToSetting(const v1::SetDropRuleRequest& request,
                                                      WallTime now) {
  v1::DropRule given = request.drop_rule();
  if (given.has_expire_time() == request.has_ttl()) {
    return Invalid("drop_rule.expire_time, ttl: expected one of them: a rule has an end");
  }
  if (request.has_ttl()) {
    const int64_t seconds = request.ttl().seconds();
    if (seconds < 0 || seconds > kMaxTtlSeconds || request.ttl().nanos() < 0) {
      return Invalid(absl::StrCat("ttl: ", seconds, " s: expected from 1 s to ",
                                  supervisor::kLongestDropRule.count() / 24, " days"));
    }
    const int64_t us = seconds * 1'000'000 + request.ttl().nanos() / 1'000;
    *given.mutable_expire_time() = wire::ToProto(WallTime{now.us + us});
  }
  const absl::StatusOr<wire::DropRule> rule = wire::ReadDropRule(given);
  if (!rule.ok()) return Invalid(rule.status().message());
  return supervisor::DropRuleSetting{*rule, given.reason()};
}

absl::StatusOr<std::string> ParseDropRuleName(const std::string& name) {
  absl::string_view rest = name;
  if (absl::ConsumePrefix(&rest, "dropRules/") && wire::IsDropRuleName(std::string(rest))) {
    return std::string(rest);
  }
  return supervisor::Refusal(absl::StatusCode::kInvalidArgument, "INVALID_NAME",
                             absl::StrCat("name: \"", name, "\": expected dropRules/NAME"));
}

v1::DropRule ToMessage(const supervisor::DropRuleView& rule) {
  v1::DropRule message = wire::DropRuleToProto(rule.rule);
  *message.mutable_set_time() = wire::ToProto(rule.set);
  message.set_actor(rule.actor);
  message.set_reason(rule.reason);
  return message;
}

v1::ListDropRulesResponse DropRulesMessage(const supervisor::FleetSnapshot& snapshot) {
  v1::ListDropRulesResponse message;
  if (snapshot.drop_rules == nullptr) return message;
  for (const supervisor::DropRuleView& rule : *snapshot.drop_rules) {
    *message.add_drop_rules() = ToMessage(rule);
  }
  return message;
}

}  // namespace spillway::rpc
