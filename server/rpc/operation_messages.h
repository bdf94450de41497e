// Operations as messages, and pages of them. No gRPC.
#ifndef SPILLWAY_SERVER_RPC_OPERATION_MESSAGES_H_
#define SPILLWAY_SERVER_RPC_OPERATION_MESSAGES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/record/record.h"
#include "server/supervisor/snapshot.h"
#include "spillway/v1/operations.pb.h"

namespace spillway::rpc {

// Without pool and worker.
v1::Operation ToMessage(const supervisor::OperationView& operation);
// With them, as `snapshot` has them.
v1::Operation ToMessage(const supervisor::OperationView& operation,
                        const supervisor::FleetSnapshot& snapshot, Instant now);
// The answer to a change: what it has begun, with the pool as it is wished for. (Of a change whose
// operation is forgotten only that.)
v1::Operation ChangeMessage(const supervisor::PoolView& pool,
                            const supervisor::FleetSnapshot& snapshot, Instant now);
// Newest first.
v1::ListOperationsResponse OperationsPage(const supervisor::FleetSnapshot& snapshot,
                                          const record::PageQuery& query);
// 7 of "operations/7". INVALID_ARGUMENT / INVALID_NAME naming `field`.
absl::StatusOr<int64_t> ParseOperationName(absl::string_view field, absl::string_view name);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_OPERATION_MESSAGES_H_
