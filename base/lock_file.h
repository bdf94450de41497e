// A worker's lock file, <run_dir>/<pool>-<slot>.lock: who has the slot. The worker writes it before
// anything else and holds a lock (flock) on it for life, so a server that starts knows what is
// there: a file that can be locked belongs to nobody.
#ifndef SPILLWAY_BASE_LOCK_FILE_H_
#define SPILLWAY_BASE_LOCK_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/unique_fd.h"

namespace spillway {

struct LockRecord {
  std::string pool;
  int32_t slot = 0;
  Generation generation;
  int64_t pid = 0;
  // Clock ticks since boot at which the process started, as /proc/<pid>/stat tells: with the pid it
  // names a process for good.
  uint64_t start_ticks = 0;
  auto operator<=>(const LockRecord&) const = default;
};

// Holds the lock until it goes; the file stays (its generation is a floor for the next). Movable.
class LockFile {
 public:
  // Writes the record for this process and locks the file. FAILED_PRECONDITION: another live
  // process has the slot (its pid is in the message): end then.
  static absl::StatusOr<LockFile> Acquire(const std::string& run_dir, const std::string& pool,
                                          int32_t slot, Generation generation);

 private:
  explicit LockFile(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

struct FoundLock {
  LockRecord record;
  bool is_alive = false;  // the very process that wrote it runs
};

// Every readable lock file in `run_dir`, by pool and slot. Unreadable ones are skipped.
std::vector<FoundLock> ReadLockFiles(const std::string& run_dir);

// Start of process `pid` in clock ticks since boot; empty: there is none.
std::optional<uint64_t> ProcessStartTicks(int64_t pid);

}  // namespace spillway

#endif  // SPILLWAY_BASE_LOCK_FILE_H_
