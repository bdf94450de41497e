#include "tests/support/redis_deployments.h"

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace spillway {
namespace {

using std::chrono::seconds;

constexpr size_t kMasters = 3;

std::string Address(int port) { return absl::StrCat("127.0.0.1:", port); }

}  // namespace

absl::StatusOr<std::string> AskRedis(int port, std::vector<std::string> words) {
  std::vector<std::string> call = {"redis-cli", "-h", "127.0.0.1", "-p", absl::StrCat(port)};
  call.insert(call.end(), words.begin(), words.end());
  ASSIGN_OR_RETURN(CommandResult result, RunCommand(std::move(call), seconds(30)));
  return std::string(absl::StripSuffix(result.output, "\n"));
}

// Each question starts a process, so asking again at once is slow enough.
absl::Status WaitForRedis(int port, const std::vector<std::string>& words,
                          const std::string& wanted, Duration timeout) {
  const Instant deadline = SystemClock().Now() + timeout;
  while (true) {
    ASSIGN_OR_RETURN(const std::string answer, AskRedis(port, words));
    if (absl::StrContains(answer, wanted)) return absl::OkStatus();
    if (SystemClock().Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("redis at ", port, ": ",
                                                      absl::StrJoin(words, " "), " says ", answer,
                                                      " and never ", wanted));
    }
  }
}

absl::StatusOr<RedisServer> RedisCluster::StartNode() {
  return RedisServer::Start({"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
                             "--cluster-port", absl::StrCat(FreePort()), "--cluster-node-timeout",
                             "1000", "--cluster-require-full-coverage", "no",
                             "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay",
                             "0"});
}

absl::StatusOr<RedisCluster> RedisCluster::Start() {
  RedisCluster cluster;
  std::vector<std::string> create = {"redis-cli", "--cluster", "create"};
  for (size_t i = 0; i < kMasters; ++i) {
    ASSIGN_OR_RETURN(RedisServer node, StartNode());
    create.push_back(Address(node.port()));
    cluster.nodes_.push_back(std::move(node));
  }
  create.push_back("--cluster-yes");
  ASSIGN_OR_RETURN(const CommandResult created, RunCommand(std::move(create), seconds(60)));
  if (created.exit_code != 0) return absl::UnavailableError(created.output);
  RETURN_IF_ERROR(cluster.WaitUntilWhole(seconds(30)));
  return cluster;
}

std::string RedisCluster::url() const {
  std::vector<std::string> addresses;
  for (size_t i = 0; i < kMasters; ++i) addresses.push_back(Address(nodes_[i].port()));
  return absl::StrCat("redis+cluster://", absl::StrJoin(addresses, ","));
}

absl::Status RedisCluster::AddReplica(size_t master) {
  ASSIGN_OR_RETURN(RedisServer replica, StartNode());
  const int port = replica.port();
  nodes_.push_back(std::move(replica));
  ASSIGN_OR_RETURN(const std::string id, AskRedis(nodes_[master].port(), {"CLUSTER", "MYID"}));
  ASSIGN_OR_RETURN(const std::string bus,
                   AskRedis(nodes_[master].port(), {"CONFIG", "GET", "cluster-port"}));
  RETURN_IF_ERROR(
      AskRedis(port, {"CLUSTER", "MEET", "127.0.0.1", absl::StrCat(nodes_[master].port()),
                      bus.substr(bus.find('\n') + 1)})
          .status());
  RETURN_IF_ERROR(WaitForRedis(port, {"CLUSTER", "REPLICATE", id}, "OK", seconds(30)));
  RETURN_IF_ERROR(
      WaitForRedis(port, {"INFO", "replication"}, "master_link_status:up", seconds(30)));
  for (size_t i = 0; i < kMasters; ++i) {
    RETURN_IF_ERROR(WaitForRedis(nodes_[i].port(), {"CLUSTER", "NODES"}, absl::StrCat("slave ", id),
                                 seconds(30)));
  }
  return absl::OkStatus();
}

absl::Status RedisCluster::WaitUntilWhole(Duration timeout) {
  for (size_t i = 0; i < kMasters; ++i) {
    const int port = nodes_[i].port();
    RETURN_IF_ERROR(WaitForRedis(port, {"CLUSTER", "INFO"}, "cluster_slots_ok:16384", timeout));
    RETURN_IF_ERROR(WaitForRedis(port, {"CLUSTER", "INFO"}, "cluster_state:ok", timeout));
  }
  return absl::OkStatus();
}

absl::StatusOr<RedisSentinel> RedisSentinel::Start() {
  std::vector<RedisServer> servers;
  ASSIGN_OR_RETURN(RedisServer master, RedisServer::Start({"--repl-diskless-sync-delay", "0"}));
  const std::string master_port = absl::StrCat(master.port());
  servers.push_back(std::move(master));
  ASSIGN_OR_RETURN(RedisServer replica,
                   RedisServer::Start({"--replicaof", "127.0.0.1", master_port}));
  servers.push_back(std::move(replica));
  RETURN_IF_ERROR(WaitForRedis(servers[1].port(), {"INFO", "replication"}, "master_link_status:up",
                               seconds(30)));

  TemporaryDirectory directory;
  const int port = FreePort();
  const std::string path = directory.path() + "/sentinel.conf";
  std::ofstream(path) << "port " << port << "\nbind 127.0.0.1\ndir " << directory.path()
                      << "\nsentinel monitor main 127.0.0.1 " << master_port << " 1\n"
                      << "sentinel down-after-milliseconds main 500\n"
                      << "sentinel failover-timeout main 3000\n";
  ChildProcess::Options options;
  options.arguments = {"setpriv", "--pdeathsig", "KILL", "redis-server", path, "--sentinel"};
  options.output_path = directory.path() + "/sentinel.log";
  ASSIGN_OR_RETURN(ChildProcess process, ChildProcess::Start(options));
  RETURN_IF_ERROR(WaitForRedis(port, {"SENTINEL", "REPLICAS", "main"},
                               absl::StrCat(servers[1].port()), seconds(30)));
  return RedisSentinel(std::move(directory), std::move(servers), port, std::move(process));
}

std::string RedisSentinel::url() const {
  return absl::StrCat("redis+sentinel://", Address(port_), "/main");
}

}  // namespace spillway
