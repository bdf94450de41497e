#include "buffer/redis/redis_client.h"

#include "buffer/redis/cluster_client.h"
#include "buffer/redis/sentinel.h"
#include "buffer/redis/server_client.h"

namespace spillway::buffer {

std::unique_ptr<RedisClient> MakeRedisClient(Loop& loop, const Deployment& deployment,
                                             ConnectionOptions options,
                                             RedisClient::OnState on_state) {
  options.endpoint = deployment.endpoints.front();
  switch (deployment.kind) {
    case Deployment::Kind::kCluster:
      return std::make_unique<ClusterClient>(loop, std::move(options), deployment.endpoints,
                                             std::move(on_state));
    case Deployment::Kind::kSentinel: {
      auto sentinels = std::make_unique<Sentinels>(loop, deployment, options);
      return std::make_unique<ServerClient>(loop, std::move(options), std::move(sentinels),
                                            std::move(on_state));
    }
    case Deployment::Kind::kServer:
      break;
  }
  return std::make_unique<ServerClient>(loop, std::move(options), std::move(on_state));
}

}  // namespace spillway::buffer
