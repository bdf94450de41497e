// What this process has used so far, as the kernel tells it.
#ifndef SPILLWAY_WORKER_CONTROL_PROCESS_USAGE_H_
#define SPILLWAY_WORKER_CONTROL_PROCESS_USAGE_H_

#include <chrono>
#include <cstdint>

namespace spillway::worker {

struct ProcessUsage {
  std::chrono::microseconds cpu_time{0};  // user and system, all threads
  int64_t memory_bytes = 0;               // resident; 0: not known
};

// Cheap (two system calls and a read of /proc); thread-safe.
ProcessUsage ReadProcessUsage();

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_CONTROL_PROCESS_USAGE_H_
