// What operators and readers ask of the supervisor's core.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/supervisor/core.h"

namespace spillway::supervisor {

absl::StatusOr<const fleet::Pool*> Supervisor::Core::FindPool(const std::string& name) const {
  if (is_closed_ || fleet_.is_shutting_down) {
    return ServerStopping();
  }
  const fleet::Pool* pool = fleet::FindPool(fleet_, name);
  if (pool != nullptr && pool->is_configured) return pool;
  return Refusal(absl::StatusCode::kNotFound, "POOL_NOT_FOUND",
                 absl::StrCat(fleet::PoolName(name), ": there is no such pool"));
}

absl::Status Supervisor::Core::CheckResize(const ResizeRequest& request,
                                           const fleet::Pool& pool) const {
  const std::string name = fleet::PoolName(pool.name);
  if (pool.scale_owner == config::ScaleOwner::kExternal) {
    return Refusal(absl::StatusCode::kFailedPrecondition, "EXTERNALLY_SCALED",
                   absl::StrCat(name, ": its size is decided elsewhere (scale_owner: external)"));
  }
  const int32_t min = request.min.value_or(pool.min), max = request.max.value_or(pool.max);
  return CheckSizes(request.desired, min, max);
}

absl::Status Supervisor::Core::CheckSizes(int32_t desired, int32_t min, int32_t max) {
  if (min < 0 || max > kMaxWorkers || min > max) {
    return Refusal(
        absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
        absl::StrCat("min: ", min, ", max: ", max, ": expected 0 <= min <= max <= ", kMaxWorkers));
  }
  if (desired < min || desired > max) {
    return Refusal(absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
                   absl::StrCat("desired: ", desired, ": expected from ", min, " to ", max));
  }
  return absl::OkStatus();
}

std::vector<ShardId> Supervisor::Core::KnownShards() const {
  std::vector<ShardId> shards;
  for (const auto& [id, shard] : fleet_.shards) shards.push_back(id);
  return shards;
}

uint64_t Supervisor::Core::PossiblyPersisted(ShardId shard) const {
  uint64_t deliveries = 0;
  for (const auto& [key, worker] : fleet_.workers) {
    if (worker.report == nullptr) continue;
    for (const wire::ShardReport& report : worker.report->shards) {
      if (report.shard == shard) deliveries += report.possibly_persisted;
    }
  }
  return deliveries;
}

void Supervisor::Core::Audit(std::optional<ShardId> shard, AuditDone done) {
  if (is_closed_ || fleet_.is_shutting_down) {
    return done(ServerStopping());
  }
  const std::vector<ShardId> shards = shard ? std::vector{*shard} : KnownShards();
  if (shards.empty()) {
    return done(Refusal(absl::StatusCode::kUnavailable, "SHARDS_UNKNOWN",
                        "waits to learn which shards there are"));
  }
  books_->Audit(shards, [weak = weak_from_this(), shard, done = std::move(done)](
                            absl::StatusOr<std::vector<ShardAudit>> audits) mutable {
    const auto core = weak.lock();
    if (!audits.ok() || core == nullptr) return done(std::move(audits));
    for (ShardAudit& audit : *audits) {
      audit.possibly_persisted = core->PossiblyPersisted(audit.shard);
    }
    const bool is_nowhere = shard && !core->fleet_.shards.contains(*shard) &&
                            audits->front().code == buffer::StoreCode::kOk &&
                            !audits->front().reply.summary.exists;
    if (!is_nowhere) return done(std::move(audits));
    done(Refusal(absl::StatusCode::kNotFound, "SHARD_NOT_FOUND",
                 absl::StrCat("shards/", shard->value, ": there is no such shard")));
  });
}

SnapshotPtr Supervisor::Core::Snapshot() const {
  MutexLock lock(&mutex_);
  return snapshot_;
}

void Supervisor::Core::Subscribe(std::shared_ptr<Listening> listening) {
  listening->Tell(Snapshot());
  subscriptions_.Add(std::move(listening));
}

void Supervisor::Core::MarkChanged() {
  if (is_closed_ || std::exchange(is_publish_posted_, true)) return;
  parts_.loop.Post([weak = weak_from_this()] {
    const auto core = weak.lock();
    if (core != nullptr && !core->is_closed_) core->PublishNow();
  });
}

void Supervisor::Core::Publish() {
  is_publish_posted_ = false;
  ++sequence_;
  const auto snapshot = std::make_shared<const FleetSnapshot>(BuildSnapshot(fleet_, Around()));
  for (const ShardView& shard : snapshot->shards) {
    if (IsOwned(shard)) owned_at_[shard.id] = snapshot->at;
  }
  {
    MutexLock lock(&mutex_);
    snapshot_ = snapshot;
  }
  subscriptions_.Tell(snapshot);
}

Surroundings Supervisor::Core::Around() const {
  Surroundings around;
  around.sequence = sequence_;
  around.now = parts_.clock.Now();
  around.wall = parts_.clock.Wall();
  around.operations = operations_.Views();
  around.drop_rules = drop_rule_views_;
  around.etag_salt = etag_salt_;
  around.discovery = discovery_;
  around.start_times = start_times_;
  around.restart = config_.restart;
  around.handover_timeout = config_.health.handover_timeout;
  around.owned_at = owned_at_;
  around.activity = &activity_;
  if (books_ != nullptr) {
    around.ledgers = books_->ledgers();
    around.audits = books_->audits();
  }
  if (parts_.recorder != nullptr) around.recorder = parts_.recorder->health();
  return around;
}

}  // namespace spillway::supervisor
