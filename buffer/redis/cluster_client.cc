#include "buffer/redis/cluster_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"

namespace spillway::buffer {
namespace {

constexpr Duration kMapLifetime = std::chrono::seconds(5);
constexpr Duration kRefreshInterval = std::chrono::milliseconds(250);  // at least
// A node that owes the map so long may hang: another is asked.
constexpr Duration kRefreshTimeout = std::chrono::seconds(1);

Endpoint EndpointAt(Endpoint pattern, const NodeAddress& address) {
  pattern.host = address.host;
  pattern.port = address.port;
  return pattern;
}

NodeAddress AddressOf(const Endpoint& endpoint) { return {endpoint.host, endpoint.port}; }

}  // namespace

ClusterClient::ClusterClient(Loop& loop, ConnectionOptions options, std::vector<Endpoint> seeds,
                             OnState on_state)
    : loop_(loop),
      options_(std::move(options)),
      seeds_(std::move(seeds)),
      on_state_(std::move(on_state)),
      link_(std::make_shared<Link>(Link{this})),
      state_{.is_ready = false, .text = "looking for the cluster"},
      pause_timer_(loop, [this] { ResendPaused(); }),
      refresh_timer_(loop, [this] { Refresh(); }) {
  CHECK(!seeds_.empty(), "a cluster is found through its seeds");
  refresh_timer_.Start(Duration::zero());
}

ClusterClient::~ClusterClient() {
  link_->owner = nullptr;
  nodes_.clear();  // before what their last words need
}

ClusterClient::Node& ClusterClient::NodeAt(const NodeAddress& address) {
  const auto [it, is_new] = nodes_.try_emplace(address);
  Node& node = it->second;
  if (is_new) {
    ConnectionOptions options = options_;
    options.endpoint = EndpointAt(options_.endpoint, address);
    node.name = options.endpoint.ToString();
    node.connection = std::make_unique<RedisConnection>(
        loop_, std::move(options),
        [this, address](const ConnectionState& state) { OnNodeState(address, state); });
  }
  node.is_wanted = true;
  return node;
}

// ---- calls

void ClusterClient::Send(Slot slot, Command command, OnResult done) {
  auto call = std::make_unique<Call>();
  call->sequence = next_sequence_++;
  call->slot = slot;
  call->command = std::make_shared<const Command>(std::move(command));
  call->done = std::move(done);
  // Behind those of its shard that pause.
  const auto paused = paused_.find(slot);
  if (paused == paused_.end()) return Route(std::move(call));
  const uint64_t sequence = call->sequence;
  paused->second.calls.emplace(sequence, std::move(call));
}

void ClusterClient::Route(CallPtr call) {
  if (const NodeAddress* master = map_.MasterOf(call->slot)) {
    return SendTo(NodeAddress(*master), std::move(call), false);
  }
  if (map_.empty()) return FailLater(std::move(call), StoreCode::kUnavailable, state_.text);
  if (Follow(call, {.kind = Refusal::Kind::kClusterDown, .slot = 0, .to = {}})) return;
  const std::string problem = absl::StrCat("no node of the cluster serves slot ", call->slot);
  FailLater(std::move(call), StoreCode::kMoving, problem);
}

void ClusterClient::SendTo(const NodeAddress& address, CallPtr call, bool is_asking) {
  Node& node = NodeAt(address);
  if (!node.was_ready) {
    if (Follow(call, {.kind = Refusal::Kind::kConnecting, .slot = 0, .to = {}})) return;
    return FailLater(std::move(call), StoreCode::kUnavailable, node.connection->state().text);
  }
  ++node.outstanding;
  std::shared_ptr<const Command> command = call->command;
  node.connection->Send(
      std::move(command), is_asking,
      [this, address, call = std::move(call)](const CommandResult& result) mutable {
        OnNodeResult(address, std::move(call), result);
      });
}

void ClusterClient::OnNodeResult(const NodeAddress& address, CallPtr call,
                                 const CommandResult& result) {
  --nodes_.at(address).outstanding;
  if (result.reply.is_error()) {
    const Refusal refusal = ParseRefusal(result.reply.text(), address.host);
    if (refusal.kind != Refusal::Kind::kNone && Follow(call, refusal)) return;
  } else if (result.code == StoreCode::kUnavailable) {
    RequestRefresh();  // its shards may be another node's by now
  }
  call->done(result);  // perhaps the last thing that happens to this object
}

bool ClusterClient::Follow(CallPtr& call, const Refusal& refusal) {
  Routing routing = Decide(refusal, call->attempts, SystemClock().Now(), limits_);
  if (routing.is_map_stale) RequestRefresh();
  call->attempts = routing.attempts;
  switch (routing.step) {
    case NextStep::kAnswer:
      return false;
    case NextStep::kResend:
      map_.Assign(refusal.slot, routing.to);
      SendTo(routing.to, std::move(call), false);
      return true;
    case NextStep::kResendAsking:
      SendTo(routing.to, std::move(call), true);
      return true;
    case NextStep::kPause:
      Pause(std::move(call), routing.pause);
      return true;
  }
  return false;
}

void ClusterClient::Pause(CallPtr call, Duration pause) {
  const Instant resend_at = SystemClock().Now() + pause;
  PausedSlot& slot = paused_[call->slot];
  slot.resend_at = slot.calls.empty() ? resend_at : std::max(slot.resend_at, resend_at);
  const uint64_t sequence = call->sequence;
  slot.calls.emplace(sequence, std::move(call));
  StartPauseTimer();
}

void ClusterClient::StartPauseTimer() {
  if (paused_.empty()) return pause_timer_.Stop();
  Instant first = Instant::max();
  for (const auto& [slot, paused] : paused_) first = std::min(first, paused.resend_at);
  pause_timer_.Start(std::max(first - SystemClock().Now(), Duration::zero()));
}

void ClusterClient::ResendPaused() {
  const Instant now = SystemClock().Now();
  std::vector<PausedSlot> due;
  for (auto it = paused_.begin(); it != paused_.end();) {
    if (it->second.resend_at <= now) {
      due.push_back(std::move(it->second));
      it = paused_.erase(it);
    } else {
      ++it;
    }
  }
  // Nothing is answered from here: all that fails, fails later.
  for (PausedSlot& slot : due) {
    for (auto& [sequence, call] : slot.calls) Route(std::move(call));
  }
  StartPauseTimer();
}

void ClusterClient::FailLater(CallPtr call, StoreCode code, std::string message) {
  loop_.Post([link = link_, call = std::move(call), code, message = std::move(message)]() mutable {
    if (link->owner == nullptr) return;
    call->done({.code = code, .reply = Reply(), .message = std::move(message)});
  });
}

// ---- the map

bool ClusterClient::KeepsWaiting(Slot slot) const {
  if (paused_.contains(slot)) return true;
  const NodeAddress* master = map_.MasterOf(slot);
  const auto node = master == nullptr ? nodes_.end() : nodes_.find(*master);
  return node != nodes_.end() && node->second.connection->KeepsWaiting();
}

void ClusterClient::RequestRefresh() {
  if (is_refreshing_) {
    wants_refresh_ = true;
    return;
  }
  const Instant next = last_refresh_ + kRefreshInterval;
  refresh_timer_.Start(std::max(next - SystemClock().Now(), Duration::zero()));
}

// Also the time limit of the refresh that runs.
void ClusterClient::Refresh() {
  DropUnwanted();
  NodeAddress asked;
  RedisConnection* node = ReadyNode(asked);
  if (node == nullptr) {
    // Everybody who might know is looked for.
    for (const Endpoint& seed : seeds_) NodeAt(AddressOf(seed));
    for (const NodeAddress& replica : map_.replicas()) NodeAt(replica);
    is_refreshing_ = false;
    refresh_timer_.Start(kRefreshInterval);
    return UpdateState();
  }
  is_refreshing_ = true;
  wants_refresh_ = false;
  last_refresh_ = SystemClock().Now();
  refresh_timer_.Start(kRefreshTimeout);
  node->Send(Command({"CLUSTER", "SLOTS"}),
             [this, asked, attempt = ++refresh_attempt_](const CommandResult& result) {
               OnSlots(attempt, asked, result);
             });
}

// One that is connected; another one each time.
RedisConnection* ClusterClient::ReadyNode(NodeAddress& address) {
  std::vector<std::pair<NodeAddress, RedisConnection*>> ready;
  for (const auto& [at, node] : nodes_) {
    if (node.connection->state().is_ready) ready.emplace_back(at, node.connection.get());
  }
  if (ready.empty()) return nullptr;
  const auto& [at, connection] = ready[next_asked_++ % ready.size()];
  address = at;
  return connection;
}

void ClusterClient::OnSlots(uint64_t attempt, const NodeAddress& asked,
                            const CommandResult& result) {
  if (attempt != refresh_attempt_ || !is_refreshing_) return;
  is_refreshing_ = false;
  SlotMap map(ReadSlotRanges(result.reply, asked.host));
  const bool is_useful = result.ok() && !map.empty();
  refresh_timer_.Start(is_useful && !wants_refresh_ ? kMapLifetime : kRefreshInterval);
  if (is_useful) return SetMap(std::move(map));
  map_problem_ = absl::StrCat(EndpointAt(options_.endpoint, asked).ToString(), ": ",
                              result.ok() ? "the cluster serves no slot yet" : result.message);
  UpdateState();
}

void ClusterClient::SetMap(SlotMap map) {
  map_ = std::move(map);
  map_problem_.clear();
  for (auto& [address, node] : nodes_) node.is_wanted = false;
  for (const NodeAddress& master : map_.masters()) NodeAt(master);
  UpdateState();
}

// A connection owes its replies: it goes when the last has come.
void ClusterClient::DropUnwanted() {
  std::erase_if(nodes_, [](const auto& entry) {
    return !entry.second.is_wanted && entry.second.outstanding == 0;
  });
}

// ---- nodes and state

void ClusterClient::OnNodeState(const NodeAddress& address, const ConnectionState& state) {
  Node& node = nodes_.at(address);
  if (state.is_ready) node.was_ready = true;
  const bool is_first = state.is_ready && map_.empty();
  const bool is_lost = !state.is_ready && !map_.empty();
  if (is_first || is_lost) RequestRefresh();
  UpdateState();
}

void ClusterClient::UpdateState() {
  std::vector<std::string> problems;
  for (const auto& [address, node] : nodes_) {
    const ConnectionState& state = node.connection->state();
    if (node.is_wanted && !state.is_ready) problems.push_back(state.text);
  }
  if (map_.empty() && !map_problem_.empty()) problems.push_back(map_problem_);
  ConnectionState state{.is_ready = !map_.empty() && problems.empty(),
                        .text = absl::StrJoin(problems, "; ")};
  if (!state.is_ready && problems.empty()) state.text = "looking for the cluster";
  if (state == state_) return;
  state_ = std::move(state);
  if (on_state_) on_state_(state_);
}

void ClusterClient::SendToNode(absl::string_view name, Command command, OnResult done) {
  for (auto& [address, node] : nodes_) {
    if (node.name != name) continue;
    ++node.outstanding;
    return node.connection->Send(
        std::move(command),
        [this, address = address, done = std::move(done)](const CommandResult& result) mutable {
          --nodes_.at(address).outstanding;
          done(result);
        });
  }
  auto call = std::make_unique<Call>();
  call->done = std::move(done);
  FailLater(std::move(call), StoreCode::kUnavailable, absl::StrCat(name, " has left the cluster"));
}

std::vector<ServingNode> ClusterClient::Nodes() const {
  std::vector<std::vector<Slot>> slots = map_.SlotsOfMasters();
  std::vector<ServingNode> nodes;
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto node = nodes_.find(map_.masters()[i]);
    if (slots[i].empty() || node == nodes_.end()) continue;
    nodes.push_back({.name = node->second.name,
                     .is_ready = node->second.connection->state().is_ready,
                     .slots = std::move(slots[i])});
  }
  return nodes;
}

absl::string_view ClusterClient::NodeOf(Slot slot) const {
  const NodeAddress* master = map_.MasterOf(slot);
  const auto node = master == nullptr ? nodes_.end() : nodes_.find(*master);
  return node == nodes_.end() ? absl::string_view() : node->second.name;
}

}  // namespace spillway::buffer
