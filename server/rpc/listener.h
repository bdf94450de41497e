// Where a gRPC server listens, and who may connect.
#ifndef SPILLWAY_SERVER_RPC_LISTENER_H_
#define SPILLWAY_SERVER_RPC_LISTENER_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/config.h"

namespace spillway::rpc {

// What `address` (of configuration key `key`) is served with: TLS if server.tls is set, else plain
// if that is safe or asked for. INVALID_ARGUMENT otherwise.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CredentialsFor(
    absl::string_view key, absl::string_view address, const config::Server& config);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_LISTENER_H_
