// FleetService's calls that make, change and delete pools as a whole.
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/rpc/fleet_service.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/operation_messages.h"
#include "server/rpc/pool_wishes.h"
#include "server/rpc/resource_messages.h"

namespace spillway::rpc {
namespace {

using supervisor::Origin;
using supervisor::PoolDone;
using supervisor::PoolView;

grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* FleetService::CreatePool(Context* context,
                                                   const v1::CreatePoolRequest* request,
                                                   v1::Operation* response) {
  absl::StatusOr<supervisor::PoolCreation> creation = ToCreation(*request);
  if (!creation.ok()) return Refuse(context, creation.status());
  Origin origin;
  origin.request_id = request->request_id();
  origin.validate_only = request->validate_only();
  return Change(
      context, *request, std::move(origin),
      [this, creation = *std::move(creation)](Origin of, PoolDone done) mutable {
        creation.origin = std::move(of);
        fleet_.CreatePool(std::move(creation), std::move(done));
      },
      response);
}

grpc::ServerUnaryReactor* FleetService::UpdatePool(Context* context,
                                                   const v1::UpdatePoolRequest* request,
                                                   v1::Operation* response) {
  absl::StatusOr<supervisor::PoolUpdate> update = ToUpdate(*request);
  if (!update.ok()) return Refuse(context, update.status());
  Origin origin;
  origin.request_id = request->request_id();
  origin.validate_only = request->validate_only();
  origin.etag = request->etag();
  return Change(
      context, *request, std::move(origin),
      [this, update = *std::move(update)](Origin of, PoolDone done) mutable {
        update.origin = std::move(of);
        fleet_.UpdatePool(std::move(update), std::move(done));
      },
      response);
}

grpc::ServerUnaryReactor* FleetService::DeletePool(Context* context,
                                                   const v1::DeletePoolRequest* request,
                                                   v1::Operation* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Refuse(context, name.status());
  supervisor::PoolDeletion deletion{*std::move(name), request->force()};
  Origin origin;
  origin.request_id = request->request_id();
  origin.validate_only = request->validate_only();
  origin.etag = request->etag();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  // `response` and `reactor` live until Finish.
  PoolDone answer = [this, reactor, response](const absl::StatusOr<PoolView>& pool) {
    if (pool.ok()) {
      const supervisor::SnapshotPtr snapshot = fleet_.Snapshot();
      *response = ChangeMessage(*pool, *snapshot, clock_.Now());
      if (pool->is_created) response->set_warning(supervisor::LossOf(*snapshot, *pool));
    }
    reactor->Finish(ToGrpcStatus(pool.status()));
  };
  Run(
      *context, *request, std::move(origin),
      [this, deletion = std::move(deletion)](Origin of, PoolDone done) mutable {
        deletion.origin = std::move(of);
        fleet_.DeletePool(std::move(deletion), std::move(done));
      },
      std::move(answer));
  return reactor;
}

}  // namespace spillway::rpc
