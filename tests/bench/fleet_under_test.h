// The control plane in a process of its own, with a launcher that starts nothing: the bench's
// parent plays the workers.
#ifndef SPILLWAY_TESTS_BENCH_FLEET_UNDER_TEST_H_
#define SPILLWAY_TESTS_BENCH_FLEET_UNDER_TEST_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace spillway::bench {

// One pool, "flush".
struct FleetOptions {
  std::string folder;  // of sockets and pipes
  int32_t workers = 200;
  int32_t shards = 400;
  bool is_registered = false;  // the workers dial in by themselves: the server starts none
};

// Of registered workers, to measure what else would be the default of 20 s.
inline constexpr std::chrono::seconds kBenchHandover{4}, kBenchSilence{2};

std::string ApiAddress(const FleetOptions& options);
std::string GatewayAddress(const FleetOptions& options);

// Named pipes between the server and who plays its workers. From the server, a line for each
// process that is to be started: `spawn SLOT GENERATION PID`. To it: `exit PID` when one has been
// killed, `done PID` when one has ended by itself, `shutdown`.
struct Pipes {
  UniqueFd to_server, from_server;
};
Pipes MakePipes(const FleetOptions& options);  // once a folder, before the server is started
Pipes OpenPipes(const FleetOptions& options);

// Serves until told to end; the exit code.
int RunFleetUnderTest(const FleetOptions& options);

}  // namespace spillway::bench

#endif  // SPILLWAY_TESTS_BENCH_FLEET_UNDER_TEST_H_
