// GatewayService: one stream per worker between gRPC and the supervisor.
#ifndef SPILLWAY_SERVER_RPC_GATEWAY_SERVICE_H_
#define SPILLWAY_SERVER_RPC_GATEWAY_SERVICE_H_

#include "server/supervisor/worker_gateway.h"
#include "spillway/v1/gateway.grpc.pb.h"

namespace spillway::rpc {

// Reads, converts, passes on; writes what the supervisor's link says. Thread-safe. `gateway` must
// outlive it, and it the streams.
class GatewayService final : public v1::GatewayService::CallbackService {
 public:
  explicit GatewayService(supervisor::WorkerGateway& gateway) : gateway_(gateway) {}

 private:
  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* Attach(
      grpc::CallbackServerContext* context) override;

  supervisor::WorkerGateway& gateway_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_GATEWAY_SERVICE_H_
