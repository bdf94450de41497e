#include "base/loop.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace spillway {
namespace {

// libuv's timers count whole milliseconds from a truncated clock, so one more is needed for a
// timer never to expire early.
uint64_t TimerMilliseconds(Duration delay) {
  if (delay <= Duration::zero()) return 0;
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(delay);
  return static_cast<uint64_t>(milliseconds.count()) + 1;
}

struct OffloadedWork {
  uv_work_t request;
  Task work;
  Task done;
};

template <typename Handle>
void CloseAndDelete(Handle* handle, uv_handle_t* native) {
  native->data = handle;
  uv_close(native, [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
}

}  // namespace

Loop::Loop() {
  CHECK(uv_loop_init(&loop_) == 0, "a loop needs only memory and a few descriptors");
  CHECK(uv_async_init(&loop_, &wake_, &Loop::OnWake) == 0, "the loop is new");
  loop_.data = this;
  wake_.data = this;
}

Loop::~Loop() {
  std::vector<Task> dropped;
  {
    MutexLock lock(&mutex_);
    is_closing_ = true;
    dropped.swap(posted_);
  }
  dropped.clear();  // may destroy timers and watches, which need the loop
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);  // until what was made on the loop has been closed
  CHECK(uv_loop_close(&loop_) == 0, "everything made on a loop goes before it");
}

void Loop::Run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  MutexLock lock(&mutex_);
  stopping_ = false;
}

void Loop::Stop() {
  MutexLock lock(&mutex_);
  stopping_ = true;
  uv_async_send(&wake_);
}

void Loop::Post(Task task) {
  MutexLock lock(&mutex_);
  if (is_closing_) return;
  posted_.push_back(std::move(task));
  // Under the mutex, so that the handle cannot be closed in between.
  if (posted_.size() == 1) uv_async_send(&wake_);
}

void Loop::OnWake(uv_async_t* async) {
  auto* loop = static_cast<Loop*>(async->data);
  std::vector<Task> tasks;
  {
    MutexLock lock(&loop->mutex_);
    tasks.swap(loop->posted_);
  }
  for (Task& task : tasks) {
    std::move(task)();
    task = nullptr;  // what it held goes before the next one runs
  }
  MutexLock lock(&loop->mutex_);
  if (loop->stopping_) uv_stop(&loop->loop_);
}

void Loop::Offload(Task work, Task done) {
  auto* offloaded = new OffloadedWork{{}, std::move(work), std::move(done)};
  offloaded->request.data = offloaded;
  const int error = uv_queue_work(
      &loop_, &offloaded->request,
      [](uv_work_t* request) { static_cast<OffloadedWork*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        const std::unique_ptr<OffloadedWork> ended(static_cast<OffloadedWork*>(request->data));
        auto* loop = static_cast<Loop*>(request->loop->data);
        if (!loop->IsClosing()) ended->done();
      });
  CHECK(error == 0, "work can always be queued");
}

bool Loop::IsClosing() {
  MutexLock lock(&mutex_);
  return is_closing_;
}

// Lives until libuv has closed the timer: a callback may destroy the Timer it runs for.
struct Timer::Handle {
  uv_timer_t timer;
  Task on_expiry;
};

Timer::Timer(Loop& loop, Task on_expiry) : handle_(new Handle{{}, std::move(on_expiry)}) {
  CHECK(uv_timer_init(loop.native(), &handle_->timer) == 0, "initialising a timer cannot fail");
  handle_->timer.data = handle_;
}

Timer::~Timer() { CloseAndDelete(handle_, reinterpret_cast<uv_handle_t*>(&handle_->timer)); }

void Timer::Start(Duration delay) {
  uv_update_time(handle_->timer.loop);  // the loop's time is as old as its current round
  const int error = uv_timer_start(
      &handle_->timer, [](uv_timer_t* timer) { static_cast<Handle*>(timer->data)->on_expiry(); },
      TimerMilliseconds(delay), 0);
  CHECK(error == 0, "a timer that is not closing can be started");
}

void Timer::Stop() { uv_timer_stop(&handle_->timer); }

bool Timer::is_running() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&handle_->timer)) != 0;
}

struct ReadWatch::Handle {
  uv_poll_t poll;
  Task on_readable;
};

ReadWatch::ReadWatch(Loop& loop, int fd, Task on_readable)
    : handle_(new Handle{{}, std::move(on_readable)}) {
  CHECK(uv_poll_init(loop.native(), &handle_->poll, fd) == 0, "the descriptor can be polled");
  handle_->poll.data = handle_;
  // An error is reported as readable: the read that follows tells what it is.
  const int error = uv_poll_start(&handle_->poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
    static_cast<Handle*>(poll->data)->on_readable();
  });
  CHECK(error == 0, "a watch that is not closing can be started");
}

ReadWatch::~ReadWatch() { CloseAndDelete(handle_, reinterpret_cast<uv_handle_t*>(&handle_->poll)); }

}  // namespace spillway
