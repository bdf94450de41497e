// The command lines of spillwayd and spillway-worker. Every configuration key is also an option:
// --flush.lease=90s, --pools.flush.replicas=3.
#ifndef SPILLWAY_CONFIG_COMMAND_LINE_H_
#define SPILLWAY_CONFIG_COMMAND_LINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "config/config.h"
#include "config/load.h"

namespace spillway::config {

struct ServerCommandLine {
  Source source;            // --config FILE and --dotted.key=value, for Load
  bool check_only = false;  // --check: print the effective configuration (or the problems) and end
  bool retry_config = false;  // --retry-config: settings that were taken back are tried again
  bool help = false;
  bool version = false;
};

// `arguments` without the program's name. `--flusher-processes N` means --pools.flush.replicas=N.
// Error: INVALID_ARGUMENT, one line. A wrong key or value is found by Load, not here.
absl::StatusOr<ServerCommandLine> ParseServerCommandLine(const std::vector<std::string>& arguments);
std::string ServerUsage();

struct WorkerCommandLine {
  Source source;  // --config FILE and --dotted.key=value
  Role role = Role::kIngest;
  std::string pool;
  int32_t slot = 0;
  Generation generation;   // 0: not launched by spillwayd
  std::string gateway;     // address of the gateway; empty: works without a control plane
  std::string uid;         // identity of this process; empty: random
  bool is_paused = false;  // takes nothing until an order says otherwise
  bool help = false;
  bool version = false;
};

// --role=ingest|flush --pool=NAME --slot=N --generation=N --config=FILE --gateway=ADDRESS --paused
// --uid=TEXT --dotted.key=value. Only --role is required; the pool's default name is the role's.
absl::StatusOr<WorkerCommandLine> ParseWorkerCommandLine(const std::vector<std::string>& arguments);
std::string WorkerUsage();

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_COMMAND_LINE_H_
