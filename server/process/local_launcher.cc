#include "server/process/local_launcher.h"

#include "absl/strings/str_cat.h"
#include "base/hand_file.h"
#include "base/lock_file.h"
#include "base/stack_dump.h"
#include "base/status_macros.h"
#include "server/process/output_pages.h"

namespace spillway::process {
LocalLauncher::LocalLauncher(Loop& loop, LocalLauncherOptions options)
    : loop_(loop), options_(std::move(options)), trim_timer_(loop, [this] { TrimOutputs(); }) {
  trim_timer_.Start(options_.trim_interval);
}

LocalProcess::Ended LocalLauncher::Watch(Watched watched, supervisor::OnExit on_exit) {
  const fleet::WorkerKey& worker = watched.worker;
  auto shared = std::make_shared<OutputFile>(std::move(watched.output));
  outputs_.push_back(shared);
  return [output = std::move(shared), generation = watched.generation,
          hand = HandFilePath(options_.run_dir, worker.pool, worker.slot),
          cgroups = options_.cgroups, cgroup = std::move(watched.cgroup),
          on_exit = std::move(on_exit)](const supervisor::ExitReport& report) mutable {
    supervisor::ExitReport complete = report;
    complete.last_lines = output->LastLines();
    complete.in_hand = ReadHandFile(hand, generation);
    if (cgroup) complete.memory_kill = cgroups->End(*cgroup);
    on_exit(complete);
  };
}

void LocalLauncher::TrimOutputs() {
  trim_timer_.Start(options_.trim_interval);
  std::erase_if(outputs_, [](const std::weak_ptr<OutputFile>& watched) {
    const std::shared_ptr<OutputFile> output = watched.lock();
    if (output != nullptr) output->Trim();
    return output == nullptr;
  });
}

absl::StatusOr<std::unique_ptr<supervisor::Process>> LocalLauncher::Launch(
    const supervisor::LaunchSpec& spec, supervisor::OnExit on_exit) {
  OutputFile output(OutputPath(spec.worker));
  ASSIGN_OR_RETURN(const UniqueFd output_fd, output.Open());
  std::optional<Cgroup> cgroup;
  if (options_.cgroups != nullptr) cgroup = options_.cgroups->Add(spec.worker, spec.generation);
  const Command command{options_.program, WorkerArguments(options_, spec), output_fd.get(),
                        StackFilesOf(spec.worker, spec.generation), cgroup};
  auto process = LocalProcess::Spawn(
      loop_, command,
      Watch({spec.worker, spec.generation, std::move(output), cgroup}, std::move(on_exit)));
  if (!process.ok() && cgroup) cgroup->TryRemove();
  return process;
}

absl::StatusOr<std::unique_ptr<supervisor::Process>> LocalLauncher::Adopt(
    const supervisor::Leftover& leftover, supervisor::OnExit on_exit) {
  OutputFile output(OutputPath(leftover.worker));
  std::optional<Cgroup> cgroup;
  if (options_.cgroups != nullptr) {
    cgroup = options_.cgroups->Find(leftover.pid, leftover.worker, leftover.generation);
  }
  ASSIGN_OR_RETURN(
      std::unique_ptr<LocalProcess> process,
      LocalProcess::Adopt(
          loop_, {leftover.pid, StackFilesOf(leftover.worker, leftover.generation), cgroup},
          Watch({leftover.worker, leftover.generation, std::move(output), cgroup},
                std::move(on_exit))));
  // Only now is the number pinned: its lock file must say that it is who it says. A number alone,
  // which anybody at the gateway may name, is no reason to signal a process.
  for (const FoundLock& lock : ReadLockFiles(options_.run_dir)) {
    const bool is_it = lock.is_alive && lock.record.pid == leftover.pid &&
                       lock.record.pool == leftover.worker.pool &&
                       lock.record.slot == leftover.worker.slot &&
                       lock.record.generation == leftover.generation;
    if (is_it) return process;
  }
  return absl::NotFoundError(absl::StrCat("process ", leftover.pid,
                                          ": no lock file says that it is ",
                                          fleet::WorkerName(leftover.worker)));
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

void LocalLauncher::ReadLog(const supervisor::LogQuery& query, supervisor::LogDone done) {
  auto page = std::make_shared<absl::StatusOr<supervisor::LogPage>>(absl::UnknownError(""));
  loop_.Offload([page, query, path = OutputPath(query.worker)] { *page = ReadOutput(path, query); },
                [page, done = std::move(done)]() mutable { done(std::move(*page)); });
}

StackFiles LocalLauncher::StackFilesOf(const fleet::WorkerKey& worker,
                                       Generation generation) const {
  return {StackDumpPath(options_.run_dir, worker.pool, worker.slot), options_.run_dir + "/stacks",
          absl::StrCat(worker.pool, "-", worker.slot, "-g", generation.value)};
}

std::string LocalLauncher::OutputPath(const fleet::WorkerKey& worker) const {
  return absl::StrCat(options_.run_dir, "/", worker.pool, "-", worker.slot, ".log");
}

std::vector<std::string> WorkerArguments(const LocalLauncherOptions& options,
                                         const supervisor::LaunchSpec& spec) {
  std::vector<std::string> arguments = {
      absl::StrCat("--role=", spec.role == wire::Role::kIngest ? "ingest" : "flush"),
      absl::StrCat("--pool=", spec.worker.pool),
      absl::StrCat("--slot=", spec.worker.slot),
      absl::StrCat("--generation=", spec.generation.value),
      absl::StrCat("--config=", spec.config_file),
      absl::StrCat("--gateway=", options.gateway),
  };
  if (spec.is_paused) arguments.emplace_back("--paused");
  return arguments;
}

}  // namespace spillway::process
