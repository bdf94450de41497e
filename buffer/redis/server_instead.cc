// Linked into a test: the servers it starts are of another program than the system's redis-server.
// Without that the test ends before it begins, as one that CTest counts as skipped.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kSkipped = 77;  // CMakeLists.txt: SKIP_RETURN_CODE

const bool is_instead = [] {
  if (access(SPILLWAY_SERVER_PROGRAM, X_OK) != 0) {
    std::puts("no " SPILLWAY_SERVER_NAME ": deploy/dependencies could not fetch it");
    std::exit(kSkipped);
  }
  return setenv("SPILLWAY_REDIS_SERVER", SPILLWAY_SERVER_PROGRAM, 1) ==
         0;  // deploy/lib/services.sh
}();

}  // namespace
