// The calls about operations.
#include <algorithm>
#include <utility>

#include "server/rpc/fleet_service.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/history_messages.h"
#include "server/rpc/operation_messages.h"
#include "server/rpc/pending_call.h"

namespace spillway::rpc {
namespace {

constexpr int64_t kLongestSeconds = std::chrono::seconds(supervisor::kLongestOperationWait).count();

using OperationCall = PendingCall<supervisor::OperationPtr, v1::Operation>;

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* FleetService::GetOperation(Context* context,
                                                     const v1::GetOperationRequest* request,
                                                     v1::Operation* response) {
  const absl::StatusOr<int64_t> number = ParseOperationName("name", request->name());
  if (!number.ok()) return Finish(context, number.status());
  const supervisor::SnapshotPtr snapshot = fleet_.Snapshot();
  const supervisor::OperationPtr operation = supervisor::FindOperation(*snapshot, *number);
  if (operation == nullptr) {
    return Finish(context, supervisor::Refusal(absl::StatusCode::kNotFound, "OPERATION_NOT_FOUND",
                                               request->name() + ": there is no such operation"));
  }
  *response = ToMessage(*operation, *snapshot, clock_.Now());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::ListOperations(Context* context,
                                                       const v1::ListOperationsRequest* request,
                                                       v1::ListOperationsResponse* response) {
  const absl::StatusOr<record::PageQuery> query =
      ParsePage(request->page_size(), request->page_token());
  if (!query.ok()) return Finish(context, query.status());
  *response = OperationsPage(*fleet_.Snapshot(), *query);
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::WaitOperation(Context* context,
                                                      const v1::WaitOperationRequest* request,
                                                      v1::Operation* response) {
  const absl::StatusOr<int64_t> number = ParseOperationName("name", request->name());
  if (!number.ok()) return Finish(context, number.status());
  Duration timeout = supervisor::kLongestOperationWait;
  if (request->has_timeout()) {
    const auto seconds = std::clamp<int64_t>(request->timeout().seconds(), 0, kLongestSeconds);
    timeout = std::chrono::seconds(seconds) +
              std::chrono::nanoseconds(std::max(0, request->timeout().nanos()));
  }
  auto* call = new OperationCall(  // deletes itself
      response, [this](const supervisor::OperationPtr& operation) {
        return ToMessage(*operation, *fleet_.Snapshot(), clock_.Now());
      });
  fleet_.WaitOperation(*number, timeout, call->Answer());
  return call;
}

grpc::ServerUnaryReactor* FleetService::CancelOperation(Context* context,
                                                        const v1::CancelOperationRequest* request,
                                                        v1::Operation* response) {
  const absl::StatusOr<int64_t> number = ParseOperationName("name", request->name());
  if (!number.ok()) return Finish(context, number.status());
  supervisor::Origin origin;
  origin.request_id = request->request_id();
  origin.etag = request->etag();
  origin.validate_only = request->validate_only();
  return Change(
      context, *request, std::move(origin),
      [this, number = *number](supervisor::Origin by, supervisor::PoolDone done) {
        fleet_.CancelOperation(number, std::move(by), std::move(done));
      },
      response);
}

}  // namespace spillway::rpc
