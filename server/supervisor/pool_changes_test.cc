// Pools that operators create, change as a whole, and delete.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/supervisor/recorded_pools.h"
#include "server/supervisor/supervisor.h"
#include "tests/support/fake_launcher.h"
#include "tests/support/memory_record_store.h"
#include "tests/support/supervisor_harness.h"

namespace spillway::supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PoolChangesTest : public ::testing::Test {
 protected:
  PoolChangesTest() { Begin(); }
  ~PoolChangesTest() override { End(); }

  void Begin() {
    const config::Config config = testing::FlushPool(1);
    RestoredPools restored = RestorePools(config.pools, disk_.state().pools, SystemClock().Wall());
    recorder_ = std::make_unique<record::Recorder>(
        std::make_unique<testing::MemoryRecordStore>(disk_), SystemClock());
    Parts parts{loop_, SystemClock(), launcher_, discovery_, 1, {}, nullptr};
    parts.recorder = recorder_.get();
    parts.wishes = std::move(restored.wishes);
    parts.created = std::move(restored.created);
    parts.operations = disk_.state().operations;
    supervisor_ = std::make_unique<Supervisor>(config, parts);
    supervisor_->Begin();
  }
  void End() {
    supervisor_.reset();
    recorder_.reset();
  }
  using Result = absl::StatusOr<PoolView>;
  template <typename Request>
  Result Ask(void (Supervisor::*verb)(Request, PoolDone), Request request) {
    std::optional<Result> answer;
    ((*supervisor_).*verb)(std::move(request), [&](Result view) { answer = std::move(view); });
    EXPECT_TRUE(Until([&] { return answer.has_value(); }));
    return *answer;
  }
  Result Create(PoolCreation creation) { return Ask(&Supervisor::CreatePool, std::move(creation)); }
  Result CreateFlush2() {
    PoolCreation creation{.pool = "flush-2", .role = wire::Role::kFlush};
    creation.wishes.desired = 2;
    return Create(std::move(creation));
  }
  Result Update(const std::string& pool, PoolWishes wishes) {
    return Ask(&Supervisor::UpdatePool, PoolUpdate{.pool = pool, .wishes = wishes});
  }
  Result Delete(const std::string& pool, bool force) {
    return Ask(&Supervisor::DeletePool, PoolDeletion{.pool = pool, .force = force});
  }
  OperationPtr Operation(int64_t number) { return FindOperation(*supervisor_->Snapshot(), number); }
  Result Cancel(int64_t number) {
    std::optional<Result> answer;
    supervisor_->CancelOperation(number, {}, [&](Result view) { answer = std::move(view); });
    EXPECT_TRUE(Until([&] { return answer.has_value(); }));
    return *answer;
  }
  bool Until(const std::function<bool()>& condition) {
    return testing::TurnUntil(loop_, condition);
  }
  size_t Processes(const std::string& pool) {
    size_t count = 0;
    for (const auto& [pid, entry] : launcher_.entries) {
      count += entry.is_alive && entry.spec.worker.pool == pool ? 1 : 0;
    }
    return count;
  }
  bool IsThere(const std::string& pool) {
    return FindPool(*supervisor_->Snapshot(), pool) != nullptr;
  }

  testing::RecordDisk disk_;
  testing::FakeDiscovery discovery_{4};
  Loop loop_;
  testing::FakeLauncher launcher_{loop_};
  std::unique_ptr<record::Recorder> recorder_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(PoolChangesTest, ACreatedPoolGetsItsWorkersAndIsOnRecord) {
  const Result pool = CreateFlush2();
  ASSERT_TRUE(pool.ok()) << pool.status();
  EXPECT_TRUE(pool->is_created);
  EXPECT_EQ(pool->max, 8);
  EXPECT_TRUE(Until([&] { return Processes("flush-2") == 2; }));
  const record::PoolRecord record = disk_.state().pools.at(0);
  EXPECT_EQ(record.wish, (record::PoolWish{"flush-2", {2, 1, 8}}));
  EXPECT_EQ(record.created, (record::CreatedPool{record::PoolRole::kFlush, false}));
  EXPECT_EQ(disk_.events().at(0).action, "CreatePool");
  EXPECT_EQ(disk_.events().at(0).before, "");
}

TEST_F(PoolChangesTest, ACreatedPoolOutlivesTheServer) {
  ASSERT_TRUE(CreateFlush2().ok());
  const std::string etag = FindPool(*supervisor_->Snapshot(), "flush-2")->etag;
  End();
  Begin();
  const PoolView* pool = FindPool(*supervisor_->Snapshot(), "flush-2");
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->role, wire::Role::kFlush);
  EXPECT_EQ(pool->desired, 2);
  EXPECT_TRUE(pool->is_created);
  EXPECT_EQ(pool->etag, etag);
}

TEST_F(PoolChangesTest, WhatCannotBeCreatedIsRefused) {
  ASSERT_TRUE(CreateFlush2().ok());
  EXPECT_EQ(RefusalReason(CreateFlush2().status()), "POOL_EXISTS");
  EXPECT_EQ(RefusalReason(Create({.pool = "Flush"}).status()), "INVALID_NAME");
  PoolCreation creation{.pool = "other"};
  creation.wishes = {.desired = 5, .max = 4};
  EXPECT_EQ(RefusalReason(Create(creation).status()), "OUT_OF_RANGE");
}

TEST_F(PoolChangesTest, AnUpdateChangesWhatItNamesAndNothingElse) {
  const Result pool = Update("flush", {.desired = 3, .max = 20});
  ASSERT_TRUE(pool.ok()) << pool.status();
  EXPECT_EQ(pool->desired, 3);
  EXPECT_EQ(pool->min, 1);
  EXPECT_EQ(pool->max, 20);
  const Result stopped = Update("flush", {.state = fleet::PoolState::kStopped});
  EXPECT_EQ(stopped->state, fleet::PoolState::kStopped);
  EXPECT_EQ(stopped->desired, 3);
  EXPECT_EQ(disk_.state().pools.at(0).wish,
            (record::PoolWish{"flush", {3, 1, 20}, record::WishedState::kStopped}));
}

TEST_F(PoolChangesTest, WhoScalesAPoolIsChangedWhereThePoolIsKept) {
  const PoolWishes external{.scale_owner = config::ScaleOwner::kExternal};
  EXPECT_EQ(RefusalReason(Update("flush", external).status()), "POOL_CONFIGURED");
  ASSERT_TRUE(CreateFlush2().ok());
  ASSERT_TRUE(Until([&] { return Processes("flush-2") == 2; }));
  EXPECT_EQ(RefusalReason(Update("flush-2", external).status()), "POOL_NOT_EMPTY");
  ASSERT_TRUE(Update("flush-2", {.state = fleet::PoolState::kStopped}).ok());
  const auto observed = [&] { return FindPool(*supervisor_->Snapshot(), "flush-2")->observed; };
  ASSERT_TRUE(Until([&] { return observed() == 0; }));
  const Result pool = Update("flush-2", external);
  ASSERT_TRUE(pool.ok()) << pool.status();
  EXPECT_EQ(pool->scale_owner, config::ScaleOwner::kExternal);
  EXPECT_EQ(pool->state, fleet::PoolState::kRunning) << "nobody here could start it";
  EXPECT_TRUE(disk_.state().pools.back().created->is_scaled_elsewhere);
}

TEST_F(PoolChangesTest, OfAnExternalPoolOnlyTheBoundsAreWishedFor) {
  PoolCreation creation{.pool = "outside", .role = wire::Role::kFlush};
  creation.wishes = {.min = 1, .max = 4, .scale_owner = config::ScaleOwner::kExternal};
  const Result created = Create(creation);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(RefusalReason(Update("outside", {.desired = 3}).status()), "EXTERNALLY_SCALED");
  EXPECT_EQ(RefusalReason(Update("outside", {.min = 5}).status()), "OUT_OF_RANGE");
  EXPECT_EQ(RefusalReason(Update("outside", {.state = fleet::PoolState::kStopped}).status()),
            "NOT_LAUNCHED");
  EXPECT_EQ(Update("outside", {.min = 2, .max = 8})->max, 8);
  const Result paused = Update("outside", {.state = fleet::PoolState::kPaused});
  ASSERT_TRUE(paused.ok()) << paused.status();
  ASSERT_NE(paused->operation, nullptr);
  EXPECT_TRUE(Until([&] {
    return Operation(paused->operation->number)->state == fleet::OperationState::kSucceeded;
  }));
  EXPECT_EQ(Processes("outside"), 0u);
  EXPECT_TRUE(Delete("outside", false).ok());
  EXPECT_TRUE(Until([&] { return !IsThere("outside"); }));
}

TEST_F(PoolChangesTest, ADryRunChangesAndRecordsNothing) {
  const Result pool = Ask(&Supervisor::CreatePool,
                          PoolCreation{.pool = "flush-2", .origin = {.validate_only = true}});
  ASSERT_TRUE(pool.ok()) << pool.status();
  EXPECT_EQ(pool->name, "flush-2");
  EXPECT_FALSE(IsThere("flush-2"));
  EXPECT_EQ(
      Ask(&Supervisor::UpdatePool,
          PoolUpdate{.pool = "flush", .wishes = {.desired = 4}, .origin = {.validate_only = true}})
          ->desired,
      4);
  EXPECT_EQ(FindPool(*supervisor_->Snapshot(), "flush")->desired, 1);
  EXPECT_EQ(disk_.commits(), 0);
}

TEST_F(PoolChangesTest, APoolWithWorkersIsDeletedOnlyByForceAndDrainsFirst) {
  ASSERT_TRUE(CreateFlush2().ok());
  ASSERT_TRUE(Until([&] { return Processes("flush-2") == 2; }));
  EXPECT_EQ(RefusalReason(Delete("flush-2", false).status()), "POOL_NOT_EMPTY");
  const Result pool = Delete("flush-2", true);
  ASSERT_TRUE(pool.ok()) << pool.status();
  EXPECT_EQ(pool->observed, 2);
  EXPECT_THAT(disk_.state().pools, IsEmpty());
  EXPECT_EQ(RefusalReason(Update("flush-2", {.desired = 1}).status()), "POOL_NOT_FOUND");
  EXPECT_TRUE(Until([&] { return Processes("flush-2") == 0 && !IsThere("flush-2"); }));
}

TEST_F(PoolChangesTest, EveryChangeIsAnOperationAndADryRunIsNone) {
  const Result created = CreateFlush2();
  ASSERT_TRUE(created.ok() && created->operation != nullptr);
  EXPECT_EQ(created->operation->kind, fleet::OperationKind::kCreatePool);
  EXPECT_EQ(RefusalReason(Cancel(created->operation->number).status()), "NOT_CANCELLABLE");
  const Result updated = Update("flush-2", {.desired = 3});
  ASSERT_TRUE(updated.ok() && updated->operation != nullptr);
  const OperationPtr ended = Operation(created->operation->number);
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->state, fleet::OperationState::kCancelled);
  EXPECT_THAT(ended->detail, HasSubstr("superseded by operations/2"));
  const Result back = Cancel(updated->operation->number);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->desired, 2);
  EXPECT_TRUE(disk_.state().pools.at(0).created.has_value());
  ASSERT_TRUE(Until([&] { return Processes("flush-2") == 2; }));
  const Result deleted = Delete("flush-2", true);
  ASSERT_TRUE(deleted.ok() && deleted->operation != nullptr);
  EXPECT_EQ(deleted->operation->kind, fleet::OperationKind::kDeletePool);
  EXPECT_TRUE(Until([&] {
    return Operation(deleted->operation->number)->state == fleet::OperationState::kSucceeded;
  }));
  EXPECT_FALSE(IsThere("flush-2"));
  const Result dry =
      Ask(&Supervisor::UpdatePool,
          PoolUpdate{.pool = "flush", .wishes = {.desired = 4}, .origin = {.validate_only = true}});
  EXPECT_EQ(dry->operation, nullptr);
}

TEST_F(PoolChangesTest, APoolThatIsMadeAgainGoesOnWithItsGenerations) {
  ASSERT_TRUE(CreateFlush2().ok());
  ASSERT_TRUE(Until([&] { return Processes("flush-2") == 2; }));
  const std::string etag = FindPool(*supervisor_->Snapshot(), "flush-2")->etag;
  ASSERT_TRUE(Delete("flush-2", true).ok());
  ASSERT_TRUE(Until([&] { return !IsThere("flush-2"); }));
  const Result again = CreateFlush2();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->etag, etag);
  ASSERT_TRUE(Until([&] { return Processes("flush-2") == 2; }));
  EXPECT_EQ(launcher_.entries.rbegin()->second.spec.generation, Generation{2});
}

TEST_F(PoolChangesTest, APoolOfTheConfigurationIsNotDeleted) {
  const absl::Status status = Delete("flush", true).status();
  EXPECT_EQ(RefusalReason(status), "POOL_CONFIGURED");
  EXPECT_THAT(std::string(status.message()), HasSubstr("take it out there"));
}

}  // namespace
}  // namespace spillway::supervisor
