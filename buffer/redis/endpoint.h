// Where a Redis server is, and how to log in.
#ifndef SPILLWAY_BUFFER_REDIS_ENDPOINT_H_
#define SPILLWAY_BUFFER_REDIS_ENDPOINT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spillway::buffer {

struct Endpoint {
  std::string host;  // empty: a unix socket
  int port = 6379;
  std::string unix_path;
  bool is_tls = false;
  int database = 0;
  std::string username;  // from the URL; configuration keys win
  std::string password;

  std::string ToString() const;  // without the password
};

// redis://[user:password@]host[:port][/database], rediss://…, redis+unix:///path[?db=database].
// INVALID_ARGUMENT says what is wrong; redis+cluster:// is not built yet.
absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view url);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_ENDPOINT_H_
