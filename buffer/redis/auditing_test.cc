// Audits of a shard that changes between any two steps.
#include "buffer/redis/auditing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "buffer/redis/redis_under_test.h"
#include "tests/unit/shard_life.h"

namespace spillway::buffer {
namespace {

// Passes everything on to a real server, but an audit's calls one at a time, when told to.
class SteppedClient final : public RedisClient {
 public:
  SteppedClient(Loop& loop, const std::string& url) {
    ConnectionOptions options;
    options.endpoint = *ParseEndpoint(url);
    Deployment deployment;
    deployment.endpoints = {options.endpoint};
    real_ = MakeRedisClient(loop, deployment, options, {});
  }

  bool has_next() const { return !held_.empty(); }
  bool NextIs(const Script& script) const {
    return has_next() && absl::StrContains(held_.front().command.wire(), script.sha1);
  }
  void PassNext() {
    Held held = std::move(held_.front());
    held_.pop_front();
    real_->Send(held.slot, std::move(held.command), std::move(held.done));
  }

  void Send(Slot slot, Command command, OnResult done) override {
    held_.push_back({slot, std::move(command), std::move(done)});
  }
  void SendToNode(absl::string_view name, Command command, OnResult done) override {
    real_->SendToNode(name, std::move(command), std::move(done));
  }
  std::vector<ServingNode> Nodes() const override { return real_->Nodes(); }
  absl::string_view NodeOf(Slot slot) const override { return real_->NodeOf(slot); }
  bool KeepsWaiting(Slot slot) const override { return real_->KeepsWaiting(slot); }
  const ConnectionState& state() const override { return real_->state(); }

 private:
  struct Held {
    Slot slot;
    Command command;
    OnResult done;
  };
  std::unique_ptr<RedisClient> real_;
  std::deque<Held> held_;
};

// Small steps, so that a small shard takes many.
constexpr AuditSteps kSmallSteps{.names = 20, .parts = 8, .entries = 6, .records = 25};

class AuditingTest : public ShardLife {
 protected:
  AuditingTest() : client_(redis().loop(), SharedRedis().url()) {
    RunLoopUntil(redis().loop(), [&] { return client_.state().is_ready; });
    TakeAsWriter();
  }
  RedisUnderTest& redis() { return static_cast<RedisUnderTest&>(*store_); }
  void Do(const std::vector<std::string>& words) { redis().hand().Do(words); }

  // `before` is called before each step, which is the next of client_.
  AuditReply Run(const std::function<void()>& before, AuditSteps steps = kSmallSteps) {
    std::optional<StoreResult<AuditReply>> audit;
    const ShardKeys keys("test", kShard);
    const auto auditing = std::make_shared<Auditing>(
        redis().loop(), RedisRoute(client_, SlotOfKey(keys.meta())), keys, kShard,
        [&](StoreResult<AuditReply> r) { audit = std::move(r); }, steps);
    auditing->Run();
    while (!audit.has_value()) {
      before();
      client_.PassNext();
      RunLoopUntil(redis().loop(), [&] { return audit.has_value() || client_.has_next(); });
      if (!audit.has_value() && !client_.has_next()) break;
    }
    while (client_.has_next()) client_.PassNext();
    EXPECT_EQ(audit->code, StoreCode::kOk) << audit->message;
    return audit->value;
  }
  AuditReply RunWith(const Script& script, const std::function<void()>& act) {
    bool is_done = false;
    return Run([&] {
      if (client_.NextIs(script) && !std::exchange(is_done, true)) act();
    });
  }
  void ExpectNoJournal() {
    EXPECT_EQ(Summary().exists, true);  // behind the audit's last call
    EXPECT_EQ(redis().hand().Do({"EXISTS", "{test/7}j"}), "0");
    EXPECT_EQ(redis().hand().Do({"HEXISTS", "{test/7}m", "audit"}), "0");
  }

  SteppedClient client_;
};

INSTANTIATE_TEST_SUITE_P(Redis, AuditingTest,
                         ::testing::Values(StoreFactory{
                             "plain", [] { return std::make_unique<RedisUnderTest>(); }}));

// The property: whatever happens between the steps, an audit ends and finds what is there.
TEST_P(AuditingTest, IsExactWhateverHappensBetweenItsSteps) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Restart(seed);
    Grow(200);
    int steps = 0;
    const AuditReply audit = Run([&] {
      ++steps;
      Live(2);
    });
    ExpectEven(audit);
    EXPECT_GT(steps, 30);
    EXPECT_GT(audit.live_spans, 0u);
  }
  ExpectNoJournal();
}

TEST_P(AuditingTest, TellsWhatIsMissingWhateverHappensBetweenItsSteps) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Restart(seed);
    Grow(150);
    AddNext({NewPart(watermark_, kNever, 3)}, 3, clock_.ms);
    store_->DeleteList(kShard, Name(watermark_ - 3));
    Do({"HINCRBY", "{test/7}m", "accepted", "-1"});
    const AuditReply audit = Run([&] { Live(2); });
    EXPECT_TRUE(audit.is_exact);
    EXPECT_EQ(audit.residual, 2);
    EXPECT_EQ(audit.missing_lists, 1u);
    EXPECT_EQ(audit.part_residual, 0);
  }
}

TEST_P(AuditingTest, APartThatLeavesBeforeItIsReadDoesNotCount) {
  AddNext({NewPart(0, 20, 3), NewPart(3, 20, 4)}, 7, 20);
  const AuditReply audit = RunWith(scripts::kAuditparts, [&] {
    EXPECT_TRUE(Acknowledge(AcknowledgeOf(ClaimAll(), 7)).value.was_known);
  });
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 0u);
  EXPECT_EQ(audit.summary.ledger.acknowledged, 7u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, SpansThatComeWhileItIsReadCount) {
  AddNext({NewPart(0, 90, 3)}, 3, 20);
  const AuditReply audit =
      RunWith(scripts::kAuditread, [&] { AddNext({NewPart(3, 90, 2)}, 2, 21); });
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 5u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, AShardThatSomebodyChangesWithoutTheJournalCannotBeTold) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  const AuditReply audit = Run([&] { Do({"HINCRBY", "{test/7}m", "changes", "1"}); });
  EXPECT_FALSE(audit.is_exact);
  EXPECT_TRUE(audit.summary.exists);
  EXPECT_EQ(audit.live_spans, 0u);
  EXPECT_EQ(audit.residual, 0) << "unknown, and not what was counted by half";
  ExpectNoJournal();
}

TEST_P(AuditingTest, AChangeWithoutTheJournalMakesItBeginAgain) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  const AuditReply audit = RunWith(scripts::kAuditread, [&] {
    Do({"DEL", "{test/7}p" + Name(0).ToString()});
    Do({"HINCRBY", "{test/7}m", "changes", "1"});
  });
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.residual, 3);
}

TEST_P(AuditingTest, APartThatTheWalkHasMissedMakesItBeginAgain) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  const AuditReply audit = RunWith(scripts::kAuditread, [&] {
    Do({"ZADD", "{test/7}d", "6400", "1.500"});
  });
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.due_parts, 2u);
  EXPECT_EQ(audit.missing_lists, 1u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, WhatIsNoPartsNameIsLeftAlone) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  Do({"ZADD", "{test/7}d", "6400", "not ours"});
  const AuditReply audit = Run([] {});
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.due_parts, 1u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, ARollbackMakesItBeginAgain) {
  for (int restored_at = 3; restored_at < 12; ++restored_at) {
    Restart(static_cast<uint64_t>(restored_at));
    Grow(60);
    int step = 0;
    const AuditReply audit = Run([&] {
      if (++step == restored_at - 1) store_->Snapshot();
      if (step <= restored_at) Live(2);
      if (step != restored_at) return;
      store_->Restore();
      TakeAsWriter();
      for (int i = 0; i < 3; ++i) AddNext({}, 0, clock_.ms);  // as many changes, other ones
    });
    EXPECT_TRUE(audit.is_exact);
    EXPECT_EQ(audit.residual, 0) << "set back before step " << restored_at;
    EXPECT_EQ(audit.due_parts, audit.summary.due_parts);
    EXPECT_EQ(audit.part_residual, 0);
  }
}

TEST_P(AuditingTest, AShardThatIsGoneMeanwhileIsAFinding) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  const AuditReply audit = RunWith(scripts::kAuditread, [&] { store_->LoseEverything(); });
  EXPECT_TRUE(audit.is_exact);
  EXPECT_FALSE(audit.summary.exists);
}

TEST_P(AuditingTest, AnAuditThatNobodyReadsAnyMoreIsEndedByTheNextChange) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  Do({"HSET", "{test/7}m", "audit", "00000000000000ab 1000 7 0"});  // its lease is long over
  Do({"RPUSH", "{test/7}j", "=1"});
  AddNext({NewPart(3, 20, 1)}, 1, 20);
  ExpectNoJournal();
  Do({"HSET", "{test/7}m", "audit", "of another format"});
  AddNext({NewPart(4, 20, 1)}, 1, 20);
  ExpectNoJournal();
}

TEST_P(AuditingTest, WaitsForAnotherAuditUntilItsLeaseEnds) {
  AddNext({NewPart(0, 20, 3)}, 3, 20);
  const std::string now = redis().hand().List({"TIME"}).at(0);
  const int64_t soon = std::stoll(now) * 1'000'000 + 1'100'000;
  Do({"HSET", "{test/7}m", "audit", absl::StrCat("00000000000000ab ", soon, " 7 0")});
  int begins = 0;
  const AuditReply audit = Run([&] { begins += client_.NextIs(scripts::kAuditbegin); });
  EXPECT_GT(begins, 1);
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.live_spans, 3u);
}

TEST_P(AuditingTest, WorksWhileRedisRefusesWritesForMemory) {
  AddNext({NewPart(0, 20, 3), NewPart(3, 20, 4)}, 7, 20);
  store_->SetMemoryFull(true);
  bool is_claimed = false;
  Claim claim;
  const AuditReply audit = Run([&] {
    if (client_.NextIs(scripts::kAuditparts) && !std::exchange(is_claimed, true))
      claim = ClaimAll();
  });
  store_->SetMemoryFull(false);
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.in_flight_parts, 2u);
  EXPECT_EQ(audit.live_spans, 7u);
  EXPECT_EQ(audit.residual, 0);
}

TEST_P(AuditingTest, AnEntryThatCannotBeDecodedIsTold) {
  AddNext({NewPart(0, 20, 3), NewPart(3, 20, 4)}, 7, 20);
  Do({"SETRANGE", "{test/7}p" + Name(0).ToString(), "0", "damaged!"});
  const AuditReply audit = Run([] {});
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.undecodable_entries, 1u);
  EXPECT_EQ(audit.residual, 3);
}

}  // namespace
}  // namespace spillway::buffer
