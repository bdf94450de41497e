#include "proto/wire/drop_rule_proto.h"

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "proto/wire/convert.h"

namespace spillway::wire {
namespace {

constexpr char kCollection[] = "dropRules/";

absl::Status Invalid(absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("drop_rule.", field, ": ", problem));
}

absl::StatusOr<TraceId> ReadTraceId(const std::string& text) {
  const std::string digits = absl::StrReplaceAll(text, {{"-", ""}});
  TraceId trace;
  if (digits.size() != 32 || !absl::c_all_of(digits, absl::ascii_isxdigit) ||
      !absl::SimpleHexAtoi(digits.substr(0, 16), &trace.high) ||
      !absl::SimpleHexAtoi(digits.substr(16), &trace.low)) {
    return Invalid("trace_id", absl::StrCat("'", text, "' is not 32 hex digits"));
  }
  return trace;
}

}  // namespace

absl::StatusOr<DropRule> ReadDropRule(const v1::DropRule& proto) {
  DropRule rule;
  absl::string_view name = proto.name();
  if (!absl::ConsumePrefix(&name, kCollection) || !IsDropRuleName(std::string(name))) {
    return Invalid("name",
                   absl::StrCat("'", proto.name(), "' is not dropRules/NAME with a name of 1 to ",
                                kMaxDropRuleName, " letters, digits, '-', '_' or '.'"));
  }
  rule.name = std::string(name);
  if (proto.has_project_id()) rule.match.project_id = proto.project_id();
  if (!proto.trace_id().empty()) {
    ASSIGN_OR_RETURN(rule.match.trace_id, ReadTraceId(proto.trace_id()));
  }
  if (rule.match == DropMatch{}) {
    return Invalid("project_id",
                   "neither it nor trace_id is given: the rule would drop everything");
  }
  if (!proto.has_expire_time()) return Invalid("expire_time", "is required: a rule has an end");
  rule.expire_time = ReadTime(proto.expire_time());
  return rule;
}

absl::StatusOr<std::vector<DropRule>> ReadDropRules(const v1::Order& order) {
  if (order.drop_rules().size() > static_cast<int>(kMaxDropRules)) {
    return absl::InvalidArgumentError(absl::StrCat("order.drop_rules: more than ", kMaxDropRules));
  }
  std::vector<DropRule> rules;
  for (const v1::DropRule& rule : order.drop_rules()) {
    ASSIGN_OR_RETURN(rules.emplace_back(), ReadDropRule(rule));
  }
  return rules;
}

v1::DropRule DropRuleToProto(const DropRule& rule) {
  v1::DropRule proto;
  proto.set_name(absl::StrCat(kCollection, rule.name));
  if (rule.match.project_id) proto.set_project_id(*rule.match.project_id);
  if (rule.match.trace_id) {
    proto.set_trace_id(HexText(rule.match.trace_id->high) + HexText(rule.match.trace_id->low));
  }
  *proto.mutable_expire_time() = ToProto(rule.expire_time);
  return proto;
}

}  // namespace spillway::wire
