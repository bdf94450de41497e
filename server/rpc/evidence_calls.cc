// FleetService's calls about one worker's process.
#include "base/utf8.h"
#include "server/rpc/fleet_service.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/log_stream.h"
#include "server/rpc/pending_call.h"
#include "server/rpc/resource_messages.h"

namespace spillway::rpc {
namespace {

constexpr int32_t kUsualLines = 100;

v1::CaptureStacksResponse ToStacksResponse(const supervisor::StackReport& report) {
  v1::CaptureStacksResponse message;
  message.set_problem(report.problem);
  message.set_summary(ValidUtf8(report.summary));
  message.set_text(ValidUtf8(report.text));
  message.set_file(report.file);
  return message;
}

using CaptureCall = PendingCall<supervisor::StackReport, v1::CaptureStacksResponse>;

// A stream that ends with an error before its first answer.
class RefusedStream final : public grpc::ServerWriteReactor<v1::GetWorkerLogsResponse> {
 public:
  explicit RefusedStream(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerUnaryReactor* FleetService::CaptureStacks(Context* context,
                                                      const v1::CaptureStacksRequest* request,
                                                      v1::CaptureStacksResponse* response) {
  const absl::StatusOr<fleet::WorkerKey> worker = ParseWorkerName("name", request->name());
  if (!worker.ok()) {
    grpc::ServerUnaryReactor* refused = context->DefaultReactor();
    refused->Finish(ToGrpcStatus(worker.status()));
    return refused;
  }
  response->set_name(request->name());
  auto* call = new CaptureCall(response, ToStacksResponse);  // deletes itself
  fleet_.CaptureStacks(*worker, call->Answer());
  return call;
}

grpc::ServerWriteReactor<v1::GetWorkerLogsResponse>* FleetService::GetWorkerLogs(
    Context*, const v1::GetWorkerLogsRequest* request) {
  const absl::StatusOr<fleet::WorkerKey> worker = ParseWorkerName("name", request->name());
  if (!worker.ok()) return new RefusedStream(worker.status());
  if (request->lines() < 0 || request->lines() > supervisor::kMaxLogLines) {
    return new RefusedStream(supervisor::Refusal(absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
                                                 "lines: expected from 0 to 10000"));
  }
  supervisor::LogQuery query;
  query.worker = *worker;
  query.lines = request->lines() == 0 ? kUsualLines : request->lines();
  query.is_followed = request->follow();
  auto* stream = new LogStream(fleet_, std::move(query));  // deletes itself
  stream->Ask();
  return stream;
}

}  // namespace spillway::rpc
