#include "worker/control/attach_stream.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "spillway/v1/gateway.grpc.pb.h"

namespace spillway::worker {
namespace {

constexpr std::chrono::seconds kMaxEndWait{5};
// A peer that is stopped (not dead) is noticed by unanswered pings.
constexpr int kKeepaliveTimeMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 10'000;

std::shared_ptr<grpc::Channel> Dial(const std::string& target) {
  grpc::ChannelArguments arguments;
  // Each dial is a connection of its own: when to try again is decided here, not by gRPC.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

StreamEnd EndOf(const grpc::Status& status) {
  StreamEnd end;
  end.status =
      absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return end;
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info) && info.domain() == "spillway") end.reason = info.reason();
  }
  return end;
}

}  // namespace

// Holds itself alive until OnDone. Lock order: none; nothing of gRPC is called that calls back.
class AttachStream::Reactor final
    : public grpc::ClientBidiReactor<v1::AttachRequest, v1::AttachResponse>,
      public std::enable_shared_from_this<Reactor> {
 public:
  Reactor(const std::string& target, Loop& loop, Callbacks callbacks)
      : stub_(v1::GatewayService::NewStub(Dial(target))),
        loop_(&loop),
        callbacks_(std::move(callbacks)) {}

  void Begin(const wire::Hello& hello) {
    self_ = shared_from_this();
    stub_->async()->Attach(&context_, this);
    AddHold();  // writes start outside of reactions until OnReadDone says that there is no more
    StartRead(&incoming_);
    Send(hello);
    StartCall();
  }

  void Send(wire::UpMessage message) {
    MutexLock lock(&mutex_);
    if (is_closed_ || is_half_closed_) return;
    if (std::holds_alternative<wire::WorkerReport>(message) && !queue_.empty() &&
        std::holds_alternative<wire::WorkerReport>(queue_.back())) {
      queue_.back() = std::move(message);
    } else {
      queue_.push_back(std::move(message));
    }
    WriteNext();
  }

  void HalfClose() {
    MutexLock lock(&mutex_);
    if (is_closed_ || is_half_closed_) return;
    is_half_closed_ = true;
    WriteNext();
  }

  void Cancel() { context_.TryCancel(); }

  // No callbacks afterwards. Loop thread.
  void Abandon() {
    Cancel();
    MutexLock lock(&mutex_);
    loop_ = nullptr;
    const Instant deadline = SystemClock().Now() + kMaxEndWait;
    while (!is_done_ && done_.WaitUntil(&mutex_, deadline)) {
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      {
        MutexLock lock(&mutex_);
        is_closed_ = true;
      }
      RemoveHold();
      return;
    }
    if (absl::StatusOr<wire::DownMessage> message = wire::FromProto(incoming_); message.ok()) {
      Post([self = shared_from_this(), message = *std::move(message)]() mutable {
        if (self->IsOwned()) self->callbacks_.received(std::move(message));
      });
    } else {
      // A peer that speaks nonsense: ended here, dialled again by the owner.
      Post([self = shared_from_this(), status = message.status()] {
        self->protocol_error_ = status;
      });
      context_.TryCancel();
    }
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    is_writing_ = false;
    if (ok) WriteNext();  // not ok: the stream is ending, OnDone follows
  }

  void OnDone(const grpc::Status& status) override {
    Post([self = shared_from_this(), end = EndOf(status)]() mutable {
      if (!self->IsOwned()) return;
      if (!self->protocol_error_.ok()) end.status = self->protocol_error_;
      self->callbacks_.ended(std::move(end));
    });
    const std::shared_ptr<Reactor> self = std::move(self_);  // the last use of *this may be below
    MutexLock lock(&mutex_);
    is_done_ = true;
    done_.NotifyAll();
  }

 private:
  void Post(Task task) {
    MutexLock lock(&mutex_);
    if (loop_ != nullptr) loop_->Post(std::move(task));
  }

  bool IsOwned() {
    MutexLock lock(&mutex_);
    return loop_ != nullptr;
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (is_writing_ || is_closed_) return;
    if (queue_.empty()) {
      if (is_half_closed_ && !is_writes_done_) {
        is_writes_done_ = true;
        StartWritesDone();
      }
      return;
    }
    if (auto* report = std::get_if<wire::WorkerReport>(&queue_.front())) {
      report->sequence = ++report_sequence_;
    }
    outgoing_ = wire::ToProto(queue_.front());
    queue_.pop_front();
    is_writing_ = true;
    StartWrite(&outgoing_);
  }

  grpc::ClientContext context_;
  const std::unique_ptr<v1::GatewayService::Stub> stub_;
  std::shared_ptr<Reactor> self_;  // until OnDone
  v1::AttachResponse incoming_;    // gRPC's between StartRead and OnReadDone
  v1::AttachRequest outgoing_;     // gRPC's while is_writing_

  // Loop thread only.
  absl::Status protocol_error_;

  Mutex mutex_;
  CondVar done_;
  Loop* loop_ ABSL_GUARDED_BY(mutex_);  // null once the owner is gone
  std::deque<wire::UpMessage> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t report_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;  // no write may start any more
  bool is_half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writes_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_done_ ABSL_GUARDED_BY(mutex_) = false;

  Callbacks callbacks_;  // loop thread only
};

AttachStream::AttachStream(const std::string& target, const wire::Hello& hello, Loop& loop,
                           Callbacks callbacks)
    : reactor_(std::make_shared<Reactor>(target, loop, std::move(callbacks))) {
  reactor_->Begin(hello);
}

AttachStream::~AttachStream() { reactor_->Abandon(); }

void AttachStream::Send(wire::UpMessage message) { reactor_->Send(std::move(message)); }
void AttachStream::HalfClose() { reactor_->HalfClose(); }
void AttachStream::Cancel() { reactor_->Cancel(); }

}  // namespace spillway::worker
