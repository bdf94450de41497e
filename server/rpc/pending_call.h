// One call that is answered later: waits without a thread, and not for one that nobody wants any
// more.
#ifndef SPILLWAY_SERVER_RPC_PENDING_CALL_H_
#define SPILLWAY_SERVER_RPC_PENDING_CALL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/rpc/grpc_status.h"

namespace spillway::rpc {

// Deletes itself. `response` is the call's; the answer is added to what stands in it.
template <typename Value, typename Response>
class PendingCall final : public grpc::ServerUnaryReactor {
 public:
  using Convert = absl::AnyInvocable<Response(const Value&)>;

  PendingCall(Response* response, Convert convert) : state_(std::make_shared<State>()) {
    MutexLock lock(&state_->mutex);
    state_->call = this;
    state_->response = response;
    state_->convert = std::move(convert);
  }

  // To be called once, from any thread; may outlive the call.
  absl::AnyInvocable<void(absl::StatusOr<Value>)> Answer() {
    return [state = state_](const absl::StatusOr<Value>& value) {
      MutexLock lock(&state->mutex);
      if (state->call == nullptr) return;
      if (value.ok()) state->response->MergeFrom(state->convert(*value));
      std::exchange(state->call, nullptr)->Finish(ToGrpcStatus(value.status()));
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
    PendingCall* call ABSL_GUARDED_BY(mutex) = nullptr;   // null: finished
    Response* response ABSL_GUARDED_BY(mutex) = nullptr;  // valid until then
    Convert convert ABSL_GUARDED_BY(mutex);
  };
  const std::shared_ptr<State> state_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_PENDING_CALL_H_
