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

// A peer that is stopped (not dead), or that the network has swallowed, is noticed by unanswered
// pings. Not more often than the server allows (server/rpc/rpc_server.cc).
constexpr int kKeepaliveTimeMs = 4'000;
constexpr int kKeepaliveTimeoutMs = 4'000;

std::shared_ptr<grpc::Channel> Dial(const std::string& target) {
  grpc::ChannelArguments arguments;
  // Each dial is a connection of its own: when to try again is decided here, not by gRPC.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // as many as it takes
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

// gRPC uses it until OnDone has set is_done_. Tasks it posts share a token: those that run
// after the owner has gone do nothing.
class AttachStream::Reactor final
    : public grpc::ClientBidiReactor<v1::AttachRequest, v1::AttachResponse> {
 public:
  Reactor(const std::string& target, Loop& loop, Callbacks callbacks)
      : stub_(v1::GatewayService::NewStub(Dial(target))),
        loop_(loop),
        callbacks_(std::move(callbacks)) {}

  void Begin(const wire::Hello& hello) {
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

  // Loop thread. Afterwards it may be destroyed.
  void AwaitEnd() {
    *is_owned_ = false;
    Cancel();
    MutexLock lock(&mutex_);
    while (!is_done_) done_.Wait(&mutex_);
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
      Post([this, message = *std::move(message)]() mutable {
        callbacks_.received(std::move(message));
      });
    } else {
      // A peer that speaks nonsense: ended here, dialled again by the owner.
      Post([this, status = message.status()] { protocol_error_ = status; });
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
    Post([this, end = EndOf(status)]() mutable {
      if (!protocol_error_.ok()) end.status = protocol_error_;
      // Moved out, since what is called may destroy us.
      auto ended = std::move(callbacks_.ended);
      ended(std::move(end));
    });
    MutexLock lock(&mutex_);  // the owner may destroy us once it is unlocked
    is_done_ = true;
    done_.NotifyAll();
  }

 private:
  template <typename F>
  void Post(F task) {
    loop_.Post([is_owned = is_owned_, task = std::move(task)]() mutable {
      if (*is_owned) task();
    });
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
  Loop& loop_;
  v1::AttachResponse incoming_;  // gRPC's between StartRead and OnReadDone
  v1::AttachRequest outgoing_;   // gRPC's while is_writing_

  const std::shared_ptr<bool> is_owned_ =
      std::make_shared<bool>(true);  // what it says: loop thread

  // Loop thread only.
  absl::Status protocol_error_;
  Callbacks callbacks_;

  Mutex mutex_;
  CondVar done_;
  std::deque<wire::UpMessage> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t report_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;  // no write may start any more
  bool is_half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writes_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_done_ ABSL_GUARDED_BY(mutex_) = false;
};

AttachStream::AttachStream(const std::string& target, const wire::Hello& hello, Loop& loop,
                           Callbacks callbacks)
    : reactor_(std::make_unique<Reactor>(target, loop, std::move(callbacks))) {
  reactor_->Begin(hello);
}

AttachStream::~AttachStream() { reactor_->AwaitEnd(); }

void AttachStream::Send(wire::UpMessage message) { reactor_->Send(std::move(message)); }
void AttachStream::HalfClose() { reactor_->HalfClose(); }
void AttachStream::Cancel() { reactor_->Cancel(); }

}  // namespace spillway::worker
