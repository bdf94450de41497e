// FleetService's calls about what the figures mean.
#include "server/rpc/fleet_service.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/insight_messages.h"
#include "server/rpc/resource_messages.h"

namespace spillway::rpc {
namespace {

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* FleetService::GetShard(Context* context,
                                                 const v1::GetShardRequest* request,
                                                 v1::Shard* response) {
  const absl::StatusOr<ShardId> shard = ParseShardName("name", request->name());
  if (!shard.ok()) return Finish(context, shard.status());
  const supervisor::SnapshotPtr snapshot = fleet_.Snapshot();
  const auto view = supervisor::FindShard(*snapshot, *shard);
  if (view.ok()) *response = ToMessage(**view, clock_.Now());
  return Finish(context, view.status());
}

grpc::ServerUnaryReactor* FleetService::ExplainShard(Context* context,
                                                     const v1::ExplainShardRequest* request,
                                                     v1::ShardExplanation* response) {
  const absl::StatusOr<ShardId> shard = ParseShardName("name", request->name());
  if (!shard.ok()) return Finish(context, shard.status());
  const Instant now = clock_.Now();
  const auto explanation = supervisor::Explain(*fleet_.Snapshot(), *shard, now);
  if (explanation.ok()) *response = ToMessage(*explanation, now);
  return Finish(context, explanation.status());
}

grpc::ServerUnaryReactor* FleetService::GetScaleAdvice(Context* context,
                                                       const v1::GetScaleAdviceRequest* request,
                                                       v1::ScaleAdvice* response) {
  const absl::StatusOr<std::string> pool = ParsePoolName("name", request->name());
  if (!pool.ok()) return Finish(context, pool.status());
  const auto advice = supervisor::AdviseOn(*fleet_.Snapshot(), *pool, clock_.Now());
  if (advice.ok()) *response = ToMessage(*pool, *advice);
  return Finish(context, advice.status());
}

}  // namespace spillway::rpc
