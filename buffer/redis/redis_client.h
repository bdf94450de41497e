// Redis as the store sees it, whatever it is made of: one server, the master that sentinels name,
// or a cluster.
#ifndef SPILLWAY_BUFFER_REDIS_REDIS_CLIENT_H_
#define SPILLWAY_BUFFER_REDIS_REDIS_CLIENT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "base/loop.h"
#include "buffer/redis/command.h"
#include "buffer/redis/connection.h"
#include "buffer/redis/endpoint.h"
#include "buffer/redis/slot.h"

namespace spillway::buffer {

// A server that clients' commands go to.
struct ServingNode {
  std::string name;  // its URL, without the password
  bool is_ready = false;
  std::vector<Slot> slots;  // of those it serves; empty: all
};

// Answers as RedisConnection says: each command exactly once, later, kUnavailable where it may or
// may not have been executed. Reconnects and follows changes of the deployment by itself. Loop
// thread only; may be destroyed in a callback.
class RedisClient {
 public:
  using OnResult = RedisConnection::OnResult;
  using OnState = RedisConnection::OnState;

  virtual ~RedisClient() = default;

  // Towards the node that serves `slot`. Calls of one slot are sent in their order.
  virtual void Send(Slot slot, Command command, OnResult done) = 0;
  // To that node itself, redirections not followed; kUnavailable if it is not known.
  virtual void SendToNode(absl::string_view name, Command command, OnResult done) = 0;
  virtual std::vector<ServingNode> Nodes() const = 0;
  // Name of the node that serves `slot`; empty: none. Valid until the next event of the loop.
  virtual absl::string_view NodeOf(Slot slot) const = 0;
  // Whether a call for `slot` waits for its node, which has been silent for long or refuses for
  // now, or for a slot that moves.
  virtual bool KeepsWaiting(Slot slot) const = 0;
  // Ready: every node is. The text names those that are not.
  virtual const ConnectionState& state() const = 0;
};

// `on_state` is called with every change of state() and never from inside this call. What
// `options` say of an endpoint is replaced.
std::unique_ptr<RedisClient> MakeRedisClient(Loop& loop, const Deployment& deployment,
                                             ConnectionOptions options,
                                             RedisClient::OnState on_state);

// The way to one slot's node. A value; borrows the client.
class RedisRoute {
 public:
  RedisRoute(RedisClient& client, Slot slot) : client_(&client), slot_(slot) {}
  void Send(Command command, RedisClient::OnResult done) const {
    client_->Send(slot_, std::move(command), std::move(done));
  }

 private:
  RedisClient* client_;
  Slot slot_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_REDIS_CLIENT_H_
