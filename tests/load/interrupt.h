// Lets long work end in order on Ctrl-C instead of in the middle.
#ifndef SPILLWAY_TESTS_LOAD_INTERRUPT_H_
#define SPILLWAY_TESTS_LOAD_INTERRUPT_H_

#include <chrono>
#include <csignal>
#include <ctime>

namespace spillway::load {

// Holds back SIGINT and SIGTERM while it lives. To be made before any thread is.
class InterruptGuard {
 public:
  InterruptGuard() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  // A signal that waits was answered by ending the work: it is taken back.
  ~InterruptGuard() {
    const timespec at_once{};
    while (IsInterrupted()) sigtimedwait(&signals_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // Whether one of them waits. A system call: ask now and then.
  bool IsInterrupted() const {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
  }

  // Waits, at most until one of them has come.
  void WaitFor(std::chrono::milliseconds time) const {
    if (IsInterrupted()) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    const timespec limit{.tv_sec = seconds.count(),
                         .tv_nsec = (time - seconds).count() * 1'000'000};
    const int taken = sigtimedwait(&signals_, nullptr, &limit);
    if (taken > 0) raise(taken);  // it goes on waiting to be asked about
  }

 private:
  sigset_t signals_;
  sigset_t before_;
};

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_INTERRUPT_H_
