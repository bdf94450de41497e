// One directory of the kernel's cgroup v2 tree, and where a process's own is. This file and
// worker_cgroups.* are the only ones that know that tree.
#ifndef SPILLWAY_SERVER_PROCESS_CGROUP_H_
#define SPILLWAY_SERVER_PROCESS_CGROUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"

namespace spillway::process {

// A handle by name: copying copies no cgroup, and the kernel's is not removed with it. Calls take
// moments and, but for RemoveWithin, never wait. Any thread. Errors name the file and what the
// system said of it.
class Cgroup {
 public:
  // Makes the directory, or takes the one that is there.
  static absl::StatusOr<Cgroup> Make(std::string directory);
  explicit Cgroup(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  absl::Status Write(const char* file, const std::string& text) const;
  absl::StatusOr<std::string> Read(const char* file) const;
  // SIGKILL to every process in it; none in it: nothing. Linux 5.14.
  absl::Status Kill() const;
  // Whether it is gone: it can go once it is empty.
  bool TryRemove() const;
  // The same, waiting for its processes' ends (of those that were killed) until `limit` has passed.
  bool RemoveWithin(Duration limit) const;
  // If the kernel has killed in it for want of memory: the limit in bytes that it had reached, or 0
  // if the want was that of a cgroup around it, or of the machine.
  std::optional<int64_t> MemoryKill() const;

 private:
  std::string directory_;
};

// The words of a file such as cgroup.controllers.
std::vector<std::string> CgroupWords(const std::string& text);

// A process's cgroup in the version 2 tree, from the text of /proc/<pid>/cgroup ("0::/a/b"); empty:
// it has none.
std::optional<std::string> ParseCgroupPath(absl::string_view cgroup_file);
// The directory of that path, from the text of /proc/self/mountinfo. FAILED_PRECONDITION: not
// mounted here, with what would be right.
absl::StatusOr<std::string> ParseCgroupDirectory(absl::string_view mountinfo,
                                                 const std::string& path);
// Both, of a process that lives: `process` is "self" or a number. `proc` is /proc.
absl::StatusOr<std::string> FindCgroup(const std::string& proc, const std::string& process);

// OK: the directory is ours to make cgroups in. FAILED_PRECONDITION: it is not writable, or it is
// systemd's (a unit without Delegate=yes, which systemd may change any time), with what would be
// right.
absl::Status CheckDelegated(const std::string& directory);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_CGROUP_H_
