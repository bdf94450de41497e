// Linked into a test: the servers it starts are Valkey's instead of Redis'. Without Valkey the test
// ends before it begins, as one that CTest counts as skipped.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kSkipped = 77;  // CMakeLists.txt: SKIP_RETURN_CODE

const bool is_valkey = [] {
  if (access(SPILLWAY_VALKEY, X_OK) != 0) {
    std::puts("no Valkey: deploy/dependencies could not fetch it");
    std::exit(kSkipped);
  }
  return setenv("SPILLWAY_REDIS_SERVER", SPILLWAY_VALKEY, 1) == 0;  // deploy/lib/services.sh
}();

}  // namespace
