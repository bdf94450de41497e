// Asks a process of this machine where its threads are (base/stack_dump.h), waits for its answer,
// names the functions and keeps the text.
#ifndef SPILLWAY_SERVER_PROCESS_STACK_CAPTURE_H_
#define SPILLWAY_SERVER_PROCESS_STACK_CAPTURE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/loop.h"
#include "server/supervisor/launcher.h"

namespace spillway::process {

// A process that is stopped, or hangs in the kernel, does not answer at all: it is waited for so
// long, and what /proc tells about its threads is the answer.
inline constexpr Duration kStackCaptureTimeout = std::chrono::seconds(3);
inline constexpr size_t kKeptStacks = 32;              // files in a folder; the oldest go
inline constexpr size_t kMaxStackDumpBytes = 2 << 20;  // what is read of an answer

struct StackFiles {
  std::string dump;    // which the process appends to
  std::string folder;  // where texts are kept, as <stem>-<milliseconds since the epoch>.txt
  std::string stem;
};

// One question. Loop thread only. Destroying it forgets the question.
class StackCapture {
 public:
  // `pid_fd` pins the process and is borrowed. `done` is called once, never before this returns;
  // it may destroy the capture.
  StackCapture(Loop& loop, int64_t pid, int pid_fd, StackFiles files, supervisor::StacksDone done);

 private:
  struct Job;

  bool Ask();  // false: it cannot be asked
  void Poll();
  void Conclude(std::string problem);

  Loop& loop_;
  const int64_t pid_;
  const int pid_fd_;
  const StackFiles files_;
  supervisor::StacksDone done_;
  const int request_;
  const Instant deadline_;
  Timer timer_;
  std::shared_ptr<bool> is_wanted_ = std::make_shared<bool>(true);
};

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_STACK_CAPTURE_H_
