#include "server/rpc/pool_wishes.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/resource_messages.h"

namespace spillway::rpc {
namespace {

using supervisor::Refusal;

absl::Status OutOfRange(absl::string_view field, int value, absl::string_view expected) {
  return Refusal(absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
                 absl::StrCat(field, ": ", value, ": expected ", expected));
}

absl::StatusOr<wire::Role> RoleOf(const v1::Pool& pool) {
  if (pool.role() == v1::ROLE_INGEST) return wire::Role::kIngest;
  if (pool.role() == v1::ROLE_FLUSH) return wire::Role::kFlush;
  return OutOfRange("pool.role", pool.role(), "ROLE_INGEST or ROLE_FLUSH");
}

absl::StatusOr<fleet::PoolState> StateOf(const v1::Pool& pool) {
  if (pool.state() == v1::POOL_STATE_RUNNING) return fleet::PoolState::kRunning;
  if (pool.state() == v1::POOL_STATE_PAUSED) return fleet::PoolState::kPaused;
  if (pool.state() == v1::POOL_STATE_STOPPED) return fleet::PoolState::kStopped;
  return OutOfRange("pool.state", pool.state(), "RUNNING, PAUSED or STOPPED");
}

absl::StatusOr<config::ScaleOwner> ScaleOwnerOf(const v1::Pool& pool) {
  if (pool.scale_owner() == v1::SCALE_OWNER_SPILLWAY) return config::ScaleOwner::kSpillway;
  if (pool.scale_owner() == v1::SCALE_OWNER_EXTERNAL) return config::ScaleOwner::kExternal;
  return OutOfRange("pool.scale_owner", pool.scale_owner(), "SPILLWAY or EXTERNAL");
}

absl::Status Take(const std::string& path, const v1::Pool& pool, supervisor::PoolWishes& wishes) {
  if (path == "desired") {
    wishes.desired = pool.desired();
  } else if (path == "min") {
    wishes.min = pool.min();
  } else if (path == "max") {
    wishes.max = pool.max();
  } else if (path == "state") {
    ASSIGN_OR_RETURN(wishes.state, StateOf(pool));
  } else if (path == "scale_owner") {
    ASSIGN_OR_RETURN(wishes.scale_owner, ScaleOwnerOf(pool));
  } else {
    return Refusal(absl::StatusCode::kInvalidArgument, "UNKNOWN_FIELD",
                   absl::StrCat("update_mask: \"", path,
                                "\": expected desired, min, max, state or scale_owner"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<supervisor::PoolCreation> ToCreation(const v1::CreatePoolRequest& request) {
  const v1::Pool& pool = request.pool();
  supervisor::PoolCreation creation{.pool = request.pool_id()};
  ASSIGN_OR_RETURN(creation.role, RoleOf(pool));
  creation.wishes.desired = pool.desired();
  creation.wishes.min = pool.min();
  if (pool.max() != 0) creation.wishes.max = pool.max();
  if (pool.state() != v1::POOL_STATE_UNSPECIFIED) {
    ASSIGN_OR_RETURN(creation.wishes.state, StateOf(pool));
  }
  if (pool.scale_owner() != v1::SCALE_OWNER_UNSPECIFIED) {
    ASSIGN_OR_RETURN(creation.wishes.scale_owner, ScaleOwnerOf(pool));
  }
  return creation;
}

absl::StatusOr<supervisor::PoolUpdate> ToUpdate(const v1::UpdatePoolRequest& request) {
  supervisor::PoolUpdate update;
  ASSIGN_OR_RETURN(update.pool, ParsePoolName("pool.name", request.pool().name()));
  if (request.update_mask().paths().empty()) {
    return Refusal(absl::StatusCode::kInvalidArgument, "UNKNOWN_FIELD",
                   "update_mask: is empty: expected desired, min, max, state or scale_owner");
  }
  for (const std::string& path : request.update_mask().paths()) {
    RETURN_IF_ERROR(Take(path, request.pool(), update.wishes));
  }
  return update;
}

}  // namespace spillway::rpc
