// The workers' side of the supervisor: what GatewayService (server/rpc) passes on, and the link
// through which the supervisor answers.
#ifndef SPILLWAY_SERVER_SUPERVISOR_WORKER_GATEWAY_H_
#define SPILLWAY_SERVER_SUPERVISOR_WORKER_GATEWAY_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/wire/worker_report.h"

namespace spillway::supervisor {

// One worker's stream, as the supervisor sees it. Implemented by server/rpc. Called on the loop's
// thread only; must not block; calls after the stream has ended do nothing.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  // The newest order counts: one that has not been sent yet may be replaced.
  virtual void SendOrder(const wire::Order& order) = 0;
  // Ends the stream with this status; then WorkerGateway::Detach is still called.
  virtual void Close(const absl::Status& status) = 0;
};

// Names one attached stream; never reused.
struct LinkId {
  uint64_t value = 0;
  auto operator<=>(const LinkId&) const = default;
};

struct Attachment {
  LinkId link;
  wire::Welcome welcome;
};

// Thread-safe; every method returns at once. Calls for one stream are handled in their order.
class WorkerGateway {
 public:
  virtual ~WorkerGateway() = default;
  // A worker has said Hello. `done` is called once on the loop's thread: with what to answer
  // (send Welcome before any order), or with a refusal to end the stream with. Refusals:
  // PERMISSION_DENIED / STALE_GENERATION, ALREADY_EXISTS / DUPLICATE_UID,
  // NOT_FOUND / WORKER_NOT_FOUND, UNAVAILABLE / SERVER_STOPPING (dial again later); of a
  // registered worker also RESOURCE_EXHAUSTED / POOL_FULL, FAILED_PRECONDITION / POOL_LAUNCHED.
  // The link is shared with the stream's reactor, which may end at any moment.
  virtual void Attach(wire::Hello hello, std::shared_ptr<WorkerLink> link,
                      absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done) = 0;
  virtual void Report(LinkId link, wire::WorkerReport report) = 0;
  virtual void Goodbye(LinkId link, wire::Goodbye goodbye) = 0;
  // The stream has ended, whoever ended it. Call it for every accepted Attach, last.
  virtual void Detach(LinkId link) = 0;
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_WORKER_GATEWAY_H_
