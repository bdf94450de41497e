#include "server/rpc/fleet_service.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "proto/wire/convert.h"
#include "server/rpc/audit_call.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/resource_messages.h"
#include "server/rpc/snapshot_stream.h"
#include "server/rpc/watch_fleet.h"

namespace spillway::rpc {
namespace {

using supervisor::PoolDone;
using supervisor::PoolView;

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

absl::Status NotFound(absl::string_view reason, absl::string_view name) {
  return supervisor::Refusal(absl::StatusCode::kNotFound, reason,
                             absl::StrCat("there is no \"", name, "\""));
}

absl::Status PoolNotFound(absl::string_view name) { return NotFound("POOL_NOT_FOUND", name); }

class WatchFleetStream final : public SnapshotStream<v1::WatchFleetResponse> {
 public:
  explicit WatchFleetStream(const Clock& clock) : clock_(clock) {}

 private:
  bool Compose(const supervisor::FleetSnapshot& snapshot,
               v1::WatchFleetResponse& response) override {
    return changes_.Compose(snapshot, clock_.Now(), response);
  }

  const Clock& clock_;
  FleetChanges changes_;
};

}  // namespace

grpc::ServerUnaryReactor* FleetService::GetPool(Context* context, const v1::GetPoolRequest* request,
                                                v1::Pool* response) {
  const absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Finish(context, name.status());
  const supervisor::SnapshotPtr snapshot = fleet_.Snapshot();
  const PoolView* pool = supervisor::FindPool(*snapshot, *name);
  if (pool == nullptr) return Finish(context, PoolNotFound(request->name()));
  *response = ToMessage(*pool, clock_.Now());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::ListPools(Context* context, const v1::ListPoolsRequest*,
                                                  v1::ListPoolsResponse* response) {
  *response = AllPools(*fleet_.Snapshot(), clock_.Now());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::GetWorker(Context* context,
                                                  const v1::GetWorkerRequest* request,
                                                  v1::Worker* response) {
  const absl::StatusOr<fleet::WorkerKey> key = ParseWorkerName("name", request->name());
  if (!key.ok()) return Finish(context, key.status());
  const supervisor::SnapshotPtr snapshot = fleet_.Snapshot();
  const supervisor::WorkerView* worker = supervisor::FindWorker(*snapshot, *key);
  if (worker == nullptr) return Finish(context, NotFound("WORKER_NOT_FOUND", request->name()));
  *response = ToMessage(*worker, clock_.Now());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::ListWorkers(Context* context,
                                                    const v1::ListWorkersRequest* request,
                                                    v1::ListWorkersResponse* response) {
  const supervisor::SnapshotPtr snapshot = fleet_.Snapshot();
  std::string pool;  // all
  if (!request->parent().empty() && request->parent() != "pools/-") {
    const absl::StatusOr<std::string> name = ParsePoolName("parent", request->parent());
    if (!name.ok()) return Finish(context, name.status());
    if (supervisor::FindPool(*snapshot, *name) == nullptr) {
      return Finish(context, PoolNotFound(request->parent()));
    }
    pool = *name;
  }
  *response = AllWorkers(*snapshot, pool, clock_.Now());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::ListShards(Context* context, const v1::ListShardsRequest*,
                                                   v1::ListShardsResponse* response) {
  *response = AllShards(*fleet_.Snapshot(), clock_.Now());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::Audit(Context* context, const v1::AuditRequest* request,
                                              v1::AuditResponse* response) {
  std::optional<ShardId> shard;  // all
  if (!request->name().empty()) {
    const absl::StatusOr<ShardId> named = ParseShardName("name", request->name());
    if (!named.ok()) return Finish(context, named.status());
    shard = *named;
  }
  auto* call = new AuditCall(response);  // deletes itself
  fleet_.Audit(shard, call->Answer());
  return call;
}

grpc::ServerWriteReactor<v1::WatchFleetResponse>* FleetService::WatchFleet(
    Context*, const v1::WatchFleetRequest*) {
  auto* stream = new WatchFleetStream(clock_);  // deletes itself
  stream->Follow(fleet_);
  return stream;
}

grpc::ServerUnaryReactor* FleetService::StartPool(Context* context,
                                                  const v1::StartPoolRequest* request,
                                                  v1::Pool* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Finish(context, name.status());
  return Change(
      context, *request, request->request_id(),
      [this, name = *std::move(name)](PoolDone done) { fleet_.Start(name, std::move(done)); },
      response);
}

grpc::ServerUnaryReactor* FleetService::StopPool(Context* context,
                                                 const v1::StopPoolRequest* request,
                                                 v1::Pool* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Finish(context, name.status());
  return Change(
      context, *request, request->request_id(),
      [this, name = *std::move(name)](PoolDone done) { fleet_.Stop(name, std::move(done)); },
      response);
}

grpc::ServerUnaryReactor* FleetService::ResizePool(Context* context,
                                                   const v1::ResizePoolRequest* request,
                                                   v1::Pool* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Finish(context, name.status());
  supervisor::ResizeRequest resize;
  resize.pool = *std::move(name);
  resize.desired = request->desired();
  if (request->has_min()) resize.min = request->min();
  if (request->has_max()) resize.max = request->max();
  resize.validate_only = request->validate_only();
  resize.etag = request->etag();
  return Change(
      context, *request, request->request_id(),
      [this, resize = std::move(resize)](PoolDone done) { fleet_.Resize(resize, std::move(done)); },
      response);
}

grpc::ServerUnaryReactor* FleetService::Change(Context* context,
                                               const google::protobuf::Message& request,
                                               const std::string& request_id,
                                               RequestLog::Perform perform, v1::Pool* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  // `response` and `reactor` live until Finish.
  PoolDone done = [this, reactor, response](absl::StatusOr<PoolView> pool) {
    if (pool.ok()) *response = ToMessage(*pool, clock_.Now());
    reactor->Finish(ToGrpcStatus(pool.status()));
  };
  requests_.Run(request_id, absl::StrCat(request.GetTypeName(), "\n", request.SerializeAsString()),
                std::move(perform), std::move(done));
  return reactor;
}

ServerService::ServerService(ServerDescription description, supervisor::FleetControl& fleet,
                             const Clock& clock)
    : description_(std::move(description)),
      fleet_(fleet),
      clock_(clock),
      start_time_(clock.Wall()),
      started_at_(clock.Now()) {}

grpc::ServerUnaryReactor* ServerService::GetServerInfo(grpc::CallbackServerContext* context,
                                                       const v1::GetServerInfoRequest*,
                                                       v1::ServerInfo* response) {
  const Instant now = clock_.Now();
  response->set_version(Version());
  response->set_pid(getpid());
  *response->mutable_start_time() = wire::ToProto(start_time_);
  *response->mutable_uptime() = wire::ToProto(Duration(now - started_at_));
  response->set_name_space(description_.name_space);
  response->set_http_address(description_.http_address);
  for (const auto& check : fleet_.Snapshot()->checks)
    *response->add_checks() = ToMessage(check, now);
  return Finish(context, absl::OkStatus());
}

}  // namespace spillway::rpc
