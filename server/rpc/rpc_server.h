// The gRPC side of spillwayd: its listeners and services.
#ifndef SPILLWAY_SERVER_RPC_RPC_SERVER_H_
#define SPILLWAY_SERVER_RPC_RPC_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "config/config.h"
#include "server/rpc/fleet_service.h"
#include "server/supervisor/fleet_control.h"
#include "server/supervisor/worker_gateway.h"

namespace spillway::rpc {

// All borrowed; all outlive the server, but for answers after its end (see Shutdown).
struct RpcParts {
  supervisor::FleetControl& fleet;
  supervisor::WorkerGateway& gateway;
  const Clock& clock = SystemClock();
  record::History* history = nullptr;               // may be null: there is none
  std::vector<record::AnsweredRequest> requests{};  // that earlier servers have answered
};

// Serves FleetService, ServerService, health and reflection on `server.api`, GatewayService and
// health on `server.gateway`, health alone on `server.health` if that is set. Owns gRPC's threads;
// they never block and decide nothing. Start and Shutdown: one thread.
class RpcServer {
 public:
  // Listens on all addresses or on none. Errors: INVALID_ARGUMENT (an address open to the network
  // without TLS and without server.insecure; an unreadable certificate), UNAVAILABLE (cannot
  // listen); the message begins with the configuration's key.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const config::Server& config,
                                                          ServerDescription description,
                                                          RpcParts parts);
  ~RpcServer();  // as Shutdown(0)
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  // "127.0.0.1:41234": where the API is in truth, also if port 0 was asked for.
  const std::string& api_address() const { return api_address_; }
  const std::string& health_address() const { return health_address_; }  // empty: none

  // Takes no new calls, gives those under way `grace`, then cancels them; streams never end by
  // themselves. Returns when all have ended, so the supervisor must still answer (its loop runs,
  // or it is destroyed and answers UNAVAILABLE). Idempotent.
  void Shutdown(Duration grace);

 private:
  struct Servers;
  explicit RpcServer(std::unique_ptr<Servers> servers);

  std::unique_ptr<Servers> servers_;
  std::string api_address_;
  std::string health_address_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_RPC_SERVER_H_
