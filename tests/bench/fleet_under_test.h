// The control plane in a process of its own, with a launcher that starts nothing: the bench's
// parent plays the workers.
#ifndef SPILLWAY_TESTS_BENCH_FLEET_UNDER_TEST_H_
#define SPILLWAY_TESTS_BENCH_FLEET_UNDER_TEST_H_

#include <cstdint>
#include <string>

namespace spillway::bench {

// One pool, "flush".
struct FleetOptions {
  std::string folder;  // gets api.sock and gateway.sock
  int32_t workers = 200;
  int32_t shards = 400;
};

std::string ApiAddress(const FleetOptions& options);
std::string GatewayAddress(const FleetOptions& options);

// Serves until told to end; the exit code. Lines on standard output: `spawn SLOT GENERATION PID`
// for each process that is to be started. Lines on standard input: `exit PID` when one has been
// killed, `done PID` when one has ended by itself, `shutdown`. The input's end is a shutdown too.
int RunFleetUnderTest(const FleetOptions& options);

}  // namespace spillway::bench

#endif  // SPILLWAY_TESTS_BENCH_FLEET_UNDER_TEST_H_
