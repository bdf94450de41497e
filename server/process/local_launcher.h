// Starts workers as processes of this machine, and finds those that earlier servers started.
#ifndef SPILLWAY_SERVER_PROCESS_LOCAL_LAUNCHER_H_
#define SPILLWAY_SERVER_PROCESS_LOCAL_LAUNCHER_H_

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "server/process/local_process.h"
#include "server/process/output_file.h"
#include "server/process/worker_cgroups.h"
#include "server/supervisor/launcher.h"

namespace spillway::process {

struct LocalLauncherOptions {
  std::string program;  // path of spillway-worker
  std::string run_dir;  // lock files, workers' output and stacks: <pool>-<slot>.lock, .log, …
  std::string gateway;  // --gateway
  // How often the outputs of running workers are held to OutputFile::kMaxBytes.
  Duration trim_interval = std::chrono::seconds(10);
  WorkerCgroups* cgroups = nullptr;  // outlives the launcher and its processes; null: none
};

// Output of a worker goes to <run_dir>/<pool>-<slot>.log, which stays bounded while the worker
// runs: OutputFile::kMaxBytes and what is written within trim_interval, and as much again in
// <…>.log.1. Loop thread only.
class LocalLauncher final : public supervisor::Launcher {
 public:
  LocalLauncher(Loop& loop, LocalLauncherOptions options);

  absl::StatusOr<std::unique_ptr<supervisor::Process>> Launch(const supervisor::LaunchSpec& spec,
                                                              supervisor::OnExit on_exit) override;
  absl::StatusOr<std::unique_ptr<supervisor::Process>> Adopt(const supervisor::Leftover& leftover,
                                                             supervisor::OnExit on_exit) override;
  std::vector<supervisor::Leftover> FindLeftovers() override;
  void ReadLog(const supervisor::LogQuery& query, supervisor::LogDone done) override;

 private:
  // A process with its output, which is trimmed for as long as the process is watched; its end is
  // told with the output's last lines.
  struct Watched {
    fleet::WorkerKey worker;
    Generation generation;
    OutputFile output;
    std::optional<Cgroup> cgroup;
  };
  LocalProcess::Ended Watch(Watched watched, supervisor::OnExit on_exit);
  void TrimOutputs();
  StackFiles StackFilesOf(const fleet::WorkerKey& worker, Generation generation) const;
  std::string OutputPath(const fleet::WorkerKey& worker) const;

  Loop& loop_;
  const LocalLauncherOptions options_;
  std::vector<std::weak_ptr<OutputFile>> outputs_;  // owned by what waits for the process's end
  Timer trim_timer_;
};

// The command line of a worker.
std::vector<std::string> WorkerArguments(const LocalLauncherOptions& options,
                                         const supervisor::LaunchSpec& spec);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_LOCAL_LAUNCHER_H_
