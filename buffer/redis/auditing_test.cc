// Audits of a shard that changes at just the wrong moments.
#include "buffer/redis/auditing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "buffer/redis/redis_under_test.h"

namespace spillway::buffer {
namespace {

// Passes everything on to a real server, and lets a test act before each call of a script.
class InterruptedClient final : public RedisClient {
 public:
  using Interrupt = std::function<void(const Script&)>;

  InterruptedClient(Loop& loop, const std::string& url) {
    ConnectionOptions options;
    options.endpoint = *ParseEndpoint(url);
    Deployment deployment;
    deployment.endpoints = {options.endpoint};
    real_ = MakeRedisClient(loop, deployment, options, {});
  }
  void SetInterrupt(Interrupt interrupt) { interrupt_ = std::move(interrupt); }

  void Send(Slot slot, Command command, OnResult done) override {
    for (const Script* script : {&scripts::kLive, &scripts::kSizes, &scripts::kHeads}) {
      if (interrupt_ && absl::StrContains(command.wire(), script->sha1)) interrupt_(*script);
    }
    real_->Send(slot, std::move(command), std::move(done));
  }
  void SendToNode(absl::string_view name, Command command, OnResult done) override {
    real_->SendToNode(name, std::move(command), std::move(done));
  }
  std::vector<ServingNode> Nodes() const override { return real_->Nodes(); }
  absl::string_view NodeOf(Slot slot) const override { return real_->NodeOf(slot); }
  const ConnectionState& state() const override { return real_->state(); }

 private:
  std::unique_ptr<RedisClient> real_;
  Interrupt interrupt_;
};

class AuditingTest : public ShardStoreContract {
 protected:
  AuditingTest() : client_(redis().loop(), SharedRedis().url()) {
    RunLoopUntil(redis().loop(), [&] { return client_.state().is_ready; });
    TakeAsWriter();
  }
  RedisUnderTest& redis() { return static_cast<RedisUnderTest&>(*store_); }
  void Do(const std::vector<std::string>& words) { redis().hand().Do(words); }

  // As an add of nothing, and as an acknowledge, by another hand.
  void Change() { Do({"HINCRBY", "{test/7}m", "changes", "1"}); }
  void Leave(const PartName& name, uint64_t spans) {
    Do({"ZREM", "{test/7}d", name.ToString()});
    Do({"DEL", absl::StrCat("{test/7}p", name.ToString())});
    Do({"HINCRBY", "{test/7}m", "acknowledged", absl::StrCat(spans)});
    Change();
  }
  AuditReply Run(InterruptedClient::Interrupt interrupt) {
    client_.SetInterrupt(std::move(interrupt));
    std::optional<StoreResult<AuditReply>> audit;
    const ShardKeys keys("test", kShard);
    std::make_shared<Auditing>(RedisRoute(client_, SlotOfKey(keys.meta())), keys, kShard,
                               [&](StoreResult<AuditReply> r) { audit = std::move(r); })
        ->Run();
    RunLoopUntil(redis().loop(), [&] { return audit.has_value(); });
    EXPECT_EQ(audit->code, StoreCode::kOk) << audit->message;
    return audit->value;
  }
  // Acts before the first call of `script` only.
  static InterruptedClient::Interrupt Once(const Script& script, std::function<void()> act) {
    return [&script, act = std::move(act), is_done = false](const Script& called) mutable {
      if (&called == &script && !std::exchange(is_done, true)) act();
    };
  }

  InterruptedClient client_;
};

INSTANTIATE_TEST_SUITE_P(Redis, AuditingTest,
                         ::testing::Values(StoreFactory{
                             "plain", [] { return std::make_unique<RedisUnderTest>(); }}));

TEST_P(AuditingTest, APartThatLeavesBeforeItIsReadMakesANewInstant) {
  AddNext({NewPart(0, 20, 3), NewPart(3, 20, 4)}, 7, 20);
  const AuditReply audit = Run(Once(scripts::kHeads, [&] { Leave(Name(3), 4); }));
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 3u);
  EXPECT_EQ(audit.summary.ledger.acknowledged, 4u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, APartThatLeavesAfterItWasReadCounts) {
  AddNext({NewPart(0, 20, 3), NewPart(3, 20, 4)}, 7, 20);
  int reads = 0;
  const AuditReply audit = Run([&](const Script& script) {
    if (&script == &scripts::kHeads && ++reads == 2) Change();  // of another instant already
  });
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 7u);
  EXPECT_EQ(reads, 2) << "what was read is not read again";
}

TEST_P(AuditingTest, AChangeBetweenTwoPagesBeginsAgain) {
  AddNext({NewPart(0, 20, 3), NewPart(3, 20, 4)}, 7, 20);
  const AuditReply audit = Run(Once(scripts::kSizes, [&] { Leave(Name(0), 3); }));
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 4u);
  EXPECT_EQ(audit.due_parts, 1u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, SpansThatComeWhileItIsReadAreOfALaterInstant) {
  AddNext({NewPart(0, 90, 3)}, 3, 20);
  const AuditReply audit = Run(Once(scripts::kHeads, [&] {
    const std::string more = TestChunk(0, {3, 4}, 50);
    const std::string part = "{test/7}p" + Name(0).ToString();
    const std::string first = redis().hand().Do({"GET", part});
    Do({"DEL", part});  // a second chunk makes a list of it
    Do({"RPUSH", part, first, more});
    Do({"HINCRBY", "{test/7}m", "accepted", "2"});
    Do({"HINCRBY", "{test/7}m", "messages", "2"});
    Change();
  }));
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 3u);
  EXPECT_EQ(audit.summary.ledger.accepted, 3u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, AShardThatNeverStandsStillCannotBeTold) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  const AuditReply audit = Run([&](const Script&) { Change(); });
  EXPECT_FALSE(audit.is_exact);
  EXPECT_TRUE(audit.summary.exists);
  EXPECT_EQ(audit.live_spans, 0u);
  EXPECT_EQ(audit.residual, 0) << "unknown, and not what was counted by half";
}

TEST_P(AuditingTest, AnEntryThatCannotBeDecodedIsTold) {
  AddNext({NewPart(0, 20, 3), NewPart(3, 20, 4)}, 7, 20);
  Do({"SETRANGE", "{test/7}p" + Name(0).ToString(), "0", "damaged!"});
  const AuditReply audit = Run({});
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.undecodable_entries, 1u);
  EXPECT_EQ(audit.residual, 3);
}

}  // namespace
}  // namespace spillway::buffer
