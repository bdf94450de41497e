// What grpc.health.v1 and the probes say of a snapshot. Pure.
#ifndef SPILLWAY_SERVER_RPC_SERVICE_HEALTH_H_
#define SPILLWAY_SERVER_RPC_SERVICE_HEALTH_H_

#include <map>
#include <optional>
#include <string>

#include "server/supervisor/snapshot.h"

namespace spillway::rpc {

// Whether each service serves:
//   ""            all checks of readiness hold
//   "liveness"    the process answers: never false here
//   "startup"     the fleet has been set up (does not wait for Redis or Kafka)
//   "spillway.v1.…" the services, until the server stops
//   "pool/flush"  runs, has a ready worker where one is wanted, and none is unhealthy
std::map<std::string, bool> ServiceHealth(const supervisor::FleetSnapshot& snapshot);

// One of them; empty: there is no such service.
std::optional<bool> ServiceHealth(const supervisor::FleetSnapshot& snapshot,
                                  const std::string& service);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_SERVICE_HEALTH_H_
