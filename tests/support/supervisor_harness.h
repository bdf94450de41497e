// A supervisor on a loop that the test turns by hand, with short limits.
#ifndef SPILLWAY_TESTS_SUPPORT_SUPERVISOR_HARNESS_H_
#define SPILLWAY_TESTS_SUPPORT_SUPERVISOR_HARNESS_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/mutex.h"
#include "server/supervisor/supervisor.h"
#include "tests/support/fake_worker_link.h"

namespace spillway::testing {

class FakeDiscovery final : public supervisor::ShardDiscovery {
 public:
  explicit FakeDiscovery(absl::StatusOr<int32_t> count) : count_(std::move(count)) {}
  absl::StatusOr<int32_t> ShardCount(Duration) override {
    MutexLock lock(&mutex_);
    return count_;
  }

 private:
  Mutex mutex_;
  absl::StatusOr<int32_t> count_ ABSL_GUARDED_BY(mutex_);
};

// One pool of `flush_replicas` flush workers, and no other.
inline config::Config FlushPool(int32_t flush_replicas) {
  config::Config config;
  config::Pool pool;
  pool.name = "flush";
  pool.role = config::Role::kFlush;
  pool.replicas = flush_replicas;
  config.pools = {pool};
  config.restart.backoff = {config::Milliseconds(20), config::Milliseconds(100)};
  config.health.report_interval = config::Milliseconds(20);
  config.flush.drain_timeout = config::Milliseconds(2'000);
  return config;
}

// Turns the loop until `condition` holds, 30 s at most. Returns whether it does.
inline bool TurnUntil(Loop& loop, const std::function<bool()>& condition) {
  const Instant deadline = SystemClock().Now() + std::chrono::seconds(30);
  Timer again(loop, [&loop] { loop.Stop(); });
  while (!condition()) {
    if (SystemClock().Now() > deadline) return false;
    again.Start(std::chrono::milliseconds(5));
    loop.Run();
  }
  return true;
}

// What a process that spillwayd has started would say first.
inline wire::Hello HelloOf(const supervisor::WorkerView& worker) {
  wire::Hello hello;
  hello.uid = std::to_string(worker.pid);
  hello.pid = worker.pid;
  hello.role = worker.role;
  hello.pool = worker.key.pool;
  hello.slot = worker.key.slot;
  hello.generation = worker.generation;
  return hello;
}

}  // namespace spillway::testing

#endif  // SPILLWAY_TESTS_SUPPORT_SUPERVISOR_HARNESS_H_
