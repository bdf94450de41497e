// One call of FleetService.GetWorkerLogs: page after page, each asked for when the reader has taken
// the one before, so that a slow reader costs one page.
#ifndef SPILLWAY_SERVER_RPC_LOG_STREAM_H_
#define SPILLWAY_SERVER_RPC_LOG_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "base/mutex.h"
#include "server/rpc/grpc_status.h"
#include "server/supervisor/fleet_control.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

// Deletes itself when the call is over.
class LogStream final : public grpc::ServerWriteReactor<v1::GetWorkerLogsResponse> {
 public:
  LogStream(supervisor::FleetControl& fleet, supervisor::LogQuery query)
      : fleet_(fleet), query_(std::move(query)), state_(std::make_shared<State>()) {
    MutexLock lock(&state_->mutex);
    state_->stream = this;
  }

  // Once, before the reactor is handed to gRPC; then by itself. Holds no lock: the answer may come
  // at once.
  void Ask() {
    fleet_.ReadLog(query_, [state = state_](absl::StatusOr<supervisor::LogPage> page) {
      MutexLock lock(&state->mutex);
      if (state->stream != nullptr) state->stream->OnPage(state, std::move(page));
    });
  }

  void OnWriteDone(bool ok) override {
    {
      const std::shared_ptr<State> state = state_;  // this may go with Finish
      MutexLock lock(&state->mutex);
      state->is_writing = false;
      if (!ok) state->is_ending = true;
      if (state->is_ending) return Finish(grpc::Status::CANCELLED);
      if (!query_.is_followed) return Finish(grpc::Status::OK);
    }
    Ask();
  }
  void OnCancel() override {
    const std::shared_ptr<State> state = state_;
    MutexLock lock(&state->mutex);
    state->is_ending = true;
    if (!state->is_writing) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  struct State {
    Mutex mutex;
    LogStream* stream ABSL_GUARDED_BY(mutex) = nullptr;  // null: finished
    bool is_writing ABSL_GUARDED_BY(mutex) = false;      // then OnWriteDone finishes
    bool is_ending ABSL_GUARDED_BY(mutex) = false;
  };

  void OnPage(const std::shared_ptr<State>& state, absl::StatusOr<supervisor::LogPage> page)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state->mutex) {
    if (!page.ok()) return Finish(ToGrpcStatus(page.status()));
    query_.after = page->next;
    response_.Clear();
    for (std::string& line : page->lines) response_.add_lines(std::move(line));
    // Nothing new: an empty answer keeps the way of asking the same, and shows that we live.
    state->is_writing = true;
    StartWrite(&response_);
  }

  // Once; later steps find no stream.
  void Finish(const grpc::Status& status) ABSL_NO_THREAD_SAFETY_ANALYSIS {  // holds the lock
    if (std::exchange(state_->stream, nullptr) != nullptr) {
      grpc::ServerWriteReactor<v1::GetWorkerLogsResponse>::Finish(status);
    }
  }

  supervisor::FleetControl& fleet_;
  supervisor::LogQuery query_;  // touched by one step of the call at a time
  v1::GetWorkerLogsResponse response_;
  const std::shared_ptr<State> state_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_LOG_STREAM_H_
