#include "tests/integration/spillwayd_place.h"

#include <sched.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/numbers.h"
#include "base/clock.h"
#include "base/lock_file.h"

namespace spillway::testing {

namespace fs = std::filesystem;

SpillwaydPlace::SpillwaydPlace() {
  fs::create_directory(bin_);
  // The server looks for its workers' program beside itself.
  fs::copy_file(SPILLWAYD, bin_ + "/spillwayd");
  fs::copy_file(SPILLWAY_STAND_IN_WORKER, bin_ + "/spillway-worker");
}

SpillwaydPlace::~SpillwaydPlace() {
  EXPECT_TRUE(Until([&] { return !KillOneLeft(); }));
}

std::vector<int64_t> SpillwaydPlace::Workers() const {
  std::vector<int64_t> pids;
  for (const FoundLock& lock : ReadLockFiles(run_dir_)) {
    if (lock.is_alive) pids.push_back(lock.record.pid);
  }
  return pids;
}

std::string SpillwaydPlace::Output() const {
  std::ostringstream text;
  text << std::ifstream(output_).rdbuf();
  return text.str();
}

bool SpillwaydPlace::Until(const std::function<bool()>& condition) {
  const Instant deadline = SystemClock().Now() + kLimit;
  while (!condition()) {
    if (SystemClock().Now() > deadline) return false;
    sched_yield();
  }
  return true;
}

// By its program, since one that has just been started has no lock file yet. False: there is none.
bool SpillwaydPlace::KillOneLeft() const {
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    int pid = 0;
    std::error_code error;  // of others' processes, and of those that end meanwhile
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    const fs::path program = fs::read_symlink(entry.path() / "exe", error);
    if (error || program.parent_path() != bin_) continue;
    kill(pid, SIGKILL);
    return true;
  }
  return false;
}

}  // namespace spillway::testing
