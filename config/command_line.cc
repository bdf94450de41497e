#include "config/command_line.h"

#include <functional>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "base/status_macros.h"

namespace spillway::config {
namespace {

// An option that is not a configuration key. Its handler returns what would have been right, or "".
struct Option {
  bool takes_value = true;
  std::function<std::string(const std::string& value)> handle;
};
using Options = std::map<std::string, Option>;  // by name, without dashes

Option Switch(bool& target) {
  return {false, [&target](const std::string&) {
            target = true;
            return "";
          }};
}
Option Text(std::string& target, const char* what) {
  return {true, [&target, what](const std::string& value) {
            target = value;
            return value.empty() ? what : "";  // what "": may be empty
          }};
}
template <typename T>
Option Number(T& target) {
  return {true, [&target](const std::string& value) {
            return absl::SimpleAtoi(value, &target) && target >= 0 ? "" : "a whole number from 0";
          }};
}

// Walks over the arguments: named options go to their handlers, --dotted.keys into `source`.
absl::Status Parse(const std::vector<std::string>& arguments, const Options& options,
                   Source& source) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!absl::StartsWith(argument, "--") || argument.size() == 2) {
      return absl::InvalidArgumentError(
          absl::StrCat(argument, ": expected an option (see --help)"));
    }
    const size_t equals = argument.find('=');
    const bool has_value = equals != std::string::npos;
    const std::string name = argument.substr(2, has_value ? equals - 2 : std::string::npos);
    const auto option = options.find(name);
    const bool is_key = option == options.end();
    std::string value = has_value ? argument.substr(equals + 1) : "";
    if ((is_key || option->second.takes_value) && !has_value) {
      if (i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat("--", name,
                                                       ": expected a value or a known option"
                                                       " (see --help)"));
      }
      value = arguments[++i];
    }
    if (is_key) {
      source.overrides.emplace_back(name, value);
      continue;
    }
    if (!option->second.takes_value && has_value) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": takes no value"));
    }
    const std::string expected = option->second.handle(value);
    if (!expected.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": ", value, ": expected ", expected));
    }
  }
  return absl::OkStatus();
}

Option Named(std::string& target, bool (*is_valid)(absl::string_view), const char* rule) {
  return {true, [=, &target](const std::string& value) -> std::string {
            if (!is_valid(value)) return rule;
            target = value;
            return "";
          }};
}

Option RoleOption(std::optional<Role>& role) {
  return {true, [&role](const std::string& value) -> std::string {
            if (value == "ingest") role = Role::kIngest;
            if (value == "flush") role = Role::kFlush;
            return role ? "" : "ingest or flush";
          }};
}

}  // namespace

absl::StatusOr<ServerCommandLine> ParseServerCommandLine(
    const std::vector<std::string>& arguments) {
  ServerCommandLine line;
  std::string flusher_processes;
  const Options options = {
      {"config", Text(line.source.file, "a file name")},
      {"check", Switch(line.check_only)},
      {"retry-config", Switch(line.retry_config)},
      {"help", Switch(line.help)},
      {"version", Switch(line.version)},
      {"flusher-processes", Text(flusher_processes, "a number of processes")},
  };
  RETURN_IF_ERROR(Parse(arguments, options, line.source));
  if (!flusher_processes.empty()) {
    line.source.overrides.emplace_back("pools.flush.replicas", flusher_processes);
  }
  return line;
}

std::string ServerUsage() {
  return R"(spillwayd — the control plane: starts and watches the workers, serves operators.

  spillwayd [--config FILE] [--dotted.key=value …]

  --config FILE           YAML; without it the defaults (docs/configuration.md)
  --dotted.key=value      any key of the configuration, over the file: --flush.lease=90s
  --flusher-processes N   short for --pools.flush.replicas=N
  --check                 say what is wrong (exit code 78), or print the effective configuration
  --retry-config          try settings again that were taken back (docs/operations.md)
  --version, --help
)";
}

absl::StatusOr<WorkerCommandLine> ParseWorkerCommandLine(
    const std::vector<std::string>& arguments) {
  WorkerCommandLine line;
  std::optional<Role> role;
  const Options options = {
      {"config", Text(line.source.file, "a file name")},
      {"role", RoleOption(role)},
      {"pool", Named(line.pool, IsPoolName, kPoolNameRule)},
      {"slot", Number(line.slot)},
      {"generation", Number(line.generation.value)},
      {"gateway", Text(line.gateway, "")},
      {"uid", Named(line.uid, IsUid, kUidRule)},
      {"paused", Switch(line.is_paused)},
      {"help", Switch(line.help)},
      {"version", Switch(line.version)},
  };
  RETURN_IF_ERROR(Parse(arguments, options, line.source));
  if (line.help || line.version) return line;
  if (!role) return absl::InvalidArgumentError("--role: expected ingest or flush");
  line.role = *role;
  if (line.pool.empty()) line.pool = *role == Role::kIngest ? "ingest" : "flush";
  return line;
}

std::string WorkerUsage() {
  return R"(spillway-worker — moves spans (role ingest) or segments (role flush). Started by
spillwayd, or by somebody else into a pool with scale_owner: external.

  spillway-worker --role=ingest|flush [--pool=NAME] --gateway=ADDRESS [--uid=TEXT]
                  [--config=FILE] [--dotted.key=value …]
  spillway-worker --role=ingest|flush … --slot=N --generation=N [--paused]   (spillwayd does)

  --gateway ADDRESS  HOST:PORT or unix:PATH of spillwayd's server.gateway, where it registers
  --uid TEXT         this process's identity; default: random. No two processes may ever share one
  Without --gateway it works without a control plane (a flush worker then owns no shard).
  With --paused it takes nothing until the control plane says otherwise.
  --version, --help
)";
}

}  // namespace spillway::config
