#include "buffer/redis/redis_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "buffer/redis/auditing.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

constexpr Duration kLookInterval = std::chrono::seconds(1);

}  // namespace

absl::StatusOr<RedisStoreOptions> MakeRedisStoreOptions(const config::Redis& redis,
                                                        const std::string& name_space) {
  RedisStoreOptions options;
  ASSIGN_OR_RETURN(options.deployment, ParseDeployment(redis.url));
  options.connection.username = redis.username;
  options.connection.password_file = redis.password_file;
  options.connection.tls = {.ca = redis.tls.ca, .cert = redis.tls.cert, .key = redis.tls.key};
  options.name_space = name_space;
  return options;
}

RedisShardStore::RedisShardStore(Loop& loop, RedisStoreOptions options, OnState on_state)
    : loop_(loop),
      name_space_(std::move(options.name_space)),
      servers_timer_(loop, [this] { LookAtServers(); }) {
  Deployment deployment = std::move(options.deployment);
  is_cluster_ = deployment.kind == Deployment::Kind::kCluster;
  if (deployment.endpoints.empty()) deployment.endpoints = {options.connection.endpoint};
  client_ =
      MakeRedisClient(loop, deployment, std::move(options.connection),
                      [this, on_state = std::move(on_state)](const ConnectionState& state) mutable {
                        servers_timer_.Start(Duration::zero());
                        if (on_state) on_state(state);
                      });
}

RedisShardStore::~RedisShardStore() = default;

RedisRoute RedisShardStore::RouteTo(ShardId shard) const {
  return {*client_, SlotOfKey(KeysOf(shard).meta())};
}

RedisRoute RedisShardStore::RegistryRoute() const {
  return {*client_, SlotOfKey(RegistryKey(name_space_))};
}

ShardKeys RedisShardStore::KeysOf(ShardId shard) const { return ShardKeys(name_space_, shard); }

double RedisShardStore::MemoryRatioFor(ShardId shard) const {
  const auto server = servers_.find(client_->NodeOf(SlotOfKey(KeysOf(shard).meta())));
  return server == servers_.end() ? 0 : server->second.memory_ratio;
}

bool RedisShardStore::KeepsWaiting(ShardId shard) const {
  return client_->KeepsWaiting(SlotOfKey(KeysOf(shard).meta()));
}

void RedisShardStore::ListShards(Done<std::vector<ShardId>> done) {
  RegistryRoute().Send(
      Command({"SMEMBERS", RegistryKey(name_space_)}),
      [done = std::move(done)](const CommandResult& result) mutable {
        std::vector<ShardId> shards;
        for (size_t i = 0; i < result.reply.size(); ++i) {
          shards.push_back({static_cast<int32_t>(result.reply[i].integer())});
        }
        std::ranges::sort(shards);
        done({.code = result.code, .value = std::move(shards), .message = result.message});
      });
}

// ---- the servers themselves

void RedisShardStore::CheckServers(CheckListener on_checked) {
  on_checked_ = std::move(on_checked);
  servers_timer_.Start(Duration::zero());
}

void RedisShardStore::LookAtServers() {
  servers_timer_.Start(kLookInterval);
  for (const ServingNode& node : client_->Nodes()) {
    if (!node.is_ready) continue;
    if (on_checked_ && !servers_[node.name].is_checked) {
      CheckServer(node);  // whose INFO tells the memory too
    } else {
      SampleMemory(node);
    }
  }
}

void RedisShardStore::SampleMemory(const ServingNode& node) {
  client_->SendToNode(node.name, Command({"INFO", "memory"}),
                      [this, name = node.name](const CommandResult& result) {
                        if (!result.ok()) return;
                        servers_[name].memory_ratio = ParseMemoryInfo(result.reply.text()).ratio();
                      });
}

// The server's word on itself first: an old one would fail the self-test with a worse message.
void RedisShardStore::CheckServer(const ServingNode& node) {
  servers_[node.name].is_checked = true;
  client_->SendToNode(node.name, Command({"INFO"}), [this, node](const CommandResult& info) {
    ServerCheck check;
    check.name = node.name;
    if (!info.ok()) {
      return OnChecked(node.name, {.code = info.code,
                                   .value = std::move(check),
                                   .message = absl::StrCat(node.name, ": INFO: ", info.message)});
    }
    ParseServerInfo(info.reply.text(), check);
    servers_[node.name].memory_ratio = check.memory.ratio();
    if (check.mode == "sentinel" || (check.mode == "cluster" && !is_cluster_)) {
      // Not what it was taken for, which says more than how scripts fail there.
      return OnChecked(node.name, Succeeded(std::move(check)));
    }
    if (!is_cluster_) return TryScripts(node, std::move(check));
    AskForCoverage(node, std::move(check));
  });
}

// Without the right to ask, it is not known.
void RedisShardStore::AskForCoverage(const ServingNode& node, ServerCheck check) {
  client_->SendToNode(node.name, Command({"CONFIG", "GET", "cluster-require-full-coverage"}),
                      [this, node, check = std::move(check)](const CommandResult& got) mutable {
                        check.requires_full_coverage = got.ok() && got.reply[1].text() == "yes";
                        TryScripts(node, std::move(check));
                      });
}

// With scratch keys that live on this very node.
void RedisShardStore::TryScripts(const ServingNode& node, ServerCheck check) {
  const int number = ScratchNumberOn(name_space_, node.slots);
  Command command(scripts::kSelftest, 4, 0);
  for (const char* suffix : {"h", "z", "l", "s"}) {
    command.Add(ScratchKey(name_space_, number, suffix));
  }
  client_->SendToNode(node.name, std::move(command),
                      [this, check = std::move(check)](const CommandResult& result) mutable {
                        const std::string name = check.name;
                        OnChecked(name, {.code = result.code,
                                         .value = std::move(check),
                                         .message = absl::StrCat(name, ": ", result.message)});
                      });
}

void RedisShardStore::OnChecked(const std::string& name, StoreResult<ServerCheck> result) {
  // Not the server's last word: again at the next look. A slot may have left it meanwhile.
  if (result.code == StoreCode::kUnavailable || result.code == StoreCode::kMoving) {
    servers_[name].is_checked = false;
    return;
  }
  if (on_checked_) on_checked_(result);
}

}  // namespace spillway::buffer
