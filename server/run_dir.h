// The server's directory for what lives as long as it runs: its own lock, the workers'
// configuration, and (by others) sockets, the workers' lock files and output.
#ifndef SPILLWAY_SERVER_RUN_DIR_H_
#define SPILLWAY_SERVER_RUN_DIR_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/pid_lock.h"
#include "config/config.h"

namespace spillway::server {

// Belongs to one spillwayd at a time: holds the lock on <path>/spillwayd.lock until it goes.
// Movable.
class RunDir {
 public:
  // Makes the directory, and that of the gateway's socket, if they are missing.
  // FAILED_PRECONDITION: another spillwayd runs there (its pid is in the message).
  static absl::StatusOr<RunDir> Open(const config::Server& config);

  // Writes what workers may be started with, by generation: <path>/config.<generation>.yaml. Others
  // go: running workers have read theirs. Returns the files.
  absl::StatusOr<std::map<uint64_t, std::string>> WriteConfigs(
      const std::map<uint64_t, std::string>& yaml) const;

  const std::string& path() const { return path_; }

 private:
  RunDir(std::string path, PidLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  PidLock lock_;
};

}  // namespace spillway::server

#endif  // SPILLWAY_SERVER_RUN_DIR_H_
