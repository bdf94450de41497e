#include "proto/wire/convert.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "proto/wire/dead_epoch.h"
#include "proto/wire/drop_rule_proto.h"
#include "proto/wire/hello_checks.h"
#include "proto/wire/shard_parts.h"

namespace spillway::wire {
namespace {

using google::protobuf::Timestamp;
using ProtoDuration = google::protobuf::Duration;

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kMaxSeconds = 9'000'000'000;  // fits an int64_t of nanoseconds

absl::Status Invalid(absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", problem));
}

// Absent: zero.
absl::StatusOr<Duration> ReadDuration(absl::string_view field, const ProtoDuration& proto) {
  if (proto.seconds() < 0 || proto.nanos() < 0) return Invalid(field, "negative duration");
  if (proto.seconds() > kMaxSeconds || proto.nanos() >= kNanosPerSecond) {
    return Invalid(field, "not a valid duration");
  }
  return std::chrono::seconds(proto.seconds()) + Duration(proto.nanos());
}

template <typename Unit>
absl::Status ReadDurationInto(absl::string_view field, const ProtoDuration& proto, Unit& target) {
  ASSIGN_OR_RETURN(const Duration value, ReadDuration(field, proto));
  target = std::chrono::duration_cast<Unit>(value);
  return absl::OkStatus();
}

absl::StatusOr<Role> ReadRole(absl::string_view field, v1::Role role) {
  switch (role) {
    case v1::ROLE_INGEST:
      return Role::kIngest;
    case v1::ROLE_FLUSH:
      return Role::kFlush;
    default:
      return Invalid(field, absl::StrCat("role ", static_cast<int>(role), " is not known here"));
  }
}

absl::StatusOr<GateState> ReadGateState(absl::string_view field, v1::GateState state) {
  switch (state) {
    case v1::GATE_STATE_UNSPECIFIED:
      return Invalid(field, "unspecified");
    case v1::GATE_STATE_OPEN:
      return GateState::kOpen;
    case v1::GATE_STATE_SLOW:
      return GateState::kSlow;
    case v1::GATE_STATE_CLOSED:
    default:
      return GateState::kClosed;
  }
}

absl::StatusOr<ShardStage> ReadStage(absl::string_view field, v1::ShardStage stage) {
  switch (stage) {
    case v1::SHARD_STAGE_UNSPECIFIED:
      return Invalid(field, "unspecified");
    case v1::SHARD_STAGE_ACQUIRING:
      return ShardStage::kAcquiring;
    case v1::SHARD_STAGE_RELEASING:
      return ShardStage::kReleasing;
    case v1::SHARD_STAGE_OWNED:
    default:
      return ShardStage::kOwned;
  }
}

// The message says that there is a cause; which one may be newer than this build.
Cause ReadCause(v1::Cause cause) {
  if (cause <= v1::CAUSE_UNSPECIFIED || cause > v1::CAUSE_OWNERSHIP) return Cause::kUnknown;
  return static_cast<Cause>(cause);
}

absl::StatusOr<ShardId> ReadShard(absl::string_view field, int32_t shard) {
  if (shard < 0 || shard > kMaxShard) {
    return Invalid(field, absl::StrCat("shard ", shard, ": expected 0 to ", kMaxShard));
  }
  return ShardId{shard};
}

// Errors: no shard's number, or one that is already in `seen`.
absl::StatusOr<ShardId> ReadNewShard(absl::string_view field, int32_t shard,
                                     std::set<ShardId>& seen) {
  ASSIGN_OR_RETURN(const ShardId id, ReadShard(field, shard));
  if (!seen.insert(id).second) return Invalid(field, absl::StrCat("shard ", shard, " twice"));
  return id;
}

absl::StatusOr<GateReport> ReadGate(const v1::Gate& proto) {
  GateReport gate;
  ASSIGN_OR_RETURN(gate.state, ReadGateState("report.shards.gate.state", proto.state()));
  gate.cause = gate.state == GateState::kOpen ? Cause::kNone : ReadCause(proto.cause());
  gate.since = ReadTime(proto.since());
  gate.episodes = proto.episodes();
  return gate;
}

absl::StatusOr<ShardReport> ReadShardReport(const v1::ShardReport& proto, std::set<ShardId>& seen) {
  ShardReport shard;
  ASSIGN_OR_RETURN(shard.shard, ReadNewShard("report.shards.shard", proto.shard(), seen));
  ASSIGN_OR_RETURN(shard.stage, ReadStage("report.shards.stage", proto.stage()));
  RETURN_IF_ERROR(ReadDurationInto("report.shards.lateness", proto.lateness(), shard.lateness));
  if (proto.has_gate()) {
    ASSIGN_OR_RETURN(shard.gate, ReadGate(proto.gate()));
  }
  if (proto.has_event_clock()) shard.event_clock = EventTimeOf(ReadTime(proto.event_clock()));
  if (proto.is_blocked()) shard.blocked_cause = ReadCause(proto.blocked_cause());
  shard.epoch = {proto.epoch_number(), proto.epoch_owner()};
  shard.backlog = proto.backlog();
  shard.in_flight = proto.in_flight();
  shard.watermark = proto.watermark();
  shard.low_watermark = proto.low_watermark();
  shard.input_lag = proto.input_lag();
  shard.progress = proto.progress();
  shard.has_work = proto.has_work();
  shard.spans = proto.spans();
  shard.segments = proto.segments();
  shard.index_bytes = proto.index_bytes();
  shard.rejected = proto.rejected();
  shard.deduplicated = proto.deduplicated();
  shard.possibly_persisted = proto.possibly_persisted();
  shard.redis_losses = proto.redis_losses();
  shard.redis_rollbacks = proto.redis_rollbacks();
  shard.replaced_logs = proto.replaced_logs();
  shard.unreplayable = proto.unreplayable();
  shard.unwritten = proto.unwritten();
  shard.is_committed = proto.is_committed();
  shard.claims_of_others = proto.claims_of_others();
  RETURN_IF_ERROR(ReadActivity(proto.activity_ns(), shard.times));
  return shard;
}

v1::ShardReport ShardReportToProto(const ShardReport& shard) {
  v1::ShardReport proto;
  proto.set_shard(shard.shard.value);
  proto.set_stage(StageToProto(shard.stage));
  proto.set_epoch_number(shard.epoch.number);
  proto.set_epoch_owner(shard.epoch.owner);
  proto.set_backlog(shard.backlog);
  proto.set_in_flight(shard.in_flight);
  *proto.mutable_lateness() = ToProto(Duration(shard.lateness));
  *proto.mutable_gate() = ToProto(shard.gate);
  proto.set_watermark(shard.watermark);
  proto.set_low_watermark(shard.low_watermark);
  proto.set_input_lag(shard.input_lag);
  if (shard.event_clock.ms >= 0) *proto.mutable_event_clock() = ToProto(shard.event_clock);
  proto.set_progress(shard.progress);
  proto.set_has_work(shard.has_work);
  proto.set_is_blocked(shard.blocked_cause != Cause::kNone);
  proto.set_blocked_cause(ToProto(shard.blocked_cause));
  proto.set_spans(shard.spans);
  proto.set_segments(shard.segments);
  proto.set_index_bytes(shard.index_bytes);
  proto.set_rejected(shard.rejected);
  proto.set_deduplicated(shard.deduplicated);
  proto.set_possibly_persisted(shard.possibly_persisted);
  proto.set_redis_losses(shard.redis_losses);
  proto.set_redis_rollbacks(shard.redis_rollbacks);
  proto.set_replaced_logs(shard.replaced_logs);
  proto.set_unreplayable(shard.unreplayable);
  proto.set_unwritten(shard.unwritten);
  proto.set_is_committed(shard.is_committed);
  proto.set_claims_of_others(shard.claims_of_others);
  WriteActivity(shard.times, *proto.mutable_activity_ns());
  return proto;
}

absl::StatusOr<Lateness> ReadLateness(const v1::LatenessHistogram& proto) {
  Lateness lateness;
  if (static_cast<size_t>(proto.counts_size()) != lateness.counts.size()) {
    return Invalid(
        "report.lateness.counts",
        absl::StrCat(proto.counts_size(), " buckets, expected ", lateness.counts.size()));
  }
  std::copy(proto.counts().begin(), proto.counts().end(), lateness.counts.begin());
  lateness.sum_seconds = proto.sum_seconds();
  return lateness;
}

Compression ReadCompression(const v1::Compression& proto) {
  return {.dictionary = proto.dictionary(),
          .dictionary_bytes = proto.dictionary_bytes(),
          .trained = proto.trained(),
          .adopted = proto.adopted(),
          .dropped = proto.dropped(),
          .chunks = proto.chunks(),
          .dictionary_chunks = proto.dictionary_chunks(),
          .body_bytes = proto.body_bytes(),
          .stored_bytes = proto.stored_bytes()};
}

absl::StatusOr<UpMessage> ReadReport(const v1::Report& proto) {
  RETURN_IF_ERROR(CheckShardCount("report.shards", proto.shards_size()));
  WorkerReport report;
  report.sequence = proto.sequence();
  std::set<ShardId> seen;
  for (const v1::ShardReport& shard : proto.shards()) {
    ASSIGN_OR_RETURN(ShardReport value, ReadShardReport(shard, seen));
    report.shards.push_back(std::move(value));
  }
  RETURN_IF_ERROR(ReadDurationInto("report.cpu_time", proto.cpu_time(), report.cpu_time));
  if (proto.memory_bytes() < 0) return Invalid("report.memory_bytes", "negative");
  report.memory_bytes = proto.memory_bytes();
  for (const v1::Blocked& blocked : proto.blocked()) {
    auto& total = report.blocked[static_cast<size_t>(ReadCause(blocked.cause()))];
    std::chrono::milliseconds value{0};
    RETURN_IF_ERROR(ReadDurationInto("report.blocked.total", blocked.total(), value));
    total += value;  // several unknown causes share a place
  }
  if (proto.has_lateness()) {
    ASSIGN_OR_RETURN(report.lateness, ReadLateness(proto.lateness()));
  }
  for (int i = 0; i < std::min(kMaxTexts, proto.waiting_for_size()); ++i) {
    report.waiting_for.push_back(Shortened(proto.waiting_for(i)));
  }
  report.order_sequence = proto.order_sequence();
  report.is_ready = proto.is_ready();
  report.is_draining = proto.is_draining();
  report.is_drained = proto.is_drained();
  report.is_paused = proto.is_paused();
  report.is_redis_ok = proto.is_redis_ok();
  report.is_kafka_ok = proto.is_kafka_ok();
  report.compression = ReadCompression(proto.compression());
  return report;
}

v1::Report ReportToProto(const WorkerReport& report) {
  v1::Report proto;
  proto.set_sequence(report.sequence);
  for (const ShardReport& shard : report.shards) *proto.add_shards() = ShardReportToProto(shard);
  *proto.mutable_cpu_time() = ToProto(Duration(report.cpu_time));
  proto.set_memory_bytes(report.memory_bytes);
  for (size_t i = 1; i < kCauseCount; ++i) {  // 0 is "none"
    if (report.blocked[i].count() == 0) continue;
    v1::Blocked* blocked = proto.add_blocked();
    blocked->set_cause(ToProto(static_cast<Cause>(i)));
    *blocked->mutable_total() = ToProto(Duration(report.blocked[i]));
  }
  for (const std::string& sentence : report.waiting_for) proto.add_waiting_for(sentence);
  proto.set_order_sequence(report.order_sequence);
  proto.set_is_ready(report.is_ready);
  proto.set_is_draining(report.is_draining);
  proto.set_is_drained(report.is_drained);
  proto.set_is_paused(report.is_paused);
  proto.set_is_redis_ok(report.is_redis_ok);
  proto.set_is_kafka_ok(report.is_kafka_ok);
  *proto.mutable_compression() = ToProto(report.compression);
  for (uint64_t count : report.lateness.counts) proto.mutable_lateness()->add_counts(count);
  proto.mutable_lateness()->set_sum_seconds(report.lateness.sum_seconds);
  return proto;
}

using HeldShardProtos = google::protobuf::RepeatedPtrField<v1::HeldShard>;

absl::StatusOr<std::vector<HeldShard>> ReadHeld(absl::string_view field,
                                                const HeldShardProtos& protos) {
  RETURN_IF_ERROR(CheckShardCount(field, protos.size()));
  std::vector<HeldShard> held;
  std::set<ShardId> seen;
  for (const v1::HeldShard& proto : protos) {
    ASSIGN_OR_RETURN(const ShardId shard, ReadNewShard(field, proto.shard(), seen));
    held.push_back({shard, {proto.epoch_number(), proto.epoch_owner()}});
  }
  return held;
}

void HeldToProto(const std::vector<HeldShard>& held, HeldShardProtos& protos) {
  for (const HeldShard& shard : held) {
    v1::HeldShard* proto = protos.Add();
    proto->set_shard(shard.shard.value);
    proto->set_epoch_number(shard.epoch.number);
    proto->set_epoch_owner(shard.epoch.owner);
  }
}

absl::StatusOr<UpMessage> ReadHello(const v1::Hello& proto) {
  RETURN_IF_ERROR(CheckHello(proto));
  Hello hello;
  ASSIGN_OR_RETURN(hello.role, ReadRole("hello.role", proto.role()));
  ASSIGN_OR_RETURN(hello.shards, ReadHeld("hello.shards", proto.shards()));
  hello.uid = proto.uid();
  hello.pid = proto.pid();
  hello.start_time = ReadTime(proto.start_time());
  hello.version = proto.version();
  hello.pool = proto.pool();
  hello.slot = proto.slot();
  hello.generation = {proto.generation()};
  hello.is_draining = proto.is_draining();
  hello.is_registered = proto.is_registered();
  hello.config_digest = proto.config_digest();
  return hello;
}

v1::Hello HelloToProto(const Hello& hello) {
  v1::Hello proto;
  proto.set_uid(hello.uid);
  proto.set_pid(hello.pid);
  *proto.mutable_start_time() = ToProto(hello.start_time);
  proto.set_version(hello.version);
  proto.set_role(ToProto(hello.role));
  proto.set_pool(hello.pool);
  proto.set_slot(hello.slot);
  proto.set_generation(hello.generation.value);
  HeldToProto(hello.shards, *proto.mutable_shards());
  proto.set_is_draining(hello.is_draining);
  proto.set_is_registered(hello.is_registered);
  proto.set_config_digest(hello.config_digest);
  return proto;
}

absl::StatusOr<DownMessage> ReadWelcome(const v1::Welcome& proto) {
  Welcome welcome;
  welcome.worker = proto.worker();
  welcome.generation = {proto.generation()};
  RETURN_IF_ERROR(ReadDurationInto("welcome.report_interval", proto.report_interval(),
                                   welcome.report_interval));
  if (welcome.report_interval.count() == 0) return Invalid("welcome.report_interval", "zero");
  return welcome;
}

absl::StatusOr<DownMessage> ReadOrder(const v1::Order& proto) {
  Order order;
  std::set<ShardId> seen;
  for (int32_t shard : proto.shards()) {
    ASSIGN_OR_RETURN(const ShardId id, ReadNewShard("order.shards", shard, seen));
    order.shards.push_back(id);
  }
  order.sequence = proto.sequence();
  order.pause = proto.pause();
  order.drain = proto.drain();
  for (const v1::DeadEpoch& dead : proto.dead()) {
    if (!seen.contains(ShardId{dead.shard()})) return Invalid("order.dead", "not in order.shards");
    order.dead.push_back(ReadDeadEpoch(dead));
  }
  for (const int32_t idle : proto.idle()) {
    if (!seen.contains(ShardId{idle})) return Invalid("order.idle", "not in order.shards");
    order.idle.push_back({idle});
  }
  ASSIGN_OR_RETURN(order.retake, ReadHeld("order.retake", proto.retake()));
  ASSIGN_OR_RETURN(order.drop_rules, ReadDropRules(proto));
  return order;
}

v1::Order OrderToProto(const Order& order) {
  v1::Order proto;
  proto.set_sequence(order.sequence);
  for (ShardId shard : order.shards) proto.add_shards(shard.value);
  proto.set_pause(order.pause);
  proto.set_drain(order.drain);
  for (const DeadEpoch& dead : order.dead) WriteDeadEpoch(dead, *proto.add_dead());
  for (const ShardId idle : order.idle) proto.add_idle(idle.value);
  HeldToProto(order.retake, *proto.mutable_retake());
  for (const DropRule& rule : order.drop_rules) *proto.add_drop_rules() = DropRuleToProto(rule);
  return proto;
}

}  // namespace

absl::StatusOr<UpMessage> FromProto(const v1::AttachRequest& proto) {
  switch (proto.message_case()) {
    case v1::AttachRequest::kHello:
      return ReadHello(proto.hello());
    case v1::AttachRequest::kReport:
      return ReadReport(proto.report());
    case v1::AttachRequest::kOrderDone:
      return OrderDone{proto.order_done().sequence()};
    case v1::AttachRequest::kGoodbye: {
      Goodbye goodbye;
      goodbye.reason = Shortened(proto.goodbye().reason());
      ASSIGN_OR_RETURN(goodbye.shards, ReadHeld("goodbye.shards", proto.goodbye().shards()));
      return goodbye;
    }
    case v1::AttachRequest::MESSAGE_NOT_SET:
      break;
  }
  return Invalid("message", "none that is known here is set");
}

absl::StatusOr<DownMessage> FromProto(const v1::AttachResponse& proto) {
  switch (proto.message_case()) {
    case v1::AttachResponse::kWelcome:
      return ReadWelcome(proto.welcome());
    case v1::AttachResponse::kOrder:
      return ReadOrder(proto.order());
    case v1::AttachResponse::MESSAGE_NOT_SET:
      break;
  }
  return Invalid("message", "none that is known here is set");
}

v1::AttachRequest ToProto(const UpMessage& message) {
  v1::AttachRequest proto;
  if (const auto* hello = std::get_if<Hello>(&message)) {
    *proto.mutable_hello() = HelloToProto(*hello);
  } else if (const auto* report = std::get_if<WorkerReport>(&message)) {
    *proto.mutable_report() = ReportToProto(*report);
  } else if (const auto* done = std::get_if<OrderDone>(&message)) {
    proto.mutable_order_done()->set_sequence(done->sequence);
  } else if (const auto* goodbye = std::get_if<Goodbye>(&message)) {
    proto.mutable_goodbye()->set_reason(goodbye->reason);
    HeldToProto(goodbye->shards, *proto.mutable_goodbye()->mutable_shards());
  }
  return proto;
}

v1::AttachResponse ToProto(const DownMessage& message) {
  v1::AttachResponse proto;
  if (const auto* welcome = std::get_if<Welcome>(&message)) {
    proto.mutable_welcome()->set_worker(welcome->worker);
    proto.mutable_welcome()->set_generation(welcome->generation.value);
    *proto.mutable_welcome()->mutable_report_interval() =
        ToProto(Duration(welcome->report_interval));
  } else if (const auto* order = std::get_if<Order>(&message)) {
    *proto.mutable_order() = OrderToProto(*order);
  }
  return proto;
}

v1::Role ToProto(Role role) { return role == Role::kIngest ? v1::ROLE_INGEST : v1::ROLE_FLUSH; }

v1::GateState ToProto(GateState state) {
  switch (state) {
    case GateState::kOpen:
      return v1::GATE_STATE_OPEN;
    case GateState::kSlow:
      return v1::GATE_STATE_SLOW;
    case GateState::kClosed:
      return v1::GATE_STATE_CLOSED;
  }
  return v1::GATE_STATE_CLOSED;
}

v1::Cause ToProto(Cause cause) {
  static_assert(static_cast<int>(Cause::kOwnership) == v1::CAUSE_OWNERSHIP,
                "same order as the proto");
  if (cause == Cause::kUnknown) return v1::CAUSE_UNSPECIFIED;
  return static_cast<v1::Cause>(cause);
}

v1::Compression ToProto(const Compression& compression) {
  v1::Compression proto;
  proto.set_dictionary(compression.dictionary);
  proto.set_dictionary_bytes(compression.dictionary_bytes);
  proto.set_trained(compression.trained);
  proto.set_adopted(compression.adopted);
  proto.set_dropped(compression.dropped);
  proto.set_chunks(compression.chunks);
  proto.set_dictionary_chunks(compression.dictionary_chunks);
  proto.set_body_bytes(compression.body_bytes);
  proto.set_stored_bytes(compression.stored_bytes);
  return proto;
}
v1::Gate ToProto(const GateReport& gate) {
  v1::Gate proto;
  proto.set_state(ToProto(gate.state));
  proto.set_cause(ToProto(gate.cause));
  *proto.mutable_since() = ToProto(gate.since);
  proto.set_episodes(gate.episodes);
  return proto;
}

ProtoDuration ToProto(Duration duration) {
  const int64_t nanos = std::max<int64_t>(0, duration.count());
  ProtoDuration proto;
  proto.set_seconds(nanos / kNanosPerSecond);
  proto.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  return proto;
}

WallTime ReadTime(const Timestamp& proto) {
  return {proto.seconds() * kMicrosPerSecond + proto.nanos() / 1000};
}

Timestamp ToProto(WallTime time) {
  const int64_t us = std::max<int64_t>(0, time.us);
  Timestamp proto;
  proto.set_seconds(us / kMicrosPerSecond);
  proto.set_nanos(static_cast<int32_t>(us % kMicrosPerSecond) * 1000);
  return proto;
}

Timestamp ToProto(EventTime time) { return ToProto(WallTime{time.ms * 1000}); }

}  // namespace spillway::wire
