// Owners for the parts of a libuv loop. One thread runs a Loop and is the only one to touch the
// loop and everything made on it; other threads may only call Post.
#ifndef SPILLWAY_BASE_LOOP_H_
#define SPILLWAY_BASE_LOOP_H_

#include <uv.h>

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace spillway {

using Task = absl::AnyInvocable<void()>;

// An event loop. Destroying it requires that everything made on it is gone; it waits for offloaded
// work that has begun and drops its `done`.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Run();  // until Stop; not re-entrant
  // Tasks posted before it still run. From any thread; a Stop before Run makes that Run return at
  // once.
  void Stop();
  // Runs `task` on the loop's thread, in the order of posting. Thread-safe. Tasks that are still
  // queued when the loop is destroyed are destroyed without having run.
  void Post(Task task);
  // Runs `work` on a thread of libuv's pool, then `done` on the loop's thread.
  void Offload(Task work, Task done);

  uv_loop_t* native() { return &loop_; }

 private:
  static void OnWake(uv_async_t* async);
  bool IsClosing();

  uv_loop_t loop_;
  uv_async_t wake_;
  Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_closing_ ABSL_GUARDED_BY(mutex_) = false;
};

// Calls back once, not earlier than the delay given to Start. Loop thread only; the callback may
// restart or destroy it.
class Timer {
 public:
  Timer(Loop& loop, Task on_expiry);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void Start(Duration delay);  // replaces an earlier start
  void Stop();
  bool is_running() const;

 private:
  struct Handle;  // outlives the Timer until libuv has closed it
  Handle* handle_;
};

// Calls back while a borrowed descriptor is readable or at its end. Makes the descriptor
// non-blocking. Loop thread only; the callback may destroy it. Goes before the descriptor is
// closed.
class ReadWatch {
 public:
  ReadWatch(Loop& loop, int fd, Task on_readable);
  ~ReadWatch();
  ReadWatch(const ReadWatch&) = delete;
  ReadWatch& operator=(const ReadWatch&) = delete;

 private:
  struct Handle;
  Handle* handle_;
};

}  // namespace spillway

#endif  // SPILLWAY_BASE_LOOP_H_
