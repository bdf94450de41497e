#include "server/rpc/operation_messages.h"

#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "proto/wire/convert.h"
#include "server/rpc/resource_messages.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::rpc {
namespace {

v1::OperationKind ToProto(fleet::OperationKind kind) {
  switch (kind) {
    case fleet::OperationKind::kStartPool:
      return v1::OPERATION_KIND_START_POOL;
    case fleet::OperationKind::kStopPool:
      return v1::OPERATION_KIND_STOP_POOL;
    case fleet::OperationKind::kResizePool:
      return v1::OPERATION_KIND_RESIZE_POOL;
    case fleet::OperationKind::kRestartPool:
      return v1::OPERATION_KIND_RESTART_POOL;
    case fleet::OperationKind::kRestartWorker:
      return v1::OPERATION_KIND_RESTART_WORKER;
    case fleet::OperationKind::kDrainPool:
      return v1::OPERATION_KIND_DRAIN_POOL;
    case fleet::OperationKind::kCreatePool:
      return v1::OPERATION_KIND_CREATE_POOL;
    case fleet::OperationKind::kUpdatePool:
      return v1::OPERATION_KIND_UPDATE_POOL;
    case fleet::OperationKind::kDeletePool:
      return v1::OPERATION_KIND_DELETE_POOL;
  }
  return v1::OPERATION_KIND_UNSPECIFIED;
}

v1::OperationState ToProto(fleet::OperationState state) {
  switch (state) {
    case fleet::OperationState::kRunning:
      return v1::OPERATION_STATE_RUNNING;
    case fleet::OperationState::kSucceeded:
      return v1::OPERATION_STATE_SUCCEEDED;
    case fleet::OperationState::kFailed:
      return v1::OPERATION_STATE_FAILED;
    case fleet::OperationState::kCancelled:
      return v1::OPERATION_STATE_CANCELLED;
  }
  return v1::OPERATION_STATE_FAILED;
}

v1::WorkerPhase ToProto(fleet::WorkerPhase phase) {
  switch (phase) {
    case fleet::WorkerPhase::kWaiting:
      return v1::WORKER_PHASE_WAITING;
    case fleet::WorkerPhase::kDraining:
      return v1::WORKER_PHASE_DRAINING;
    case fleet::WorkerPhase::kEnding:
      return v1::WORKER_PHASE_ENDING;
    case fleet::WorkerPhase::kStarting:
      return v1::WORKER_PHASE_STARTING;
    case fleet::WorkerPhase::kDone:
      return v1::WORKER_PHASE_DONE;
    case fleet::WorkerPhase::kFailed:
      return v1::WORKER_PHASE_FAILED;
  }
  return v1::WORKER_PHASE_WAITING;
}

v1::Plan PlanMessage(const fleet::Preview& preview) {
  v1::Plan plan;
  for (const fleet::WorkerKey& worker : preview.starts) plan.add_starts(fleet::WorkerName(worker));
  for (const fleet::WorkerKey& worker : preview.ends) plan.add_ends(fleet::WorkerName(worker));
  for (const fleet::WorkerKey& worker : preview.restarts) {
    plan.add_restarts(fleet::WorkerName(worker));
  }
  for (const fleet::ShardMove& move : preview.moves) {
    v1::ShardMove& message = *plan.add_moves();
    message.set_shard(ShardName(move.shard));
    if (move.from) message.set_from(fleet::WorkerName(*move.from));
    if (move.to) message.set_to(fleet::WorkerName(*move.to));
  }
  if (preview.pause) *plan.mutable_expected_pause() = wire::ToProto(*preview.pause);
  for (const std::string& note : preview.notes) plan.add_notes(note);
  return plan;
}

void AddWorker(const supervisor::OperationView& operation,
               const supervisor::FleetSnapshot& snapshot, Instant now, v1::Operation& message) {
  if (operation.slot < 0) return;
  const supervisor::WorkerView* worker =
      supervisor::FindWorker(snapshot, {operation.pool, operation.slot});
  if (worker != nullptr) *message.mutable_worker() = ToMessage(*worker, now);
}

}  // namespace

v1::Operation ToMessage(const supervisor::OperationView& operation) {
  v1::Operation message;
  message.set_name(absl::StrCat("operations/", operation.number));
  message.set_kind(ToProto(operation.kind));
  message.set_target(operation.slot < 0 ? fleet::PoolName(operation.pool)
                                        : fleet::WorkerName({operation.pool, operation.slot}));
  message.set_actor(operation.actor);
  *message.mutable_begin_time() = wire::ToProto(operation.begun);
  if (operation.ended.us != 0) *message.mutable_end_time() = wire::ToProto(operation.ended);
  message.set_state(ToProto(operation.state));
  message.set_detail(operation.detail);
  for (const fleet::WorkerProgress& progress : operation.workers) {
    v1::WorkerProgress& worker = *message.add_workers();
    worker.set_worker(fleet::WorkerName(progress.worker));
    worker.set_generation(progress.generation.value);
    worker.set_phase(ToProto(progress.phase));
    worker.set_shards(progress.shards);
    worker.set_in_flight(progress.in_flight);
    worker.set_why(progress.why);
  }
  return message;
}

v1::Operation ToMessage(const supervisor::OperationView& operation,
                        const supervisor::FleetSnapshot& snapshot, Instant now) {
  v1::Operation message = ToMessage(operation);
  const supervisor::PoolView* pool = supervisor::FindPool(snapshot, operation.pool);
  if (pool != nullptr) *message.mutable_pool() = ToMessage(*pool, now);
  AddWorker(operation, snapshot, now, message);
  return message;
}

v1::Operation ChangeMessage(const supervisor::PoolView& pool,
                            const supervisor::FleetSnapshot& snapshot, Instant now) {
  v1::Operation message;
  if (pool.operation != nullptr) {
    message = ToMessage(*pool.operation);
    AddWorker(*pool.operation, snapshot, now, message);
  }
  *message.mutable_pool() = ToMessage(pool, now);
  if (pool.preview != nullptr) *message.mutable_plan() = PlanMessage(*pool.preview);
  return message;
}

v1::ListOperationsResponse OperationsPage(const supervisor::FleetSnapshot& snapshot,
                                          const record::PageQuery& query) {
  v1::ListOperationsResponse response;
  if (snapshot.operations == nullptr) return response;
  const auto& all = *snapshot.operations;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if ((*it)->number >= query.before) continue;
    if (response.operations_size() == query.limit) {
      response.set_next_page_token(absl::StrCat((*std::prev(it))->number));
      break;
    }
    *response.add_operations() = ToMessage(**it);
  }
  return response;
}

absl::StatusOr<int64_t> ParseOperationName(absl::string_view field, absl::string_view name) {
  int64_t number = 0;
  absl::string_view rest = name;
  const bool is_name =
      absl::ConsumePrefix(&rest, "operations/") && absl::SimpleAtoi(rest, &number) && number > 0;
  if (is_name) return number;
  return supervisor::Refusal(
      absl::StatusCode::kInvalidArgument, "INVALID_NAME",
      absl::StrCat(field, ": \"", name, "\": expected a name like operations/7"));
}

}  // namespace spillway::rpc
