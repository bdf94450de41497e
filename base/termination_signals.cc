#include "base/termination_signals.h"

#include <signal.h>
#include <sys/signalfd.h>

#include "base/check.h"

namespace spillway {

TerminationSignals::TerminationSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write, not our death
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0, "the set is valid");
  fd_ = UniqueFd(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  CHECK(fd_.valid(), "a process that has just started has descriptors left");
}

std::optional<std::string> TerminationSignals::TryTake() {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof(info)) != sizeof(info)) return std::nullopt;
  return info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
}

}  // namespace spillway
