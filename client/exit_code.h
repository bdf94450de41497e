// How `spillway` ends (docs/design.md, section 8): scripts rely on these.
#ifndef SPILLWAY_CLIENT_EXIT_CODE_H_
#define SPILLWAY_CLIENT_EXIT_CODE_H_

namespace spillway::client {

enum ExitCode : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitNotFound = 3,
  kExitRefused = 4,  // not in this state
  kExitUnreachable = 5,
  kExitTimedOut = 6,
  kExitNotPermitted = 7,
};

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_EXIT_CODE_H_
