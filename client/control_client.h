// The control plane's API as the commands use it: blocking calls with a limit, errors as exit
// codes.
#ifndef SPILLWAY_CLIENT_CONTROL_CLIENT_H_
#define SPILLWAY_CLIENT_CONTROL_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "client/exit_code.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "spillway/v1/fleet.grpc.pb.h"

namespace spillway::client {

// Why a call did not succeed. `message` is one line for a person.
struct CallError {
  ExitCode exit_code = kExitFailed;
  std::string message;
  std::string reason;  // of the ErrorInfo; empty: none
};

// A value or an error.
template <typename T>
struct Answer {
  T value;
  CallError error;  // if exit_code is not kExitDone
  bool ok() const { return error.exit_code == kExitDone; }
};

// Questions are asked again, up to three times within about a second, while the server cannot be
// reached. One thread.
class ControlClient {
 public:
  static constexpr std::chrono::seconds kCallTimeout{10};  // of a call that does not wait

  // `server`: "127.0.0.1:7400", "unix:/path". `list_limit`: of each page of a list.
  explicit ControlClient(const std::string& server, Duration list_limit = kCallTimeout);

  const std::string& server() const { return server_; }

  Answer<v1::Pool> GetPool(const std::string& name);
  Answer<v1::ListPoolsResponse> ListPools();  // all pages, as the two below
  Answer<v1::Worker> GetWorker(const std::string& name);
  Answer<v1::ListWorkersResponse> ListWorkers(const std::string& parent);
  Answer<v1::ListShardsResponse> ListShards();
  Answer<v1::Shard> GetShard(const std::string& name);
  Answer<v1::ServerInfo> GetServerInfo();
  // `name` empty: all shards. May take as long as `timeout`.
  Answer<v1::AuditResponse> Audit(const std::string& name, Duration timeout);
  // Newest first. `page_token` empty: the newest page.
  Answer<v1::ListEventsResponse> ListEvents(int32_t page_size, const std::string& page_token);
  Answer<v1::ListDeathsResponse> ListDeaths(const std::string& parent, int32_t page_size,
                                            const std::string& page_token);
  Answer<v1::CaptureStacksResponse> CaptureStacks(const std::string& name);
  // Calls `on_page` with each answer; ends with the stream, or when `on_page` returns false.
  CallError GetWorkerLogs(const v1::GetWorkerLogsRequest& request,
                          const std::function<bool(const v1::GetWorkerLogsResponse&)>& on_page);
  Answer<grpc::health::v1::HealthCheckResponse> CheckHealth(const std::string& service);

  Answer<v1::ShardExplanation> ExplainShard(const std::string& name);
  Answer<v1::ScaleAdvice> GetScaleAdvice(const std::string& name);

  Answer<v1::Operation> GetOperation(const std::string& name);
  Answer<v1::ListOperationsResponse> ListOperations(int32_t page_size,
                                                    const std::string& page_token);
  // Waits for the operation's end, calling `on_progress` with each answer of the server, also over
  // the server's restart. At the deadline (kExitTimedOut) `value` is how far it was.
  Answer<v1::Operation> WaitOperation(const std::string& name, Instant deadline,
                                      const std::function<void(const v1::Operation&)>& on_progress);

  // Changes are sent again once, under the same request id, if the connection breaks. `dry_run`:
  // only asks what would be.
  Answer<v1::Operation> CreatePool(v1::CreatePoolRequest request);
  Answer<v1::Operation> UpdatePool(v1::UpdatePoolRequest request);
  Answer<v1::Operation> DeletePool(v1::DeletePoolRequest request);
  Answer<v1::Operation> StartPool(const std::string& name, bool dry_run);
  Answer<v1::Operation> StopPool(const std::string& name, bool dry_run);
  Answer<v1::Pool> PausePool(const std::string& name, bool dry_run);
  Answer<v1::Pool> ResumePool(const std::string& name, bool dry_run);
  Answer<v1::Operation> DrainPool(const std::string& name, Duration timeout, bool dry_run);
  Answer<v1::Operation> RestartPool(v1::RestartPoolRequest request);
  Answer<v1::Operation> RestartWorker(const std::string& name, bool dry_run);
  Answer<v1::Shard> RestartShard(const std::string& name, bool dry_run);
  Answer<v1::Operation> ResizePool(v1::ResizePoolRequest request);

  Answer<v1::Operation> CancelOperation(const std::string& name, bool dry_run);

  Answer<v1::ListDropRulesResponse> ListDropRules();
  Answer<v1::DropRule> SetDropRule(v1::SetDropRuleRequest request);
  Answer<v1::DropRule> DeleteDropRule(const std::string& name, bool dry_run);

  // Calls `on_change` with each answer of WatchFleet until it returns true (then kExitDone), or
  // `deadline` has passed (kExitTimedOut). If the stream breaks it is opened again, and goes on
  // where it was if the server can; if it cannot be opened the first time, kExitUnreachable.
  CallError Watch(Instant deadline,
                  const std::function<bool(const v1::WatchFleetResponse&)>& on_change);

 private:
  const std::string server_;
  const Duration list_limit_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::FleetService::Stub> fleet_;
  const std::unique_ptr<v1::ServerService::Stub> info_;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

// The exit code and the text of a status that is not OK.
CallError ErrorOf(const grpc::Status& status, const std::string& server);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_CONTROL_CLIENT_H_
