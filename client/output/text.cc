#include "client/output/text.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace spillway::client {
namespace {

constexpr char kUnknown[] = "?";

// The value's name without its prefix; "?" for UNSPECIFIED; a value that is newer than this build:
// its number.
std::string Name(const std::string& full, absl::string_view prefix, int number) {
  if (number == 0) return "?";
  if (full.empty()) return std::to_string(number);
  return std::string(absl::StripPrefix(full, prefix));
}

}  // namespace

std::string Text(v1::Role role) {
  return absl::AsciiStrToLower(Name(v1::Role_Name(role), "ROLE_", role));
}

std::string Text(v1::PoolState state) {
  return Name(v1::PoolState_Name(state), "POOL_STATE_", state);
}

std::string Text(v1::WorkerState state) {
  return Name(v1::WorkerState_Name(state), "WORKER_STATE_", state);
}

std::string Text(v1::RestartState state) {
  return Name(v1::RestartState_Name(state), "RESTART_STATE_", state);
}

std::string Text(v1::OperationKind kind) {
  return Name(v1::OperationKind_Name(kind), "OPERATION_KIND_", kind);
}

std::string Text(v1::OperationState state) {
  return Name(v1::OperationState_Name(state), "OPERATION_STATE_", state);
}

std::string Text(v1::WorkerPhase phase) {
  return Name(v1::WorkerPhase_Name(phase), "WORKER_PHASE_", phase);
}

std::string OperationText(const v1::Operation& operation) {
  if (operation.name().empty()) return "";
  return absl::StrCat(operation.name(), " ", Text(operation.state()),
                      operation.detail().empty() ? "" : ": ", operation.detail());
}

static std::string Names(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", ShortName(name));
  }
  return text;
}

static std::string MovesText(const v1::Plan& plan) {
  std::string text = absl::StrCat("would move ", plan.moves_size(), " shards:");
  for (const v1::ShardMove& move : plan.moves()) {
    absl::StrAppend(&text, "\n  ", ShortName(move.shard()), ": ",
                    move.from().empty() ? "nobody" : ShortName(move.from()), " -> ",
                    move.to().empty() ? "-" : ShortName(move.to()));
  }
  if (plan.has_expected_pause()) {
    absl::StrAppend(&text, "\n  each stands still for about ", Text(plan.expected_pause()));
  }
  return text;
}

std::string PlanText(const v1::Plan& plan) {
  std::vector<std::string> lines;
  if (plan.starts_size() > 0) lines.push_back("would start " + Names(plan.starts()));
  if (plan.ends_size() > 0) lines.push_back("would end " + Names(plan.ends()));
  if (plan.restarts_size() > 0) lines.push_back("would restart " + Names(plan.restarts()));
  if (plan.moves_size() > 0) lines.push_back(MovesText(plan));
  for (const std::string& note : plan.notes()) lines.push_back(note);
  return absl::StrJoin(lines, "\n");
}

std::string ProgressText(const v1::Operation& operation) {
  std::string text;
  for (const v1::WorkerProgress& worker : operation.workers()) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", ShortName(worker.worker()), " ",
                    Text(worker.phase()));
  }
  return text;
}

std::string Text(v1::AuditOutcome outcome) {
  return Name(v1::AuditOutcome_Name(outcome), "AUDIT_OUTCOME_", outcome);
}

std::string Text(v1::Activity activity) {
  return Name(v1::Activity_Name(activity), "ACTIVITY_", activity);
}

std::string Text(v1::Limit limit) { return Name(v1::Limit_Name(limit), "LIMIT_", limit); }

std::string Text(v1::ScaleOwner owner) {
  return Name(v1::ScaleOwner_Name(owner), "SCALE_OWNER_", owner);
}

std::string Text(const v1::Health& health) {
  const std::string state =
      Name(v1::HealthState_Name(health.state()), "HEALTH_STATE_", health.state());
  if (health.reason() == v1::UNHEALTHY_REASON_UNSPECIFIED) return state;
  const std::string reason =
      Name(v1::UnhealthyReason_Name(health.reason()), "UNHEALTHY_REASON_", health.reason());
  return absl::StrCat(state, " (", reason, ")");
}

std::string Text(const v1::Gate& gate) {
  const std::string state = Name(v1::GateState_Name(gate.state()), "GATE_STATE_", gate.state());
  if (gate.cause() == v1::CAUSE_UNSPECIFIED) return state;
  return absl::StrCat(state, " (", Name(v1::Cause_Name(gate.cause()), "CAUSE_", gate.cause()), ")");
}

std::string Text(const google::protobuf::Duration& duration) {
  const double seconds = static_cast<double>(duration.seconds()) + duration.nanos() / 1e9;
  if (seconds < 1) return absl::StrFormat("%.0f ms", seconds * 1000);
  if (seconds < 60) return absl::StrFormat("%.1f s", seconds);
  const int64_t minutes = duration.seconds() / 60;
  if (minutes < 60) return absl::StrFormat("%d m %d s", minutes, duration.seconds() % 60);
  return absl::StrFormat("%d h %d m", minutes / 60, minutes % 60);
}

std::string Text(const google::protobuf::Timestamp& timestamp) {
  google::protobuf::Timestamp whole = timestamp;
  whole.set_nanos(0);
  return google::protobuf::util::TimeUtil::ToString(whole);
}

std::string BytesText(int64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, units[unit]);
}

std::string ShortName(const std::string& name) {
  return absl::StrReplaceAll(name, {{"pools/", ""}, {"/workers/", "/"}, {"shards/", ""}});
}

std::string WhatText(const v1::Event& event) {
  if (event.after().empty()) return event.before().empty() ? event.detail() : event.before();
  if (event.before().empty()) return event.after();
  return event.before() + " -> " + event.after();
}

std::string EndText(const v1::Death& death) {
  switch (death.end_case()) {
    case v1::Death::kExitCode:
      return "exit " + std::to_string(death.exit_code());
    case v1::Death::kSignal:
      return "signal " + std::to_string(death.signal());
    case v1::Death::END_NOT_SET:
      break;
  }
  return kUnknown;
}

std::string WorkText(const v1::Pool& pool) {
  if (pool.state() == v1::POOL_STATE_DRAINING) {
    return absl::StrCat("drain, ", pool.drain().remaining_size(), " remain");
  }
  if (!pool.has_restart()) return "";
  const v1::PoolRestart& restart = pool.restart();
  return absl::StrCat("restart ", Text(restart.state()), ", ", restart.replaced(), " of ",
                      restart.replaced() + restart.replacing() + restart.waiting(), " replaced",
                      restart.detail().empty() ? "" : ", ", restart.detail());
}

std::string ConfigText(const v1::Pool& pool) {
  if (!pool.has_config()) return "";
  const v1::PoolConfig& config = pool.config();
  std::string text = std::to_string(config.generation());
  if (config.state() == v1::CONFIG_STATE_TRYING) text += ", being tried";
  if (config.outdated() > 0) {
    absl::StrAppend(
        &text, "; ", config.outdated(),
        config.outdated() == 1 ? " worker runs another one" : " workers run another one");
  }
  if (config.rejected() != 0) {
    absl::StrAppend(&text, "; ", config.rejected(), " was taken back: ", config.detail());
  }
  return text;
}

std::string ConfigText(const v1::Worker& worker) {
  return worker.config_generation() == 0 ? kUnknown : std::to_string(worker.config_generation());
}

std::string StateText(const v1::Worker& worker) {
  return absl::StrCat(Text(worker.state()), worker.is_paused() ? " (paused)" : "");
}

std::optional<Duration> ParseDuration(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  const std::string unit(end, text.data() + text.size());
  double seconds = 0;
  if (unit.empty() || unit == "s") seconds = number;
  if (unit == "ms") seconds = number / 1000;
  if (unit == "m") seconds = number * 60;
  if (unit == "h") seconds = number * 3600;
  constexpr double kMaxSeconds = 1e8;  // three years: as good as for ever
  if (seconds == 0 && number != 0) return std::nullopt;
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(seconds, kMaxSeconds)));
}

}  // namespace spillway::client
