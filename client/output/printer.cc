#include "client/output/printer.h"

#include <yaml-cpp/yaml.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/output/table.h"
#include "client/output/text.h"
#include "proto/wire/json.h"

namespace spillway::client {
namespace {

constexpr char kUnknown[] = "?";

void Emit(const YAML::Node& node, YAML::Emitter& emitter) {
  if (node.IsMap()) {
    emitter << YAML::BeginMap;
    for (const auto& entry : node) {
      emitter << YAML::Key << entry.first.Scalar() << YAML::Value;
      Emit(entry.second, emitter);
    }
    emitter << YAML::EndMap;
  } else if (node.IsSequence()) {
    emitter << (node.size() == 0 ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const auto& item : node) Emit(item, emitter);
    emitter << YAML::EndSeq;
  } else if (node.Tag() == "!") {  // was quoted
    emitter << YAML::DoubleQuoted << node.Scalar();
  } else {
    emitter << node.Scalar();
  }
}

std::vector<std::string> Header(std::vector<std::string> columns, bool is_wide,
                                const std::vector<std::string>& wide_columns) {
  if (is_wide) columns.insert(columns.end(), wide_columns.begin(), wide_columns.end());
  return columns;
}

// A row of the audit's table. `figures` null: not known.
std::vector<std::string> AuditRow(std::string name, const std::string& outcome,
                                  const v1::AuditFigures* figures, bool is_wide) {
  std::vector<std::string> row = {std::move(name), outcome};
  const auto add = [&](const auto&... values) {
    (row.push_back(figures == nullptr ? kUnknown : std::to_string(values)), ...);
  };
  const v1::AuditFigures& f = figures == nullptr ? v1::AuditFigures::default_instance() : *figures;
  const v1::Ledger& ledger = f.ledger();
  add(ledger.carried() + ledger.accepted(), ledger.acknowledged(), ledger.deduplicated(),
      ledger.dropped() + ledger.dead_lettered() + ledger.quarantined(), f.live_spans(),
      f.residual(), f.duplicates_at_most());
  if (is_wide) {
    add(f.message_residual(), f.part_residual(), f.due_parts(), f.in_flight_parts(),
        f.missing_lists(), f.undecodable_entries(), ledger.orphan(), ledger.released(),
        ledger.resurrected(), ledger.unreplayable(), ledger.skipped(), ledger.replayed(),
        ledger.stale_acknowledges());
  }
  return row;
}

std::vector<std::string> EventRow(const v1::Event& event, bool is_wide) {
  std::vector<std::string> row = {Text(event.time()), event.action(),  ShortName(event.target()),
                                  event.outcome(),    WhatText(event), event.actor()};
  if (is_wide) row.insert(row.end(), {std::to_string(event.sequence()), event.detail()});
  return row;
}

}  // namespace

std::string YamlOf(const std::string& json) {
  YAML::Emitter emitter;
  Emit(YAML::Load(json), emitter);
  return std::string(emitter.c_str()) + "\n";
}

bool Printer::PrintMessage(const google::protobuf::Message& answer) {
  if (format_ == Format::kJson) out_ << wire::ToJson(answer);
  if (format_ == Format::kYaml) out_ << YamlOf(wire::ToJson(answer));
  return format_ == Format::kJson || format_ == Format::kYaml;
}

void Printer::Audit(const v1::AuditResponse& answer) {
  if (PrintMessage(answer)) return;
  Table table(Header(
      {"SHARD", "OUTCOME", "IN", "ACKNOWLEDGED", "DEDUPLICATED", "GIVEN-UP", "LIVE", "RESIDUAL",
       "DUPLICATES<="},
      is_wide(),
      {"MESSAGE-RESIDUAL", "PART-RESIDUAL", "DUE", "IN-FLIGHT", "MISSING", "UNDECODABLE", "ORPHAN",
       "RELEASED", "RESURRECTED", "UNREPLAYABLE", "SKIPPED", "REPLAYED", "STALE-ACKNOWLEDGES"}));
  for (const v1::ShardAudit& shard : answer.shards()) {
    table.AddRow(AuditRow(ShortName(shard.name()), Text(shard.outcome()),
                          shard.has_figures() ? &shard.figures() : nullptr, is_wide()));
  }
  const bool is_known = answer.unknown() == 0;
  const char* verdict = answer.is_even() ? "EVEN" : is_known ? "UNEVEN" : kUnknown;
  table.AddRow(AuditRow("total", verdict, is_known ? &answer.total() : nullptr, is_wide()));
  table.Print(out_);
}

void Printer::Events(const v1::ListEventsResponse& answer, bool has_header) {
  if (PrintMessage(answer)) return;
  std::vector<std::vector<std::string>> rows;
  if (has_header) {
    rows.push_back(Header({"TIME", "ACTION", "TARGET", "OUTCOME", "WHAT", "ACTOR"}, is_wide(),
                          {"SEQUENCE", "DETAIL"}));
  }
  for (auto event = answer.events().rbegin(); event != answer.events().rend(); ++event) {
    rows.push_back(EventRow(*event, is_wide()));
  }
  if (rows.empty()) return;
  Table table(rows.front());
  for (size_t i = 1; i < rows.size(); ++i) table.AddRow(rows[i]);
  table.Print(out_);
}

void Printer::Deaths(const v1::ListDeathsResponse& answer) {
  if (PrintMessage(answer)) return;
  Table table(Header({"TIME", "WORKER", "PID", "GENERATION", "END", "EXPECTED", "REASON"},
                     is_wide(), {"SEQUENCE", "LAST-LINES"}));
  for (auto death = answer.deaths().rbegin(); death != answer.deaths().rend(); ++death) {
    std::vector<std::string> row = {Text(death->time()),
                                    ShortName(death->worker()),
                                    std::to_string(death->pid()),
                                    std::to_string(death->generation()),
                                    EndText(*death),
                                    death->is_expected() ? "yes" : "no",
                                    death->reason()};
    if (is_wide()) {
      row.insert(row.end(),
                 {std::to_string(death->sequence()), absl::StrJoin(death->last_lines(), " | ")});
    }
    table.AddRow(std::move(row));
  }
  table.Print(out_);
}

void Printer::TextOr(const google::protobuf::Message& answer, const std::string& text) {
  if (!PrintMessage(answer)) out_ << text;
}

void Printer::Pools(const google::protobuf::Message& answer, const std::vector<v1::Pool>& pools) {
  if (PrintMessage(answer)) return;
  Table table(
      Header({"NAME", "ROLE", "STATE", "DESIRED", "READY", "HEALTH"}, is_wide(),
             {"OBSERVED", "MIN", "MAX", "SCALE-OWNER", "ETAG", "EVIDENCE", "WORK", "CONFIG"}));
  for (const v1::Pool& pool : pools) {
    std::vector<std::string> row = {ShortName(pool.name()),       Text(pool.role()),
                                    Text(pool.state()),           std::to_string(pool.desired()),
                                    std::to_string(pool.ready()), Text(pool.health())};
    if (is_wide()) {
      row.insert(row.end(), {std::to_string(pool.observed()), std::to_string(pool.min()),
                             std::to_string(pool.max()), Text(pool.scale_owner()), pool.etag(),
                             pool.health().evidence(), WorkText(pool), ConfigText(pool)});
    }
    table.AddRow(std::move(row));
  }
  table.Print(out_);
}

void Printer::Operations(const google::protobuf::Message& answer,
                         const std::vector<v1::Operation>& operations) {
  if (PrintMessage(answer)) return;
  Table table(Header({"NUMBER", "KIND", "TARGET", "STATE", "DETAIL"}, is_wide(),
                     {"BEGAN", "ENDED", "WORKERS", "ACTOR"}));
  for (const v1::Operation& operation : operations) {
    std::vector<std::string> row = {ShortName(operation.name()), Text(operation.kind()),
                                    ShortName(operation.target()), Text(operation.state()),
                                    operation.detail()};
    if (is_wide()) {
      row.insert(row.end(), {Text(operation.begin_time()),
                             operation.has_end_time() ? Text(operation.end_time()) : "",
                             ProgressText(operation), operation.actor()});
    }
    table.AddRow(std::move(row));
  }
  table.Print(out_);
}

void Printer::DropRules(const google::protobuf::Message& answer,
                        const std::vector<v1::DropRule>& rules) {
  if (PrintMessage(answer)) return;
  Table table(Header({"NAME", "PROJECT", "TRACE", "UNTIL", "REASON"}, is_wide(), {"SET", "ACTOR"}));
  for (const v1::DropRule& rule : rules) {
    std::vector<std::string> row = {
        ShortName(rule.name()), rule.has_project_id() ? absl::StrCat(rule.project_id()) : "any",
        rule.trace_id().empty() ? "any" : rule.trace_id(), Text(rule.expire_time()), rule.reason()};
    if (is_wide()) {
      row.insert(row.end(), {rule.has_set_time() ? Text(rule.set_time()) : "", rule.actor()});
    }
    table.AddRow(std::move(row));
  }
  table.Print(out_);
}

void Printer::Footer(const std::string& line) {
  const bool is_for_people = format_ == Format::kTable || format_ == Format::kWide;
  if (is_for_people && !line.empty()) out_ << line << "\n";
}

void Printer::Workers(const google::protobuf::Message& answer,
                      const std::vector<v1::Worker>& workers) {
  if (PrintMessage(answer)) return;
  Table table(Header({"NAME", "STATE", "HEALTH", "PID", "GENERATION", "RESTARTS", "SHARDS"},
                     is_wide(),
                     {"CPU", "MEMORY", "STARTED", "VERSION", "CONFIG", "UID", "LAST-DEATH"}));
  for (const v1::Worker& worker : workers) {
    std::vector<std::string> row = {ShortName(worker.name()),
                                    StateText(worker),
                                    Text(worker.health()),
                                    worker.pid() == 0 ? "" : std::to_string(worker.pid()),
                                    std::to_string(worker.generation()),
                                    std::to_string(worker.restarts()),
                                    absl::StrJoin(worker.shards(), ",")};
    if (is_wide()) {
      row.insert(row.end(),
                 {worker.has_cpu_time() ? Text(worker.cpu_time()) : kUnknown,
                  worker.has_cpu_time() ? BytesText(worker.memory_bytes()) : kUnknown,
                  worker.has_start_time() ? Text(worker.start_time()) : "", worker.version(),
                  ConfigText(worker), worker.uid(), worker.last_death()});
    }
    table.AddRow(std::move(row));
  }
  table.Print(out_);
}

void Printer::Shards(const google::protobuf::Message& answer,
                     const std::vector<v1::Shard>& shards) {
  if (PrintMessage(answer)) return;
  Table table(
      Header({"SHARD", "BACKLOG", "IN-FLIGHT", "LATENESS", "GATE", "INPUT-LAG", "INGEST", "FLUSH"},
             is_wide(), {"FLUSH-DESIRED", "WATERMARK", "LOW-WATERMARK", "EVENT-CLOCK", "AGE"}));
  const auto offset = [](int64_t value) {
    return value < 0 ? std::string(kUnknown) : std::to_string(value);
  };
  for (const v1::Shard& shard : shards) {
    const bool is_known = shard.is_known();
    std::vector<std::string> row = {ShortName(shard.name()),
                                    is_known ? std::to_string(shard.backlog()) : kUnknown,
                                    is_known ? std::to_string(shard.in_flight()) : kUnknown,
                                    is_known ? Text(shard.lateness()) : kUnknown,
                                    shard.has_gate() ? Text(shard.gate()) : kUnknown,
                                    offset(shard.input_lag()),
                                    ShortName(shard.ingest_worker()),
                                    ShortName(shard.flush_worker())};
    if (is_wide()) {
      row.insert(row.end(), {ShortName(shard.flush_worker_desired()), offset(shard.watermark()),
                             offset(shard.low_watermark()),
                             shard.has_event_clock() ? Text(shard.event_clock()) : kUnknown,
                             shard.has_figures_age() ? Text(shard.figures_age()) : kUnknown});
    }
    table.AddRow(std::move(row));
  }
  table.Print(out_);
}

}  // namespace spillway::client
