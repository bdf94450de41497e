#include "worker/ingest/shard_taking.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"

namespace spillway::ingest {

ShardTaking::ShardTaking(const Request& request, kafka::Consumer& consumer,
                         buffer::IngestStore& store, Callbacks callbacks)
    : request_(request), consumer_(consumer), store_(store), callbacks_(std::move(callbacks)) {}

template <typename T>
absl::AnyInvocable<void(T)> ShardTaking::Guarded(void (ShardTaking::*member)(T)) {
  return [this, alive = std::weak_ptr<bool>(alive_), member](T value) {
    if (!alive.expired()) (this->*member)(std::move(value));
  };
}

void ShardTaking::Fail(wire::Cause cause, std::string message, bool needs_person) {
  callbacks_.failed({.cause = cause,
                     .has_created = has_created_,
                     .has_counted = has_counted_,
                     .needs_person = needs_person,
                     .message = std::move(message)});
}

void ShardTaking::FailKafka(const absl::Status& status) {
  Fail(wire::Cause::kKafka, absl::StrCat("Kafka: ", status.message()));
}

void ShardTaking::Start() {
  consumer_.Committed(request_.shard, request_.query_timeout, Guarded(&ShardTaking::OnCommitted));
}

void ShardTaking::OnCommitted(absl::StatusOr<Offset> committed) {
  if (!committed.ok()) return FailKafka(committed.status());
  take_.committed = *committed;
  consumer_.Identity(request_.query_timeout, Guarded(&ShardTaking::OnIdentity));
}

void ShardTaking::OnIdentity(absl::StatusOr<kafka::TopicIdentity> identity) {
  if (!identity.ok()) return FailKafka(identity.status());
  take_.input = {
      .cluster_id = identity->cluster_id, .topic = identity->topic, .topic_id = identity->topic_id};
  consumer_.Extent(request_.shard, request_.query_timeout, Guarded(&ShardTaking::OnExtent));
}

void ShardTaking::OnExtent(absl::StatusOr<kafka::PartitionExtent> extent) {
  if (!extent.ok()) return FailKafka(extent.status());
  take_.log_start = extent->log_start;
  take_.reached = request_.reached;
  take_.reached_at_most =
      request_.reached_at_most == kNoOffset ? extent->log_end : request_.reached_at_most;
  take_.was_set_back = request_.was_set_back;
  Take(std::numeric_limits<Offset>::max());
}

void ShardTaking::Take(Offset log_end) {
  take_.log_end = log_end;
  take_.proposed_number = std::max(request_.proposed_number, taken_.reply.epoch.number);
  take_.owner = request_.draw_owner();
  waits_for_ = wire::Cause::kRedis;
  store_.Take(request_.shard, take_, Guarded(&ShardTaking::OnTaken));
}

void ShardTaking::OnTaken(buffer::StoreResult<buffer::TakeReply> result) {
  using buffer::StoreCode;
  waits_for_ = wire::Cause::kKafka;
  if (result.ok()) {
    SPILLWAY_FAILPOINT("ingest.take.answered");
    taken_.reply = std::move(result.value);
    has_created_ = has_created_ || taken_.reply.is_created;
    replayed_ += taken_.reply.replayed;
    has_counted_ = true;
    take_.reached = kNoOffset;
    take_.was_set_back = false;
    consumer_.Committed(request_.shard, request_.query_timeout,
                        Guarded(&ShardTaking::OnCommittedAgain));
    return;
  }
  const wire::Cause cause =
      result.code == StoreCode::kMoving ? wire::Cause::kRedisMoving : wire::Cause::kRedis;
  Fail(cause, absl::StrCat("Redis: ", result.message), result.code == StoreCode::kInvalid);
}

void ShardTaking::OnCommittedAgain(absl::StatusOr<Offset> committed) {
  if (!committed.ok()) return FailKafka(committed.status());
  committed_now_ = *committed;
  if (is_end_known_) return Finish();
  consumer_.Extent(request_.shard, request_.query_timeout, Guarded(&ShardTaking::OnExtentAgain));
}

void ShardTaking::OnExtentAgain(absl::StatusOr<kafka::PartitionExtent> extent) {
  if (!extent.ok()) return FailKafka(extent.status());
  is_end_known_ = true;
  if (extent->log_end >= taken_.reply.watermark) return Finish();
  take_.log_start = extent->log_start;
  Take(extent->log_end);
}

void ShardTaking::Finish() {
  SPILLWAY_FAILPOINT("ingest.take.confirmed");
  taken_.reply.is_created = has_created_;
  taken_.reply.replayed = replayed_;
  const buffer::TakeReply& reply = taken_.reply;
  taken_.start = reply.start;
  taken_.committed = reply.is_new_log ? kNoOffset : std::max(take_.committed, committed_now_);
  // What was committed in the meantime stands above what the store was told. Of a replaced log the
  // store alone knows where to begin.
  if (committed_now_ > take_.committed && !reply.is_new_log) {
    if (committed_now_ > reply.watermark) {
      return Fail(wire::Cause::kOwnership,
                  "a former owner committed more while the shard was taken");
    }
    taken_.start = std::max(committed_now_, take_.log_start);
  }
  callbacks_.taken(std::move(taken_));
}

}  // namespace spillway::ingest
