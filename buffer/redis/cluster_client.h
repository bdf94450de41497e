// A Redis Cluster: one connection per node, every call routed by its slot (design section 4).
#ifndef SPILLWAY_BUFFER_REDIS_CLUSTER_CLIENT_H_
#define SPILLWAY_BUFFER_REDIS_CLUSTER_CLIENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "buffer/redis/redirect.h"
#include "buffer/redis/redis_client.h"
#include "buffer/redis/slot_map.h"

namespace spillway::buffer {

// See redis_client.h. Decisions are those of redirect.h; this only carries them out. Until a slot
// map has come, calls fail with kUnavailable.
class ClusterClient : public RedisClient {
 public:
  // `options.endpoint` is a pattern for the nodes' own. REQUIRES: `seeds` is not empty.
  ClusterClient(Loop& loop, ConnectionOptions options, std::vector<Endpoint> seeds,
                OnState on_state);
  ~ClusterClient() override;

  void Send(Slot slot, Command command, OnResult done) override;
  void SendToNode(absl::string_view name, Command command, OnResult done) override;
  std::vector<ServingNode> Nodes() const override;
  absl::string_view NodeOf(Slot slot) const override;
  bool KeepsWaiting(Slot slot) const override;
  const ConnectionState& state() const override { return state_; }

 private:
  struct Call {
    uint64_t sequence = 0;  // order of Send
    Slot slot = 0;
    std::shared_ptr<const Command> command;
    OnResult done;
    Attempts attempts;
  };
  using CallPtr = std::unique_ptr<Call>;
  struct Node {
    std::string name;
    std::unique_ptr<RedisConnection> connection;
    size_t outstanding = 0;  // replies still to come: the connection must not go before
    bool is_wanted = true;   // in the map, or asked for one
    bool was_ready = false;
  };
  struct PausedSlot {
    Instant resend_at;
    std::map<uint64_t, CallPtr> calls;  // in their order
  };
  struct Link {
    ClusterClient* owner;
  };

  Node& NodeAt(const NodeAddress& address);
  void Route(CallPtr call);
  void SendTo(const NodeAddress& address, CallPtr call, bool is_asking);
  void OnNodeResult(const NodeAddress& address, CallPtr call, const CommandResult& result);
  // Does what is decided about a call that was refused; false: `call` is to be answered.
  bool Follow(CallPtr& call, const Refusal& refusal);
  void Pause(CallPtr call, Duration pause);
  void ResendPaused();
  void StartPauseTimer();
  void FailLater(CallPtr call, StoreCode code, std::string message);

  void RequestRefresh();
  void Refresh();
  RedisConnection* ReadyNode(NodeAddress& address);
  void OnSlots(uint64_t attempt, const NodeAddress& asked, const CommandResult& result);
  void SetMap(SlotMap map);
  void DropUnwanted();
  void OnNodeState(const NodeAddress& address, const ConnectionState& state);
  void UpdateState();

  Loop& loop_;
  const ConnectionOptions options_;
  const std::vector<Endpoint> seeds_;
  const RoutingLimits limits_;
  OnState on_state_;
  std::shared_ptr<Link> link_;
  ConnectionState state_;

  SlotMap map_;
  std::string map_problem_;  // why there is none
  std::map<NodeAddress, Node> nodes_;
  uint64_t next_sequence_ = 0;
  std::map<Slot, PausedSlot> paused_;

  uint64_t refresh_attempt_ = 0;
  bool is_refreshing_ = false;
  bool wants_refresh_ = false;  // again, after the one that runs
  Instant last_refresh_;
  size_t next_asked_ = 0;
  Timer pause_timer_;
  Timer refresh_timer_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_CLUSTER_CLIENT_H_
