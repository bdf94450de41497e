// spillway-worker: one ingest or flush worker. See --help.
#include <cstdio>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/failpoint.h"
#include "base/lock_file.h"
#include "base/log.h"
#include "base/stack_dump.h"
#include "base/termination_signals.h"
#include "base/version.h"
#include "config/command_line.h"
#include "config/load.h"
#include "worker/exit_code.h"
#include "worker/worker_process.h"

namespace spillway::worker {
namespace {

int BadConfiguration(const std::string& line) {
  std::fprintf(stderr, "spillway-worker: %s\n", line.c_str());
  return kExitBadConfiguration;
}

LogLevel LevelOf(const std::string& level) {
  if (level == "debug") return LogLevel::kDebug;
  if (level == "warning") return LogLevel::kWarning;
  return level == "error" ? LogLevel::kError : LogLevel::kInfo;
}

int Run(const config::Config& config, const config::WorkerCommandLine& line,
        TerminationSignals& signals) {
  ConfigureLog(config.log.format == "json" ? LogFormat::kJson : LogFormat::kText,
               LevelOf(config.log.level));
  Log(LogLevel::kInfo, "worker starts",
      {{"version", Version()},
       {"pool", line.pool},
       {"slot", line.slot},
       {"generation", line.generation.value}});
  std::optional<LockFile> lock;
  if (line.generation.value > 0) {  // launched: the next server must find this process
    absl::StatusOr<LockFile> acquired =
        LockFile::Acquire(config.server.run_dir, line.pool, line.slot, line.generation);
    if (!acquired.ok()) {
      Log(LogLevel::kError, "the slot is taken", {{"problem", acquired.status()}});
      return kExitSlotTaken;
    }
    lock = *std::move(acquired);
    const absl::Status stacks =
        InstallStackDump(StackDumpPath(config.server.run_dir, line.pool, line.slot));
    if (!stacks.ok()) Log(LogLevel::kWarning, "no stacks if it hangs", {{"problem", stacks}});
  }
  absl::StatusOr<std::unique_ptr<WorkerProcess>> process =
      WorkerProcess::Create(config, line, signals);
  if (!process.ok()) return BadConfiguration(std::string(process.status().message()));
  const ExitCode code = (*process)->Run();
  process->reset();
  Log(LogLevel::kInfo, "worker ends", {{"exit_code", static_cast<int>(code)}});
  return code;
}

int Main(const std::vector<std::string>& arguments) {
  TerminationSignals signals;  // before any thread exists
#ifdef SPILLWAY_FAILPOINTS
  if (arguments == std::vector<std::string>{"--failpoints"}) {
    for (const std::string& name : AllFailpoints()) std::puts(name.c_str());
    return kExitOk;
  }
#endif
  const absl::StatusOr<config::WorkerCommandLine> line = config::ParseWorkerCommandLine(arguments);
  if (!line.ok()) return BadConfiguration(std::string(line.status().message()));
  if (line->help || line->version) {
    std::puts(line->help ? config::WorkerUsage().c_str() : Version());
    return kExitOk;
  }
  const auto loaded = config::Load(line->source);
  if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded)) {
    for (const config::Problem& problem : *problems) BadConfiguration(problem.ToString());
    return kExitBadConfiguration;
  }
  return Run(std::get<config::Config>(loaded), *line, signals);
}

}  // namespace
}  // namespace spillway::worker

int main(int argc, char** argv) {
  return spillway::worker::Main(std::vector<std::string>(argv + 1, argv + argc));
}
