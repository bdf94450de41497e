// Flush workers that do no work: each has a connection of its own to the control plane, says that
// it is ready, owns what it is ordered to own, and reports.
#ifndef SPILLWAY_TESTS_BENCH_PLAYED_WORKERS_H_
#define SPILLWAY_TESTS_BENCH_PLAYED_WORKERS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "tests/bench/fleet_under_test.h"
#include "worker/control/control_link.h"

namespace spillway::bench {

// What they have been told, for measuring. One instant's.
struct Heard {
  size_t attached = 0;
  size_t owned_shards = 0;
  std::map<int32_t, std::set<int32_t>> shards;  // by slot, of the newest order
  Instant last_drain_order;                     // none: the epoch
  Instant last_spawn;
};

// The workers live on a loop thread of their own; the methods are for one other thread.
class PlayedWorkers {
 public:
  // The pipes are borrowed.
  PlayedWorkers(std::string gateway, const Pipes& pipes);
  ~PlayedWorkers();

  Heard Listen();
  // The worker of `slot` is gone without a word; its death is told at once. When that was.
  Instant Kill(int32_t slot);
  // So many dial in as workers that somebody else has started; Listen and Vanish number them from
  // 0.
  void Register(int32_t count);
  // Like Kill, and nobody tells the server. When that was.
  Instant Vanish(int32_t number);
  void ShutServerDown();

 private:
  class Role;
  struct Worker;

  void OnLines();
  void Attach(wire::Hello hello, int32_t slot);
  void Spawn(int32_t slot, uint64_t generation, int64_t pid);
  void Leave(int64_t pid);
  void Tell(const std::string& line);
  void Call(std::function<void()> task);  // on the loop's thread; waits for it

  const std::string gateway_;
  const Pipes& pipes_;
  Loop loop_;
  std::string unread_;
  std::map<int64_t, std::unique_ptr<Worker>> workers_;  // by pid
  Instant last_drain_order_, last_spawn_;
  std::unique_ptr<ReadWatch> lines_;
  std::jthread thread_;
};

}  // namespace spillway::bench

#endif  // SPILLWAY_TESTS_BENCH_PLAYED_WORKERS_H_
