// A worker's line to the control plane: kept up for the worker's whole life, never needed for its
// work. Without a control plane the role goes on as it was told last, and this dials for ever.
#ifndef SPILLWAY_WORKER_CONTROL_CONTROL_LINK_H_
#define SPILLWAY_WORKER_CONTROL_CONTROL_LINK_H_

#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/loop.h"
#include "proto/wire/convert.h"
#include "worker/control/attach_stream.h"
#include "worker/control/order_progress.h"
#include "worker/control/redial.h"
#include "worker/control/worker_role.h"

namespace spillway::worker {

struct LinkConfig {
  std::string gateway;  // "unix:/run/spillway/gateway.sock", "host:port"
  // Who this is; shards and is_draining are filled in at each dial, and if it is registered slot
  // and generation from the newest Welcome.
  wire::Hello hello;
  RedialLimits redial;
  std::chrono::milliseconds welcome_timeout{10'000};  // then the call is given up and dialled again
};

// What the process must do about what it is told. Called on the loop's thread, each at most once.
struct LinkEvents {
  // An order says drain: the process calls WorkerRole::Drain and ends, as for SIGTERM.
  absl::AnyInvocable<void()> drain_ordered;
  // A newer process has this place: end. Not dialled again.
  absl::AnyInvocable<void(absl::Status)> dismissed;
};

// Sends a report every interval, at once after an order and when something the control plane waits
// for has changed (looked at every kWatchInterval while an order is not fulfilled or the worker is
// not ready); passes orders to the role, newest only, and says when they are fulfilled. A
// registered worker that is refused a place gives its shards up, since they are somebody else's by
// then. Loop thread only. `loop` and `role` must outlive it.
class ControlLink {
 public:
  ControlLink(LinkConfig config, Loop& loop, WorkerRole& role, LinkEvents events);
  ~ControlLink();
  ControlLink(const ControlLink&) = delete;
  ControlLink& operator=(const ControlLink&) = delete;

  void Start();
  // Sends a last report and Goodbye, ends the stream in order, and calls `done` when that is done,
  // when there is no stream, or after `timeout`. Dials no more. Once.
  void SayGoodbye(const std::string& reason, Duration timeout, absl::AnyInvocable<void()> done);

  bool is_attached() const { return welcome_.has_value(); }

 private:
  void Dial();
  void OnReceived(wire::DownMessage message);
  void OnEnded(const StreamEnd& end);
  void OnWelcome(const wire::Welcome& welcome);
  void OnOrder(const wire::Order& order);
  void OnTimer();
  void ScheduleTimer();
  void SendReport();
  void FinishGoodbye();
  void Rest(const StreamEnd& end);

  const LinkConfig config_;
  wire::Hello hello_;
  Loop& loop_;
  WorkerRole& role_;
  LinkEvents events_;
  std::mt19937_64 random_{std::random_device{}()};

  std::unique_ptr<AttachStream> stream_;    // null while waiting to dial
  std::optional<wire::Welcome> welcome_;    // of the present stream
  std::optional<wire::Order> unfulfilled_;  // newest order of this stream, not yet reported done
  uint64_t newest_order_ = 0;               // of this stream
  Milestones reported_;                     // in the newest report of this stream
  Instant next_report_;
  int failures_ = 0;                      // dials in a row without a Welcome
  std::string refusal_;                   // the newest one's reason; empty: not refused
  std::optional<Instant> doubled_since_;  // refused for its uid ever since
  bool has_ended_ = false;                // dismissed, or said goodbye
  bool is_drain_ordered_ = false;
  absl::AnyInvocable<void()> goodbye_done_;
  Timer timer_;  // redial, welcome timeout, next report or look at progress: whichever is next
  Timer goodbye_timer_;
};

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_CONTROL_CONTROL_LINK_H_
