// The contract on the store in memory, and the faults that only it has.
#include "tests/support/fake_shard_store.h"

#include <gtest/gtest.h>

#include "tests/unit/dictionary_store_contract.h"
#include "tests/unit/shard_store_contract.h"

namespace spillway::buffer {
namespace {

class FakeUnderTest : public StoreUnderTest {
 public:
  IngestStore& ingest() override { return store_; }
  FlushStore& flush() override { return store_; }
  ShardReader& reader() override { return store_; }
  void RunUntil(const std::function<bool()>& is_done) override {
    store_.RunCallbacks();
    ASSERT_TRUE(is_done()) << "no answer";
  }
  void SetMemoryFull(bool is_full) override { store_.SetMemoryFull(is_full); }
  void LoseEverything() override { store_.LoseEverything(); }
  void Snapshot() override { snapshot_ = store_.Snapshot(); }
  void Restore() override { store_.Restore(snapshot_); }
  size_t KeysBesidesMeta(ShardId id) override {
    const FakeShard* shard = store_.shard(id);
    if (shard == nullptr) return 0;
    return shard->lists.size() + shard->claims.size() * 2 + !shard->due.empty() +
           !shard->references.empty() + !shard->attempts.empty() + !shard->dictionaries.empty();
  }
  void DeleteList(ShardId id, const PartName& name) override {
    store_.shard(id)->lists.erase(name);
  }
  void DeleteDictionary(ShardId id, uint32_t dictionary) override {
    ASSERT_EQ(store_.shard(id)->dictionaries.erase(dictionary), 1u);
  }
  void InterruptLoad(std::function<void()> meanwhile) override {
    store_.InterruptLoad(std::move(meanwhile));
  }
  void PassTime() override { store_.Advance(std::chrono::milliseconds(2)); }

 private:
  FakeShardStore store_;
  FakeShardStore::Shards snapshot_;
};

INSTANTIATE_TEST_SUITE_P(Fake, ShardStoreContract,
                         ::testing::Values(StoreFactory{
                             "memory", [] { return std::make_unique<FakeUnderTest>(); }}));

INSTANTIATE_TEST_SUITE_P(Fake, DictionaryContract,
                         ::testing::Values(StoreFactory{
                             "memory", [] { return std::make_unique<FakeUnderTest>(); }}));

constexpr ShardId kShard{1};

class FakeShardStoreTest : public ::testing::Test {
 protected:
  StoreCode Take() {
    StoreCode code = StoreCode::kInvalid;
    store_.Take(kShard, {.input = {}, .log_end = 10},
                [&code](const StoreResult<TakeReply>& result) { code = result.code; });
    store_.RunCallbacks();
    return code;
  }
  void FaultOnce(StoreFault fault) {
    store_.SetFaults([this, fault](StoreCall, ShardId) {
      store_.SetFaults({});
      return fault;
    });
  }
  FakeShardStore store_;
};

TEST_F(FakeShardStoreTest, ALostRequestIsNotExecuted) {
  FaultOnce(StoreFault::kLoseRequest);
  EXPECT_EQ(Take(), StoreCode::kUnavailable);
  EXPECT_EQ(store_.shard(kShard), nullptr);
}

TEST_F(FakeShardStoreTest, ALostReplyWasExecuted) {
  FaultOnce(StoreFault::kLoseReply);
  EXPECT_EQ(Take(), StoreCode::kUnavailable);
  EXPECT_NE(store_.shard(kShard), nullptr);
}

TEST_F(FakeShardStoreTest, ADelayedCallIsExecutedLater) {
  FaultOnce(StoreFault::kDelay);
  EXPECT_EQ(Take(), StoreCode::kUnavailable);
  EXPECT_EQ(Take(), StoreCode::kOk);
  ASSERT_EQ(store_.delayed_calls(), 1u);
  store_.RunDelayed();
  EXPECT_EQ(store_.shard(kShard)->ingest_epoch.number, 2u);
}

TEST_F(FakeShardStoreTest, AHeldCallIsAnsweredWhenReleased) {
  FaultOnce(StoreFault::kHold);
  bool is_answered = false;
  store_.Take(kShard, {}, [&](const StoreResult<TakeReply>&) { is_answered = true; });
  store_.RunCallbacks();
  EXPECT_FALSE(is_answered);
  store_.ReleaseHeld();
  store_.RunCallbacks();
  EXPECT_TRUE(is_answered);
}

TEST_F(FakeShardStoreTest, CallbacksEndWithTheStore) {
  FakeShardStore::Task waiting;
  {
    FakeShardStore store([&](FakeShardStore::Task task) { waiting = std::move(task); });
    store.Take(kShard, {}, [](const StoreResult<TakeReply>&) { FAIL() << "the store is gone"; });
  }
  waiting();
}

}  // namespace
}  // namespace spillway::buffer
