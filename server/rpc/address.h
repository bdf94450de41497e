// Addresses to listen on, as text: "127.0.0.1:7400", "[::1]:0", "unix:/run/spillway/gateway.sock".
#ifndef SPILLWAY_SERVER_RPC_ADDRESS_H_
#define SPILLWAY_SERVER_RPC_ADDRESS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace spillway::rpc {

// "unix:/path" or "unix:///path" → "/path"; empty: not a unix socket.
std::string UnixSocketPath(absl::string_view address);

// 127.0.0.0/8, [::1], localhost or a unix socket: not reachable from other machines.
bool IsLocal(absl::string_view address);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_ADDRESS_H_
