// A file that belongs to one live process at a time, and says to which.
#ifndef SPILLWAY_BASE_PID_LOCK_H_
#define SPILLWAY_BASE_PID_LOCK_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace spillway {

// Holds the lock (flock) until it goes, or the process ends however it does; the file stays.
// Movable.
class PidLock {
 public:
  // Locks `path`, making it if it is missing, and writes this process' pid into it.
  // ALREADY_EXISTS: another process has it; the message is its pid. FAILED_PRECONDITION: the file
  // cannot be made; RESOURCE_EXHAUSTED: nor written, as the disk is full.
  static absl::StatusOr<PidLock> Acquire(const std::string& path);

 private:
  explicit PidLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace spillway

#endif  // SPILLWAY_BASE_PID_LOCK_H_
