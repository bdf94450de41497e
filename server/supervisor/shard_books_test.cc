#include "server/supervisor/shard_books.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "server/supervisor/fleet_control.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_shard_store.h"

namespace spillway::supervisor {
namespace {

using buffer::FakeShard;
using buffer::StoreCall;
using buffer::StoreCode;
using buffer::StoreFault;

using Audits = absl::StatusOr<std::vector<ShardAudit>>;

class ShardBooksTest : public ::testing::Test {
 protected:
  ~ShardBooksTest() override {
    if (books_ != nullptr) books_->Close();
  }

  void Make(std::vector<ShardId> shards) {
    for (const ShardId shard : shards) {
      FakeShard& state = store_.shards()[shard];
      state.ledger.messages = state.ledger.accepted = state.ledger.acknowledged = 10;
    }
    shards_ = std::move(shards);
    books_ = std::make_shared<ShardBooks>(
        loop_, clock_, &store_,
        ShardBooks::Hooks{[this] { return shards_; }, [this] { ++readings_; }});
  }
  std::optional<Audits>& Audit(const std::vector<ShardId>& shards) {
    auto& answer = answers_.emplace_back();
    books_->Audit(shards, [&answer](Audits audits) { answer = std::move(audits); });
    return answer;
  }

  Loop loop_;
  FakeClock clock_;
  buffer::FakeShardStore store_;
  std::vector<ShardId> shards_;
  int readings_ = 0;
  std::deque<std::optional<Audits>> answers_;
  std::shared_ptr<ShardBooks> books_;
};

TEST_F(ShardBooksTest, ReadsTheLedgersOfTheShardsThatExist) {
  std::vector<ShardId> shards;
  for (int32_t i = 0; i < 20; ++i) shards.push_back({i});
  Make(shards);
  store_.shards().erase({3});
  books_->Begin();
  store_.RunCallbacks();

  EXPECT_EQ(readings_, 1);
  EXPECT_EQ(books_->ledgers().size(), 19u);
  EXPECT_EQ(books_->ledgers().at({0}).ledger.accepted, 10u);
  EXPECT_EQ(books_->ledgers().at({0}).read_at, clock_.Now());
}

TEST_F(ShardBooksTest, AShardThatCannotBeReadKeepsWhatWasReadLast) {
  Make({{0}, {1}});
  books_->Begin();
  store_.RunCallbacks();
  const Instant before = clock_.Now();
  clock_.Advance(std::chrono::seconds(2));
  store_.SetFaults([](StoreCall, ShardId shard) {
    return shard.value == 0 ? StoreFault::kLoseRequest : StoreFault::kNone;
  });
  books_->Begin();
  store_.RunCallbacks();

  EXPECT_EQ(books_->ledgers().at({0}).read_at, before);
  EXPECT_EQ(books_->ledgers().at({1}).read_at, clock_.Now());
}

TEST_F(ShardBooksTest, AuditsEveryShardInOrderWhateverOneAnswers) {
  Make({{0}, {1}, {2}, {3}, {4}, {5}});
  store_.shard({4})->ledger.acknowledged = 8;
  store_.SetFaults([](StoreCall, ShardId shard) {
    return shard.value == 1 ? StoreFault::kLoseRequest : StoreFault::kNone;
  });
  const auto& answer = Audit(shards_);
  store_.RunCallbacks();

  ASSERT_TRUE(answer.has_value() && answer->ok());
  const std::vector<ShardAudit>& audits = **answer;
  ASSERT_EQ(audits.size(), 6u);
  for (size_t i = 0; i < audits.size(); ++i) EXPECT_EQ(audits[i].shard, shards_[i]);
  EXPECT_EQ(audits[0].reply.residual, 0);
  EXPECT_EQ(audits[1].code, StoreCode::kUnavailable);
  EXPECT_EQ(audits[4].reply.residual, 2);
  EXPECT_EQ(books_->audits().size(), 5u) << "shard 1 could not be told";
  EXPECT_EQ(books_->audits().at({4}).residual, 2);
}

TEST_F(ShardBooksTest, WhatIsNotReachedInTimeIsUnknown) {
  Make({{0}, {1}, {2}, {3}, {4}, {5}});
  store_.SetFaults([](StoreCall, ShardId) { return StoreFault::kHold; });
  const auto& answer = Audit(shards_);
  clock_.Advance(kAuditRequestLimit);
  store_.ReleaseHeld();
  store_.RunCallbacks();

  ASSERT_TRUE(answer.has_value() && answer->ok());
  EXPECT_EQ((**answer)[3].code, StoreCode::kOk);
  EXPECT_EQ((**answer)[4].code, StoreCode::kUnavailable);
}

TEST_F(ShardBooksTest, TooManyAuditsAreRefused) {
  Make({{0}});
  store_.SetFaults([](StoreCall, ShardId) { return StoreFault::kHold; });
  for (size_t i = 0; i < kMaxAuditRequests; ++i) Audit(shards_);
  const auto& refused = Audit(shards_);

  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(RefusalReason(refused->status()), "TOO_MANY_AUDITS");
  store_.SetFaults({});
  store_.ReleaseHeld();
  store_.RunCallbacks();
  EXPECT_TRUE(answers_.front().has_value() && answers_.front()->ok());
}

TEST_F(ShardBooksTest, AuditsUnderWayAreAnsweredWhenTheServerEnds) {
  Make({{0}});
  const auto& answer = Audit(shards_);
  books_->Close();
  store_.RunCallbacks();

  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(RefusalReason(answer->status()), "SERVER_STOPPING");
}

TEST_F(ShardBooksTest, WithoutAStoreNothingIsKnown) {
  books_ = std::make_shared<ShardBooks>(
      loop_, clock_, nullptr, ShardBooks::Hooks{[] { return std::vector<ShardId>(); }, [] {}});
  books_->Begin();
  const auto& answer = Audit({{0}});

  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(RefusalReason(answer->status()), "NO_STORE");
}

}  // namespace
}  // namespace spillway::supervisor
