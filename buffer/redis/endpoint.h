// Where a Redis server is, and how to log in; and the servers of a deployment.
#ifndef SPILLWAY_BUFFER_REDIS_ENDPOINT_H_
#define SPILLWAY_BUFFER_REDIS_ENDPOINT_H_

#include <string>
#include <vector>

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

// What redis.url names.
struct Deployment {
  enum class Kind { kServer, kCluster, kSentinel };
  Kind kind = Kind::kServer;
  // One server; or the cluster's nodes, or the sentinels, to ask first. Never empty.
  std::vector<Endpoint> endpoints;
  // kSentinel: the watched master's name. User and password in the URL are the sentinels' then.
  std::string master_name;
};

// redis://[user:password@]host[:port][/database], rediss://…, redis+unix:///path[?db=database].
// INVALID_ARGUMENT says what is wrong.
absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view url);

// These, and
//   redis+cluster://[user:password@]host[:port][,host[:port]…]
//   redis+sentinel://[user:password@]host[:port][,host[:port]…]/master[/database]
// and the same with rediss+ for TLS. The database is the master's: every endpoint carries it.
absl::StatusOr<Deployment> ParseDeployment(absl::string_view url);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_ENDPOINT_H_
