// One server, or the master that sentinels name.
#ifndef SPILLWAY_BUFFER_REDIS_SERVER_CLIENT_H_
#define SPILLWAY_BUFFER_REDIS_SERVER_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "buffer/redis/redis_client.h"
#include "buffer/redis/sentinel.h"

namespace spillway::buffer {

// See redis_client.h.
class ServerClient : public RedisClient {
 public:
  // `options.endpoint` is the server.
  ServerClient(Loop& loop, ConnectionOptions options, OnState on_state);
  // Follows the master: asked for before every connect, and every few seconds in case it has
  // changed while the old one still answers. `options` are the master's.
  ServerClient(Loop& loop, ConnectionOptions options, std::unique_ptr<Sentinels> sentinels,
               OnState on_state);

  void Send(Slot slot, Command command, OnResult done) override;
  void SendToNode(absl::string_view name, Command command, OnResult done) override;
  std::vector<ServingNode> Nodes() const override;
  absl::string_view NodeOf(Slot slot) const override;
  bool KeepsWaiting(Slot) const override { return connection_.KeepsWaiting(); }
  const ConnectionState& state() const override { return connection_.state(); }

 private:
  void AskWhetherItStays();

  std::unique_ptr<Sentinels> sentinels_;  // null: one server
  RedisConnection connection_;
  mutable std::string name_;
  std::string other_master_;  // as the last answer named it; empty: none
  Timer ask_timer_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_SERVER_CLIENT_H_
