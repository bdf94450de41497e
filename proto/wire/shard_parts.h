// Parts of a shard's report between values and messages.
#ifndef SPILLWAY_PROTO_WIRE_SHARD_PARTS_H_
#define SPILLWAY_PROTO_WIRE_SHARD_PARTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "proto/wire/worker_report.h"
#include "spillway/v1/gateway.pb.h"

namespace spillway::wire {

using ActivityField = google::protobuf::RepeatedField<int64_t>;

v1::ShardStage StageToProto(ShardStage stage);

// INVALID_ARGUMENT: a negative time. Activities that only a newer peer knows are left out, since
// they cannot be named here; those that an older one does not tell are zero.
absl::Status ReadActivity(const ActivityField& nanoseconds, ActivityTimes& times);
void WriteActivity(const ActivityTimes& times, ActivityField& nanoseconds);

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_SHARD_PARTS_H_
