#include "buffer/redis/redis_store.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

constexpr Duration kMemorySampleInterval = std::chrono::seconds(1);

}  // namespace

absl::StatusOr<RedisStoreOptions> MakeRedisStoreOptions(const config::Redis& redis,
                                                        const std::string& name_space) {
  RedisStoreOptions options;
  ASSIGN_OR_RETURN(options.connection.endpoint, ParseEndpoint(redis.url));
  options.connection.username = redis.username;
  options.connection.password_file = redis.password_file;
  options.connection.tls_ca = redis.tls.ca;
  options.connection.tls_cert = redis.tls.cert;
  options.connection.tls_key = redis.tls.key;
  options.name_space = name_space;
  return options;
}

RedisShardStore::RedisShardStore(Loop& loop, RedisStoreOptions options, OnState on_state)
    : name_space_(std::move(options.name_space)),
      connection_(loop, std::move(options.connection), std::move(on_state)),
      memory_timer_(loop, [this] { SampleMemory(); }) {
  memory_timer_.Start(Duration::zero());
}

RedisShardStore::~RedisShardStore() = default;

RedisConnection& RedisShardStore::ConnectionForShard(ShardId) { return connection_; }

ShardKeys RedisShardStore::KeysOf(ShardId shard) const { return ShardKeys(name_space_, shard); }

void RedisShardStore::SampleMemory() {
  memory_timer_.Start(kMemorySampleInterval);
  if (!connection_.state().is_ready) return;
  connection_.Send(Command({"INFO", "memory"}), [this](const CommandResult& result) {
    if (result.ok()) memory_ratio_ = ParseMemoryInfo(result.reply.text()).ratio();
  });
}

void RedisShardStore::ListShards(Done<std::vector<ShardId>> done) {
  connection_.Send(
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

// The server's word on itself first: an old one would fail the self-test with a worse message.
void RedisShardStore::CheckServer(Done<ServerCheck> done) {
  connection_.Send(
      Command({"INFO"}), [this, done = std::move(done)](const CommandResult& info) mutable {
        if (!info.ok()) {
          return done({.code = info.code, .value = {}, .message = "INFO: " + info.message});
        }
        ServerCheck check = ParseServerInfo(info.reply.text());
        Command command(scripts::kSelftest, 3, 0);
        for (const char* suffix : {"h", "z", "l"}) command.Add(ScratchKey(name_space_, suffix));
        connection_.Send(std::move(command), [check = std::move(check), done = std::move(done)](
                                                 const CommandResult& result) mutable {
          done({.code = result.code, .value = std::move(check), .message = result.message});
        });
      });
}

}  // namespace spillway::buffer
