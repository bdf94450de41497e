#include "worker/control/process_usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace spillway::worker {
namespace {

std::chrono::microseconds MicrosecondsOf(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

ProcessUsage ReadProcessUsage() {
  ProcessUsage usage;
  rusage self{};
  if (getrusage(RUSAGE_SELF, &self) == 0) {
    usage.cpu_time = MicrosecondsOf(self.ru_utime) + MicrosecondsOf(self.ru_stime);
  }
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  std::ifstream statm("/proc/self/statm");
  if (statm >> total_pages >> resident_pages)
    usage.memory_bytes = resident_pages * sysconf(_SC_PAGESIZE);
  return usage;
}

}  // namespace spillway::worker
