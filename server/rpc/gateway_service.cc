#include "server/rpc/gateway_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "proto/wire/convert.h"
#include "server/rpc/grpc_status.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::rpc {
namespace {

using supervisor::Attachment;
using supervisor::LinkId;
using supervisor::WorkerGateway;

absl::Status Malformed(absl::string_view reason, absl::string_view message) {
  return supervisor::Refusal(absl::StatusCode::kInvalidArgument, reason, message);
}

// The stream's state, shared by its reactor and the supervisor's link; whoever is last frees it.
//
// The stream ends in this order: `end_` is set (by the peer, by us or by the supervisor) → the
// write under way returns and a pending Attach is answered → Detach, Finish, and from then on the
// reactor is not touched. Keepalive pings bound the wait for a write to a peer that has stopped.
class Stream final : public supervisor::WorkerLink, public std::enable_shared_from_this<Stream> {
 public:
  using Reactor = grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>;

  Stream(Reactor& reactor, WorkerGateway& gateway) : reactor_(reactor), gateway_(gateway) {}

  void Begin() { reactor_.StartRead(&request_); }

  // Loop thread.
  void SendOrder(const wire::Order& order) override {
    MutexLock lock(&mutex_);
    order_ = order;
    WriteNext();
  }

  // Loop thread.
  void Close(const absl::Status& status) override { End(ToGrpcStatus(status)); }

  void End(const grpc::Status& status) {
    MutexLock lock(&mutex_);
    if (!end_) end_ = status;
    MaybeFinish();
  }

  void OnRead(bool ok) {
    if (!ok) return End(grpc::Status::OK);  // half-closed or broken: the worker is gone
    absl::StatusOr<wire::UpMessage> message = wire::FromProto(request_);
    if (!message.ok()) {
      return End(ToGrpcStatus(Malformed("INVALID_MESSAGE", message.status().message())));
    }
    bool is_attached = false;
    {
      MutexLock lock(&mutex_);
      is_attached = link_.has_value();
    }
    if (!is_attached) return OnFirst(*std::move(message));
    OnMessage(*std::move(message));
  }

  void OnWritten(bool ok) {
    MutexLock lock(&mutex_);
    is_writing_ = false;
    if (!ok && !end_) end_ = grpc::Status::CANCELLED;
    WriteNext();
    MaybeFinish();
  }

 private:
  void OnFirst(wire::UpMessage message) {
    auto* hello = std::get_if<wire::Hello>(&message);
    if (hello == nullptr) {
      return End(ToGrpcStatus(Malformed("HELLO_EXPECTED", "the first message must be hello")));
    }
    {
      MutexLock lock(&mutex_);
      if (end_) return;
      is_attaching_ = true;
    }
    gateway_.Attach(std::move(*hello), shared_from_this(),
                    [self = shared_from_this()](absl::StatusOr<Attachment> attachment) {
                      self->OnAttached(std::move(attachment));
                    });
  }

  void OnAttached(absl::StatusOr<Attachment> attachment) {
    MutexLock lock(&mutex_);
    is_attaching_ = false;
    if (attachment.ok()) {
      link_ = attachment->link;
      welcome_ = std::move(attachment->welcome);
    } else if (!end_) {
      end_ = ToGrpcStatus(attachment.status());
    }
    if (end_) return MaybeFinish();
    reactor_.StartRead(&request_);
    WriteNext();
  }

  // Under the lock, so that Detach is the last the supervisor hears of this link.
  void OnMessage(wire::UpMessage message) {
    MutexLock lock(&mutex_);
    if (end_) return;
    if (auto* report = std::get_if<wire::WorkerReport>(&message)) {
      gateway_.Report(*link_, std::move(*report));
    } else if (auto* goodbye = std::get_if<wire::Goodbye>(&message)) {
      gateway_.Goodbye(*link_, std::move(*goodbye));
    } else if (std::holds_alternative<wire::Hello>(message)) {
      end_ = ToGrpcStatus(Malformed("HELLO_REPEATED", "hello comes once"));
      return MaybeFinish();
    }  // OrderDone says nothing that the report before it has not said
    reactor_.StartRead(&request_);
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (is_writing_ || end_ || !link_) return;
    if (welcome_) {
      response_ = wire::ToProto(*std::exchange(welcome_, std::nullopt));
    } else if (order_) {
      response_ = wire::ToProto(*std::exchange(order_, std::nullopt));
    } else {
      return;
    }
    is_writing_ = true;
    reactor_.StartWrite(&response_);
  }

  void MaybeFinish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!end_ || is_writing_ || is_attaching_ || is_finished_) return;
    is_finished_ = true;
    if (link_) gateway_.Detach(*link_);
    reactor_.Finish(*end_);
  }

  Reactor& reactor_;  // alive until is_finished_
  WorkerGateway& gateway_;
  v1::AttachRequest request_;    // gRPC's between StartRead and OnRead
  v1::AttachResponse response_;  // gRPC's while is_writing_

  Mutex mutex_;
  std::optional<LinkId> link_ ABSL_GUARDED_BY(mutex_);            // once attached
  std::optional<wire::Welcome> welcome_ ABSL_GUARDED_BY(mutex_);  // to be sent, before any order
  std::optional<wire::Order> order_ ABSL_GUARDED_BY(mutex_);      // to be sent; newest only
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool is_attaching_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// Deletes itself when the call is over.
class AttachReactor final : public Stream::Reactor {
 public:
  explicit AttachReactor(WorkerGateway& gateway)
      : stream_(std::make_shared<Stream>(*this, gateway)) {
    stream_->Begin();
  }

  void OnReadDone(bool ok) override { stream_->OnRead(ok); }
  void OnWriteDone(bool ok) override { stream_->OnWritten(ok); }
  void OnCancel() override { stream_->End(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<Stream> stream_;  // shared with the supervisor, which may let go later
};

}  // namespace

grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* GatewayService::Attach(
    grpc::CallbackServerContext*) {
  return new AttachReactor(gateway_);
}

}  // namespace spillway::rpc
