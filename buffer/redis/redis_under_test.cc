#include "buffer/redis/redis_under_test.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"

namespace spillway::buffer {
namespace {

std::string TextOf(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return absl::StrCat(reply.integer);
    case REDIS_REPLY_ERROR:
      return absl::StrCat("-", absl::string_view(reply.str, reply.len));
    case REDIS_REPLY_ARRAY: {
      std::vector<std::string> parts;
      for (size_t i = 0; i < reply.elements; ++i) parts.push_back(TextOf(*reply.element[i]));
      return absl::StrJoin(parts, " ");
    }
    default:
      return reply.str == nullptr ? "" : std::string(reply.str, reply.len);
  }
}

using ReplyPtr = std::unique_ptr<redisReply, void (*)(void*)>;

ReplyPtr Run(redisContext* context, const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<size_t> lengths;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    lengths.push_back(word.size());
  }
  void* reply =
      redisCommandArgv(context, static_cast<int>(words.size()), texts.data(), lengths.data());
  CHECK(reply != nullptr, "the test's own Redis answers");
  return {static_cast<redisReply*>(reply), freeReplyObject};
}

}  // namespace

RedisHand::RedisHand(int port) : context_(redisConnect("127.0.0.1", port)) {
  CHECK(context_ != nullptr && context_->err == 0, "the test's own Redis listens");
}
RedisHand::~RedisHand() { redisFree(context_); }

std::string RedisHand::Do(const std::vector<std::string>& words) {
  return TextOf(*Run(context_, words));
}

std::vector<std::string> RedisHand::List(const std::vector<std::string>& words) {
  const ReplyPtr reply = Run(context_, words);
  std::vector<std::string> elements;
  for (size_t i = 0; i < reply->elements; ++i) elements.push_back(TextOf(*reply->element[i]));
  return elements;
}

RedisServer& SharedRedis() {
  static RedisServer server = [] {
    auto started = RedisServer::Start();
    CHECK(started.ok(), "redis-server can be started");
    return *std::move(started);
  }();
  return server;
}

RedisCluster& SharedCluster() {
  static RedisCluster cluster = [] {
    auto started = RedisCluster::Start();
    CHECK(started.ok(), "a cluster can be started");
    return *std::move(started);
  }();
  return cluster;
}

SecuredRedis& SharedSecuredRedis() {
  static SecuredRedis server = [] {
    auto started = SecuredRedis::Start();
    CHECK(started.ok(), "a redis-server with TLS can be started");
    return *std::move(started);
  }();
  return server;
}

RedisStoreOptions SecuredOptions() {
  const SecuredRedis& server = SharedSecuredRedis();
  RedisStoreOptions options;
  options.deployment = *ParseDeployment(server.tls_url());
  options.connection.username = "spillway";
  options.connection.password_file = server.File("password");
  options.connection.tls = {.ca = server.File("ca.pem"),
                            .cert = server.File("client.pem"),
                            .key = server.File("client.key")};
  return options;
}

void RunLoopUntil(Loop& loop, const std::function<bool()>& is_done) {
  bool is_late = false;
  Timer deadline(loop, [&is_late] { is_late = true; });
  deadline.Start(std::chrono::seconds(10));
  while (!is_late && !is_done()) uv_run(loop.native(), UV_RUN_ONCE);
  EXPECT_TRUE(is_done()) << "nothing happened for ten seconds";
}

RedisUnderTest::RedisUnderTest(RedisKind kind, std::string script_prologue) {
  RedisStoreOptions options;
  std::vector<int> ports;
  switch (kind) {
    case RedisKind::kServer:
      options.deployment = *ParseDeployment(SharedRedis().url());
      ports = {SharedRedis().port()};
      break;
    case RedisKind::kCluster:
      options.deployment = *ParseDeployment(SharedCluster().url());
      for (size_t i = 0; i < SharedCluster().size(); ++i) {
        ports.push_back(SharedCluster().node(i).port());
      }
      break;
    case RedisKind::kTls:
      options = SecuredOptions();
      ports = {SharedSecuredRedis().port()};
      break;
    case RedisKind::kUnixSocket:
      options.deployment = *ParseDeployment(SharedSecuredRedis().unix_url());
      ports = {SharedSecuredRedis().port()};
      break;
  }
  for (const int port : ports) hands_.push_back(std::make_unique<RedisHand>(port));
  SetMemoryFull(false);
  LoseEverything();
  options.connection.script_prologue = std::move(script_prologue);
  options.name_space = "test";
  store_ = std::make_unique<RedisShardStore>(loop_, std::move(options));
  RunUntil([this] { return store_->state().is_ready; });
}
RedisUnderTest::~RedisUnderTest() { SetMemoryFull(false); }

void RedisUnderTest::RunUntil(const std::function<bool()>& is_done) {
  // Looks after each turn of the loop: what the store sends because of an answer, it sends in a
  // later turn.
  RunLoopUntil(loop_, [&] {
    if (meanwhile_ != nullptr && HasExecuted("mget") && !HasExecuted("hget")) {
      std::exchange(meanwhile_, nullptr)();
    }
    return is_done();
  });
}

bool RedisUnderTest::HasExecuted(const std::string& command) {
  return std::ranges::any_of(hands_, [&](const auto& hand) {
    return absl::StrContains(hand->Do({"INFO", "commandstats"}),
                             absl::StrCat("cmdstat_", command, ":"));
  });
}

void RedisUnderTest::InterruptLoad(std::function<void()> meanwhile) {
  for (const auto& hand : hands_) ASSERT_EQ(hand->Do({"CONFIG", "RESETSTAT"}), "OK");
  meanwhile_ = std::move(meanwhile);
}

void RedisUnderTest::SetMemoryFull(bool is_full) {
  for (const auto& hand : hands_) {
    ASSERT_EQ(hand->Do({"CONFIG", "SET", "maxmemory", is_full ? "1" : "0"}), "OK");
  }
}

void RedisUnderTest::LoseEverything() {
  for (const auto& hand : hands_) ASSERT_EQ(hand->Do({"FLUSHALL"}), "OK");
}

void RedisUnderTest::Snapshot() {
  snapshots_.clear();
  for (const auto& hand : hands_) {
    auto& snapshot = snapshots_.emplace_back();
    for (const std::string& key : hand->List({"KEYS", "*"})) {
      snapshot[key] = hand->Do({"DUMP", key});
    }
  }
}

void RedisUnderTest::Restore() {
  LoseEverything();
  for (size_t i = 0; i < hands_.size(); ++i) {
    for (const auto& [key, dump] : snapshots_[i]) {
      ASSERT_EQ(hands_[i]->Do({"RESTORE", key, "0", dump}), "OK");
    }
  }
}

std::vector<std::string> RedisUnderTest::Keys() {
  std::vector<std::string> keys;
  for (const auto& hand : hands_) {
    for (std::string& key : hand->List({"KEYS", "*"})) keys.push_back(std::move(key));
  }
  std::ranges::sort(keys);
  return keys;
}

size_t RedisUnderTest::KeysBesidesMeta(ShardId shard) {
  const std::string tag = absl::StrCat("{test/", shard.value, "}");
  return std::ranges::count_if(Keys(), [&tag](const std::string& key) {
    return absl::StartsWith(key, tag) && key != tag + "m";
  });
}

void RedisUnderTest::DeleteList(ShardId shard, const PartName& name) {
  size_t deleted = 0;
  for (const auto& hand : hands_) {
    deleted += hand->Do({"DEL", ShardKeys("test", shard).part(name)}) == "1";
  }
  ASSERT_EQ(deleted, 1u);
}

void RedisUnderTest::DeleteDictionary(ShardId shard, uint32_t id) {
  size_t deleted = 0;
  for (const auto& hand : hands_) {
    deleted +=
        hand->Do({"HDEL", ShardKeys("test", shard).dictionaries(), DictionaryIdText(id)}) == "1";
  }
  ASSERT_EQ(deleted, 1u);
}

void RedisUnderTest::PassTime() {
  const auto now_us = [this] {
    const auto time = hand().List({"TIME"});
    return std::stoll(time[0]) * 1'000'000 + std::stoll(time[1]);
  };
  const int64_t end_us = now_us() + 2'500;
  while (now_us() < end_us) {
  }
}

}  // namespace spillway::buffer
