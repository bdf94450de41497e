// How a process tells what its threads are doing, even when they hang: a signal makes every thread
// write where it is. Who asks, and puts names to the addresses: server/process/stack_capture.h.
//
// The answer is text, appended to a file that was opened at the start:
//
//   spillway-stacks 1 request <n> pid <pid>
//   thread <id> <state> <name>        state: one letter, as in /proc/<pid>/stat
//    <address, innermost first>       one a line, hexadecimal
//    ! <why there is no more of it>   "blocks the signal" (one address at most), "no answer"
//   maps
//   <a copy of /proc/self/maps>
//   end
#ifndef SPILLWAY_BASE_STACK_DUMP_H_
#define SPILLWAY_BASE_STACK_DUMP_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/clock.h"

namespace spillway {

inline constexpr char kStackDumpEnd[] = "\nend\n";  // the last thing that is written
// So long the threads have, together, to answer. What has not answered by then is said to hang.
inline constexpr Duration kStackAnswerTimeout = std::chrono::seconds(1);

// The signal that asks, with a number for the request as its value (sigqueue). Only a process that
// catches it may be sent it: others it would end.
int StackDumpSignal();

// "<run_dir>/<pool>-<slot>.stacks"
std::string StackDumpPath(const std::string& run_dir, const std::string& pool, int32_t slot);

// From now on, and for the rest of the process, the signal is answered into `path`. At most 128
// threads of 64 frames each are written. Nothing that runs in the handler takes a lock, allocates
// or waits without a limit; while it is not asked it costs nothing. Call once, before there are
// threads that could be asked about.
absl::Status InstallStackDump(const std::string& path);

}  // namespace spillway

#endif  // SPILLWAY_BASE_STACK_DUMP_H_
