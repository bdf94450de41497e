// What a request wishes for a pool, as plain values.
#ifndef SPILLWAY_SERVER_RPC_POOL_WISHES_H_
#define SPILLWAY_SERVER_RPC_POOL_WISHES_H_

#include "absl/status/statusor.h"
#include "server/supervisor/fleet_control.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

// Without the origin. INVALID_ARGUMENT / OUT_OF_RANGE: role, state or scale_owner is none that this
// server knows. Whether sizes and name are possible is the fleet's to say.
absl::StatusOr<supervisor::PoolCreation> ToCreation(const v1::CreatePoolRequest& request);

// Also INVALID_ARGUMENT / INVALID_NAME, and UNKNOWN_FIELD: the mask is empty or names what cannot
// be changed.
absl::StatusOr<supervisor::PoolUpdate> ToUpdate(const v1::UpdatePoolRequest& request);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_POOL_WISHES_H_
