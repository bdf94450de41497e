// A cgroup for each worker, with the limits of its pool.
#ifndef SPILLWAY_SERVER_PROCESS_WORKER_CGROUPS_H_
#define SPILLWAY_SERVER_PROCESS_WORKER_CGROUPS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "base/loop.h"
#include "config/config.h"
#include "server/fleet/types.h"
#include "server/process/cgroup.h"

namespace spillway::process {

// What a worker may use; 0: no limit.
struct WorkerLimits {
  uint64_t memory_max = 0;  // bytes
  double cpu_max = 0;       // cores
};
// By pool; pools without a limit are not in it.
std::map<std::string, WorkerLimits> LimitsOf(const std::vector<config::Pool>& pools);

// A limit that is asked for and not kept.
struct RefusedLimit {
  std::string pool;
  std::string key;     // "pools.flush.memory_max"
  std::string value;   // "512MiB"
  std::string reason;  // what is wrong, and what would be right
};

struct WorkerCgroupsOptions {
  std::string run_dir;  // by whose name servers in the same cgroup keep apart
  std::map<std::string, WorkerLimits> limits{};
  std::string proc = "/proc";
};

// Where no pool asks for a limit it touches nothing. Else, below the server's own cgroup:
//
//   <own>/spillwayd                                       the server, once it has moved there
//   <own>/spillway-<run_dir's hash>/<pool>-<slot>-g<generation>   one a worker, of all pools
//
// What cannot be had (no cgroup v2, not delegated, a controller missing) is in refused(), and
// workers run without it: nothing waits or fails for want of a limit. Loop thread only.
// Destroying it removes what is empty or, killed, is about to be; workers that live on keep theirs.
class WorkerCgroups {
 public:
  WorkerCgroups(Loop& loop, WorkerCgroupsOptions options);
  ~WorkerCgroups();
  WorkerCgroups(const WorkerCgroups&) = delete;
  WorkerCgroups& operator=(const WorkerCgroups&) = delete;

  const std::vector<RefusedLimit>& refused() const { return refused_; }
  // The cgroup of a process that is about to start, with its limits written; empty: none is in use,
  // or it could not be made, which is logged.
  std::optional<Cgroup> Add(const fleet::WorkerKey& worker, Generation generation);
  // That of a process which an earlier server has started; empty: it has none.
  std::optional<Cgroup> Find(int64_t pid, const fleet::WorkerKey& worker, Generation generation);
  // Its worker's end is proven: what that has left in it is killed, and it is removed, at once or
  // when the kernel lets go of it; after kRemoveTries it is left to the next server. Returns
  // MemoryKill().
  std::optional<int64_t> End(const Cgroup& cgroup);

  static constexpr Duration kRemoveInterval = std::chrono::milliseconds(50);
  static constexpr int kRemoveTries = 200;

 private:
  struct Removal {
    Cgroup cgroup;
    int tries = 0;
  };
  absl::Status FindBase();
  absl::Status MakeFolder();
  // Lets the kernel keep limits in our folder; returns why not all of `controllers`.
  absl::Status Enable(const std::set<std::string>& controllers);
  absl::Status EnableInBase(const std::string& request);
  void MoveBack();
  void Refuse(const std::string& controller, const absl::Status& status);
  void Limit(const Cgroup& cgroup, const fleet::WorkerKey& worker);
  void RemoveEnded();

  const WorkerCgroupsOptions options_;
  std::vector<RefusedLimit> refused_;
  std::set<std::string> kept_;    // controllers
  std::optional<Cgroup> base_;    // <own>
  std::optional<Cgroup> folder_;  // of our workers' cgroups; empty: not in use
  bool is_in_leaf_ = false;       // the server is in <own>/spillwayd…
  bool has_moved_ = false;        // …by our doing
  std::vector<Removal> ended_;
  Timer remove_timer_;
};

// "spillway-1a2b3c4d"
std::string WorkersFolder(const std::string& run_dir);
// "flush-3-g7"
std::string WorkerFolder(const fleet::WorkerKey& worker, Generation generation);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_WORKER_CGROUPS_H_
