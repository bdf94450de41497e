// One call of FleetService.Audit: waits for the answer without a thread, and not for one that
// nobody wants any more.
#ifndef SPILLWAY_SERVER_RPC_AUDIT_CALL_H_
#define SPILLWAY_SERVER_RPC_AUDIT_CALL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "base/mutex.h"
#include "server/rpc/audit_messages.h"
#include "server/rpc/grpc_status.h"

namespace spillway::rpc {

// Deletes itself. `response` is the call's.
class AuditCall final : public grpc::ServerUnaryReactor {
 public:
  explicit AuditCall(v1::AuditResponse* response) : state_(std::make_shared<State>()) {
    MutexLock lock(&state_->mutex);
    state_->call = this;
    state_->response = response;
  }

  // To be called once, from any thread; may outlive the call.
  supervisor::AuditDone Answer() {
    return [state = state_](const absl::StatusOr<std::vector<supervisor::ShardAudit>>& audits) {
      MutexLock lock(&state->mutex);
      if (state->call == nullptr) return;
      if (audits.ok()) *state->response = ToMessage(*audits);
      std::exchange(state->call, nullptr)->Finish(ToGrpcStatus(audits.status()));
    };
  }

  void OnCancel() override {
    const std::shared_ptr<State> state = state_;  // this may go with Finish
    MutexLock lock(&state->mutex);
    if (state->call == nullptr) return;
    std::exchange(state->call, nullptr)->Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  struct State {
    Mutex mutex;
    AuditCall* call ABSL_GUARDED_BY(mutex) = nullptr;              // null: finished
    v1::AuditResponse* response ABSL_GUARDED_BY(mutex) = nullptr;  // valid until then
  };
  const std::shared_ptr<State> state_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_AUDIT_CALL_H_
