#include "worker/ingest/drop_history.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace spillway::ingest {

using wire::DropRule;
using Period = DropHistory::Period;

namespace {

constexpr char kNone[] = "-";

bool IsOf(const Period& period, const DropRule& rule) {
  return period.rule == rule.name && period.match == rule.match;
}

absl::Status Bad(absl::string_view line, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("drop rules in Redis: '", line, "': ", what,
                   " (a line is: from, to, project, trace, name, each separated by a blank)"));
}

absl::StatusOr<Offset> ReadOffset(absl::string_view line, absl::string_view text) {
  Offset offset = 0;
  if (!absl::SimpleAtoi(text, &offset) || offset < 0) return Bad(line, "not an offset");
  return offset;
}

absl::StatusOr<Period> ReadPeriod(absl::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  if (words.size() != 5) return Bad(line, "not five words");
  Period period;
  ASSIGN_OR_RETURN(period.from, ReadOffset(line, words[0]));
  if (words[1] != kNone) {
    ASSIGN_OR_RETURN(period.to, ReadOffset(line, words[1]));
    if (*period.to < period.from) return Bad(line, "ends before it begins");
  }
  if (words[2] != kNone) {
    uint64_t project = 0;
    if (!absl::SimpleAtoi(words[2], &project)) return Bad(line, "not a project");
    period.match.project_id = project;
  }
  if (words[3] != kNone) {
    wire::TraceId trace;
    if (words[3].size() != 32 || !absl::SimpleHexAtoi(words[3].substr(0, 16), &trace.high) ||
        !absl::SimpleHexAtoi(words[3].substr(16), &trace.low)) {
      return Bad(line, "not a trace");
    }
    period.match.trace_id = trace;
  }
  period.rule = std::string(words[4]);
  if (!wire::IsDropRuleName(period.rule)) return Bad(line, "not a rule's name");
  if (period.match == wire::DropMatch{}) return Bad(line, "neither a project nor a trace");
  return period;
}

}  // namespace

std::optional<DropHistory> DropHistory::With(const std::vector<DropRule>& rules, WallTime now,
                                             Offset next, Offset low) const {
  DropHistory changed;
  bool differs = false;
  const auto is_in_force = [&](const DropRule& rule) { return now < rule.expire_time; };
  for (const Period& period : periods_) {
    if (period.to && *period.to <= low) continue;
    if (period.to) {
      changed.periods_.push_back(period);
      continue;
    }
    const bool is_wanted = std::ranges::any_of(
        rules, [&](const DropRule& rule) { return is_in_force(rule) && IsOf(period, rule); });
    differs |= !is_wanted;
    // One that begins above `next` has judged nothing that counts: an owner that began it has lost
    // what it had read ahead.
    if (!is_wanted && period.from >= next) continue;
    changed.periods_.push_back(period);
    if (!is_wanted) changed.periods_.back().to = next;
  }
  for (const DropRule& rule : rules) {
    if (!is_in_force(rule) || changed.periods_.size() >= kMaxPeriods) continue;
    const bool is_open = std::ranges::any_of(
        changed.periods_, [&](const Period& period) { return !period.to && IsOf(period, rule); });
    if (is_open) continue;
    changed.periods_.push_back({rule.name, rule.match, next, std::nullopt});
    differs = true;
  }
  if (!differs) return std::nullopt;
  return changed;
}

std::string DropHistory::ToText() const {
  std::string text;
  for (const Period& period : periods_) {
    absl::StrAppend(&text, period.from, " ", period.to ? absl::StrCat(*period.to) : kNone, " ",
                    period.match.project_id ? absl::StrCat(*period.match.project_id) : kNone, " ",
                    period.match.trace_id
                        ? HexText(period.match.trace_id->high) + HexText(period.match.trace_id->low)
                        : kNone,
                    " ", period.rule, "\n");
  }
  return text;
}

absl::StatusOr<DropHistory> DropHistory::FromText(absl::string_view text) {
  DropHistory history;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (history.periods_.size() == kMaxPeriods) return Bad(line, "one too many");
    ASSIGN_OR_RETURN(Period period, ReadPeriod(line));
    history.periods_.push_back(std::move(period));
  }
  return history;
}

}  // namespace spillway::ingest
