// SIGTERM and SIGINT as something a loop can wait for: no handlers.
#ifndef SPILLWAY_BASE_TERMINATION_SIGNALS_H_
#define SPILLWAY_BASE_TERMINATION_SIGNALS_H_

#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace spillway {

// Blocks both signals in this thread and all that are started from it, and ignores SIGPIPE, for the
// rest of the process. REQUIRES: made before any other thread exists.
class TerminationSignals {
 public:
  TerminationSignals();
  TerminationSignals(const TerminationSignals&) = delete;
  TerminationSignals& operator=(const TerminationSignals&) = delete;

  int fd() const { return fd_.get(); }  // readable when one has come; see ReadWatch
  // Takes one: "SIGTERM" or "SIGINT". Never blocks; empty: none has come.
  std::optional<std::string> TryTake();

 private:
  UniqueFd fd_;
};

}  // namespace spillway

#endif  // SPILLWAY_BASE_TERMINATION_SIGNALS_H_
