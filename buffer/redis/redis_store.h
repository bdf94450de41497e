// The span buffer in Redis (design section 4): one script call per shard and step.
#ifndef SPILLWAY_BUFFER_REDIS_REDIS_STORE_H_
#define SPILLWAY_BUFFER_REDIS_REDIS_STORE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "buffer/redis/connection.h"
#include "buffer/redis/keys.h"
#include "buffer/redis/server_check.h"
#include "buffer/shard_store.h"
#include "config/config.h"

namespace spillway::buffer {

struct RedisStoreOptions {
  ConnectionOptions connection;
  std::string name_space = "default";
};

// Options from configuration. INVALID_ARGUMENT: the URL, naming the key.
absl::StatusOr<RedisStoreOptions> MakeRedisStoreOptions(const config::Redis& redis,
                                                        const std::string& name_space);

// See shard_store.h for what the calls mean, and for threads. Reconnects by itself. Errors are per
// shard: a broken shard, later a node that is away, leaves the others alone.
class RedisShardStore : public IngestStore, public FlushStore, public ShardReader {
 public:
  using OnState = RedisConnection::OnState;

  RedisShardStore(Loop& loop, RedisStoreOptions options, OnState on_state = {});
  ~RedisShardStore() override;

  void Take(ShardId shard, const TakeRequest& request, Done<TakeReply> done) override;
  void Add(ShardId shard, AddRequest request, Done<ShardFigures> done) override;
  void Tick(ShardId shard, const TickRequest& request, Done<ShardFigures> done) override;

  void Acquire(ShardId shard, const AcquireRequest& request, Done<Epoch> done) override;
  void Peek(ShardId shard, Epoch epoch, uint32_t limit, Done<PeekReply> done) override;
  void ClaimParts(ShardId shard, ClaimRequest request, Done<Claim> done) override;
  void Load(ShardId shard, const std::vector<ClaimedPart>& parts,
            Done<std::vector<LoadedPart>> done) override;
  void Acknowledge(ShardId shard, const AcknowledgeRequest& request,
                   Done<AcknowledgeReply> done) override;
  void Release(ShardId shard, const ReleaseRequest& request, Done<bool> done) override;

  void Summary(ShardId shard, Done<ShardSummary> done) override;
  void Audit(ShardId shard, Done<AuditReply> done) override;

  // The shards of the namespace that have ever been taken, ascending.
  void ListShards(Done<std::vector<ShardId>> done);
  // Version, rights and memory policy of the server. Once, when a program starts.
  void CheckServer(Done<ServerCheck> done);
  const ConnectionState& state() const { return connection_.state(); }

 private:
  // Where a cluster will choose the node that serves the shard's slot.
  RedisConnection& ConnectionForShard(ShardId shard);
  ShardKeys KeysOf(ShardId shard) const;
  void FinishTake(ShardId shard, const TakeRequest& request, TakeReply reply, Offset wanted,
                  Offset resurrected_end, Done<TakeReply> done);
  void SampleMemory();
  StoreResult<ShardFigures> FiguresOf(ShardId shard, const CommandResult& result) const;

  const std::string name_space_;
  double memory_ratio_ = 0;  // sampled once a second
  RedisConnection connection_;
  Timer memory_timer_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_REDIS_STORE_H_
