#include "server/process/local_launcher.h"

#include "absl/strings/str_cat.h"
#include "base/lock_file.h"
#include "base/status_macros.h"
#include "server/process/local_process.h"
#include "server/process/output_file.h"

namespace spillway::process {
namespace {

// A process with its output: the end of one is told with the last lines of the other.
LocalProcess::Ended WithLastLines(OutputFile output, supervisor::OnExit on_exit) {
  return [output = std::move(output),
          on_exit = std::move(on_exit)](const supervisor::ExitReport& report) mutable {
    supervisor::ExitReport complete = report;
    complete.last_lines = output.LastLines();
    on_exit(complete);
  };
}

}  // namespace

LocalLauncher::LocalLauncher(Loop& loop, LocalLauncherOptions options)
    : loop_(loop), options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<supervisor::Process>> LocalLauncher::Launch(
    const supervisor::LaunchSpec& spec, supervisor::OnExit on_exit) {
  OutputFile output(OutputPath(spec.worker));
  ASSIGN_OR_RETURN(const UniqueFd output_fd, output.Open());
  const Command command{options_.program, WorkerArguments(options_, spec), output_fd.get()};
  return LocalProcess::Spawn(loop_, command, WithLastLines(std::move(output), std::move(on_exit)));
}

absl::StatusOr<std::unique_ptr<supervisor::Process>> LocalLauncher::Adopt(
    const supervisor::Leftover& leftover, supervisor::OnExit on_exit) {
  OutputFile output(OutputPath(leftover.worker));
  ASSIGN_OR_RETURN(std::unique_ptr<LocalProcess> process,
                   LocalProcess::Adopt(loop_, leftover.pid,
                                       WithLastLines(std::move(output), std::move(on_exit))));
  // Only now is the number pinned: what the lock file says of it must still hold.
  for (const FoundLock& lock : ReadLockFiles(options_.run_dir)) {
    if (lock.record.pid == leftover.pid && !lock.is_alive) {
      return absl::NotFoundError(absl::StrCat("process ", leftover.pid, " is another one now"));
    }
  }
  return process;
}

std::vector<supervisor::Leftover> LocalLauncher::FindLeftovers() {
  std::vector<supervisor::Leftover> leftovers;
  for (const FoundLock& lock : ReadLockFiles(options_.run_dir)) {
    leftovers.push_back({{lock.record.pool, lock.record.slot},
                         lock.record.generation,
                         lock.is_alive ? lock.record.pid : 0});
  }
  return leftovers;
}

std::string LocalLauncher::OutputPath(const fleet::WorkerKey& worker) const {
  return absl::StrCat(options_.run_dir, "/", worker.pool, "-", worker.slot, ".log");
}

std::vector<std::string> WorkerArguments(const LocalLauncherOptions& options,
                                         const supervisor::LaunchSpec& spec) {
  return {
      absl::StrCat("--role=", spec.role == wire::Role::kIngest ? "ingest" : "flush"),
      absl::StrCat("--pool=", spec.worker.pool),
      absl::StrCat("--slot=", spec.worker.slot),
      absl::StrCat("--generation=", spec.generation.value),
      absl::StrCat("--config=", options.config_file),
      absl::StrCat("--gateway=", options.gateway),
  };
}

}  // namespace spillway::process
