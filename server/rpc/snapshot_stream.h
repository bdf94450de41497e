// A stream of answers made from the fleet's snapshots, conflated per reader: while one answer is on
// its way, newer snapshots replace each other, so a slow reader skips states and costs nothing.
#ifndef SPILLWAY_SERVER_RPC_SNAPSHOT_STREAM_H_
#define SPILLWAY_SERVER_RPC_SNAPSHOT_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "base/mutex.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::rpc {

// Deletes itself when the call is over; ends when the reader goes or the server shuts down.
template <typename Response>
class SnapshotStream : public grpc::ServerWriteReactor<Response> {
 public:
  // Call once, before the reactor is handed to gRPC.
  void Follow(supervisor::FleetControl& fleet) {
    subscription_ = fleet.Subscribe([this](supervisor::SnapshotPtr snapshot) {
      MutexLock lock(&mutex_);
      waiting_ = std::move(snapshot);
      WriteNext();
    });
  }

  void OnWriteDone(bool ok) final {
    MutexLock lock(&mutex_);
    is_writing_ = false;
    if (!ok) is_ending_ = true;
    is_ending_ ? FinishOnce() : WriteNext();
  }

  void OnCancel() final {
    MutexLock lock(&mutex_);
    is_ending_ = true;
    if (!is_writing_) FinishOnce();
  }

  void OnDone() final {
    subscription_.reset();  // no Compose afterwards
    delete this;
  }

 protected:
  // Fills `response` with what is new in `snapshot`; false if nothing is. One call at a time; must
  // not block.
  virtual bool Compose(const supervisor::SnapshotPtr& snapshot, Response& response) = 0;

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (is_writing_ || is_ending_ || waiting_ == nullptr) return;
    const supervisor::SnapshotPtr snapshot = std::exchange(waiting_, nullptr);
    response_.Clear();
    if (!Compose(snapshot, response_)) return;
    is_writing_ = true;
    this->StartWrite(&response_);
  }

  void FinishOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!std::exchange(is_finished_, true)) this->Finish(grpc::Status::CANCELLED);
  }

  Response response_;  // gRPC's while is_writing_
  Mutex mutex_;
  supervisor::SnapshotPtr waiting_ ABSL_GUARDED_BY(mutex_);
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<supervisor::Subscription> subscription_;
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_SNAPSHOT_STREAM_H_
