// Stands in for spillway-worker where only its life as a process matters. Takes the same options;
// what it does is the first word of the file named by --config:
//   wait          until TERM, then exits with 0
//   ignore_term   until KILL
//   chatter       says "chatter" every few milliseconds until TERM
//   hang          catches TERM and does nothing, in HangsHere
//   deaf          has no handler for the question for its stacks, ends with TERM
//   exit N        says "about to exit" and exits with N at once
//   spawn         starts a process of its own, in a session of its own, that ignores TERM, says
//                 "child PID", and waits until TERM
//   spawn_exit N  the same, and exits with N at once
//   eat           uses more and more memory, up to kMostEaten, then exits with 5
// It takes its slot's lock file first, in the directory of that file.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "base/lock_file.h"
#include "base/stack_dump.h"
#include "config/command_line.h"

namespace {

volatile bool is_hanging = true;

constexpr size_t kMostEaten = size_t{1} << 30;

void StartChild() {
  const pid_t pid = fork();
  if (pid == 0) {
    setsid();
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  }
  std::printf("child %d\n", static_cast<int>(pid));
  std::fflush(stdout);
}

int Eat() {
  constexpr size_t kBite = size_t{1} << 20;
  std::vector<std::vector<char>> eaten;
  while (eaten.size() * kBite < kMostEaten) eaten.emplace_back(kBite, 'x');
  return 5;
}

}  // namespace

// Has a name that the linker keeps.
[[gnu::noinline]] void HangsHere() {
  while (is_hanging) {
  }
}

int main(int argc, char** argv) {
  const auto line = spillway::config::ParseWorkerCommandLine({argv + 1, argv + argc});
  if (!line.ok()) return 2;
  const std::string directory = line->source.file.substr(0, line->source.file.rfind('/'));
  const auto lock =
      spillway::LockFile::Acquire(directory, line->pool, line->slot, line->generation);
  if (!lock.ok()) {
    std::fprintf(stderr, "%s\n", std::string(lock.status().message()).c_str());
    return 1;
  }
  std::ifstream file(line->source.file);
  std::string mode;
  int code = 0;
  file >> mode >> code;
  if (mode != "deaf") {
    const absl::Status installed =
        spillway::InstallStackDump(spillway::StackDumpPath(directory, line->pool, line->slot));
    if (!installed.ok()) return 4;
  }
  if (mode == "exit") {
    std::fprintf(stderr, "about to exit\n");
    return code;
  }
  if (mode.starts_with("spawn")) StartChild();
  if (mode == "spawn_exit") return code;
  if (mode == "eat") return Eat();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::printf("started\n");
  std::fflush(stdout);
  if (mode == "hang") HangsHere();
  constexpr timespec kChatterPause{.tv_sec = 0, .tv_nsec = 3'000'000};
  while (mode == "chatter" && sigtimedwait(&signals, nullptr, &kChatterPause) < 0) {
    std::printf("chatter\n");
    std::fflush(stdout);
  }
  if (mode == "chatter") return 0;
  int received = 0;
  do {
    sigwait(&signals, &received);
  } while (mode == "ignore_term");
  return 0;
}
