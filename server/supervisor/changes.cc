// Operators' changes: validated, recorded, done, answered; in this order, one at a time.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "server/supervisor/core.h"
#include "server/supervisor/recorded_pools.h"

namespace spillway::supervisor {

void Supervisor::Core::Resize(ResizeRequest request, PoolDone done) {
  Wanted wanted{.action = "ResizePool", .pool = request.pool};
  wanted.origin = std::move(request.origin);
  wanted.resize = std::move(request);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

void Supervisor::Core::Act(const char* action, fleet::Event verb, std::string pool, Origin origin,
                           PoolDone done) {
  Enqueue({.action = action,
           .pool = std::move(pool),
           .verb = std::move(verb),
           .origin = std::move(origin),
           .done = std::move(done)});
}

void Supervisor::Core::DrainPool(std::string pool, Duration timeout, Origin origin, PoolDone done) {
  Enqueue({.action = "DrainPool",
           .pool = pool,
           .verb = fleet::PoolDrained{pool, timeout},
           .detail = absl::StrCat("within ", fleet::SecondsText(timeout)),
           .origin = std::move(origin),
           .done = std::move(done)});
}

void Supervisor::Core::Restart(RestartRequest request, PoolDone done) {
  const bool is_all = request.scope == fleet::RestartScope::kAll;
  Enqueue({.action = "RestartPool",
           .pool = request.pool,
           .verb = fleet::PoolRestarted{request.pool, request.scope, request.max_unavailable},
           .detail = absl::StrCat(is_all ? "all" : "failed", " workers, at most ",
                                  request.max_unavailable, " unavailable"),
           .origin = std::move(request.origin),
           .done = std::move(done)});
}

void Supervisor::Core::RestartWorker(fleet::WorkerKey worker, Origin origin, PoolDone done) {
  Enqueue({.action = "RestartWorker",
           .pool = worker.pool,
           .verb = fleet::WorkerRestarted{worker},
           .worker = worker,
           .origin = std::move(origin),
           .done = std::move(done)});
}

void Supervisor::Core::RestartShard(ShardId shard, Origin origin, PoolDone done) {
  Wanted wanted{.action = "RestartShard", .pool = ""};
  wanted.verb = fleet::ShardRestarted{shard};
  wanted.shard = shard;
  wanted.origin = std::move(origin);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

absl::Status Supervisor::Core::FindOwner(Wanted& wanted) const {
  const std::string name = absl::StrCat("shards/", wanted.shard->value);
  if (!fleet_.shards.contains(*wanted.shard)) {
    return Refusal(absl::StatusCode::kNotFound, "SHARD_NOT_FOUND",
                   absl::StrCat(name, ": there is no such shard"));
  }
  for (const wire::Role role : {wire::Role::kFlush, wire::Role::kIngest}) {
    const fleet::ShardHolder holder = fleet::FindHolder(fleet_, role, *wanted.shard);
    if (holder.worker == nullptr) continue;
    absl::StrAppend(&wanted.detail, wanted.detail.empty() ? "" : ", ",
                    fleet::WorkerName(holder.worker->key));
    if (wanted.pool.empty()) wanted.pool = holder.worker->key.pool;
  }
  if (!wanted.pool.empty()) return absl::OkStatus();
  return Refusal(absl::StatusCode::kFailedPrecondition, "SHARD_NOT_HELD",
                 absl::StrCat(name, ": no worker has it"));
}

std::string Supervisor::Core::TargetOf(const Wanted& wanted) {
  if (wanted.shard) return absl::StrCat("shards/", wanted.shard->value);
  if (wanted.drop_rule) return wire::DropRuleName(wanted.drop_rule->rule.name);
  if (wanted.ended_drop_rule) return wire::DropRuleName(*wanted.ended_drop_rule);
  return wanted.worker ? fleet::WorkerName(*wanted.worker) : fleet::PoolName(wanted.pool);
}

absl::Status Supervisor::Core::CheckVerb(const Wanted& wanted, const fleet::Pool& pool) const {
  if (wanted.worker) {
    const std::string name = fleet::WorkerName(*wanted.worker);
    if (absl::Status status = CheckWorker(*wanted.worker); !status.ok()) return status;
    if (!fleet_.workers.at(*wanted.worker).is_wanted) {
      return Refusal(absl::StatusCode::kFailedPrecondition, "WORKER_NOT_WANTED",
                     absl::StrCat(name, ": is going away; its pool has no place for it"));
    }
  }
  if (absl::Status status = CheckLaunched(*wanted.verb, pool); !status.ok()) return status;
  const auto* restart = std::get_if<fleet::PoolRestarted>(&*wanted.verb);
  if (restart != nullptr && restart->max_unavailable < 1) {
    return Refusal(
        absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
        absl::StrCat("max_unavailable: ", restart->max_unavailable, ": expected 1 or more"));
  }
  const auto* drain = std::get_if<fleet::PoolDrained>(&*wanted.verb);
  if (drain != nullptr && drain->timeout <= Duration(0)) {
    return Refusal(absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
                   "timeout: expected a positive duration");
  }
  const bool suits_stopped = std::holds_alternative<fleet::PoolStarted>(*wanted.verb) ||
                             std::holds_alternative<fleet::PoolStopped>(*wanted.verb);
  if (pool.state == fleet::PoolState::kStopped && !suits_stopped) {
    return Refusal(absl::StatusCode::kFailedPrecondition, "POOL_STOPPED",
                   absl::StrCat(fleet::PoolName(pool.name), ": is stopped; start it first"));
  }
  return absl::OkStatus();
}

void Supervisor::Core::Enqueue(Wanted wanted) {
  if (changes_.size() >= kMaxWaitingChanges) {
    return wanted.done(Refusal(absl::StatusCode::kResourceExhausted, "TOO_MANY_CHANGES",
                               absl::StrCat(kMaxWaitingChanges, " changes wait for the disk")));
  }
  changes_.push_back(std::move(wanted));
  TakeNext();
}

void Supervisor::Core::TakeNext() {
  while (!is_recording_ && !changes_.empty()) {
    Wanted wanted = std::move(changes_.front());
    changes_.pop_front();
    absl::StatusOr<fleet::Event> event = Plan(wanted);
    if (!event.ok()) {
      Refuse(std::move(wanted), event.status());
    } else if (wanted.origin.validate_only) {
      AnswerPreview(std::move(wanted), *event);
    } else if (Draft(wanted, *event); parts_.recorder == nullptr) {
      Finish(std::move(wanted), *std::move(event));
    } else {
      Record(std::move(wanted), *std::move(event));
    }
  }
}

void Supervisor::Core::AnswerPreview(Wanted wanted, const fleet::Event& event) const {
  if (IsAboutDropRules(wanted)) return wanted.done(PoolView{});
  const fleet::Pool pool = PoolBefore(wanted, event);
  PoolView view = ToView(fleet::Wished(pool, event), fleet_, Around());
  view.etag = EtagOf(pool, etag_salt_);
  view.operation = operations_.View(wanted.cancels);  // null unless it is one that is known
  fleet::Preview preview = fleet::PreviewOf(fleet_, event, limits_);
  view.preview = std::make_shared<const fleet::Preview>(std::move(preview));
  wanted.done(std::move(view));
}

absl::StatusOr<fleet::Event> Supervisor::Core::Plan(Wanted& wanted) const {
  if (wanted.shard) {
    if (absl::Status status = FindOwner(wanted); !status.ok()) return status;
    return *wanted.verb;
  }
  if (IsAboutDropRules(wanted)) return PlanDropRules(wanted);
  if (wanted.creation) return PlanCreation(*wanted.creation);
  if (wanted.cancels != 0) RETURN_IF_ERROR(CheckCancel(wanted.cancels));
  const absl::StatusOr<const fleet::Pool*> pool = FindPool(wanted.pool);
  if (!pool.ok()) return pool.status();
  const std::string& etag = wanted.origin.etag;
  if (!etag.empty() && etag != EtagOf(**pool, etag_salt_)) {
    return Refusal(
        absl::StatusCode::kAborted, "ETAG_MISMATCH",
        absl::StrCat(fleet::PoolName(wanted.pool), ": has changed meanwhile; read it again"));
  }
  if (wanted.cancels != 0) return PlanCancel(wanted, **pool);
  if (wanted.update) return PlanUpdate(*wanted.update, **pool);
  if (wanted.deletion) return PlanDeletion(*wanted.deletion, **pool);
  if (wanted.verb) {
    if (absl::Status status = CheckVerb(wanted, **pool); !status.ok()) return status;
    return *wanted.verb;
  }
  const ResizeRequest& resize = *wanted.resize;
  if (absl::Status status = CheckResize(resize, **pool); !status.ok()) return status;
  return fleet::PoolResized{wanted.pool, resize.desired, resize.min.value_or((*pool)->min),
                            resize.max.value_or((*pool)->max)};
}

void Supervisor::Core::Refuse(Wanted wanted, const absl::Status& status) {
  // The server's own end is no news, and neither is a question.
  if (!absl::IsUnavailable(status) && !wanted.origin.validate_only && !wanted.is_own) {
    record::Event event;
    event.actor = wanted.origin.actor;
    event.action = wanted.action;
    event.target = TargetOf(wanted);
    if (wanted.resize) event.after = absl::StrCat("desired ", wanted.resize->desired);
    event.outcome = RefusalReason(status);
    event.detail = std::string(status.message());
    Journal(std::move(event));
  }
  wanted.done(status);
}

record::Change Supervisor::Core::ToRecord(const Wanted& wanted, const fleet::Event& event) const {
  if (IsAboutDropRules(wanted)) return DropRulesToRecord(wanted);
  const fleet::Pool pool = PoolBefore(wanted, event);
  const fleet::Pool wished = fleet::Wished(pool, event);
  const WallTime now = parts_.clock.Wall();
  record::Change change;
  if (wanted.deletion) {
    change.forgotten_pools.push_back(pool.name);
  } else {
    change.pools.push_back(RecordOf(wished));
    for (const config::Pool& configured : config_.pools) {
      if (configured.name == pool.name) change.pools[0].configured = ConfiguredSizes(configured);
    }
  }
  if (!wanted.origin.request_id.empty()) {
    change.request = {wanted.origin.request_id, wanted.origin.fingerprint,  now,
                      WishOf(wished),           EtagOf(wished, etag_salt_), wanted.number};
  }
  record::Event entry;
  entry.time = now;
  entry.actor = wanted.origin.actor;
  entry.action = wanted.action;
  entry.target = TargetOf(wanted);
  entry.detail = wanted.detail;
  if (!wanted.creation) entry.before = WishText(pool);
  if (!wanted.deletion) entry.after = WishText(wished);
  entry.outcome = "OK";
  change.events.push_back(std::move(entry));
  change.operations = wanted.operations;
  return change;
}

void Supervisor::Core::Record(Wanted wanted, fleet::Event event) {
  is_recording_ = true;
  operations_.Hold(wanted.operations);
  record::Change change = ToRecord(wanted, event);
  auto shared = std::make_shared<Wanted>(std::move(wanted));
  parts_.recorder->Commit(
      std::move(change), [core = shared_from_this(), shared,
                          event = std::move(event)](const absl::Status& status) mutable {
        core->loop().Post([core, shared, event = std::move(event), status]() mutable {
          core->OnRecorded(std::move(*shared), std::move(event), status);
        });
      });
}

void Supervisor::Core::OnRecorded(Wanted wanted, fleet::Event event, const absl::Status& status) {
  is_recording_ = false;
  operations_.Hold({});
  WatchRecord();
  if (is_closed_) {
    // On record or not: whoever asks the next server with the same id learns it.
    wanted.done(Refusal(absl::StatusCode::kUnavailable, "SERVER_STOPPING", "the server is gone"));
  } else if (status.ok()) {
    SPILLWAY_FAILPOINT("server.change.recorded");
    Finish(std::move(wanted), std::move(event));
  } else {
    Log(LogLevel::kWarning, "change refused: it cannot be recorded",
        {{"target", TargetOf(wanted)}, {"error", status}});
    Refuse(std::move(wanted), Refusal(absl::StatusCode::kFailedPrecondition, "STATE_NOT_WRITABLE",
                                      absl::StrCat("nothing was changed: ", status.message())));
  }
  TakeNext();
}

void Supervisor::Core::Finish(Wanted wanted, fleet::Event event) {
  if (IsAboutDropRules(wanted)) return FinishDropRules(std::move(wanted), std::move(event));
  for (const record::Operation& operation : wanted.operations) operations_.Put(operation);
  if (!wanted.operations.empty()) MarkChanged();
  std::optional<PoolView> view;
  if (wanted.deletion) view = ToView(*fleet::FindPool(fleet_, wanted.pool), fleet_, Around());
  Apply(std::move(event));
  AnswerWaits();
  PublishNow();
  if (!view) view = ToView(*fleet::FindPool(fleet_, wanted.pool), fleet_, Around());
  view->operation = operations_.View(wanted.number);
  wanted.done(*std::move(view));
}

void Supervisor::Core::Journal(record::Event event) {
  if (parts_.recorder == nullptr) return;
  event.time = parts_.clock.Wall();
  parts_.recorder->Note(std::move(event));
}

void Supervisor::Core::JournalDeath(const fleet::WorkerKey& worker, Generation generation,
                                    fleet::Exited exit) {
  const auto found = fleet_.workers.find(worker);
  const bool is_known = found != fleet_.workers.end() && found->second.has_process &&
                        found->second.generation == generation;
  if (parts_.recorder == nullptr || !is_known) return;
  const fleet::Worker& ended = found->second;
  record::Death death;
  death.time = parts_.clock.Wall();
  death.pool = worker.pool;
  death.slot = worker.slot;
  death.pid = ended.pid;
  death.generation = generation;
  switch (exit.kind) {
    case fleet::Exited::Kind::kExited:
      death.kind = record::EndKind::kExited;
      break;
    case fleet::Exited::Kind::kSignaled:
      death.kind = record::EndKind::kSignaled;
      break;
    case fleet::Exited::Kind::kUnknown:
      break;
  }
  death.value = exit.value;
  death.last_lines = std::exchange(exit.last_lines, {});  // not in the text, too
  death.is_expected = !ended.is_failed && (ended.state == fleet::WorkerState::kDraining ||
                                           ended.state == fleet::WorkerState::kStopping);
  death.reason = fleet::DeathText(ended, exit, parts_.clock.Now());
  if (ended.is_failed) death.reason = absl::StrCat(ended.health.evidence, "; ", death.reason);
  parts_.recorder->Note(std::move(death));
}

void Supervisor::Core::WatchRecord() {
  if (parts_.recorder == nullptr) return;
  const bool is_failing = !RecordCheck(parts_.recorder->health(), parts_.clock.Now()).ok;
  if (std::exchange(is_record_failing_, is_failing) != is_failing) MarkChanged();
}

}  // namespace spillway::supervisor
