// Between the messages of GatewayService.Attach and plain values. The only place that knows both.
//
// FromProto answers INVALID_ARGUMENT naming the field: a missing message, an enum value that is
// UNSPECIFIED, a negative count or duration, a shard named twice. An enum value this build does not
// know becomes the careful choice its proto comment names. FromProto(ToProto(x)) == x for every x
// that can occur (ToProto sends a negative duration as zero).
#ifndef SPILLWAY_PROTO_WIRE_CONVERT_H_
#define SPILLWAY_PROTO_WIRE_CONVERT_H_

#include <variant>

#include "absl/status/statusor.h"
#include "proto/wire/worker_report.h"
#include "spillway/v1/gateway.pb.h"

namespace spillway::wire {

using UpMessage = std::variant<Hello, WorkerReport, OrderDone, Goodbye>;
using DownMessage = std::variant<Welcome, Order>;

absl::StatusOr<UpMessage> FromProto(const v1::AttachRequest& proto);
absl::StatusOr<DownMessage> FromProto(const v1::AttachResponse& proto);

v1::AttachRequest ToProto(const UpMessage& message);
v1::AttachResponse ToProto(const DownMessage& message);

// Parts of them that the operators' interface shares.
v1::Role ToProto(Role role);
v1::GateState ToProto(GateState state);
v1::Cause ToProto(Cause cause);  // kUnknown: CAUSE_UNSPECIFIED
v1::Gate ToProto(const GateReport& gate);
v1::Compression ToProto(const Compression& compression);
google::protobuf::Duration ToProto(Duration duration);
WallTime ReadTime(const google::protobuf::Timestamp& proto);  // absent: zero
google::protobuf::Timestamp ToProto(WallTime time);
google::protobuf::Timestamp ToProto(EventTime time);

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_CONVERT_H_
