// Asks Redis Sentinels where the master is.
#ifndef SPILLWAY_BUFFER_REDIS_SENTINEL_H_
#define SPILLWAY_BUFFER_REDIS_SENTINEL_H_

#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "buffer/redis/connection.h"
#include "buffer/redis/endpoint.h"

namespace spillway::buffer {

// Keeps a connection to each sentinel. Loop thread only. Questions without an answer yet are
// dropped when it is destroyed.
class Sentinels {
 public:
  // `options`: TLS and time limits. User and password are those of the sentinels' own endpoints.
  // REQUIRES: deployment.kind == kSentinel.
  Sentinels(Loop& loop, const Deployment& deployment, ConnectionOptions options);

  // The address given by the first sentinel that knows one, another being asked first each time
  // (one may have been away and be behind); the error is what the first without an answer said.
  // Never called from inside.
  void FindMaster(FoundEndpoint found);

  // What is known of the master without asking: TLS and database, no user, no host.
  const Endpoint& master_template() const { return master_; }

 private:
  struct Question;

  void AskNext(std::shared_ptr<Question> question);

  const std::string master_name_;
  Endpoint master_;
  std::vector<std::unique_ptr<RedisConnection>> sentinels_;
  size_t next_first_ = 0;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_SENTINEL_H_
