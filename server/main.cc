// spillwayd: the control plane. See --help.
#include <cstdio>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/termination_signals.h"
#include "base/version.h"
#include "config/command_line.h"
#include "config/load.h"
#include "server/server_process.h"

namespace spillway::server {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;

void Complain(const std::string& line) { std::fprintf(stderr, "spillwayd: %s\n", line.c_str()); }

LogLevel LevelOf(const std::string& level) {
  if (level == "debug") return LogLevel::kDebug;
  if (level == "warning") return LogLevel::kWarning;
  return level == "error" ? LogLevel::kError : LogLevel::kInfo;
}

int Run(const config::Config& config, bool retries_config, TerminationSignals& signals) {
  ConfigureLog(config.log.format == "json" ? LogFormat::kJson : LogFormat::kText,
               LevelOf(config.log.level));
  absl::StatusOr<std::unique_ptr<ServerProcess>> process =
      ServerProcess::Create(config, retries_config, signals);
  if (!process.ok()) {
    Complain(std::string(process.status().message()));
    // What only a person can mend, a damaged state file among it, is not to be tried again.
    const bool is_in_vain =
        absl::IsInvalidArgument(process.status()) || absl::IsDataLoss(process.status());
    return is_in_vain ? config::kExitBadConfiguration : kExitFailed;
  }
  const absl::Status result = (*process)->Run();
  return result.ok() ? kExitOk : kExitFailed;
}

int Main(const std::vector<std::string>& arguments) {
  TerminationSignals signals;  // before any thread exists
  const absl::StatusOr<config::ServerCommandLine> line = config::ParseServerCommandLine(arguments);
  if (!line.ok()) {
    Complain(std::string(line.status().message()));
    return config::kExitBadConfiguration;
  }
  if (line->help || line->version) {
    std::puts(line->help ? config::ServerUsage().c_str() : Version());
    return kExitOk;
  }
  const auto loaded = config::Load(line->source);
  if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded)) {
    for (const config::Problem& problem : *problems) Complain(problem.ToString());
    return config::kExitBadConfiguration;
  }
  const config::Config& config = std::get<config::Config>(loaded);
  if (line->check_only) {
    std::fputs(config::ToYaml(config).c_str(), stdout);
    return kExitOk;
  }
  return Run(config, line->retry_config, signals);
}

}  // namespace
}  // namespace spillway::server

int main(int argc, char** argv) {
  return spillway::server::Main(std::vector<std::string>(argv + 1, argv + argc));
}
