#include "server/rpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/address.h"
#include "server/rpc/gateway_service.h"
#include "server/rpc/health_service.h"
#include "server/rpc/listener.h"

namespace spillway::rpc {
namespace {

// A worker that was stopped (not killed), or that the network has swallowed, keeps its connection:
// unanswered pings end it.
constexpr int kKeepaliveTimeMs = 4'000;
constexpr int kKeepaliveTimeoutMs = 4'000;
constexpr int kMinClientPingIntervalMs = 1'000;
constexpr mode_t kOnlyOwner = 0177;  // umask of a socket that only this user may connect to

// Sockets are created within bind: the only way to have no moment with a wider mode.
class ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask) : before_(umask(mask)) {}
  ~ScopedUmask() { umask(before_); }
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;

 private:
  const mode_t before_;
};

struct Listening {
  std::unique_ptr<grpc::Server> server;
  std::string address;
};

absl::Status PrepareUnixSocket(absl::string_view key, const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(key, ": ", path,
                                                   " is longer than a socket's name may be (",
                                                   sizeof(sockaddr_un::sun_path) - 1, " bytes)"));
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return absl::UnavailableError(absl::StrCat(key, ": ", path, ": ", error.message()));
  return absl::OkStatus();
}

std::string AddressInUse(const std::string& asked, int port) {
  if (!UnixSocketPath(asked).empty()) return asked;
  return absl::StrCat(asked.substr(0, asked.rfind(':')), ":", port);
}

absl::StatusOr<Listening> Listen(absl::string_view key, const std::string& address,
                                 const config::Server& config,
                                 const std::vector<grpc::Service*>& services) {
  ASSIGN_OR_RETURN(const auto credentials, CredentialsFor(key, address, config));
  RETURN_IF_ERROR(PrepareUnixSocket(key, UnixSocketPath(address)));
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // a second server must not share the port
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // as many as it takes
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinClientPingIntervalMs);
  int port = 0;
  builder.AddListeningPort(address, credentials, &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  const ScopedUmask umask(kOnlyOwner);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat(key, ": cannot listen on ", address, " (in use? not permitted?)"));
  }
  return Listening{std::move(server), AddressInUse(address, port)};
}

}  // namespace

struct RpcServer::Servers {
  Servers(ServerDescription description, const RpcParts& parts)
      : fleet(parts.fleet, parts.clock, parts.history, parts.requests),
        server(std::move(description), parts.fleet, parts.clock),
        gateway(parts.gateway),
        api_health(parts.fleet),
        gateway_health(parts.fleet),
        probe_health(parts.fleet) {}

  FleetService fleet;
  ServerService server;
  GatewayService gateway;
  HealthService api_health, gateway_health, probe_health;
  std::vector<std::unique_ptr<grpc::Server>> running;  // last: gone before their services
};

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const config::Server& config,
                                                            ServerDescription description,
                                                            RpcParts parts) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();  // for all servers built from now on
  std::unique_ptr<RpcServer> rpc(
      new RpcServer(std::make_unique<Servers>(std::move(description), parts)));
  Servers& servers = *rpc->servers_;
  ASSIGN_OR_RETURN(Listening api, Listen("server.api", config.api, config,
                                         {&servers.fleet, &servers.server, &servers.api_health}));
  servers.running.push_back(std::move(api.server));
  rpc->api_address_ = std::move(api.address);
  ASSIGN_OR_RETURN(Listening gateway, Listen("server.gateway", config.gateway, config,
                                             {&servers.gateway, &servers.gateway_health}));
  servers.running.push_back(std::move(gateway.server));
  if (!config.health.empty()) {
    ASSIGN_OR_RETURN(Listening health,
                     Listen("server.health", config.health, config, {&servers.probe_health}));
    servers.running.push_back(std::move(health.server));
    rpc->health_address_ = std::move(health.address);
  }
  return rpc;
}

RpcServer::RpcServer(std::unique_ptr<Servers> servers) : servers_(std::move(servers)) {}

RpcServer::~RpcServer() { Shutdown(Duration(0)); }

void RpcServer::Shutdown(Duration grace) {
  const std::chrono::system_clock::time_point deadline(
      std::chrono::microseconds(SystemClock().Wall().us) +
      std::chrono::ceil<std::chrono::microseconds>(grace));
  // Side by side: each may take all of the grace.
  std::vector<std::thread> threads;
  threads.reserve(servers_->running.size());
  for (const auto& server : servers_->running) {
    threads.emplace_back([&server, deadline] { server->Shutdown(deadline); });
  }
  for (std::thread& thread : threads) thread.join();
  servers_->running.clear();
}

}  // namespace spillway::rpc
