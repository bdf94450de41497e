#include "client/control_client.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/version.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace spillway::client {
namespace {

constexpr std::chrono::seconds kCallTimeout = ControlClient::kCallTimeout;
// A process that does not answer is waited for, and naming functions takes its time.
constexpr std::chrono::seconds kStacksTimeout{30};
constexpr std::chrono::milliseconds kRewatchPause{200};
// How long one call waits for an operation, so that progress shows.
constexpr std::chrono::milliseconds kProgressStep{500};
// For the answer to a wait that has lasted to its deadline.
constexpr std::chrono::seconds kWaitGrace{2};

// gRPC counts deadlines by the wall clock.
std::chrono::system_clock::time_point WallDeadline(Duration from_now) {
  return std::chrono::system_clock::time_point(
      std::chrono::microseconds(SystemClock().Wall().us) +
      std::chrono::ceil<std::chrono::microseconds>(from_now));
}

// Who we are, for the server's journal: "spillway/0.1.0 (alice)".
std::string UserAgent() {
  const passwd* user = getpwuid(geteuid());
  return absl::StrCat("spillway/", Version(), " (",
                      user == nullptr ? absl::StrCat("uid ", geteuid()) : user->pw_name, ")");
}

// Questions are asked again if the server cannot be reached, or is going away: gRPC does it, with
// jitter. Changes are not among them (they are sent again under their request id), nor what asks
// whether the server is there at all.
std::string RetriedQuestions() {
  std::vector<std::string> names;
  for (const char* method :
       {"GetPool", "ListPools", "GetWorker", "ListWorkers", "GetShard", "ListShards",
        "ExplainShard", "GetScaleAdvice", "GetOperation", "ListOperations", "ListDropRules",
        "ListEvents", "ListDeaths", "Audit"}) {
    names.push_back(
        absl::StrCat(R"({"service":"spillway.v1.FleetService","method":")", method, R"("})"));
  }
  return absl::StrCat(R"({"methodConfig":[{"name":[)", absl::StrJoin(names, ","),
                      R"(],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.1s",)"
                      R"("maxBackoff":"1s","backoffMultiplier":2,)"
                      R"("retryableStatusCodes":["UNAVAILABLE"]}}]})");
}

std::shared_ptr<grpc::Channel> Dial(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetUserAgentPrefix(UserAgent());
  arguments.SetServiceConfigJSON(RetriedQuestions());
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(kRewatchPause.count()));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(kRewatchPause.count()));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

std::string NewRequestId() {
  std::random_device random;
  const auto word = [&random] { return (uint64_t{random()} << 32) | random(); };
  return HexText(word()) + HexText(word());
}

ExitCode ExitCodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return kExitDone;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
      return kExitUsage;
    case grpc::StatusCode::NOT_FOUND:
      return kExitNotFound;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return kExitRefused;
    case grpc::StatusCode::UNAVAILABLE:
      return kExitUnreachable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return kExitTimedOut;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return kExitNotPermitted;
    default:
      return kExitFailed;
  }
}

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return "";
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info)) return info.reason();
  }
  return "";
}

// One blocking call, with the usual limit or another.
template <typename Response, typename Stub, typename Request>
Answer<Response> Call(Stub& stub,
                      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request, const std::string& server,
                      Duration timeout = kCallTimeout) {
  grpc::ClientContext context;
  context.set_deadline(WallDeadline(timeout));
  Answer<Response> answer;
  const grpc::Status status = (stub.*method)(&context, request, &answer.value);
  answer.error = ErrorOf(status, server);
  return answer;
}

// All pages as one answer.
template <typename Response, typename Stub, typename Request>
Answer<Response> AllPages(Stub& stub,
                          grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                       Response*),
                          Request request, const std::string& server, Duration limit) {
  Answer<Response> all = Call(stub, method, request, server, limit);
  while (all.ok() && !all.value.next_page_token().empty()) {
    request.set_page_token(all.value.next_page_token());
    all.value.clear_next_page_token();
    const Answer<Response> page = Call(stub, method, request, server, limit);
    all.error = page.error;
    all.value.MergeFrom(page.value);
  }
  return all;
}

template <typename Response, typename Stub, typename Request>
Answer<Response> Change(Stub& stub,
                        grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                     Response*),
                        Request request, const std::string& server) {
  request.set_request_id(NewRequestId());
  Answer<Response> answer = Call(stub, method, request, server);
  if (answer.error.exit_code != kExitUnreachable) return answer;
  return Call(stub, method, request, server);
}

}  // namespace

CallError ErrorOf(const grpc::Status& status, const std::string& server) {
  if (status.ok()) return {kExitDone, "", ""};
  CallError error;
  error.exit_code = ExitCodeOf(status.error_code());
  error.reason = ReasonOf(status);
  if (error.exit_code == kExitUnreachable && error.reason.empty()) {
    error.message = absl::StrCat("no server at ", server, ": ", status.error_message());
  } else if (error.exit_code == kExitTimedOut) {
    error.message = absl::StrCat("the server at ", server, " did not answer in time");
  } else {
    error.message = status.error_message();
  }
  return error;
}

ControlClient::ControlClient(const std::string& server, Duration list_limit)
    : server_(server),
      list_limit_(list_limit),
      channel_(Dial(server)),
      fleet_(v1::FleetService::NewStub(channel_)),
      info_(v1::ServerService::NewStub(channel_)),
      health_(grpc::health::v1::Health::NewStub(channel_)) {}

Answer<v1::Pool> ControlClient::GetPool(const std::string& name) {
  v1::GetPoolRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::GetPool, request, server_);
}

Answer<v1::ListPoolsResponse> ControlClient::ListPools() {
  return AllPages<v1::ListPoolsResponse>(*fleet_, &v1::FleetService::Stub::ListPools,
                                         v1::ListPoolsRequest(), server_, list_limit_);
}

Answer<v1::Worker> ControlClient::GetWorker(const std::string& name) {
  v1::GetWorkerRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::GetWorker, request, server_);
}

Answer<v1::ListWorkersResponse> ControlClient::ListWorkers(const std::string& parent) {
  v1::ListWorkersRequest request;
  request.set_parent(parent);
  return AllPages<v1::ListWorkersResponse>(*fleet_, &v1::FleetService::Stub::ListWorkers, request,
                                           server_, list_limit_);
}

Answer<v1::ListShardsResponse> ControlClient::ListShards() {
  return AllPages<v1::ListShardsResponse>(*fleet_, &v1::FleetService::Stub::ListShards,
                                          v1::ListShardsRequest(), server_, list_limit_);
}

Answer<v1::Shard> ControlClient::GetShard(const std::string& name) {
  v1::GetShardRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::GetShard, request, server_);
}

Answer<v1::ServerInfo> ControlClient::GetServerInfo() {
  return Call(*info_, &v1::ServerService::Stub::GetServerInfo, v1::GetServerInfoRequest(), server_);
}

Answer<v1::ShardExplanation> ControlClient::ExplainShard(const std::string& name) {
  v1::ExplainShardRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::ExplainShard, request, server_);
}

Answer<v1::ScaleAdvice> ControlClient::GetScaleAdvice(const std::string& name) {
  v1::GetScaleAdviceRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::GetScaleAdvice, request, server_);
}

Answer<v1::AuditResponse> ControlClient::Audit(const std::string& name, Duration timeout) {
  v1::AuditRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::Audit, request, server_, timeout);
}

Answer<v1::ListEventsResponse> ControlClient::ListEvents(int32_t page_size,
                                                         const std::string& page_token) {
  v1::ListEventsRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*fleet_, &v1::FleetService::Stub::ListEvents, request, server_);
}

Answer<v1::ListDeathsResponse> ControlClient::ListDeaths(const std::string& parent,
                                                         int32_t page_size,
                                                         const std::string& page_token) {
  v1::ListDeathsRequest request;
  request.set_parent(parent);
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*fleet_, &v1::FleetService::Stub::ListDeaths, request, server_);
}

Answer<v1::Operation> ControlClient::GetOperation(const std::string& name) {
  v1::GetOperationRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::GetOperation, request, server_);
}

Answer<v1::ListOperationsResponse> ControlClient::ListOperations(int32_t page_size,
                                                                 const std::string& page_token) {
  v1::ListOperationsRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  return Call(*fleet_, &v1::FleetService::Stub::ListOperations, request, server_, list_limit_);
}

Answer<v1::Operation> ControlClient::WaitOperation(
    const std::string& name, Instant deadline,
    const std::function<void(const v1::Operation&)>& on_progress) {
  Answer<v1::Operation> answer;
  bool has_connected = false;
  while (true) {
    const Duration left = std::max(Duration(0), deadline - SystemClock().Now());
    v1::WaitOperationRequest request;
    request.set_name(name);
    *request.mutable_timeout() = google::protobuf::util::TimeUtil::NanosecondsToDuration(
        std::min<Duration>(left, kProgressStep).count());
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(left + kWaitGrace));
    context.set_wait_for_ready(has_connected);  // a server that restarts: wait for it
    v1::Operation operation;
    answer.error = ErrorOf(fleet_->WaitOperation(&context, request, &operation), server_);
    if (answer.ok()) {
      has_connected = true;
      answer.value = std::move(operation);
      on_progress(answer.value);
      if (answer.value.state() != v1::OPERATION_STATE_RUNNING) return answer;
    } else if (answer.error.exit_code != kExitUnreachable || !has_connected) {
      return answer;
    } else {
      // One that is stopping answers at once, until it is gone.
      channel_->WaitForStateChange(GRPC_CHANNEL_READY, WallDeadline(kRewatchPause));
    }
    if (SystemClock().Now() < deadline) continue;
    answer.error = {kExitTimedOut, "timed out", ""};
    return answer;
  }
}

Answer<v1::Operation> ControlClient::CancelOperation(const std::string& name, bool dry_run) {
  v1::CancelOperationRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::CancelOperation, std::move(request), server_);
}

Answer<v1::CaptureStacksResponse> ControlClient::CaptureStacks(const std::string& name) {
  v1::CaptureStacksRequest request;
  request.set_name(name);
  return Call(*fleet_, &v1::FleetService::Stub::CaptureStacks, request, server_, kStacksTimeout);
}

CallError ControlClient::GetWorkerLogs(
    const v1::GetWorkerLogsRequest& request,
    const std::function<bool(const v1::GetWorkerLogsResponse&)>& on_page) {
  grpc::ClientContext context;
  if (!request.follow()) context.set_deadline(WallDeadline(kCallTimeout));
  const auto stream = fleet_->GetWorkerLogs(&context, request);
  v1::GetWorkerLogsResponse page;
  while (stream->Read(&page)) {
    if (on_page(page)) continue;
    context.TryCancel();
    stream->Finish();
    return {kExitDone, "", ""};
  }
  return ErrorOf(stream->Finish(), server_);
}

Answer<grpc::health::v1::HealthCheckResponse> ControlClient::CheckHealth(
    const std::string& service) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  return Call(*health_, &grpc::health::v1::Health::Stub::Check, request, server_);
}

Answer<v1::Operation> ControlClient::CreatePool(v1::CreatePoolRequest request) {
  return Change(*fleet_, &v1::FleetService::Stub::CreatePool, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::UpdatePool(v1::UpdatePoolRequest request) {
  return Change(*fleet_, &v1::FleetService::Stub::UpdatePool, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::DeletePool(v1::DeletePoolRequest request) {
  return Change(*fleet_, &v1::FleetService::Stub::DeletePool, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::StartPool(const std::string& name, bool dry_run) {
  v1::StartPoolRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::StartPool, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::StopPool(const std::string& name, bool dry_run) {
  v1::StopPoolRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::StopPool, std::move(request), server_);
}

Answer<v1::Pool> ControlClient::PausePool(const std::string& name, bool dry_run) {
  v1::PausePoolRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::PausePool, std::move(request), server_);
}

Answer<v1::Pool> ControlClient::ResumePool(const std::string& name, bool dry_run) {
  v1::ResumePoolRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::ResumePool, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::DrainPool(const std::string& name, Duration timeout,
                                               bool dry_run) {
  v1::DrainPoolRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  request.mutable_timeout()->set_seconds(seconds.count());
  request.mutable_timeout()->set_nanos(static_cast<int32_t>(Duration(timeout - seconds).count()));
  return Change(*fleet_, &v1::FleetService::Stub::DrainPool, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::RestartPool(v1::RestartPoolRequest request) {
  return Change(*fleet_, &v1::FleetService::Stub::RestartPool, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::RestartWorker(const std::string& name, bool dry_run) {
  v1::RestartWorkerRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::RestartWorker, std::move(request), server_);
}

Answer<v1::ListDropRulesResponse> ControlClient::ListDropRules() {
  return Call(*fleet_, &v1::FleetService::Stub::ListDropRules, v1::ListDropRulesRequest(), server_);
}

Answer<v1::DropRule> ControlClient::SetDropRule(v1::SetDropRuleRequest request) {
  return Change(*fleet_, &v1::FleetService::Stub::SetDropRule, std::move(request), server_);
}

Answer<v1::DropRule> ControlClient::DeleteDropRule(const std::string& name, bool dry_run) {
  v1::DeleteDropRuleRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::DeleteDropRule, std::move(request), server_);
}

Answer<v1::Shard> ControlClient::RestartShard(const std::string& name, bool dry_run) {
  v1::RestartShardRequest request;
  request.set_name(name);
  request.set_validate_only(dry_run);
  return Change(*fleet_, &v1::FleetService::Stub::RestartShard, std::move(request), server_);
}

Answer<v1::Operation> ControlClient::ResizePool(v1::ResizePoolRequest request) {
  return Change(*fleet_, &v1::FleetService::Stub::ResizePool, std::move(request), server_);
}

CallError ControlClient::Watch(
    Instant deadline, const std::function<bool(const v1::WatchFleetResponse&)>& on_change) {
  bool has_connected = false;
  v1::WatchFleetRequest request;
  while (true) {
    const Duration left = deadline - SystemClock().Now();
    if (left <= Duration(0)) return {kExitTimedOut, "timed out", ""};
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(left));
    context.set_wait_for_ready(has_connected);  // a server that restarts: wait for it
    const auto stream = fleet_->WatchFleet(&context, request);
    v1::WatchFleetResponse response;
    while (stream->Read(&response)) {
      has_connected = true;
      request.set_resume_after(response.sequence());
      if (!on_change(response)) continue;
      context.TryCancel();
      stream->Finish();
      return {kExitDone, "", ""};
    }
    CallError error = ErrorOf(stream->Finish(), server_);
    if (error.exit_code == kExitTimedOut || (!has_connected && error.exit_code != kExitDone))
      return error;
  }
}

}  // namespace spillway::client
