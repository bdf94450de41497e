// A private Redis for tests: one server, and one cluster, for the binary; one store for each test.
#ifndef SPILLWAY_BUFFER_REDIS_REDIS_UNDER_TEST_H_
#define SPILLWAY_BUFFER_REDIS_REDIS_UNDER_TEST_H_

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/loop.h"
#include "buffer/redis/redis_store.h"
#include "tests/support/processes.h"
#include "tests/support/redis_deployments.h"
#include "tests/support/secured_redis.h"
#include "tests/unit/shard_store_contract.h"

struct redisContext;
struct redisReply;

namespace spillway::buffer {

// A second, blocking connection: a test's own hand in the server.
class RedisHand {
 public:
  explicit RedisHand(int port);
  ~RedisHand();
  RedisHand(const RedisHand&) = delete;
  RedisHand& operator=(const RedisHand&) = delete;

  // The reply as text; arrays as their elements, joined by a space; errors begin with "-".
  std::string Do(const std::vector<std::string>& words);
  std::vector<std::string> List(const std::vector<std::string>& words);

 private:
  redisContext* context_;
};

// Started with the first call, ended with the binary.
RedisServer& SharedRedis();
RedisCluster& SharedCluster();
SecuredRedis& SharedSecuredRedis();

enum class RedisKind { kServer, kCluster, kTls, kUnixSocket };

// For the shared secured server over TLS, as its ACL user.
RedisStoreOptions SecuredOptions();

class RedisUnderTest : public StoreUnderTest {
 public:
  // On the shared server or cluster of this kind, emptied. Its namespace is "test".
  explicit RedisUnderTest(RedisKind kind = RedisKind::kServer, std::string script_prologue = "");
  ~RedisUnderTest() override;

  IngestStore& ingest() override { return *store_; }
  FlushStore& flush() override { return *store_; }
  ShardReader& reader() override { return *store_; }
  void RunUntil(const std::function<bool()>& is_done) override;
  void SetMemoryFull(bool is_full) override;
  void LoseEverything() override;
  void Snapshot() override;
  void Restore() override;
  size_t KeysBesidesMeta(ShardId shard) override;
  void DeleteList(ShardId shard, const PartName& name) override;
  void DeleteDictionary(ShardId shard, uint32_t id) override;
  void InterruptLoad(std::function<void()> meanwhile) override;
  void PassTime() override;

  RedisHand& hand() { return *hands_.front(); }  // one server: of that
  std::vector<std::string> Keys();               // of all servers, sorted
  RedisShardStore& store() { return *store_; }
  Loop& loop() { return loop_; }

 private:
  bool HasExecuted(const std::string& command);  // any server, since InterruptLoad

  Loop loop_;
  std::function<void()> meanwhile_;                // empty: no Load is to be interrupted
  std::vector<std::unique_ptr<RedisHand>> hands_;  // one for each server
  std::unique_ptr<RedisShardStore> store_;
  std::vector<std::map<std::string, std::string>> snapshots_;  // per server: key -> DUMP
};

// Runs `loop` until `is_done`; fails the test after ten seconds.
void RunLoopUntil(Loop& loop, const std::function<bool()>& is_done);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_REDIS_UNDER_TEST_H_
