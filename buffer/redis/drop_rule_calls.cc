// RedisShardStore: for which offsets of a shard drop rules are in force.
#include <utility>

#include "buffer/redis/redis_store.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {

void RedisShardStore::StoreDropRules(ShardId shard, const StoreDropRulesRequest& request,
                                     Done<bool> done) {
  Command command(scripts::kDroprules, 1, 3);
  command.Add(KeysOf(shard).meta())
      .Add(EpochText(request.epoch))
      .Add(static_cast<int64_t>(request.revision))
      .Add(request.rules);
  RouteTo(shard).Send(std::move(command),
                      [shard, done = std::move(done)](const CommandResult& result) mutable {
                        if (!result.ok()) return done(Failed<bool>(shard, result));
                        done(Succeeded(true));
                      });
}

}  // namespace spillway::buffer
