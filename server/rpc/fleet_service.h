// FleetService and ServerService over FleetControl: read, convert, pass on, answer.
#ifndef SPILLWAY_SERVER_RPC_FLEET_SERVICE_H_
#define SPILLWAY_SERVER_RPC_FLEET_SERVICE_H_

#include <string>
#include <vector>

#include "base/clock.h"
#include "server/record/recorder.h"
#include "server/rpc/request_log.h"
#include "server/rpc/watch_fleet.h"
#include "server/supervisor/fleet_control.h"
#include "spillway/v1/fleet.grpc.pb.h"

namespace spillway::rpc {

inline constexpr size_t kMaxRequestIdBytes = 128;

// Thread-safe. `fleet` and `clock` must outlive it, and it the calls under way.
class FleetService final : public v1::FleetService::CallbackService {
 public:
  // `earlier`: requests that servers before this one have answered, oldest first. `history` may be
  // null: then there is none to list.
  FleetService(supervisor::FleetControl& fleet, const Clock& clock, record::History* history,
               const std::vector<record::AnsweredRequest>& earlier);

 private:
  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* GetPool(Context* context, const v1::GetPoolRequest* request, v1::Pool* response) override;
  Unary* ListPools(Context* context, const v1::ListPoolsRequest* request,
                   v1::ListPoolsResponse* response) override;
  Unary* CreatePool(Context* context, const v1::CreatePoolRequest* request,
                    v1::Operation* response) override;
  Unary* UpdatePool(Context* context, const v1::UpdatePoolRequest* request,
                    v1::Operation* response) override;
  Unary* DeletePool(Context* context, const v1::DeletePoolRequest* request,
                    v1::Operation* response) override;
  Unary* StartPool(Context* context, const v1::StartPoolRequest* request,
                   v1::Operation* response) override;
  Unary* StopPool(Context* context, const v1::StopPoolRequest* request,
                  v1::Operation* response) override;
  Unary* ResizePool(Context* context, const v1::ResizePoolRequest* request,
                    v1::Operation* response) override;
  Unary* PausePool(Context* context, const v1::PausePoolRequest* request,
                   v1::Pool* response) override;
  Unary* ResumePool(Context* context, const v1::ResumePoolRequest* request,
                    v1::Pool* response) override;
  Unary* DrainPool(Context* context, const v1::DrainPoolRequest* request,
                   v1::Operation* response) override;
  Unary* RestartPool(Context* context, const v1::RestartPoolRequest* request,
                     v1::Operation* response) override;
  Unary* RestartShard(Context* context, const v1::RestartShardRequest* request,
                      v1::Shard* response) override;
  Unary* RestartWorker(Context* context, const v1::RestartWorkerRequest* request,
                       v1::Operation* response) override;
  Unary* GetOperation(Context* context, const v1::GetOperationRequest* request,
                      v1::Operation* response) override;
  Unary* ListOperations(Context* context, const v1::ListOperationsRequest* request,
                        v1::ListOperationsResponse* response) override;
  Unary* WaitOperation(Context* context, const v1::WaitOperationRequest* request,
                       v1::Operation* response) override;
  Unary* CancelOperation(Context* context, const v1::CancelOperationRequest* request,
                         v1::Operation* response) override;
  Unary* GetWorker(Context* context, const v1::GetWorkerRequest* request,
                   v1::Worker* response) override;
  Unary* ListWorkers(Context* context, const v1::ListWorkersRequest* request,
                     v1::ListWorkersResponse* response) override;
  Unary* ListShards(Context* context, const v1::ListShardsRequest* request,
                    v1::ListShardsResponse* response) override;
  Unary* GetShard(Context* context, const v1::GetShardRequest* request,
                  v1::Shard* response) override;
  Unary* ExplainShard(Context* context, const v1::ExplainShardRequest* request,
                      v1::ShardExplanation* response) override;
  Unary* GetScaleAdvice(Context* context, const v1::GetScaleAdviceRequest* request,
                        v1::ScaleAdvice* response) override;
  Unary* SetDropRule(Context* context, const v1::SetDropRuleRequest* request,
                     v1::DropRule* response) override;
  Unary* ListDropRules(Context* context, const v1::ListDropRulesRequest* request,
                       v1::ListDropRulesResponse* response) override;
  Unary* DeleteDropRule(Context* context, const v1::DeleteDropRuleRequest* request,
                        v1::DropRule* response) override;
  Unary* Audit(Context* context, const v1::AuditRequest* request,
               v1::AuditResponse* response) override;
  Unary* ListEvents(Context* context, const v1::ListEventsRequest* request,
                    v1::ListEventsResponse* response) override;
  Unary* ListDeaths(Context* context, const v1::ListDeathsRequest* request,
                    v1::ListDeathsResponse* response) override;
  Unary* CaptureStacks(Context* context, const v1::CaptureStacksRequest* request,
                       v1::CaptureStacksResponse* response) override;
  grpc::ServerWriteReactor<v1::GetWorkerLogsResponse>* GetWorkerLogs(
      Context* context, const v1::GetWorkerLogsRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchFleetResponse>* WatchFleet(
      Context* context, const v1::WatchFleetRequest* request) override;

  // A change of which the pool's name says all.
  using Verb = void (supervisor::FleetControl::*)(std::string, supervisor::Origin,
                                                  supervisor::PoolDone);
  template <typename Request, typename Response>
  Unary* ChangeNamed(Context* context, const Request& request, Verb verb, Response* response);

  using Perform = absl::AnyInvocable<void(supervisor::Origin, supervisor::PoolDone) &&>;
  // Performs a change once per request id and finishes the call with the pool, or with what was
  // begun.
  Unary* Change(Context* context, const google::protobuf::Message& request,
                supervisor::Origin origin, Perform perform, v1::Pool* response);
  Unary* Change(Context* context, const google::protobuf::Message& request,
                supervisor::Origin origin, Perform perform, v1::Operation* response);

  // The same, finished by `answer`.
  void Run(const Context& context, const google::protobuf::Message& request,
           supervisor::Origin origin, Perform perform, supervisor::PoolDone answer);

  supervisor::FleetControl& fleet_;
  const Clock& clock_;
  record::History* const history_;
  RequestLog requests_;
  FleetChanges changes_;
};

// What does not change while the server lives.
struct ServerDescription {
  std::string name_space;
  std::string http_address;  // "127.0.0.1:7480"; empty: none
};

class ServerService final : public v1::ServerService::CallbackService {
 public:
  ServerService(ServerDescription description, supervisor::FleetControl& fleet, const Clock& clock);

 private:
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::ServerInfo* response) override;

  const ServerDescription description_;
  supervisor::FleetControl& fleet_;
  const Clock& clock_;
  const WallTime start_time_;
  const Instant started_at_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_FLEET_SERVICE_H_
