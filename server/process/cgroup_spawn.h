// Starts a program inside a cgroup.
#ifndef SPILLWAY_SERVER_PROCESS_CGROUP_SPAWN_H_
#define SPILLWAY_SERVER_PROCESS_CGROUP_SPAWN_H_

#include <sys/types.h>

#include <string>

namespace spillway::process {

struct CgroupSpawn {
  const char* program = nullptr;     // a path
  char* const* arguments = nullptr;  // with the program, ended by null; borrowed
  int output_fd = -1;                // becomes standard output and error; borrowed
};
struct CgroupSpawnResult {
  pid_t pid = 0;            // 0: not started
  int error = 0;            // errno of what failed
  bool could_enter = true;  // else it is the cgroup that could not be entered
};

// The program's first instruction runs inside the cgroup, so nothing that it does or starts is ever
// outside. Else as LocalProcess::Spawn: a session of its own, no signals blocked or ignored, empty
// standard input, no other descriptors. Returns once the program runs or has failed to. Linux 5.11.
CgroupSpawnResult SpawnInCgroup(const CgroupSpawn& spawn, const std::string& cgroup_directory);

}  // namespace spillway::process

#endif  // SPILLWAY_SERVER_PROCESS_CGROUP_SPAWN_H_
