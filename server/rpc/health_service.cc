#include "server/rpc/health_service.h"

#include <optional>
#include <string>
#include <utility>

#include "server/rpc/service_health.h"
#include "server/rpc/snapshot_stream.h"

namespace spillway::rpc {
namespace {

using grpc::health::v1::HealthCheckResponse;
using ServingStatus = HealthCheckResponse::ServingStatus;

ServingStatus StatusOf(std::optional<bool> is_serving) {
  if (!is_serving) return HealthCheckResponse::SERVICE_UNKNOWN;
  return *is_serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

class WatchStream final : public SnapshotStream<HealthCheckResponse> {
 public:
  explicit WatchStream(std::string service) : service_(std::move(service)) {}

 private:
  bool Compose(const supervisor::SnapshotPtr& snapshot, HealthCheckResponse& response) override {
    const ServingStatus status = StatusOf(ServiceHealth(*snapshot, service_));
    if (status == told_) return false;
    told_ = status;
    response.set_status(status);
    return true;
  }

  const std::string service_;
  std::optional<ServingStatus> told_;
};

}  // namespace

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const Request* request, Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const std::optional<bool> is_serving = ServiceHealth(*fleet_.Snapshot(), request->service());
  if (!is_serving) {
    reactor->Finish(
        {grpc::StatusCode::NOT_FOUND, "unknown service \"" + request->service() + "\""});
    return reactor;
  }
  response->set_status(StatusOf(is_serving));
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* HealthService::List(grpc::CallbackServerContext* context,
                                              const grpc::health::v1::HealthListRequest*,
                                              grpc::health::v1::HealthListResponse* response) {
  for (const auto& [service, is_serving] : ServiceHealth(*fleet_.Snapshot())) {
    (*response->mutable_statuses())[service].set_status(StatusOf(is_serving));
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(grpc::CallbackServerContext*,
                                                                    const Request* request) {
  auto* stream = new WatchStream(request->service());  // deletes itself
  stream->Follow(fleet_);
  return stream;
}

}  // namespace spillway::rpc
