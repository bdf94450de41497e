// A member of a Kafka consumer group, cooperative rebalancing, one queue per partition.
#ifndef SPILLWAY_KAFKA_CONSUMER_H_
#define SPILLWAY_KAFKA_CONSUMER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/loop.h"

namespace spillway::kafka {

struct ClientConfig {
  std::string brokers;
  std::map<std::string, std::string> properties;  // to librdkafka as they are, over our defaults
  std::string client_id;
};

// One message, valid while the Batch that holds it lives.
struct Message {
  Offset offset = kNoOffset;
  std::optional<EventTime> timestamp;
  absl::string_view payload;  // empty and is_tombstone: null
  absl::string_view key;
  bool is_tombstone = false;
};

// Messages of one partition in offset order; owns librdkafka's. Movable.
class Batch {
 public:
  virtual ~Batch() = default;
  virtual const std::vector<Message>& messages() const = 0;
};

struct PartitionExtent {
  Offset log_start = 0;  // first offset that exists
  Offset log_end = 0;    // next offset producers will write
};

struct TopicIdentity {
  std::string cluster_id;
  std::string topic;
  std::string topic_id;  // empty where the client cannot learn it
};

// Told on the loop thread.
class ConsumerListener {
 public:
  virtual ~ConsumerListener() = default;
  // Newly ours; nothing is fetched or delivered for it until StartAt.
  virtual void OnAssigned(const std::vector<ShardId>& shards) = 0;
  // Called before they are given back; when it returns they are. `lost`: the group has already
  // given them to others (commits will fail).
  virtual void OnRevoked(const std::vector<ShardId>& shards, bool lost) = 0;
  // `shard` may have messages to Read, or may have reached the end of its partition. Told when its
  // queue stops being empty: Read until it answers null, else no further call comes.
  virtual void OnReadable(ShardId shard) = 0;
  // For people and reports; the client goes on by itself unless `fatal`.
  virtual void OnError(const absl::Status& status, bool fatal) = 0;
};

// Loop thread only, but for what says otherwise. Destruction leaves the group (bounded wait). A
// shard that is not ours answers FAILED_PRECONDITION, null or false.
//
// Offsets handed out rise, with gaps where the log has them. Only where the log was replaced (its
// end fell below what was read) do they fall: whoever sees that must take the shard from nothing.
class Consumer {
 public:
  virtual ~Consumer() = default;

  // Begins delivery of an assigned partition at `offset`, or begins it anew: what was fetched
  // before is thrown away.
  virtual absl::Status StartAt(ShardId shard, Offset offset) = 0;
  // At most `max_bytes` / `max_messages` that have already been fetched; never blocks; null: none.
  virtual std::unique_ptr<Batch> Read(ShardId shard, size_t max_messages, size_t max_bytes) = 0;
  // True if everything up to the partition's end as last seen was handed out by Read. False again
  // from the loss of a broker until that end has been confirmed.
  virtual bool IsAtEnd(ShardId shard) const = 0;
  // The partition's end as its broker told it last; empty: not yet known. Never blocks.
  virtual std::optional<Offset> LogEnd(ShardId shard) const = 0;
  // While paused Read answers null; fetching goes on until the partition's queue is full.
  virtual void Pause(ShardId shard) = 0;
  virtual void Resume(ShardId shard) = 0;
  // Asynchronous; `done` on the loop thread. Only for shards that are ours.
  virtual void Commit(ShardId shard, Offset offset,
                      absl::AnyInvocable<void(absl::Status)> done) = 0;
  // These ask the broker and may take until `timeout`; run on libuv's pool, `done` on the loop.
  virtual void Committed(ShardId shard, Duration timeout,
                         absl::AnyInvocable<void(absl::StatusOr<Offset>)> done) = 0;
  virtual void Extent(ShardId shard, Duration timeout,
                      absl::AnyInvocable<void(absl::StatusOr<PartitionExtent>)> done) = 0;
  virtual void Identity(Duration timeout,
                        absl::AnyInvocable<void(absl::StatusOr<TopicIdentity>)> done) = 0;
  // Leaves the group, waiting for its answer kLeaveTimeout at most; no callbacks afterwards.
  virtual void Close() = 0;
  static constexpr Duration kLeaveTimeout = std::chrono::seconds(5);
};

struct ConsumerConfig {
  ClientConfig client;
  std::string topic;
  std::string group;
};

// Sets group.id, cooperative-sticky, earliest, no auto commit, end-of-partition events; and, unless
// the properties say otherwise, session.timeout.ms=10000 and queued.max.messages.kbytes=16384,
// which bounds what is fetched ahead for each partition. `listener` and `loop` must outlive the
// consumer. Errors: INVALID_ARGUMENT naming the property. Unreachable brokers are no error: it
// keeps trying.
absl::StatusOr<std::unique_ptr<Consumer>> MakeConsumer(const ConsumerConfig& config, Loop& loop,
                                                       ConsumerListener& listener);

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_CONSUMER_H_
