// What the supervisor records, when it answers, and what a failing disk does to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/supervisor/supervisor.h"
#include "tests/support/fake_launcher.h"
#include "tests/support/memory_record_store.h"
#include "tests/support/supervisor_harness.h"

namespace spillway::supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SupervisorRecordTest : public ::testing::Test {
 protected:
  ~SupervisorRecordTest() override { End(); }

  void Begin(std::vector<record::PoolWish> wishes = {},
             std::map<std::string, uint64_t> revisions = {}) {
    recorder_ = std::make_unique<record::Recorder>(
        std::make_unique<testing::MemoryRecordStore>(disk_), SystemClock());
    Parts parts{loop_, SystemClock(), launcher_, discovery_, 1, {}, nullptr};
    parts.recorder = recorder_.get();
    parts.wishes = std::move(wishes);
    parts.revisions = std::move(revisions);
    parts.record_identity = 77;
    parts.operations = operations_;
    supervisor_ = std::make_unique<Supervisor>(config_, parts);
    supervisor_->Begin();
  }
  void End() {
    supervisor_.reset();
    disk_.Hang(false);
    recorder_.reset();
  }
  bool Until(const std::function<bool()>& condition) {
    return testing::TurnUntil(loop_, condition);
  }
  using Answer = std::optional<absl::StatusOr<PoolView>>;
  std::shared_ptr<Answer> Resize(int32_t desired, const std::string& id = "") {
    auto answer = std::make_shared<Answer>();
    supervisor_->Resize({.pool = "flush", .desired = desired, .origin = {"tester", id, "print"}},
                        [answer](absl::StatusOr<PoolView> view) { *answer = std::move(view); });
    return answer;
  }
  absl::StatusOr<PoolView> Await(const std::shared_ptr<Answer>& answer) {
    EXPECT_TRUE(Until([&] { return answer->has_value(); }));
    return answer->value_or(absl::DeadlineExceededError("no answer"));
  }
  int32_t Desired() { return FindPool(*supervisor_->Snapshot(), "flush")->desired; }
  const Check* StateCheck() {
    snapshot_ = supervisor_->Snapshot();
    for (const Check& check : snapshot_->checks) {
      if (check.name == "state") return &check;
    }
    return nullptr;
  }

  config::Config config_ = testing::FlushPool(1);
  testing::RecordDisk disk_;
  testing::FakeDiscovery discovery_{4};
  Loop loop_;
  testing::FakeLauncher launcher_{loop_};
  std::unique_ptr<record::Recorder> recorder_;
  std::unique_ptr<Supervisor> supervisor_;
  SnapshotPtr snapshot_;
  std::vector<record::Operation> operations_;  // what an earlier server has recorded
};

TEST_F(SupervisorRecordTest, AnAnsweredChangeIsOnRecordWithAllThatBelongsToIt) {
  Begin();
  const auto view = Await(Resize(3, "id-1"));
  ASSERT_TRUE(view.ok()) << view.status();
  const record::State state = disk_.state();
  ASSERT_EQ(state.pools.size(), 1u);
  EXPECT_EQ(state.pools[0].wish, (record::PoolWish{"flush", {3, 1, 8}}));
  EXPECT_EQ(state.pools[0].configured, (record::Sizes{1, 1, 8}));
  ASSERT_EQ(state.requests.size(), 1u);
  EXPECT_EQ(state.requests[0].id, "id-1");
  EXPECT_EQ(state.requests[0].fingerprint, "print");
  EXPECT_EQ(state.requests[0].etag, view->etag);
  ASSERT_EQ(disk_.events().size(), 1u);
  const record::Event event = disk_.events()[0];
  EXPECT_EQ(event.actor, "tester");
  EXPECT_EQ(event.action, "ResizePool");
  EXPECT_EQ(event.before, "desired 1, min 1, max 8, RUNNING");
  EXPECT_EQ(event.after, "desired 3, min 1, max 8, RUNNING");
  EXPECT_EQ(event.outcome, "OK");
}

TEST_F(SupervisorRecordTest, AnEtagIsHonouredAfterARestartAndByEveryVerb) {
  Begin();
  const std::string before = FindPool(*supervisor_->Snapshot(), "flush")->etag;
  const auto view = Await(Resize(3));
  ASSERT_TRUE(view.ok()) << view.status();
  End();
  const record::PoolRecord known = disk_.state().pools[0];
  Begin({known.wish}, {{"flush", known.revision}});
  const auto act = [&](const std::string& etag, auto verb) {
    auto answer = std::make_shared<Answer>();
    ((*supervisor_).*verb)("flush", {.etag = etag},
                           [answer](absl::StatusOr<PoolView> pool) { *answer = std::move(pool); });
    return Await(answer);
  };
  for (const auto verb :
       {&Supervisor::Pause, &Supervisor::Resume, &Supervisor::Start, &Supervisor::Stop}) {
    EXPECT_EQ(RefusalReason(act(before, verb).status()), "ETAG_MISMATCH");
  }
  const auto paused = act(view->etag, &Supervisor::Pause);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_NE(paused->etag, view->etag);
}

TEST_F(SupervisorRecordTest, AnOperationIsOnRecordWithItsWishAndEndsTheOneBefore) {
  Begin();
  const auto first = Await(Resize(3, "id-1"));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_NE(first->operation, nullptr);
  EXPECT_EQ(first->operation->state, fleet::OperationState::kRunning);
  EXPECT_EQ(disk_.commits(), 1) << "nothing else is written for it";
  EXPECT_EQ(disk_.state().requests[0].operation, 1);
  const auto second = Await(Resize(4));
  EXPECT_EQ(second->operation->number, 2);
  EXPECT_EQ(disk_.commits(), 2);
  const auto recorded = disk_.state().operations;
  ASSERT_EQ(recorded.size(), 2u);
  EXPECT_EQ(recorded[0].detail, "superseded by operations/2");
  EXPECT_NE(recorded[0].ended.us, 0);
  EXPECT_EQ(recorded[1].before.sizes.desired, 3);
  SnapshotPtr snapshot = supervisor_->Snapshot();
  EXPECT_EQ(FindOperation(*snapshot, 1)->state, fleet::OperationState::kCancelled);
  EXPECT_EQ(FindOperation(*snapshot, 2)->state, fleet::OperationState::kRunning);
}

TEST_F(SupervisorRecordTest, CancellingPutsTheWishBackUnlessSomebodyHasChangedIt) {
  Begin();
  ASSERT_TRUE(Await(Resize(3)).ok());
  auto ended = std::make_shared<OperationPtr>();
  supervisor_->WaitOperation(1, std::chrono::minutes(1), [ended](absl::StatusOr<OperationPtr> at) {
    if (at.ok()) *ended = *at;
  });
  const auto cancel = [&](int64_t number) {
    auto answer = std::make_shared<Answer>();
    supervisor_->CancelOperation(
        number, {"tester"}, [answer](absl::StatusOr<PoolView> pool) { *answer = std::move(pool); });
    return Await(answer);
  };
  const auto cancelled = cancel(1);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->desired, 1);
  EXPECT_EQ(cancelled->operation->detail, "cancelled by tester");
  EXPECT_TRUE(Until([&] { return *ended != nullptr; }));
  EXPECT_EQ((*ended)->state, fleet::OperationState::kCancelled);
  EXPECT_EQ(disk_.state().pools[0].wish.sizes.desired, 1);
  EXPECT_EQ(disk_.events().back().action, "CancelOperation");
  EXPECT_EQ(RefusalReason(cancel(1).status()), "OPERATION_ENDED");
  EXPECT_EQ(RefusalReason(cancel(9).status()), "OPERATION_NOT_FOUND");

  ASSERT_TRUE(Await(Resize(3)).ok());
  auto paused = std::make_shared<Answer>();
  supervisor_->Pause("flush", {},
                     [paused](absl::StatusOr<PoolView> pool) { *paused = std::move(pool); });
  const auto view = Await(paused);
  EXPECT_EQ(view->operation, nullptr) << "a pause is at once";
  EXPECT_EQ(RefusalReason(cancel(2).status()), "WISH_CHANGED");
}

TEST_F(SupervisorRecordTest, ARestartOfAPoolGoesOnAfterTheServersEnd) {
  Begin();
  auto answer = std::make_shared<Answer>();
  supervisor_->Restart({.pool = "flush"},
                       [answer](absl::StatusOr<PoolView> pool) { *answer = std::move(pool); });
  ASSERT_TRUE(Await(answer).ok());
  const record::State state = disk_.state();
  ASSERT_EQ(state.operations.size(), 1u);
  EXPECT_EQ(state.operations[0].replaced.size(), 1u);
  End();
  operations_ = state.operations;
  Begin({state.pools[0].wish});
  snapshot_ = supervisor_->Snapshot();
  const PoolView* pool = FindPool(*snapshot_, "flush");
  ASSERT_TRUE(pool->restart.has_value());
  EXPECT_EQ(pool->restart->number, 1u);
  EXPECT_EQ(pool->restart->state, fleet::PoolRestart::State::kUnderWay);
  EXPECT_EQ(FindOperation(*snapshot_, 1)->state, fleet::OperationState::kRunning);
}

// A machine that was started anew: the lock files, and with them the generations, are gone.
TEST_F(SupervisorRecordTest, ARestartOfAWorkerEndsAlsoWhereGenerationsWereForgotten) {
  record::Operation restart;
  restart.number = 4;
  restart.kind = static_cast<int32_t>(fleet::OperationKind::kRestartWorker);
  restart.pool = "flush";
  restart.slot = 0;
  restart.generation = 9;
  operations_ = {restart};
  Begin();
  ASSERT_TRUE(Until([this] {
    snapshot_ = supervisor_->Snapshot();
    return FindWorker(*snapshot_, {"flush", 0}) != nullptr;
  }));
  EXPECT_EQ(FindWorker(*snapshot_, {"flush", 0})->generation, Generation{9});
  const OperationPtr operation = FindOperation(*snapshot_, 4);
  EXPECT_EQ(operation->state, fleet::OperationState::kRunning);
  ASSERT_EQ(operation->workers.size(), 1u);
  EXPECT_EQ(operation->workers[0].phase, fleet::WorkerPhase::kStarting);
}

TEST_F(SupervisorRecordTest, NothingIsDoneNorAnsweredBeforeItIsOnRecord) {
  Begin();
  disk_.Hang(true);
  const auto answer = Resize(3);
  EXPECT_TRUE(Until([&] { return recorder_->health().writing_since.has_value(); }));
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(Desired(), 1);
  disk_.Hang(false);
  EXPECT_TRUE(Await(answer).ok());
  EXPECT_EQ(Desired(), 3);
}

TEST_F(SupervisorRecordTest, ChangesThatWaitAreTakenInOrder) {
  Begin();
  disk_.Hang(true);
  const auto first = Resize(3), second = Resize(99), third = Resize(2);
  disk_.Hang(false);
  EXPECT_EQ(Await(first)->desired, 3);
  EXPECT_EQ(RefusalReason(Await(second).status()), "OUT_OF_RANGE");
  EXPECT_EQ(Await(third)->desired, 2);
  EXPECT_EQ(disk_.state().pools[0].wish.sizes.desired, 2);
}

TEST_F(SupervisorRecordTest, AChangeThatCannotBeRecordedIsRefusedAndHealthSaysSo) {
  Begin();
  disk_.Fail(absl::ResourceExhaustedError("server.state: /state.db: disk is full"));
  const auto view = Await(Resize(3));
  EXPECT_EQ(view.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(RefusalReason(view.status()), "STATE_NOT_WRITABLE");
  EXPECT_THAT(std::string(view.status().message()), HasSubstr("/state.db: disk is full"));
  EXPECT_EQ(Desired(), 1);
  EXPECT_TRUE(Until([&] { return StateCheck() != nullptr && !StateCheck()->ok; }));
  EXPECT_THAT(StateCheck()->detail, HasSubstr("disk is full"));
  disk_.Fail(absl::OkStatus());
  EXPECT_TRUE(Until([&] { return StateCheck()->ok; })) << "tried again by itself";
  EXPECT_TRUE(Until([&] { return !disk_.events().empty(); }));
  EXPECT_EQ(disk_.events()[0].outcome, "STATE_NOT_WRITABLE");
  EXPECT_TRUE(Await(Resize(3)).ok());
}

TEST_F(SupervisorRecordTest, ADryRunRecordsNothing) {
  Begin();
  Answer answer;
  supervisor_->Resize({.pool = "flush", .desired = 4, .origin = {.validate_only = true}},
                      [&](absl::StatusOr<PoolView> view) { answer = std::move(view); });
  EXPECT_TRUE(Until([&] { return answer.has_value(); }));
  EXPECT_EQ((*answer)->desired, 4);
  ASSERT_NE((*answer)->preview, nullptr);
  EXPECT_EQ((*answer)->preview->starts.size(), 3u);
  EXPECT_EQ((*answer)->operation, nullptr);
  EXPECT_EQ((*answer)->etag, FindPool(*supervisor_->Snapshot(), "flush")->etag) << "still good";
  answer.reset();
  supervisor_->Resize({.pool = "flush", .desired = 99, .origin = {.validate_only = true}},
                      [&](absl::StatusOr<PoolView> view) { answer = std::move(view); });
  EXPECT_TRUE(Until([&] { return answer.has_value(); }));
  EXPECT_EQ(RefusalReason(answer->status()), "OUT_OF_RANGE");
  EXPECT_EQ(disk_.commits(), 0);
  EXPECT_TRUE(supervisor_->Snapshot()->operations->empty());
}

TEST_F(SupervisorRecordTest, ADryRunOfEveryVerbChangesNothing) {
  Begin();
  const auto ask = [&](auto call) {
    auto answer = std::make_shared<Answer>();
    call(Origin{.validate_only = true},
         [answer](absl::StatusOr<PoolView> pool) { *answer = std::move(pool); });
    const auto view = Await(answer);
    EXPECT_TRUE(view.ok() && view->preview != nullptr) << view.status();
    return view->state;
  };
  const auto named = [&](auto verb) {
    return ask([&](Origin origin, PoolDone done) {
      ((*supervisor_).*verb)("flush", std::move(origin), std::move(done));
    });
  };
  EXPECT_EQ(named(&Supervisor::Start), fleet::PoolState::kRunning);
  EXPECT_EQ(named(&Supervisor::Stop), fleet::PoolState::kStopped);
  EXPECT_EQ(named(&Supervisor::Pause), fleet::PoolState::kPaused);
  EXPECT_EQ(named(&Supervisor::Resume), fleet::PoolState::kRunning);
  EXPECT_EQ(ask([&](Origin origin, PoolDone done) {
              supervisor_->DrainPool("flush", std::chrono::seconds(9), std::move(origin),
                                     std::move(done));
            }),
            fleet::PoolState::kDraining);
  EXPECT_EQ(ask([&](Origin origin, PoolDone done) {
              supervisor_->Restart({.pool = "flush", .origin = std::move(origin)}, std::move(done));
            }),
            fleet::PoolState::kRunning);
  EXPECT_EQ(ask([&](Origin origin, PoolDone done) {
              supervisor_->RestartWorker({"flush", 0}, std::move(origin), std::move(done));
            }),
            fleet::PoolState::kRunning);
  ASSERT_TRUE(Await(Resize(3)).ok());
  EXPECT_EQ(ask([&](Origin origin, PoolDone done) {
              supervisor_->CancelOperation(1, std::move(origin), std::move(done));
            }),
            fleet::PoolState::kRunning);
  EXPECT_EQ(disk_.commits(), 1) << "the resize";
  EXPECT_EQ(FindOperation(*supervisor_->Snapshot(), 1)->state, fleet::OperationState::kRunning);
  EXPECT_EQ(FindPool(*supervisor_->Snapshot(), "flush")->desired, 3);
}

TEST_F(SupervisorRecordTest, ComingsAndGoingsOfRegisteredWorkersAreInTheJournal) {
  config_.pools[0].scale_owner = config::ScaleOwner::kExternal;
  Begin();
  wire::Hello hello;
  hello.uid = "first";
  hello.pid = 4711;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  hello.is_registered = true;
  testing::FakeWorker worker(*supervisor_, hello);
  ASSERT_TRUE(Until([&] { return !disk_.events().empty(); }));
  EXPECT_EQ(disk_.events()[0].action, "worker registered");
  EXPECT_EQ(disk_.events()[0].target, "pools/flush/workers/0");
  EXPECT_EQ(disk_.events()[0].detail, "pid 4711, uid first");
  supervisor_->Goodbye((*worker.answer())->link, {"TERM", {}});
  ASSERT_TRUE(Until([&] { return disk_.events().size() == 2; }));
  EXPECT_EQ(disk_.events()[1].action, "worker left");
}

TEST_F(SupervisorRecordTest, RefusedChangesAreInTheJournal) {
  Begin();
  EXPECT_FALSE(Await(Resize(99)).ok());
  EXPECT_TRUE(Until([&] { return disk_.events().size() == 1; }));
  EXPECT_EQ(disk_.events()[0].outcome, "OUT_OF_RANGE");
  EXPECT_EQ(disk_.events()[0].after, "desired 99");
  EXPECT_THAT(disk_.state().pools, IsEmpty());
}

TEST_F(SupervisorRecordTest, ADeathIsRecordedWithItsLastLines) {
  Begin();
  EXPECT_TRUE(Until([&] { return !launcher_.entries.empty(); }));
  const int64_t pid = launcher_.entries.begin()->first;
  launcher_.Exit(pid, 3, {"out of memory"});
  EXPECT_TRUE(Until([&] { return disk_.deaths().size() == 1; }));
  const record::Death death = disk_.deaths()[0];
  EXPECT_EQ(death.pool, "flush");
  EXPECT_EQ(death.pid, pid);
  EXPECT_EQ(death.generation, Generation{1});
  EXPECT_EQ(death.kind, record::EndKind::kExited);
  EXPECT_EQ(death.value, 3);
  EXPECT_FALSE(death.is_expected);
  EXPECT_THAT(death.reason, HasSubstr("exited with 3"));
  EXPECT_THAT(death.last_lines, ::testing::ElementsAre("out of memory"));
}

TEST_F(SupervisorRecordTest, RecordedWishesHoldFromTheStart) {
  Begin({{"flush", {3, 2, 9}, record::WishedState::kRunning}});
  EXPECT_EQ(Desired(), 3);
  EXPECT_TRUE(Until([&] { return launcher_.entries.size() == 3; }));
  EXPECT_EQ(FindPool(*supervisor_->Snapshot(), "flush")->max, 9);
}

TEST_F(SupervisorRecordTest, AStoppedPoolIsNotStarted) {
  Begin({{"flush", {3, 1, 8}, record::WishedState::kStopped}});
  EXPECT_EQ(FindPool(*supervisor_->Snapshot(), "flush")->state, fleet::PoolState::kStopped);
  Answer answer;
  supervisor_->Start("flush", {}, [&](absl::StatusOr<PoolView> view) { answer = std::move(view); });
  EXPECT_TRUE(Until([&] { return answer.has_value(); }));
  EXPECT_EQ(disk_.state().pools[0].wish.state, record::WishedState::kRunning);
  EXPECT_TRUE(Until([&] { return launcher_.entries.size() == 3; })) << "only after the start";
}

TEST_F(SupervisorRecordTest, ASupervisorThatGoesAnswersAllThatWait) {
  Begin();
  disk_.Hang(true);
  const auto first = Resize(3), second = Resize(2);
  EXPECT_TRUE(Until([&] { return recorder_->health().writing_since.has_value(); }));
  EXPECT_TRUE(Until([&] { return recorder_->health().writing_since.has_value(); }));
  supervisor_.reset();
  disk_.Hang(false);
  EXPECT_EQ(RefusalReason(Await(first).status()), "SERVER_STOPPING");
  EXPECT_EQ(RefusalReason(Await(second).status()), "SERVER_STOPPING");
}

}  // namespace
}  // namespace spillway::supervisor
