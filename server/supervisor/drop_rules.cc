#include "server/supervisor/drop_rules.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace spillway::supervisor {

std::vector<wire::DropRule> RulesOf(const std::map<std::string, record::DropRule>& rules) {
  std::vector<wire::DropRule> values;
  for (const auto& [name, rule] : rules) values.push_back(rule.rule);
  return values;
}

std::shared_ptr<const std::vector<DropRuleView>> ViewsOf(
    const std::map<std::string, record::DropRule>& rules) {
  if (rules.empty()) return nullptr;
  auto views = std::make_shared<std::vector<DropRuleView>>();
  for (const auto& [name, rule] : rules) {
    views->push_back({rule.rule, rule.set, rule.actor, rule.reason});
  }
  return views;
}

std::string DropRuleText(const record::DropRule& rule) {
  const wire::DropMatch& match = rule.rule.match;
  std::vector<std::string> parts;
  if (match.project_id) parts.push_back(absl::StrCat("project ", *match.project_id));
  if (match.trace_id) {
    parts.push_back(
        absl::StrCat("trace ", HexText(match.trace_id->high), HexText(match.trace_id->low)));
  }
  const absl::Time end = absl::FromUnixMicros(rule.rule.expire_time.us);
  parts.push_back("until " + absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", end, absl::UTCTimeZone()));
  if (!rule.reason.empty()) parts.push_back(rule.reason);
  return absl::StrJoin(parts, ", ");
}

}  // namespace spillway::supervisor
