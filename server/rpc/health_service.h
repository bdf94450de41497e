// grpc.health.v1.Health over the fleet's snapshots: names and meanings in service_health.h.
#ifndef SPILLWAY_SERVER_RPC_HEALTH_SERVICE_H_
#define SPILLWAY_SERVER_RPC_HEALTH_SERVICE_H_

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::rpc {

// Thread-safe; one for each server that offers it. gRPC's own is not used: it has no List in this
// version, and no statuses that follow a snapshot.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  explicit HealthService(supervisor::FleetControl& fleet) : fleet_(fleet) {}

 private:
  using Request = grpc::health::v1::HealthCheckRequest;
  using Response = grpc::health::v1::HealthCheckResponse;

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const Request* request,
                                  Response* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::health::v1::HealthListRequest* request,
                                 grpc::health::v1::HealthListResponse* response) override;
  grpc::ServerWriteReactor<Response>* Watch(grpc::CallbackServerContext* context,
                                            const Request* request) override;

  supervisor::FleetControl& fleet_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_HEALTH_SERVICE_H_
