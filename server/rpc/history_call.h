// One call of ListEvents or ListDeaths: waits for the record without a thread, and not for an
// answer that nobody wants any more.
#ifndef SPILLWAY_SERVER_RPC_HISTORY_CALL_H_
#define SPILLWAY_SERVER_RPC_HISTORY_CALL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/history_messages.h"

namespace spillway::rpc {

// Deletes itself. `response` is the call's.
template <typename Response>
class HistoryCall final : public grpc::ServerUnaryReactor {
 public:
  explicit HistoryCall(Response* response) : state_(std::make_shared<State>()) {
    MutexLock lock(&state_->mutex);
    state_->call = this;
    state_->response = response;
  }

  // To be called once, from any thread; may outlive the call.
  template <typename Entry>
  absl::AnyInvocable<void(absl::StatusOr<std::vector<Entry>>)> Answer(record::PageQuery query) {
    return
        [state = state_, query = std::move(query)](const absl::StatusOr<std::vector<Entry>>& page) {
          MutexLock lock(&state->mutex);
          if (state->call == nullptr) return;
          if (page.ok()) *state->response = ToMessage(*page, query);
          std::exchange(state->call, nullptr)->Finish(ToGrpcStatus(page.status()));
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
    HistoryCall* call ABSL_GUARDED_BY(mutex) = nullptr;   // null: finished
    Response* response ABSL_GUARDED_BY(mutex) = nullptr;  // valid until then
  };
  const std::shared_ptr<State> state_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_HISTORY_CALL_H_
