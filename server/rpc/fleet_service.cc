#include "server/rpc/fleet_service.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "proto/wire/convert.h"
#include "server/rpc/audit_messages.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/history_messages.h"
#include "server/rpc/list_pages.h"
#include "server/rpc/operation_messages.h"
#include "server/rpc/pending_call.h"
#include "server/rpc/resource_messages.h"
#include "server/rpc/snapshot_stream.h"
#include "server/rpc/watch_fleet.h"

namespace spillway::rpc {
namespace {

using supervisor::Origin;
using supervisor::PoolDone;
using supervisor::PoolView;
using AuditCall = PendingCall<std::vector<supervisor::ShardAudit>, v1::AuditResponse>;
using EventsCall = PendingCall<std::vector<record::Event>, v1::ListEventsResponse>;
using DeathsCall = PendingCall<std::vector<record::Death>, v1::ListDeathsResponse>;

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// "ipv4:127.0.0.1:40312 spillway/0.1.0 grpc-c++/1.51.1 …": as the other side gives it.
std::string ActorOf(const grpc::CallbackServerContext& context) {
  const auto agent = context.client_metadata().find("user-agent");
  if (agent == context.client_metadata().end()) return context.peer();
  return absl::StrCat(context.peer(), " ",
                      absl::string_view(agent->second.data(), agent->second.size()));
}

absl::Status NotFound(absl::string_view reason, absl::string_view name) {
  return supervisor::Refusal(absl::StatusCode::kNotFound, reason,
                             absl::StrCat("there is no \"", name, "\""));
}

absl::Status PoolNotFound(absl::string_view name) { return NotFound("POOL_NOT_FOUND", name); }

absl::Status CheckRequestId(const std::string& id) {
  if (id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return supervisor::Refusal(
      absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
      absl::StrCat("request_id: expected at most ", kMaxRequestIdBytes, " bytes"));
}

constexpr Duration kDrainTimeout = std::chrono::minutes(2);
constexpr std::chrono::seconds kLongestDrain = std::chrono::hours(24);  // longer is cut to this

// A scope of a newer client may mean less than all.
fleet::RestartScope ScopeOf(v1::RestartScope scope) {
  const bool is_all = scope == v1::RESTART_SCOPE_UNSPECIFIED || scope == v1::RESTART_SCOPE_ALL;
  if (scope == v1::RESTART_SCOPE_OUTDATED) return fleet::RestartScope::kOutdated;
  return is_all ? fleet::RestartScope::kAll : fleet::RestartScope::kFailed;
}

template <typename Response>
grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                 absl::StatusOr<Response> answer, Response* response) {
  if (answer.ok()) *response = *std::move(answer);
  return Finish(context, answer.status());
}

template <typename Request>
ListPage PageOf(const Request& request) {
  return {request.page_size(), request.page_token()};
}

// What every request for a change has; the rest of its origin is the call's.
template <typename Request>
Origin OriginOf(const Request& request) {
  Origin origin;
  origin.request_id = request.request_id();
  origin.etag = request.etag();
  origin.validate_only = request.validate_only();
  return origin;
}

class WatchFleetStream final : public SnapshotStream<v1::WatchFleetResponse> {
 public:
  WatchFleetStream(FleetChanges& changes, const Clock& clock, uint64_t known)
      : changes_(changes), clock_(clock), known_(known) {}

 private:
  bool Compose(const supervisor::SnapshotPtr& snapshot, v1::WatchFleetResponse& response) override {
    return changes_.Compose(snapshot, clock_.Now(), known_, response);
  }

  FleetChanges& changes_;
  const Clock& clock_;
  uint64_t known_;
};

}  // namespace

FleetService::FleetService(supervisor::FleetControl& fleet, const Clock& clock,
                           record::History* history,
                           const std::vector<record::AnsweredRequest>& earlier)
    : fleet_(fleet),
      clock_(clock),
      history_(history),
      requests_(earlier,
                [&fleet](const record::AnsweredRequest& request) {
                  return AsAnswered(request, *fleet.Snapshot());
                }),
      changes_(static_cast<uint64_t>(clock.Wall().us)) {}

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

grpc::ServerUnaryReactor* FleetService::ListPools(Context* context,
                                                  const v1::ListPoolsRequest* request,
                                                  v1::ListPoolsResponse* response) {
  return Finish(context, PoolsPage(*fleet_.Snapshot(), PageOf(*request), clock_.Now()), response);
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
  return Finish(context, WorkersPage(*snapshot, pool, PageOf(*request), clock_.Now()), response);
}

grpc::ServerUnaryReactor* FleetService::ListShards(Context* context,
                                                   const v1::ListShardsRequest* request,
                                                   v1::ListShardsResponse* response) {
  return Finish(context, ShardsPage(*fleet_.Snapshot(), PageOf(*request), clock_.Now()), response);
}

grpc::ServerUnaryReactor* FleetService::Audit(Context* context, const v1::AuditRequest* request,
                                              v1::AuditResponse* response) {
  std::optional<ShardId> shard;  // all
  if (!request->name().empty()) {
    const absl::StatusOr<ShardId> named = ParseShardName("name", request->name());
    if (!named.ok()) return Finish(context, named.status());
    shard = *named;
  }
  auto* call = new AuditCall(  // deletes itself
      response, [](const auto& audits) { return ToMessage(audits); });
  fleet_.Audit(shard, call->Answer());
  return call;
}

grpc::ServerUnaryReactor* FleetService::ListEvents(Context* context,
                                                   const v1::ListEventsRequest* request,
                                                   v1::ListEventsResponse* response) {
  const absl::StatusOr<record::PageQuery> query =
      ParsePage(request->page_size(), request->page_token());
  if (!query.ok()) return Finish(context, query.status());
  if (history_ == nullptr) return Finish(context, NoHistory());
  auto* call = new EventsCall(  // deletes itself
      response, [query = *query](const auto& page) { return ToMessage(page, query); });
  history_->ListEvents(*query, call->Answer());
  return call;
}

grpc::ServerUnaryReactor* FleetService::ListDeaths(Context* context,
                                                   const v1::ListDeathsRequest* request,
                                                   v1::ListDeathsResponse* response) {
  absl::StatusOr<record::PageQuery> query = ParsePage(request->page_size(), request->page_token());
  if (!query.ok()) return Finish(context, query.status());
  if (!request->parent().empty() && request->parent() != "pools/-") {
    const absl::StatusOr<std::string> name = ParsePoolName("parent", request->parent());
    if (!name.ok()) return Finish(context, name.status());
    query->pool = *name;
  }
  if (history_ == nullptr) return Finish(context, NoHistory());
  auto* call = new DeathsCall(  // deletes itself
      response, [query = *query](const auto& page) { return ToMessage(page, query); });
  history_->ListDeaths(*query, call->Answer());
  return call;
}

grpc::ServerWriteReactor<v1::WatchFleetResponse>* FleetService::WatchFleet(
    Context*, const v1::WatchFleetRequest* request) {
  auto* stream =  // deletes itself
      new WatchFleetStream(changes_, clock_, request->resume_after());
  stream->Follow(fleet_);
  return stream;
}

grpc::ServerUnaryReactor* FleetService::StartPool(Context* context,
                                                  const v1::StartPoolRequest* request,
                                                  v1::Operation* response) {
  return ChangeNamed(context, *request, &supervisor::FleetControl::Start, response);
}

grpc::ServerUnaryReactor* FleetService::StopPool(Context* context,
                                                 const v1::StopPoolRequest* request,
                                                 v1::Operation* response) {
  return ChangeNamed(context, *request, &supervisor::FleetControl::Stop, response);
}

grpc::ServerUnaryReactor* FleetService::ResizePool(Context* context,
                                                   const v1::ResizePoolRequest* request,
                                                   v1::Operation* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Finish(context, name.status());
  supervisor::ResizeRequest resize;
  resize.pool = *std::move(name);
  resize.desired = request->desired();
  if (request->has_min()) resize.min = request->min();
  if (request->has_max()) resize.max = request->max();
  return Change(
      context, *request, OriginOf(*request),
      [this, resize = std::move(resize)](Origin origin, PoolDone done) mutable {
        resize.origin = std::move(origin);
        fleet_.Resize(std::move(resize), std::move(done));
      },
      response);
}

grpc::ServerUnaryReactor* FleetService::PausePool(Context* context,
                                                  const v1::PausePoolRequest* request,
                                                  v1::Pool* response) {
  return ChangeNamed(context, *request, &supervisor::FleetControl::Pause, response);
}

grpc::ServerUnaryReactor* FleetService::ResumePool(Context* context,
                                                   const v1::ResumePoolRequest* request,
                                                   v1::Pool* response) {
  return ChangeNamed(context, *request, &supervisor::FleetControl::Resume, response);
}

grpc::ServerUnaryReactor* FleetService::DrainPool(Context* context,
                                                  const v1::DrainPoolRequest* request,
                                                  v1::Operation* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Finish(context, name.status());
  Duration timeout = kDrainTimeout;
  if (request->has_timeout()) {
    const int64_t seconds =
        std::clamp<int64_t>(request->timeout().seconds(), -1, kLongestDrain.count());
    timeout = std::chrono::seconds(seconds) + std::chrono::nanoseconds(request->timeout().nanos());
  }
  return Change(
      context, *request, OriginOf(*request),
      [this, name = *std::move(name), timeout](Origin origin, PoolDone done) {
        fleet_.DrainPool(name, timeout, std::move(origin), std::move(done));
      },
      response);
}

grpc::ServerUnaryReactor* FleetService::RestartPool(Context* context,
                                                    const v1::RestartPoolRequest* request,
                                                    v1::Operation* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request->name());
  if (!name.ok()) return Finish(context, name.status());
  supervisor::RestartRequest restart;
  restart.pool = *std::move(name);
  restart.scope = ScopeOf(request->scope());
  if (request->has_max_unavailable()) restart.max_unavailable = request->max_unavailable();
  return Change(
      context, *request, OriginOf(*request),
      [this, restart = std::move(restart)](Origin origin, PoolDone done) mutable {
        restart.origin = std::move(origin);
        fleet_.Restart(std::move(restart), std::move(done));
      },
      response);
}

grpc::ServerUnaryReactor* FleetService::RestartShard(Context* context,
                                                     const v1::RestartShardRequest* request,
                                                     v1::Shard* response) {
  const absl::StatusOr<ShardId> shard = ParseShardName("name", request->name());
  if (!shard.ok()) return Finish(context, shard.status());
  if (const absl::Status status = CheckRequestId(request->request_id()); !status.ok()) {
    return Finish(context, status);
  }
  const supervisor::SnapshotPtr before = fleet_.Snapshot();
  for (const supervisor::ShardView& view : before->shards) {
    if (view.id == *shard) *response = ToMessage(view, clock_.Now());
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Origin from;  // shards have no etag
  from.request_id = request->request_id();
  from.validate_only = request->validate_only();
  Run(
      *context, *request, std::move(from),
      [this, shard = *shard](Origin origin, PoolDone done) {
        fleet_.RestartShard(shard, std::move(origin), std::move(done));
      },
      [reactor](const absl::StatusOr<PoolView>& pool) {
        reactor->Finish(ToGrpcStatus(pool.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* FleetService::RestartWorker(Context* context,
                                                      const v1::RestartWorkerRequest* request,
                                                      v1::Operation* response) {
  const absl::StatusOr<fleet::WorkerKey> key = ParseWorkerName("name", request->name());
  if (!key.ok()) return Finish(context, key.status());
  return Change(
      context, *request, OriginOf(*request),
      [this, key = *key](Origin origin, PoolDone done) {
        fleet_.RestartWorker(key, std::move(origin), std::move(done));
      },
      response);
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* FleetService::ChangeNamed(Context* context, const Request& request,
                                                    Verb verb, Response* response) {
  absl::StatusOr<std::string> name = ParsePoolName("name", request.name());
  if (!name.ok()) return Finish(context, name.status());
  return Change(
      context, request, OriginOf(request),
      [this, verb, name = *std::move(name)](Origin origin, PoolDone done) {
        (fleet_.*verb)(name, std::move(origin), std::move(done));
      },
      response);
}

grpc::ServerUnaryReactor* FleetService::Change(Context* context,
                                               const google::protobuf::Message& request,
                                               Origin origin, Perform perform, v1::Pool* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  // `response` and `reactor` live until Finish.
  PoolDone done = [this, reactor, response](absl::StatusOr<PoolView> pool) {
    if (pool.ok()) *response = ToMessage(*pool, clock_.Now());
    reactor->Finish(ToGrpcStatus(pool.status()));
  };
  Run(*context, request, std::move(origin), std::move(perform), std::move(done));
  return reactor;
}

grpc::ServerUnaryReactor* FleetService::Change(Context* context,
                                               const google::protobuf::Message& request,
                                               Origin origin, Perform perform,
                                               v1::Operation* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  // `response` and `reactor` live until Finish.
  PoolDone done = [this, reactor, response](absl::StatusOr<PoolView> pool) {
    if (pool.ok()) *response = ChangeMessage(*pool, *fleet_.Snapshot(), clock_.Now());
    reactor->Finish(ToGrpcStatus(pool.status()));
  };
  Run(*context, request, std::move(origin), std::move(perform), std::move(done));
  return reactor;
}

void FleetService::Run(const Context& context, const google::protobuf::Message& request,
                       Origin origin, Perform perform, PoolDone answer) {
  if (const absl::Status status = CheckRequestId(origin.request_id); !status.ok()) {
    return answer(status);
  }
  origin.actor = ActorOf(context);
  origin.fingerprint = absl::StrCat(request.GetTypeName(), "\n", request.SerializeAsString());
  // A question may be asked again and answered otherwise.
  const std::string id = origin.validate_only ? "" : origin.request_id;
  const std::string fingerprint = origin.fingerprint;
  requests_.Run(
      id, fingerprint,
      [perform = std::move(perform), origin = std::move(origin)](PoolDone done) mutable {
        std::move(perform)(std::move(origin), std::move(done));
      },
      std::move(answer));
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
