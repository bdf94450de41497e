// One process of this machine: started here, or found and adopted.
#ifndef SPILLWAY_SERVER_PROCESS_LOCAL_PROCESS_H_
#define SPILLWAY_SERVER_PROCESS_LOCAL_PROCESS_H_

#include <sys/resource.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "base/unique_fd.h"
#include "server/process/cgroup.h"
#include "server/process/stack_capture.h"
#include "server/supervisor/launcher.h"

namespace spillway::process {

struct Command {
  std::string program;                 // a path; no search, no shell
  std::vector<std::string> arguments;  // without the program
  int output_fd = -1;                  // becomes its standard output and error; borrowed
  StackFiles stacks{};
  std::optional<Cgroup> cgroup{};  // it shall be in; empty: in the server's
};
// A process that is there already.
struct FoundProcess {
  int64_t pid = 0;
  StackFiles stacks{};
  std::optional<Cgroup> cgroup{};  // its own, with all that it has started; empty: it has none
};

// Its end is proven by a pidfd: signals reach this process or none, whatever becomes of its number.
// Loop thread only. Destroying it lets go of the process.
class LocalProcess final : public supervisor::Process {
 public:
  using Ended = absl::AnyInvocable<void(const supervisor::ExitReport&)>;  // without last_lines

  // A session of its own, no signals blocked or ignored, standard input empty, no other
  // descriptors. A cgroup that it cannot be put into is logged; it runs without, then.
  static absl::StatusOr<std::unique_ptr<LocalProcess>> Spawn(Loop& loop, const Command& command,
                                                             Ended ended);
  // NOT_FOUND: there is no such process.
  static absl::StatusOr<std::unique_ptr<LocalProcess>> Adopt(Loop& loop, FoundProcess found,
                                                             Ended ended);

  int64_t pid() const override { return identity_.pid; }
  void Terminate() override;
  void Kill() override;  // with all that is in its cgroup
  void CaptureStacks(supervisor::StacksDone done) override;

 private:
  struct Identity {
    int64_t pid = 0;
    bool is_child = false;
    StackFiles stacks;
    std::optional<Cgroup> cgroup;
  };
  LocalProcess(Loop& loop, Identity identity, UniqueFd pid_fd, Ended ended);
  void OnReadable();
  void OnStacks(const supervisor::StackReport& report);

  Loop& loop_;
  const Identity identity_;
  UniqueFd pid_fd_;
  Ended ended_;
  std::unique_ptr<ReadWatch> watch_;       // of pid_fd_: goes first
  std::unique_ptr<StackCapture> capture_;  // while there is a question
  std::vector<supervisor::StacksDone> asked_;
};

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_LOCAL_PROCESS_H_
