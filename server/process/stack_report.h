// From what base/stack_dump.h writes to what a person reads.
#ifndef SPILLWAY_SERVER_PROCESS_STACK_REPORT_H_
#define SPILLWAY_SERVER_PROCESS_STACK_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spillway::process {

struct ThreadStack {
  int64_t id = 0;
  char state = '?';  // as in /proc/<pid>/stat
  std::string name;
  std::vector<uint64_t> frames;  // innermost first
  std::string problem;           // why there is no more of it; empty: nothing is missing
};

struct StackDump {
  int request = 0;
  int64_t pid = 0;
  bool is_complete = false;  // its end was written
  std::vector<ThreadStack> threads;
  std::string maps;
};

// Empty: not a dump, or not yet one.
std::optional<StackDump> ParseStackDump(const std::string& text);

struct NamedStacks {
  std::string
      summary;       // the main thread, innermost first: "poll <- uv_run <- …"; one line, bounded
  std::string text;  // every thread, every frame with its source
};

// Reads the files of the process's program. May take a second.
NamedStacks NameStacks(const StackDump& dump);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_STACK_REPORT_H_
