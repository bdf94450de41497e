// An absl::Status as gRPC sends it.
#ifndef SPILLWAY_SERVER_RPC_GRPC_STATUS_H_
#define SPILLWAY_SERVER_RPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace spillway::rpc {

// Code and message; if `status` has a refusal reason (supervisor::Refusal), a google.rpc.ErrorInfo
// with domain "spillway" goes with it in the details.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_GRPC_STATUS_H_
