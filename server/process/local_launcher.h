// Starts workers as processes of this machine, and finds those that earlier servers started.
#ifndef SPILLWAY_SERVER_PROCESS_LOCAL_LAUNCHER_H_
#define SPILLWAY_SERVER_PROCESS_LOCAL_LAUNCHER_H_

#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "server/supervisor/launcher.h"

namespace spillway::process {

struct LocalLauncherOptions {
  std::string program;      // path of spillway-worker
  std::string run_dir;      // lock files and workers' output: <pool>-<slot>.lock, .log
  std::string config_file;  // --config of the workers
  std::string gateway;      // --gateway
};

// Output of a worker goes to <run_dir>/<pool>-<slot>.log. Loop thread only.
class LocalLauncher final : public supervisor::Launcher {
 public:
  LocalLauncher(Loop& loop, LocalLauncherOptions options);

  absl::StatusOr<std::unique_ptr<supervisor::Process>> Launch(const supervisor::LaunchSpec& spec,
                                                              supervisor::OnExit on_exit) override;
  absl::StatusOr<std::unique_ptr<supervisor::Process>> Adopt(const supervisor::Leftover& leftover,
                                                             supervisor::OnExit on_exit) override;
  std::vector<supervisor::Leftover> FindLeftovers() override;

 private:
  std::string OutputPath(const fleet::WorkerKey& worker) const;

  Loop& loop_;
  const LocalLauncherOptions options_;
};

// The command line of a worker.
std::vector<std::string> WorkerArguments(const LocalLauncherOptions& options,
                                         const supervisor::LaunchSpec& spec);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_LOCAL_LAUNCHER_H_
