// What a worker and the control plane tell each other, as plain values: the inside of
// proto/spillway/v1/gateway.proto, where each field's meaning stands. Converted in wire/convert.h.
#ifndef SPILLWAY_PROTO_WIRE_WORKER_REPORT_H_
#define SPILLWAY_PROTO_WIRE_WORKER_REPORT_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/time_account.h"
#include "proto/wire/drop_rule.h"

namespace spillway::wire {

enum class Role { kIngest, kFlush };
enum class GateState { kOpen, kSlow, kClosed };
enum class Cause {
  kNone,
  kLateness,
  kBacklog,
  kRedisMemory,
  kRedis,
  kRedisMoving,
  kKafka,
  kDeadLetter,
  kIndex,
  kOwnership,
  kUnknown,  // told by a newer peer: there is a cause, but not which
};
inline constexpr size_t kCauseCount = 11;
enum class ShardStage { kAcquiring, kOwned, kReleasing };
// What a worker does with a shard, or waits for: one at any instant. Meanings: v1::Activity, whose
// numbers are one higher.
enum class Activity {
  kIdle,
  kEncode,
  kRedis,
  kKafkaQueue,
  kBroker,
  kGate,
  kOwnership,
  kPaused,
  kRoom,
};
inline constexpr size_t kActivityCount = 9;
using ActivityAccount = TimeAccount<Activity, kActivityCount>;
using ActivityTimes = ActivityAccount::Times;

// The labels of metrics, logs and the command line: "redis_memory", "closed", "flush".
const char* CauseName(Cause cause);
const char* GateStateName(GateState state);
const char* RoleName(Role role);
const char* ActivityName(Activity activity);

// Upper bounds of the lateness histogram's buckets, in seconds; one more bucket is above them.
inline constexpr std::array<double, 14> kLatenessBounds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                                           2,    5,     10,   30,  60,   120, 300};

struct Lateness {
  std::array<uint64_t, kLatenessBounds.size() + 1> counts{};
  double sum_seconds = 0;
  void Record(std::chrono::microseconds lateness);  // a negative one counts as zero
  bool operator==(const Lateness&) const = default;
};

struct GateReport {
  GateState state = GateState::kOpen;
  Cause cause = Cause::kNone;
  WallTime since;
  int64_t episodes = 0;
  bool operator==(const GateReport&) const = default;
};

struct ShardReport {
  ShardId shard;
  ShardStage stage = ShardStage::kAcquiring;
  Epoch epoch;
  uint64_t backlog = 0;
  uint64_t in_flight = 0;
  std::chrono::milliseconds lateness{0};
  GateReport gate;
  Offset watermark = 0;
  Offset low_watermark = kNoOffset;
  int64_t input_lag = -1;
  EventTime event_clock;
  uint64_t progress = 0;
  bool has_work = false;
  Cause blocked_cause = Cause::kNone;  // kNone: not blocked
  uint64_t spans = 0;
  uint64_t segments = 0;
  uint64_t index_bytes = 0;
  uint64_t rejected = 0;
  uint64_t deduplicated = 0;
  uint64_t possibly_persisted = 0;
  uint64_t redis_losses = 0;
  uint64_t redis_rollbacks = 0;
  uint64_t replaced_logs = 0;
  uint64_t unreplayable = 0;
  uint64_t unwritten = 0;
  bool is_committed = false;
  uint64_t claims_of_others = 0;
  ActivityTimes times{};
  bool operator==(const ShardReport&) const = default;
};

// How an ingest worker's chunks are compressed. Counted since its start; chunks without spans are
// not.
struct Compression {
  std::string dictionary;  // id of the one in use, 8 hex digits; empty: none
  uint64_t dictionary_bytes = 0;
  uint64_t trained = 0, adopted = 0;  // dictionaries; adopted: found in a shard
  uint64_t dropped = 0;               // from shards that had no use for them any more
  uint64_t chunks = 0;
  uint64_t dictionary_chunks = 0;  // of them, compressed with a dictionary
  uint64_t body_bytes = 0;         // of the chunks before compression
  uint64_t stored_bytes = 0;       // and after
  bool operator==(const Compression&) const = default;
};

// Always complete; cpu_time, memory_bytes and sequence are filled in by the control link.
struct WorkerReport {
  uint64_t sequence = 0;
  std::vector<ShardReport> shards;
  std::chrono::microseconds cpu_time{0};
  int64_t memory_bytes = 0;
  bool is_ready = false;
  std::array<std::chrono::milliseconds, kCauseCount> blocked{};  // by Cause, since start
  std::vector<std::string> waiting_for;
  uint64_t order_sequence = 0;
  bool is_draining = false;
  bool is_drained = false;
  bool is_paused = false;
  bool is_redis_ok = false;
  bool is_kafka_ok = false;
  Lateness lateness;
  Compression compression;  // ingest only
  bool operator==(const WorkerReport&) const = default;
};

// The epoch of a process that is proven dead.
struct DeadEpoch {
  ShardId shard;
  Epoch epoch;
  std::optional<ClaimId> in_hand{};  // the claim that the process worked on when it ended
  bool operator==(const DeadEpoch&) const = default;
};

struct HeldShard {
  ShardId shard;
  Epoch epoch;
  bool operator==(const HeldShard&) const = default;
};

struct Order {
  uint64_t sequence = 0;
  std::vector<ShardId> shards;  // flush only
  bool pause = false;
  bool drain = false;
  std::vector<DeadEpoch> dead{};       // flush only; of `shards`
  std::vector<ShardId> idle{};         // flush only; of `shards`: claim nothing of these
  std::vector<HeldShard> retake{};     // ingest only: to be given up and taken from nothing
  std::vector<DropRule> drop_rules{};  // ingest only; at most kMaxDropRules
  bool operator==(const Order&) const = default;
};

// All of the order with this sequence is true now.
struct OrderDone {
  uint64_t sequence = 0;
  bool operator==(const OrderDone&) const = default;
};

struct Hello {
  std::string uid;
  int64_t pid = 0;
  WallTime start_time;
  std::string version;
  Role role = Role::kIngest;
  std::string pool;
  int32_t slot = 0;
  Generation generation;
  std::vector<HeldShard> shards;
  bool is_draining = false;
  bool is_registered = false;
  uint64_t config_digest = 0;  // of the settings it works by; 0: not said
  bool operator==(const Hello&) const = default;
};

struct Welcome {
  std::string worker;
  Generation generation;
  std::chrono::milliseconds report_interval{1000};
  bool operator==(const Welcome&) const = default;
};

struct Goodbye {
  std::string reason;
  std::vector<HeldShard> shards;
  bool operator==(const Goodbye&) const = default;
};

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_WORKER_REPORT_H_
