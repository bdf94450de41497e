#include "base/pid_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace spillway {

absl::StatusOr<PidLock> PidLock::Acquire(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    const std::string text = absl::StrCat(path, ": ", std::strerror(errno));
    if (errno == ENOSPC) return absl::ResourceExhaustedError(text);
    return absl::FailedPreconditionError(text);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    std::string pid;
    std::ifstream file(path);
    std::getline(file, pid);
    return absl::AlreadyExistsError(pid);
  }
  const std::string pid = absl::StrCat(::getpid(), "\n");
  const bool is_written =
      ::ftruncate(fd.get(), 0) == 0 &&
      ::pwrite(fd.get(), pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  if (!is_written) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  return PidLock(std::move(fd));
}

}  // namespace spillway
