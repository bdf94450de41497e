#include "server/rpc/service_health.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace spillway::rpc {
namespace {

bool IsServing(const supervisor::PoolView& pool) {
  return pool.state == fleet::PoolState::kRunning && pool.ready >= std::min(1, pool.desired) &&
         pool.health.state != fleet::HealthState::kUnhealthy;
}

}  // namespace

std::map<std::string, bool> ServiceHealth(const supervisor::FleetSnapshot& snapshot) {
  const bool is_up = !snapshot.is_stopping;
  std::map<std::string, bool> services = {
      {"", is_up && supervisor::IsReady(snapshot)},  {"liveness", true},
      {"startup", is_up && !snapshot.pools.empty()}, {"spillway.v1.FleetService", is_up},
      {"spillway.v1.GatewayService", is_up},         {"spillway.v1.ServerService", is_up},
  };
  for (const auto& pool : snapshot.pools) {
    services[absl::StrCat("pool/", pool.name)] = is_up && IsServing(pool);
  }
  return services;
}

std::optional<bool> ServiceHealth(const supervisor::FleetSnapshot& snapshot,
                                  const std::string& service) {
  const auto services = ServiceHealth(snapshot);
  const auto found = services.find(service);
  if (found == services.end()) return std::nullopt;
  return found->second;
}

}  // namespace spillway::rpc
