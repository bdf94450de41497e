// Drop rules: set and deleted by operators, ended by time.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/supervisor/core.h"
#include "server/supervisor/drop_rules.h"

namespace spillway::supervisor {
namespace {

// The wall clock may be set while a rule is in force, so its end is looked for at least this often,
// and after an end that could not be recorded.
constexpr Duration kDropRuleCheckInterval = std::chrono::seconds(1);

constexpr char kServer[] = "spillwayd";

}  // namespace

void Supervisor::Core::SetDropRule(DropRuleSetting setting, PoolDone done) {
  Wanted wanted{.action = "SetDropRule", .pool = ""};
  wanted.origin = std::move(setting.origin);
  wanted.drop_rule = std::move(setting);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

void Supervisor::Core::DeleteDropRule(std::string name, Origin origin, PoolDone done) {
  Wanted wanted{.action = "DeleteDropRule", .pool = ""};
  wanted.ended_drop_rule = std::move(name);
  wanted.origin = std::move(origin);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

absl::StatusOr<fleet::Event> Supervisor::Core::PlanDropRules(const Wanted& wanted) const {
  if (is_closed_ || fleet_.is_shutting_down) return ServerStopping();
  std::map<std::string, record::DropRule> rules = drop_rules_;
  if (wanted.ended_drop_rule) {
    if (rules.erase(*wanted.ended_drop_rule) == 0) {
      return Refusal(absl::StatusCode::kNotFound, "DROP_RULE_NOT_FOUND",
                     absl::StrCat(TargetOf(wanted), ": there is no such rule"));
    }
    return fleet::DropRulesChanged{RulesOf(rules)};
  }
  const wire::DropRule& rule = wanted.drop_rule->rule;
  const int64_t now = parts_.clock.Wall().us;
  const int64_t latest =
      now + std::chrono::duration_cast<std::chrono::microseconds>(kLongestDropRule).count();
  if (rule.expire_time.us <= now || rule.expire_time.us > latest) {
    return Refusal(absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
                   absl::StrCat(TargetOf(wanted), ": expire_time: expected a time from now to in ",
                                kLongestDropRule.count() / 24, " days"));
  }
  rules[rule.name] = {.rule = rule};
  if (rules.size() > wire::kMaxDropRules) {
    return Refusal(absl::StatusCode::kResourceExhausted, "TOO_MANY_DROP_RULES",
                   absl::StrCat(TargetOf(wanted), ": ", wire::kMaxDropRules,
                                " rules are in force; delete one first"));
  }
  return fleet::DropRulesChanged{RulesOf(rules)};
}

record::Change Supervisor::Core::DropRulesToRecord(const Wanted& wanted) const {
  const WallTime now = parts_.clock.Wall();
  record::Change change;
  record::Event entry;
  entry.time = now;
  entry.actor = wanted.origin.actor;
  entry.action = wanted.action;
  entry.target = TargetOf(wanted);
  entry.outcome = "OK";
  const std::string& name =
      wanted.drop_rule ? wanted.drop_rule->rule.name : *wanted.ended_drop_rule;
  if (const auto found = drop_rules_.find(name); found != drop_rules_.end()) {
    entry.before = DropRuleText(found->second);
  }
  if (wanted.drop_rule) {
    const DropRuleSetting& setting = *wanted.drop_rule;
    change.drop_rules = {{setting.rule, now, wanted.origin.actor, setting.reason}};
    entry.after = DropRuleText(change.drop_rules[0]);
  } else {
    change.ended_drop_rules = {name};
  }
  if (!wanted.origin.request_id.empty()) {
    change.request.emplace();
    change.request->id = wanted.origin.request_id;
    change.request->fingerprint = wanted.origin.fingerprint;
    change.request->time = now;
  }
  change.events.push_back(std::move(entry));
  return change;
}

void Supervisor::Core::FinishDropRules(Wanted wanted, fleet::Event event) {
  if (wanted.drop_rule) {
    DropRuleSetting& setting = *wanted.drop_rule;
    drop_rules_[setting.rule.name] = {setting.rule, parts_.clock.Wall(), wanted.origin.actor,
                                      setting.reason};
  } else {
    drop_rules_.erase(*wanted.ended_drop_rule);
  }
  drop_rule_views_ = ViewsOf(drop_rules_);
  ArmDropRuleTimer();
  Apply(std::move(event));
  MarkChanged();
  PublishNow();
  wanted.done(PoolView{});
}

// Workers have ended them by their own clocks; what is left is to forget them, and to say so.
void Supervisor::Core::EndExpiredDropRules() {
  const WallTime now = parts_.clock.Wall();
  std::vector<std::string> expired;
  for (const auto& [name, rule] : drop_rules_) {
    if (rule.rule.expire_time.us <= now.us) expired.push_back(name);
  }
  ArmDropRuleTimer();
  for (std::string& name : expired) {
    const auto is_same = [&](const Wanted& wanted) { return wanted.ended_drop_rule == name; };
    if (is_recording_ || std::any_of(changes_.begin(), changes_.end(), is_same)) continue;
    Wanted wanted{.action = "DropRuleExpired", .pool = ""};
    wanted.ended_drop_rule = std::move(name);
    wanted.origin.actor = kServer;
    wanted.is_own = true;
    wanted.done = [](const absl::StatusOr<PoolView>&) {};
    Enqueue(std::move(wanted));
  }
}

void Supervisor::Core::ArmDropRuleTimer() {
  if (is_closed_ || drop_rules_.empty()) return drop_rule_timer_.Stop();
  Duration wait = kDropRuleCheckInterval;
  const int64_t now = parts_.clock.Wall().us;
  for (const auto& [name, rule] : drop_rules_) {
    const int64_t left = rule.rule.expire_time.us - now;
    if (left > 0) wait = std::min<Duration>(wait, std::chrono::microseconds(left));
  }
  drop_rule_timer_.Start(wait);
}

}  // namespace spillway::supervisor
