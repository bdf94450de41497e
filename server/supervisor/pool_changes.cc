// Pools beside those of the configuration, and every wish for a pool at once.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "server/supervisor/core.h"

namespace spillway::supervisor {
namespace {

absl::Status IsConfigured(const std::string& pool, const char* what) {
  return Refusal(absl::StatusCode::kFailedPrecondition, "POOL_CONFIGURED",
                 absl::StrCat(fleet::PoolName(pool), ": is in the configuration file: ", what));
}

bool ChangesSize(const PoolWishes& wishes) { return wishes.desired || wishes.min || wishes.max; }

bool IsExternal(const fleet::PoolWritten& written) {
  return written.scale_owner == config::ScaleOwner::kExternal;
}

absl::Status IsStartedElsewhere(const std::string& pool, const std::string& what) {
  return Refusal(
      absl::StatusCode::kFailedPrecondition, "NOT_LAUNCHED",
      absl::StrCat(fleet::PoolName(pool),
                   ": its workers are started elsewhere (scale_owner: external): ", what));
}

}  // namespace

void Supervisor::Core::CreatePool(PoolCreation creation, PoolDone done) {
  Wanted wanted{.action = "CreatePool", .pool = creation.pool};
  wanted.origin = std::move(creation.origin);
  wanted.creation = std::move(creation);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

void Supervisor::Core::UpdatePool(PoolUpdate update, PoolDone done) {
  Wanted wanted{.action = "UpdatePool", .pool = update.pool};
  wanted.origin = std::move(update.origin);
  wanted.update = std::move(update);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

void Supervisor::Core::DeletePool(PoolDeletion deletion, PoolDone done) {
  Wanted wanted{.action = "DeletePool", .pool = deletion.pool};
  if (deletion.force) wanted.detail = "also with workers";
  wanted.origin = std::move(deletion.origin);
  wanted.deletion = std::move(deletion);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

absl::StatusOr<fleet::Event> Supervisor::Core::PlanCreation(const PoolCreation& creation) const {
  const std::string name = fleet::PoolName(creation.pool);
  if (is_closed_ || fleet_.is_shutting_down) return ServerStopping();
  if (!IsPoolName(creation.pool)) {
    return Refusal(absl::StatusCode::kInvalidArgument, "INVALID_NAME",
                   absl::StrCat("pool_id: \"", creation.pool, "\": expected ", kPoolNameRule));
  }
  if (const fleet::Pool* pool = fleet::FindPool(fleet_, creation.pool)) {
    const char* what =
        pool->is_configured ? "is there already" : "still has workers of a former one";
    return Refusal(absl::StatusCode::kAlreadyExists, "POOL_EXISTS", absl::StrCat(name, ": ", what));
  }
  if (fleet_.pools.size() >= kMaxPools) {
    return Refusal(absl::StatusCode::kResourceExhausted, "TOO_MANY_POOLS",
                   absl::StrCat(name, ": there are ", kMaxPools, " pools already"));
  }
  const PoolWishes& wishes = creation.wishes;
  fleet::PoolWritten written{.pool = creation.pool, .role = creation.role};
  written.first_revision = static_cast<uint64_t>(parts_.clock.Wall().us);
  written.desired = wishes.desired.value_or(1);
  written.min = wishes.min.value_or(std::min(1, written.desired));
  written.max = wishes.max.value_or(std::max(kDefaultMax, written.desired));
  written.state = wishes.state.value_or(fleet::PoolState::kRunning);
  written.scale_owner = wishes.scale_owner.value_or(config::ScaleOwner::kSpillway);
  RETURN_IF_ERROR(CheckSizes(written.desired, written.min, written.max));
  if (IsExternal(written) && written.state == fleet::PoolState::kStopped) {
    return IsStartedElsewhere(creation.pool, "it cannot be stopped, only paused");
  }
  return written;
}

absl::StatusOr<fleet::Event> Supervisor::Core::PlanUpdate(const PoolUpdate& update,
                                                          const fleet::Pool& pool) const {
  const PoolWishes& wishes = update.wishes;
  fleet::PoolWritten written{.pool = pool.name, .role = pool.role};
  written.desired = wishes.desired.value_or(pool.desired);
  written.min = wishes.min.value_or(pool.min);
  written.max = wishes.max.value_or(pool.max);
  written.state = wishes.state.value_or(pool.state);
  written.scale_owner = wishes.scale_owner.value_or(pool.scale_owner);
  RETURN_IF_ERROR(CheckOwnerChange(written, pool));
  if (IsExternal(written)) {
    const bool is_its_own = pool.is_created && (!wishes.desired || *wishes.desired == pool.desired);
    if (ChangesSize(wishes) && !is_its_own) {
      return Refusal(absl::StatusCode::kFailedPrecondition, "EXTERNALLY_SCALED",
                     absl::StrCat(fleet::PoolName(pool.name),
                                  ": its size is decided elsewhere (scale_owner: external)"));
    }
    if (!wishes.state && written.state == fleet::PoolState::kStopped) {
      written.state = fleet::PoolState::kRunning;  // it was, before its owner changed
    }
    if (written.state == fleet::PoolState::kStopped) {
      return IsStartedElsewhere(pool.name, "stop them there, or pause the pool");
    }
    if (written.min <= written.max) {
      written.desired = std::clamp(written.desired, written.min, written.max);
    }
  }
  if (ChangesSize(wishes)) {
    RETURN_IF_ERROR(CheckSizes(written.desired, written.min, written.max));
  }
  return written;
}

absl::Status Supervisor::Core::CheckOwnerChange(const fleet::PoolWritten& written,
                                                const fleet::Pool& pool) const {
  if (written.scale_owner == pool.scale_owner) return absl::OkStatus();
  if (!pool.is_created) return IsConfigured(pool.name, "change scale_owner there");
  const int32_t workers = ToView(pool, fleet_, Around()).observed;
  if (workers == 0) return absl::OkStatus();
  return Refusal(absl::StatusCode::kFailedPrecondition, "POOL_NOT_EMPTY",
                 absl::StrCat(fleet::PoolName(pool.name), ": scale_owner: has ", workers,
                              " workers of the other kind: end them first"));
}

absl::StatusOr<fleet::Event> Supervisor::Core::PlanDeletion(const PoolDeletion& deletion,
                                                            const fleet::Pool& pool) const {
  if (!pool.is_created) return IsConfigured(pool.name, "take it out there");
  const int32_t workers = ToView(pool, fleet_, Around()).observed;
  if (workers > 0 && fleet::IsExternal(pool)) {
    return IsStartedElsewhere(pool.name, absl::StrCat("end its ", workers, " workers there first"));
  }
  if (workers > 0 && !deletion.force) {
    return Refusal(absl::StatusCode::kFailedPrecondition, "POOL_NOT_EMPTY",
                   absl::StrCat(fleet::PoolName(pool.name), ": has ", workers,
                                " workers: stop it first, or delete it with force"));
  }
  return fleet::PoolDeleted{pool.name};
}

fleet::Pool Supervisor::Core::PoolBefore(const Wanted& wanted, const fleet::Event& event) const {
  if (wanted.creation) return fleet::NewPool(std::get<fleet::PoolWritten>(event));
  return *fleet::FindPool(fleet_, wanted.pool);
}

}  // namespace spillway::supervisor
