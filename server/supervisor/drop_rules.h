// Drop rules as the record has them, as workers get them, and as readers see them. Pure.
#ifndef SPILLWAY_SERVER_SUPERVISOR_DROP_RULES_H_
#define SPILLWAY_SERVER_SUPERVISOR_DROP_RULES_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/record/record.h"
#include "server/supervisor/snapshot.h"

namespace spillway::supervisor {

std::vector<wire::DropRule> RulesOf(const std::map<std::string, record::DropRule>& rules);
// Null: there are none.
std::shared_ptr<const std::vector<DropRuleView>> ViewsOf(
    const std::map<std::string, record::DropRule>& rules);
// "project 7, trace 0123…, until 2026-11-24T08:00:00Z (an incident)": for the journal.
std::string DropRuleText(const record::DropRule& rule);

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_DROP_RULES_H_
