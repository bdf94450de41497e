// The server's directory for what lives as long as it runs: its own lock, the workers'
// configuration, and (by others) sockets, the workers' lock files and output.
#ifndef SPILLWAY_SERVER_RUN_DIR_H_
#define SPILLWAY_SERVER_RUN_DIR_H_

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

  // Writes the effective configuration for the workers: <path>/config.<n>.yaml, n above all that
  // are there. Running workers have read theirs: all but the newest two files go. Returns the file.
  absl::StatusOr<std::string> WriteConfig(const std::string& yaml) const;

  const std::string& path() const { return path_; }

 private:
  RunDir(std::string path, PidLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  PidLock lock_;
};

}  // namespace spillway::server

#endif  // SPILLWAY_SERVER_RUN_DIR_H_
