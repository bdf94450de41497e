// Private deployments of several Redis servers for tests: a cluster, and a master with a replica
// watched by a sentinel. Ports are free ones, nothing is kept on disk but what the servers need to
// find each other, and all end with their owner.
#ifndef SPILLWAY_TESTS_SUPPORT_REDIS_DEPLOYMENTS_H_
#define SPILLWAY_TESTS_SUPPORT_REDIS_DEPLOYMENTS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "tests/support/processes.h"

namespace spillway {

// A command given to the server at `port` with redis-cli; its answer as text, without the newline
// at the end.
absl::StatusOr<std::string> AskRedis(int port, std::vector<std::string> words);

// Asks until the answer contains `wanted`.
absl::Status WaitForRedis(int port, const std::vector<std::string>& words,
                          const std::string& wanted, Duration timeout);

// Three masters which share the slots evenly: 0–5460, 5461–10922, 10923–16383. A node that is gone
// is known to be after about a second; the others go on without it.
class RedisCluster {
 public:
  static absl::StatusOr<RedisCluster> Start();

  std::string url() const;  // names every master
  size_t size() const { return nodes_.size(); }
  RedisServer& node(size_t i) { return nodes_[i]; }
  // Another node, which copies masters' node `master`. It may take over.
  absl::Status AddReplica(size_t master);
  // Every master serves its slots, in every node's eyes.
  absl::Status WaitUntilWhole(Duration timeout);

 private:
  static absl::StatusOr<RedisServer> StartNode();

  std::vector<RedisServer> nodes_;
};

// A master, a replica and one sentinel, whose word suffices. The master's name is "main".
class RedisSentinel {
 public:
  static absl::StatusOr<RedisSentinel> Start();

  std::string url() const;
  int port() const { return port_; }
  RedisServer& server(size_t i) { return servers_[i]; }  // 0: the first master, 1: its replica

 private:
  RedisSentinel(TemporaryDirectory directory, std::vector<RedisServer> servers, int port,
                ChildProcess process)
      : directory_(std::move(directory)),
        servers_(std::move(servers)),
        port_(port),
        process_(std::move(process)) {}

  TemporaryDirectory directory_;
  std::vector<RedisServer> servers_;
  int port_;
  ChildProcess process_;
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_SUPPORT_REDIS_DEPLOYMENTS_H_
