// The fleet's snapshot as the messages of the API, and resource names as text. No gRPC: the HTTP
// side prints the same messages.
#ifndef SPILLWAY_SERVER_RPC_RESOURCE_MESSAGES_H_
#define SPILLWAY_SERVER_RPC_RESOURCE_MESSAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "server/supervisor/snapshot.h"
#include "spillway/v1/fleet.pb.h"
#include "spillway/v1/resources.pb.h"

namespace spillway::rpc {

// `now` is what ages are measured at.
v1::Pool ToMessage(const supervisor::PoolView& pool, Instant now);
v1::Worker ToMessage(const supervisor::WorkerView& worker, Instant now);
// Figures of both owners as one: the flush owner's word on what is due (it sees what it has in
// flight), the greater lateness and clock, the ingest owner's word on the rest.
v1::Shard ToMessage(const supervisor::ShardView& shard, Instant now);
v1::Check ToMessage(const supervisor::Check& check, Instant now);

v1::ListPoolsResponse AllPools(const supervisor::FleetSnapshot& snapshot, Instant now);
// `pool` empty: of all pools.
v1::ListWorkersResponse AllWorkers(const supervisor::FleetSnapshot& snapshot,
                                   absl::string_view pool, Instant now);
v1::ListShardsResponse AllShards(const supervisor::FleetSnapshot& snapshot, Instant now);

std::string ShardName(ShardId shard);  // "shards/7"

// Parse resource names. INVALID_ARGUMENT / INVALID_NAME naming `field`.
absl::StatusOr<std::string> ParsePoolName(absl::string_view field,
                                          absl::string_view name);  // "flush"
absl::StatusOr<fleet::WorkerKey> ParseWorkerName(absl::string_view field, absl::string_view name);
absl::StatusOr<ShardId> ParseShardName(absl::string_view field, absl::string_view name);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_RESOURCE_MESSAGES_H_
