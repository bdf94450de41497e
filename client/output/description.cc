#include "client/output/description.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/output/table.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

constexpr char kUnknown[] = "?";
constexpr char kIndent[] = "  ";

std::string Indented(const std::string& text) {
  std::string indented;
  for (const auto line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&indented, kIndent, line, "\n");
  }
  return indented;
}

std::string Section(const std::string& title, const std::string& text) {
  return absl::StrCat(title, ":\n", Indented(text));
}

// "Name:    value" lines, the values below each other. One without a value is left out.
class Fields {
 public:
  void Add(std::string name, std::string value) {
    if (!value.empty()) fields_.emplace_back(std::move(name) + ":", std::move(value));
  }
  std::string Text() const {
    size_t width = 0;
    for (const auto& [name, value] : fields_) width = std::max(width, name.size());
    std::string text;
    for (const auto& [name, value] : fields_) {
      absl::StrAppend(&text, name, std::string(width + 2 - name.size(), ' '), value, "\n");
    }
    return text;
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// "UNHEALTHY (DEAD), since …; seen 2.0 s ago: exited with 1 …"
std::string HealthText(const v1::Health& health) {
  std::string text = Text(health);
  if (health.has_since()) absl::StrAppend(&text, ", since ", Text(health.since()));
  if (health.has_evidence_age()) {
    absl::StrAppend(&text, "; seen ", Text(health.evidence_age()), " ago");
  }
  if (!health.evidence().empty()) absl::StrAppend(&text, ": ", health.evidence());
  return text;
}

// With the reason of a refusal, or what else there is to say.
std::string WholeText(const v1::Event& event) {
  const std::string what = WhatText(event);
  const bool says_more = !event.detail().empty() && event.detail() != what;
  return says_more ? absl::StrCat(what, "; ", event.detail()) : what;
}

std::string EventsText(const Told<std::vector<v1::Event>>& events) {
  if (!events.problem.empty()) return absl::StrCat(kUnknown, " (", events.problem, ")");
  if (events.value.empty()) return "none that the journal still has";
  Table table({"TIME", "ACTION", "TARGET", "OUTCOME", "WHAT"});
  for (const v1::Event& event : events.value) {
    table.AddRow({Text(event.time()), event.action(), ShortName(event.target()), event.outcome(),
                  WholeText(event)});
  }
  std::ostringstream text;
  table.Print(text);
  return text.str();
}

std::string DeathsText(const Told<std::vector<v1::Death>>& deaths) {
  if (!deaths.problem.empty()) return absl::StrCat(kUnknown, " (", deaths.problem, ")");
  if (deaths.value.empty()) return "none that is on record";
  std::string text;
  for (const v1::Death& death : deaths.value) {
    absl::StrAppend(&text, Text(death.time()), kIndent, ShortName(death.worker()), kIndent,
                    EndText(death), death.is_expected() ? " (as asked)" : "", kIndent,
                    death.reason(), "\n");
    for (const std::string& line : death.last_lines()) {
      absl::StrAppend(&text, kIndent, "| ", line, "\n");
    }
  }
  return text;
}

std::string HistoryText(const History& history) {
  return Section("Last deaths", DeathsText(history.deaths)) +
         Section("Recent events", EventsText(history.events));
}

std::string SideText(const char* side, const v1::ShardSide& message) {
  std::string text = absl::StrCat(side, message.worker().empty() ? "" : " by ",
                                  ShortName(message.worker()), ": ", message.summary(), "\n");
  if (!message.is_known()) return text;
  for (const v1::ActivityShare& share : message.shares()) {
    absl::StrAppend(
        &text, absl::StrFormat("  %-12s %5.1f %%\n", Text(share.activity()), 100 * share.share()));
  }
  absl::StrAppend(&text, "  of ", Text(message.window()), ", ", Text(message.age()), " ago\n");
  return text;
}

std::string WorkersText(const Told<std::vector<v1::Worker>>& workers) {
  if (!workers.problem.empty()) return absl::StrCat(kUnknown, " (", workers.problem, ")");
  if (workers.value.empty()) return "none";
  Table table({"NAME", "STATE", "HEALTH", "RESTARTS", "SHARDS", "NEXT-START", "EVIDENCE"});
  for (const v1::Worker& worker : workers.value) {
    table.AddRow({ShortName(worker.name()), StateText(worker), Text(worker.health()),
                  std::to_string(worker.restarts()), absl::StrJoin(worker.shards(), ","),
                  worker.has_next_start_time() ? Text(worker.next_start_time()) : "",
                  worker.health().evidence()});
  }
  std::ostringstream text;
  table.Print(text);
  return text.str();
}

std::string DrainText(const v1::Pool& pool) {
  if (pool.state() != v1::POOL_STATE_DRAINING) return "";
  std::vector<std::string> remaining;
  for (const v1::Remainder& remainder : pool.drain().remaining()) {
    const std::string& of = remainder.shard().empty() ? remainder.worker() : remainder.shard();
    remaining.push_back(absl::StrCat(of, " (", remainder.why(), ")"));
  }
  return absl::StrCat("until ", Text(pool.drain().deadline()), "; remaining: ",
                      remaining.empty() ? "nothing" : absl::StrJoin(remaining, ", "));
}

std::string ProcessText(const v1::Worker& worker) {
  if (worker.pid() == 0) return "none";
  return absl::StrCat(
      "pid ", worker.pid(),
      worker.has_start_time() ? absl::StrCat(", since ", Text(worker.start_time())) : "", ", uid ",
      worker.uid().empty() ? kUnknown : worker.uid(), ", version ",
      worker.version().empty() ? kUnknown : worker.version());
}

std::string Offset(int64_t value) { return value < 0 ? kUnknown : absl::StrCat(value); }

std::string OwnerText(const std::string& worker, uint64_t epoch) {
  if (worker.empty()) return "nobody reports it";
  return absl::StrCat(ShortName(worker), ", epoch ", epoch == 0 ? kUnknown : absl::StrCat(epoch));
}

std::string GateText(const v1::Shard& shard) {
  if (!shard.has_gate()) return kUnknown;
  std::string text = Text(shard.gate());
  if (shard.gate().has_since()) absl::StrAppend(&text, " since ", Text(shard.gate().since()));
  return absl::StrCat(text, "; has left OPEN ", shard.gate().episodes(), " times");
}

std::string LedgerText(const v1::Shard& shard) {
  if (!shard.has_ledger()) return absl::StrCat(kUnknown, " (not read yet, or never taken)");
  const v1::Ledger& ledger = shard.ledger();
  return absl::StrCat(ledger.accepted(), " spans accepted, ", ledger.acknowledged(),
                      " acknowledged, ", ledger.deduplicated(), " deduplicated, ",
                      ledger.dead_lettered() + ledger.quarantined(), " dead letters, ",
                      ledger.dropped(), " dropped; ", ledger.rejected(), " messages rejected, ",
                      ledger.filtered(), " filtered; read ", Text(shard.ledger_age()), " ago");
}

}  // namespace

std::string ExplanationText(const v1::ShardExplanation& explanation) {
  std::string text = SideText("ingest", explanation.ingest());
  absl::StrAppend(&text, SideText("flush", explanation.flush()));
  for (const std::string& finding : explanation.findings()) {
    absl::StrAppend(&text, "- ", finding, "\n");
  }
  return text;
}

std::string AdviceText(const v1::ScaleAdvice& advice) {
  std::string text = absl::StrCat(
      ShortName(advice.pool()), ": ", advice.desired(), " workers (at least ", advice.min_safe(),
      ", at most ", advice.max_useful(), " of use); limit: ", Text(advice.limit()), "\n");
  for (const std::string& sentence : advice.evidence())
    absl::StrAppend(&text, "- ", sentence, "\n");
  return text;
}

std::string PoolDescription(const v1::Pool& pool, const Told<std::vector<v1::Worker>>& workers,
                            const Told<v1::ScaleAdvice>& advice, const History& history) {
  Fields fields;
  fields.Add("Name", ShortName(pool.name()));
  fields.Add("Role", Text(pool.role()));
  fields.Add("State", Text(pool.state()));
  fields.Add("Made by",
             pool.origin() == v1::POOL_ORIGIN_API ? "the API" : "the configuration file");
  fields.Add("Workers",
             absl::StrCat(pool.ready(), " of ", pool.desired(), " ready (", pool.observed(),
                          " processes, ", pool.paused(), " paused); min ", pool.min(), ", max ",
                          pool.max(), ", scaled by ", Text(pool.scale_owner())));
  fields.Add("Health", HealthText(pool.health()));
  fields.Add("Configuration", ConfigText(pool));
  fields.Add("Work", WorkText(pool));
  fields.Add("Drain", DrainText(pool));
  const std::string advised = advice.problem.empty()
                                  ? AdviceText(advice.value)
                                  : absl::StrCat(kUnknown, " (", advice.problem, ")");
  return fields.Text() + Section("Workers", WorkersText(workers)) + Section("Advice", advised) +
         HistoryText(history);
}

std::string WorkerDescription(const v1::Worker& worker, const History& history) {
  Fields fields;
  fields.Add("Name", ShortName(worker.name()));
  fields.Add("Role", Text(worker.role()));
  fields.Add("State", StateText(worker));
  fields.Add("Health", HealthText(worker.health()));
  fields.Add("Process", ProcessText(worker));
  fields.Add("Generation", absl::StrCat(worker.generation(), "; ", worker.restarts(),
                                        " restarts within restart.window"));
  fields.Add("Configuration", ConfigText(worker));
  if (worker.has_next_start_time()) fields.Add("Next start", Text(worker.next_start_time()));
  fields.Add("Shards", worker.shards().empty() ? "none" : absl::StrJoin(worker.shards(), ", "));
  fields.Add("Uses", worker.has_cpu_time() ? absl::StrCat(Text(worker.cpu_time()), " CPU, ",
                                                          BytesText(worker.memory_bytes()))
                                           : kUnknown);
  return fields.Text() + HistoryText(history);
}

std::string ShardDescription(const v1::Shard& shard, const Told<v1::ShardExplanation>& explanation,
                             const Told<std::vector<v1::Event>>& events) {
  Fields fields;
  const bool is_known = shard.is_known();
  fields.Add("Shard", ShortName(shard.name()));
  fields.Add("Ingest", OwnerText(shard.ingest_worker(), shard.ingest_epoch()));
  fields.Add("Flush", OwnerText(shard.flush_worker(), shard.flush_epoch()));
  if (shard.flush_worker_desired() != shard.flush_worker()) {
    fields.Add("Going to", shard.flush_worker_desired().empty()
                               ? "nobody: no flush worker can have it"
                               : ShortName(shard.flush_worker_desired()));
  }
  fields.Add("Figures", !is_known                 ? "none yet"
                        : shard.has_figures_age() ? Text(shard.figures_age()) + " old"
                                                  : kUnknown);
  fields.Add("Backlog", is_known ? absl::StrCat(shard.backlog(), " parts due, ", shard.in_flight(),
                                                " in flight")
                                 : kUnknown);
  fields.Add("Lateness", is_known ? Text(shard.lateness()) : kUnknown);
  fields.Add("Gate", GateText(shard));
  fields.Add("Input", absl::StrCat("lag ", Offset(shard.input_lag()), ", watermark ",
                                   Offset(shard.watermark()), ", low watermark ",
                                   Offset(shard.low_watermark())));
  fields.Add("Event clock", shard.has_event_clock() ? Text(shard.event_clock()) : kUnknown);
  fields.Add("Ledger", LedgerText(shard));
  const std::string time = explanation.problem.empty()
                               ? ExplanationText(explanation.value)
                               : absl::StrCat(kUnknown, " (", explanation.problem, ")");
  return fields.Text() + Section("Where its time goes", time) +
         Section("Recent events", EventsText(events));
}

}  // namespace spillway::client
