#include "buffer/redis/server_client.h"

#include <utility>

#include "base/log.h"

namespace spillway::buffer {
namespace {

constexpr Duration kAskInterval = std::chrono::seconds(2);

ConnectionOptions Following(ConnectionOptions options, Sentinels& sentinels) {
  options.endpoint = sentinels.master_template();
  options.find_endpoint = [&sentinels](FoundEndpoint found) {
    sentinels.FindMaster(std::move(found));
  };
  return options;
}

}  // namespace

ServerClient::ServerClient(Loop& loop, ConnectionOptions options, OnState on_state)
    : connection_(loop, std::move(options), std::move(on_state)), ask_timer_(loop, [] {}) {}

ServerClient::ServerClient(Loop& loop, ConnectionOptions options,
                           std::unique_ptr<Sentinels> sentinels, OnState on_state)
    : sentinels_(std::move(sentinels)),
      connection_(loop, Following(std::move(options), *sentinels_), std::move(on_state)),
      ask_timer_(loop, [this] { AskWhetherItStays(); }) {
  ask_timer_.Start(kAskInterval);
}

void ServerClient::Send(Slot, Command command, OnResult done) {
  connection_.Send(std::move(command), std::move(done));
}

void ServerClient::SendToNode(absl::string_view, Command command, OnResult done) {
  connection_.Send(std::move(command), std::move(done));
}

std::vector<ServingNode> ServerClient::Nodes() const {
  return {{.name = std::string(NodeOf(0)), .is_ready = state().is_ready, .slots = {}}};
}

absl::string_view ServerClient::NodeOf(Slot) const {
  name_ = connection_.endpoint().ToString();
  return name_;
}

// An old master that is cut off from the sentinels may still answer us. A single sentinel's word
// does not suffice where there are more: it may be behind.
void ServerClient::AskWhetherItStays() {
  ask_timer_.Start(kAskInterval);
  if (!connection_.state().is_ready) return;
  sentinels_->FindMaster([this](absl::StatusOr<Endpoint> found) {
    if (!found.ok() || !connection_.state().is_ready) return;
    const Endpoint& present = connection_.endpoint();
    if (found->host == present.host && found->port == present.port) return other_master_.clear();
    if (std::exchange(other_master_, found->ToString()) != found->ToString()) return;
    Log(LogLevel::kWarning, "the sentinels name another master",
        {{"left", present.ToString()}, {"master", found->ToString()}});
    connection_.Leave();
  });
}

}  // namespace spillway::buffer
