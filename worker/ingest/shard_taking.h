// Becoming the ingest owner of a shard: what Kafka knows, then `take`, then what Kafka knows now.
#ifndef SPILLWAY_WORKER_INGEST_SHARD_TAKING_H_
#define SPILLWAY_WORKER_INGEST_SHARD_TAKING_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "buffer/shard_store.h"
#include "kafka/consumer.h"
#include "proto/wire/worker_report.h"

namespace spillway::ingest {

// A shard that is ours, and where to read it from.
struct TakenShard {
  buffer::TakeReply reply;
  Offset start = 0;              // reading begins here
  Offset committed = kNoOffset;  // C as Kafka has it now; kNoOffset: none for this log
};

struct TakeFailure {
  wire::Cause cause =
      wire::Cause::kRedis;    // kKafka, kRedis, kRedisMoving; kOwnership: try again now
  bool has_created = false;   // what Redis holds of the shard: there was nothing
  bool has_counted = false;   // what Redis had forgotten: do not tell it again
  bool needs_person = false;  // keys that we do not understand
  std::string message;
};

// One try. The order matters. C and the log's end are asked again after the call: only from then on
// can no former owner move C and W. That is why the call itself is made without an end: with an old
// one, a former owner's progress (or a late copy of this very call) would look like a log that was
// replaced. If the end then is below W, it was; a second call says so.
//
// Loop thread only; destroying it forgets the callbacks.
class ShardTaking {
 public:
  struct Request {
    ShardId shard;
    uint64_t proposed_number = 0;
    std::function<uint64_t()> draw_owner;  // anew for each call
    Duration query_timeout{};
    // As in buffer::TakeRequest; reached_at_most kNoOffset: somebody else may have moved W, up to
    // the log's end. One who still does so while this asks Kafka is beyond the bound.
    Offset reached = kNoOffset;
    Offset reached_at_most = kNoOffset;
    bool was_set_back = false;
  };
  struct Callbacks {
    absl::AnyInvocable<void(TakenShard)> taken;    // one of the two, once;
    absl::AnyInvocable<void(TakeFailure)> failed;  // may destroy this
  };

  ShardTaking(const Request& request, kafka::Consumer& consumer, buffer::IngestStore& store,
              Callbacks callbacks);
  void Start();
  wire::Cause waits_for() const { return waits_for_; }  // kKafka or kRedis

 private:
  void Fail(wire::Cause cause, std::string message, bool needs_person = false);
  void FailKafka(const absl::Status& status);
  // Wraps a member so that it is only called while this lives.
  template <typename T>
  absl::AnyInvocable<void(T)> Guarded(void (ShardTaking::*member)(T));
  void OnCommitted(absl::StatusOr<Offset> committed);
  void OnIdentity(absl::StatusOr<kafka::TopicIdentity> identity);
  void OnExtent(absl::StatusOr<kafka::PartitionExtent> extent);
  void OnTaken(buffer::StoreResult<buffer::TakeReply> result);
  void OnCommittedAgain(absl::StatusOr<Offset> committed);
  void OnExtentAgain(absl::StatusOr<kafka::PartitionExtent> extent);
  void Take(Offset log_end);
  void Finish();

  const Request request_;
  kafka::Consumer& consumer_;
  buffer::IngestStore& store_;
  Callbacks callbacks_;
  buffer::TakeRequest take_;
  TakenShard taken_;
  Offset committed_now_ = kNoOffset;
  bool is_end_known_ = false;  // the second call
  wire::Cause waits_for_ = wire::Cause::kKafka;
  bool has_created_ = false;
  bool has_counted_ = false;
  uint64_t replayed_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_SHARD_TAKING_H_
