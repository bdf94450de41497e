#include "worker/control/control_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/log.h"
#include "worker/control/process_usage.h"

namespace spillway::worker {
namespace {

constexpr std::chrono::milliseconds kWatchInterval{25};
// A server may hold on to a broken stream for some seconds, and refuse the next one as a double.
constexpr std::chrono::seconds kDoubleTolerance{30};

// "pools/flush/workers/3" → 3; none: -1
int32_t SlotOf(const std::string& worker) {
  int32_t slot = -1;
  const size_t slash = worker.rfind('/');
  const bool is_number =
      slash != std::string::npos && absl::SimpleAtoi(worker.substr(slash + 1), &slot);
  return is_number ? slot : -1;
}

wire::WorkerReport CompleteReport(const WorkerRole& role) {
  wire::WorkerReport report = role.Report();
  const ProcessUsage usage = ReadProcessUsage();
  report.cpu_time = usage.cpu_time;
  report.memory_bytes = usage.memory_bytes;
  return report;
}

}  // namespace

ControlLink::ControlLink(LinkConfig config, Loop& loop, WorkerRole& role, LinkEvents events)
    : config_(std::move(config)),
      hello_(config_.hello),
      loop_(loop),
      role_(role),
      events_(std::move(events)),
      timer_(loop, [this] { OnTimer(); }),
      goodbye_timer_(loop, [this] { FinishGoodbye(); }) {}

ControlLink::~ControlLink() = default;

void ControlLink::Start() { Dial(); }

void ControlLink::Dial() {
  const wire::WorkerReport report = role_.Report();
  wire::Hello hello = hello_;
  hello.shards = HeldShards(report);
  hello.is_draining = report.is_draining;
  welcome_.reset();
  unfulfilled_.reset();
  newest_order_ = 0;
  stream_ = std::make_unique<AttachStream>(
      config_.gateway, hello, loop_,
      AttachStream::Callbacks{[this](wire::DownMessage message) { OnReceived(std::move(message)); },
                              [this](const StreamEnd& end) { OnEnded(end); }});
  timer_.Start(config_.welcome_timeout);
}

void ControlLink::OnReceived(wire::DownMessage message) {
  if (has_ended_) return;
  if (const auto* welcome = std::get_if<wire::Welcome>(&message)) {
    OnWelcome(*welcome);
  } else if (const auto* order = std::get_if<wire::Order>(&message); order != nullptr && welcome_) {
    OnOrder(*order);
  }
}

void ControlLink::OnWelcome(const wire::Welcome& welcome) {
  Log(LogLevel::kInfo, "attached to the control plane",
      {{"worker", welcome.worker}, {"generation", welcome.generation.value}});
  welcome_ = welcome;
  failures_ = 0;
  refusal_.clear();
  doubled_since_.reset();
  if (const int32_t slot = SlotOf(welcome.worker); hello_.is_registered && slot >= 0) {
    hello_.slot = slot;
    hello_.generation = welcome.generation;
  }
  SendReport();
}

void ControlLink::OnOrder(const wire::Order& order) {
  if (order.sequence <= newest_order_) return;
  newest_order_ = order.sequence;
  unfulfilled_ = order;
  Log(LogLevel::kInfo, "order received",
      {{"order", order.sequence},
       {"shards", order.shards.size()},
       {"pause", order.pause},
       {"drain", order.drain}});
  role_.Obey(order);
  SendReport();
  if (order.drain && !std::exchange(is_drain_ordered_, true)) events_.drain_ordered();
}

void ControlLink::OnEnded(const StreamEnd& end) {
  stream_.reset();
  welcome_.reset();
  if (goodbye_done_ != nullptr) return FinishGoodbye();
  if (has_ended_) return;
  if (end.status.code() == absl::StatusCode::kPermissionDenied &&
      end.reason == "STALE_GENERATION") {
    has_ended_ = true;
    timer_.Stop();
    Log(LogLevel::kWarning, "dismissed by the control plane", {{"status", end.status}});
    return events_.dismissed(end.status);
  }
  ++failures_;
  const double random = std::uniform_real_distribution<double>(0, 1)(random_);
  const std::chrono::milliseconds delay = RedialDelay(failures_, random, config_.redial);
  // Every failed dial would be a line every few seconds for as long as the server is away.
  const bool is_news = failures_ <= 1 || std::exchange(refusal_, end.reason) != end.reason;
  refusal_ = end.reason;
  if (hello_.is_registered) Rest(end);
  Log(is_news ? LogLevel::kWarning : LogLevel::kDebug,
      "not attached to the control plane, working on",
      {{"status", end.status}, {"reason", end.reason}, {"redial_ms", delay.count()}});
  timer_.Start(delay);
}

// Without a place nothing is ours: whoever has one is told to take our shards, and both would take
// them from each other for ever. The same for a copy of a process that goes on elsewhere.
void ControlLink::Rest(const StreamEnd& end) {
  const Instant now = SystemClock().Now();
  const bool is_double = end.reason == "DUPLICATE_UID";
  if (!is_double) doubled_since_.reset();
  if (is_double && !doubled_since_) doubled_since_ = now;
  const bool is_copy = is_double && now - *doubled_since_ >= kDoubleTolerance;
  const bool is_placeless = end.reason == "POOL_FULL" || end.reason == "POOL_LAUNCHED";
  if (!is_copy && !is_placeless) return;
  wire::Order rest;
  rest.sequence = role_.Report().order_sequence;
  rest.pause = role_.Report().is_paused;
  role_.Obey(rest);
}

void ControlLink::OnTimer() {
  if (has_ended_) return;
  if (stream_ == nullptr) return Dial();
  if (!welcome_) return stream_->Cancel();  // OnEnded follows
  if (SystemClock().Now() >= next_report_) return SendReport();
  if (const wire::WorkerReport report = role_.Report(); MilestonesOf(report) != reported_) {
    return SendReport();
  }
  ScheduleTimer();
}

void ControlLink::SendReport() {
  wire::WorkerReport report = CompleteReport(role_);
  reported_ = MilestonesOf(report);
  const bool is_fulfilled = unfulfilled_ && IsFulfilled(*unfulfilled_, config_.hello.role, report);
  stream_->Send(std::move(report));
  if (is_fulfilled) {
    stream_->Send(wire::OrderDone{unfulfilled_->sequence});
    unfulfilled_.reset();
  }
  next_report_ = SystemClock().Now() + welcome_->report_interval;
  ScheduleTimer();
}

void ControlLink::ScheduleTimer() {
  const Duration until_report = std::max<Duration>(next_report_ - SystemClock().Now(), Duration(0));
  const bool is_watching = unfulfilled_.has_value() || !reported_.is_ready;
  timer_.Start(is_watching ? std::min<Duration>(until_report, kWatchInterval) : until_report);
}

void ControlLink::SayGoodbye(const std::string& reason, Duration timeout,
                             absl::AnyInvocable<void()> done) {
  const bool was_attached = welcome_.has_value() && !has_ended_;
  has_ended_ = true;
  timer_.Stop();
  goodbye_done_ = std::move(done);
  if (!was_attached) {
    stream_.reset();
    return FinishGoodbye();
  }
  wire::WorkerReport report = CompleteReport(role_);
  std::vector<wire::HeldShard> held = HeldShards(report);
  stream_->Send(std::move(report));
  stream_->Send(wire::Goodbye{reason, std::move(held)});
  stream_->HalfClose();
  goodbye_timer_.Start(timeout);
}

void ControlLink::FinishGoodbye() {
  goodbye_timer_.Stop();
  stream_.reset();
  if (goodbye_done_ != nullptr) std::exchange(goodbye_done_, nullptr)();
}

}  // namespace spillway::worker
