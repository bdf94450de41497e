// The span buffer in Redis (design section 4): one script call per shard and step.
#ifndef SPILLWAY_BUFFER_REDIS_REDIS_STORE_H_
#define SPILLWAY_BUFFER_REDIS_REDIS_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "buffer/redis/keys.h"
#include "buffer/redis/redis_client.h"
#include "buffer/redis/server_check.h"
#include "buffer/shard_store.h"
#include "config/config.h"

namespace spillway::buffer {

class Auditing;

struct RedisStoreOptions {
  ConnectionOptions connection;
  std::string name_space = "default";
  Deployment deployment = {};  // no endpoints: the one server of `connection`
};

// Options from configuration. INVALID_ARGUMENT: the URL, naming the key.
absl::StatusOr<RedisStoreOptions> MakeRedisStoreOptions(const config::Redis& redis,
                                                        const std::string& name_space);

// See shard_store.h for what the calls mean, and for threads. Reconnects and follows a changing
// deployment by itself. Errors are per shard: a broken shard, a node that is away, a slot that
// moves leave the others alone.
class RedisShardStore : public IngestStore, public FlushStore, public ShardReader {
 public:
  using OnState = RedisClient::OnState;
  using CheckListener = std::function<void(const StoreResult<ServerCheck>&)>;

  RedisShardStore(Loop& loop, RedisStoreOptions options, OnState on_state = {});
  ~RedisShardStore() override;

  void Take(ShardId shard, const TakeRequest& request, Done<TakeReply> done) override;
  void Add(ShardId shard, std::shared_ptr<const AddRequest> request,
           Done<ShardFigures> done) override;
  void Tick(ShardId shard, const TickRequest& request, Done<ShardFigures> done) override;
  void ReadDictionary(ShardId shard, uint32_t id,
                      Done<std::shared_ptr<const Dictionary>> done) override;
  void DropDictionary(ShardId shard, const DropDictionaryRequest& request,
                      Done<bool> done) override;
  void StoreDropRules(ShardId shard, const StoreDropRulesRequest& request,
                      Done<bool> done) override;

  bool KeepsWaiting(ShardId shard) const override;
  void Acquire(ShardId shard, const AcquireRequest& request, Done<Epoch> done) override;
  void Peek(ShardId shard, Epoch epoch, uint32_t limit, Done<PeekReply> done) override;
  void ClaimParts(ShardId shard, ClaimRequest request, Done<Claim> done) override;
  void Load(ShardId shard, const std::vector<ClaimedPart>& parts,
            std::shared_ptr<DictionaryShelf> shelf, Done<std::vector<LoadedPart>> done) override;
  void Acknowledge(ShardId shard, const AcknowledgeRequest& request,
                   Done<AcknowledgeReply> done) override;
  void Release(ShardId shard, const ReleaseRequest& request, Done<bool> done) override;

  void Summary(ShardId shard, Done<ShardSummary> done) override;
  void Audit(ShardId shard, Done<AuditReply> done) override;
  void ListShards(Done<std::vector<ShardId>> done) override;

  // Version, rights and memory policy of each server that shards' calls go to, as soon as it is
  // connected, also of those that join later: `on_checked` hears of each once. A check that was not
  // answered is made again. Once, when a program starts.
  void CheckServers(CheckListener on_checked);
  const ConnectionState& state() const { return client_->state(); }
  bool is_cluster() const { return is_cluster_; }

 private:
  struct ServerFacts {
    double memory_ratio = 0;  // sampled once a second
    bool is_checked = false;  // or being checked
  };

  // The way to the node that serves the shard's slot.
  RedisRoute RouteTo(ShardId shard) const;
  RedisRoute RegistryRoute() const;
  ShardKeys KeysOf(ShardId shard) const;
  void FinishTake(ShardId shard, const TakeRequest& request, TakeReply reply, Offset wanted,
                  Offset resurrected_end, Done<TakeReply> done);
  void SendAdd(ShardId shard, std::shared_ptr<const AddRequest> request, bool may_store,
               Done<ShardFigures> done);
  void StoreDictionary(ShardId shard, Epoch epoch, const Dictionary& dictionary, Done<bool> done);
  double MemoryRatioFor(ShardId shard) const;
  void LookAtServers();
  void SampleMemory(const ServingNode& node);
  void CheckServer(const ServingNode& node);
  void AskForCoverage(const ServingNode& node, ServerCheck check);
  void TryScripts(const ServingNode& node, ServerCheck check);
  void OnChecked(const std::string& name, StoreResult<ServerCheck> result);
  StoreResult<ShardFigures> FiguresOf(ShardId shard, const CommandResult& result) const;

  Loop& loop_;
  const std::string name_space_;
  bool is_cluster_ = false;
  std::unique_ptr<RedisClient> client_;
  std::map<std::string, ServerFacts, std::less<>> servers_;  // by name; few
  CheckListener on_checked_;
  // Under way, by number. Go after the client, whose calls know them.
  std::map<uint64_t, std::shared_ptr<Auditing>> audits_;
  uint64_t last_audit_ = 0;
  Timer servers_timer_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_REDIS_STORE_H_
