// One call of GatewayService.Attach, from dialling to its end.
#ifndef SPILLWAY_WORKER_CONTROL_ATTACH_STREAM_H_
#define SPILLWAY_WORKER_CONTROL_ATTACH_STREAM_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/loop.h"
#include "proto/wire/convert.h"

namespace spillway::worker {

// How a stream ended: the status, and the reason of its google.rpc.ErrorInfo ("" if it has none).
struct StreamEnd {
  absl::Status status;
  std::string reason;
};

// Runs on gRPC's threads; tells its owner on the loop's. Everything public: loop thread only.
// Destroying it cancels the call and waits until gRPC has finished with it (milliseconds); no
// callback comes afterwards. The channel must go here and not on a gRPC thread: the last one to go
// joins those threads.
class AttachStream {
 public:
  struct Callbacks {
    absl::AnyInvocable<void(wire::DownMessage)> received;  // must not destroy the stream
    absl::AnyInvocable<void(StreamEnd)> ended;             // once, last; may destroy the stream
  };

  // Dials `target` ("unix:/path", "host:port") and sends `hello` first.
  AttachStream(const std::string& target, const wire::Hello& hello, Loop& loop,
               Callbacks callbacks);
  ~AttachStream();
  AttachStream(const AttachStream&) = delete;
  AttachStream& operator=(const AttachStream&) = delete;

  // Queues one message. A report that could not be sent yet is replaced by a newer one (its
  // sequence number is given when it is sent), so a slow peer bounds the queue.
  void Send(wire::UpMessage message);
  // Sends what is queued, then says that no more will come: the peer ends the stream.
  void HalfClose();
  // Ends it with CANCELLED.
  void Cancel();

 private:
  class Reactor;
  std::unique_ptr<Reactor> reactor_;
};

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_CONTROL_ATTACH_STREAM_H_
