#include "server/supervisor/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/fake_launcher.h"
#include "tests/support/fake_shard_store.h"
#include "tests/support/supervisor_harness.h"

namespace spillway::supervisor {
namespace {

using fleet::WorkerState;
using testing::FakeWorker;
using ::testing::HasSubstr;
using testing::HelloOf;
using testing::TurnUntil;

class SupervisorTest : public ::testing::Test {
 protected:
  ~SupervisorTest() override { supervisor_.reset(); }

  void Begin(const config::Config& config) {
    supervisor_ = std::make_unique<Supervisor>(
        config, Parts{loop_, SystemClock(), launcher_, discovery_, 1, {}, &store_});
    supervisor_->Begin();
  }
  SnapshotPtr Now() { return supervisor_->Snapshot(); }
  const WorkerView* Find(int slot) { return FindWorker(*Now(), {"flush", slot}); }
  bool Until(const std::function<bool()>& condition) { return TurnUntil(loop_, condition); }
  bool UntilState(int slot, WorkerState state) {
    return Until([&] {
      for (auto& [pid, worker] : workers_) worker->Report();
      return Find(slot) != nullptr && Find(slot)->state == state;
    });
  }
  // Dials in for the process in the slot.
  FakeWorker& Dial(int slot) {
    EXPECT_TRUE(UntilState(slot, WorkerState::kStarting));
    const WorkerView worker = *Find(slot);
    auto& fake = workers_[worker.pid];
    fake = std::make_unique<FakeWorker>(*supervisor_, HelloOf(worker));
    return *fake;
  }
  FakeWorker& MakeReady(int slot) {
    FakeWorker& fake = Dial(slot);
    EXPECT_TRUE(UntilState(slot, WorkerState::kReady));
    return fake;
  }
  absl::StatusOr<PoolView> Await(const std::function<void(PoolDone)>& call) {
    std::optional<absl::StatusOr<PoolView>> answer;
    call([&](absl::StatusOr<PoolView> view) { answer = std::move(view); });
    EXPECT_TRUE(Until([&] { return answer.has_value(); }));
    return *answer;
  }
  absl::StatusOr<PoolView> Resize(const ResizeRequest& request) {
    return Await([&](PoolDone done) { supervisor_->Resize(request, std::move(done)); });
  }
  const Check* FindCheck(const std::string& name) {
    checked_ = Now();
    for (const Check& check : checked_->checks) {
      if (check.name == name) return &check;
    }
    return nullptr;
  }

  using Audits = absl::StatusOr<std::vector<ShardAudit>>;
  Audits Audit(std::optional<ShardId> shard) {
    std::optional<Audits> answer;
    supervisor_->Audit(shard, [&](Audits audits) { answer = std::move(audits); });
    EXPECT_TRUE(Until([&] { return answer.has_value(); }));
    return *answer;
  }

  testing::FakeDiscovery discovery_{4};
  Loop loop_;
  buffer::FakeShardStore store_{
      [this](buffer::FakeShardStore::Task task) { loop_.Post(std::move(task)); }};
  testing::FakeLauncher launcher_{loop_};
  std::unique_ptr<Supervisor> supervisor_;
  std::map<int64_t, std::unique_ptr<FakeWorker>> workers_;
  SnapshotPtr checked_;
};

TEST_F(SupervisorTest, BringsAFleetUpAndSharesTheShards) {
  Begin(testing::FlushPool(2));
  FakeWorker& first = MakeReady(0);
  FakeWorker& second = MakeReady(1);
  EXPECT_TRUE(Until([&] {
    first.Report();
    second.Report();
    return first.OrderedShards().size() == 2 && second.OrderedShards().size() == 2 &&
           IsReady(*Now());
  }));
  EXPECT_EQ(Now()->pools[0].ready, 2);
  EXPECT_EQ(Now()->shards.size(), 4u);
  EXPECT_EQ(Now()->shards[0].flush_worker, Now()->shards[0].flush_worker_desired);
}

TEST_F(SupervisorTest, ADeadWorkersShardsGoToTheOthersAndItIsReplaced) {
  Begin(testing::FlushPool(2));
  FakeWorker& first = MakeReady(0);
  MakeReady(1);
  const int64_t pid = Find(1)->pid;
  launcher_.Exit(pid, 1, {"out of memory"});
  EXPECT_TRUE(Until([&] {
    first.Report();
    return first.OrderedShards().size() == 4;
  }));
  EXPECT_TRUE(UntilState(1, WorkerState::kStarting));
  EXPECT_EQ(Find(1)->generation, Generation{2});
  EXPECT_THAT(Find(1)->last_death, HasSubstr("exited with 1"));
  EXPECT_THAT(Find(1)->last_death, HasSubstr("out of memory"));
  EXPECT_EQ(Find(1)->restarts, 1);
  EXPECT_TRUE(workers_.at(pid)->link().closed.has_value()) << "its stream is closed";
}

TEST_F(SupervisorTest, OperatorsLearnWhereAWorkerIsOrThatItHasEnded) {
  Begin(testing::FlushPool(1));
  MakeReady(0);
  std::vector<absl::StatusOr<StackReport>> answers;
  const auto ask = [&](int slot) {
    supervisor_->CaptureStacks({"flush", slot}, [&](absl::StatusOr<StackReport> report) {
      answers.push_back(std::move(report));
    });
  };
  ask(0);
  ask(1);
  ASSERT_TRUE(Until([&] { return answers.size() == 2; }));
  EXPECT_EQ(RefusalReason(answers[0].status()), "WORKER_NOT_FOUND");
  ASSERT_TRUE(answers[1].ok());
  EXPECT_EQ(answers[1]->summary, "main");
  launcher_.holds_stacks = true;
  ask(0);
  ask(0);
  ASSERT_TRUE(Until([&] { return !launcher_.entries.at(Find(0)->pid).stacks_asked.empty(); }));
  launcher_.Exit(Find(0)->pid, 1);
  ASSERT_TRUE(Until([&] { return answers.size() == 4; }));
  EXPECT_EQ(RefusalReason(answers[2].status()), "NO_PROCESS");
  EXPECT_EQ(RefusalReason(answers[3].status()), "NO_PROCESS");
}

TEST_F(SupervisorTest, AReaderOfALogWaitsForMoreWithinALimit) {
  Begin(testing::FlushPool(1));
  std::optional<absl::StatusOr<LogPage>> page;
  const auto read = [&](LogQuery query) {
    page.reset();
    supervisor_->ReadLog(query, [&](absl::StatusOr<LogPage> answer) { page = std::move(answer); });
  };
  read({.worker = {"none", 0}});
  ASSERT_TRUE(Until([&] { return page.has_value(); }));
  EXPECT_EQ(RefusalReason(page->status()), "WORKER_NOT_FOUND");
  read({.worker = {"flush", 0}});
  ASSERT_TRUE(Until([&] { return page.has_value(); }));
  EXPECT_EQ(RefusalReason(page->status()), "LOG_NOT_FOUND");
  launcher_.logs[{"flush", 0}] = {"one"};
  read({.worker = {"flush", 0}, .after = 1, .is_followed = true});
  const Instant start = SystemClock().Now();
  ASSERT_TRUE(Until([&] { return page.has_value(); }));
  EXPECT_GE(SystemClock().Now() - start, kLogWait);
  EXPECT_TRUE((*page)->lines.empty());
  read({.worker = {"flush", 0}, .after = 1, .is_followed = true});
  loop_.Post([&] { launcher_.logs[{"flush", 0}].push_back("two"); });
  ASSERT_TRUE(Until([&] { return page.has_value(); }));
  EXPECT_EQ((*page)->lines, std::vector<std::string>{"two"});
  read({.worker = {"flush", 0}, .after = 2, .is_followed = true});
  EXPECT_TRUE(Until([&] { return true; }));
  supervisor_.reset();
  ASSERT_TRUE(Until([&] { return page.has_value(); }));
  EXPECT_EQ(RefusalReason(page->status()), "SERVER_STOPPING");
}

TEST_F(SupervisorTest, ResizesBothWays) {
  Begin(testing::FlushPool(1));
  MakeReady(0);
  const auto grown = Resize({.pool = "flush", .desired = 2});
  ASSERT_TRUE(grown.ok()) << grown.status();
  EXPECT_EQ(grown->desired, 2);
  FakeWorker& second = MakeReady(1);
  ASSERT_TRUE(
      Resize({.pool = "flush", .desired = 1, .origin = {.etag = Now()->pools[0].etag}}).ok());
  EXPECT_TRUE(Until([&] { return second.IsToldToDrain(); }));
  launcher_.Exit(Find(1)->pid, 0);
  EXPECT_TRUE(Until([&] { return Find(1) == nullptr; }));
}

TEST_F(SupervisorTest, ASnapshotTakenWithTheAnswerShowsTheChange) {
  Begin(testing::FlushPool(1));
  EXPECT_TRUE(Until([&] { return FindPool(*Now(), "flush")->observed == 1; }));
  int32_t desired = 0;
  fleet::PoolState state = fleet::PoolState::kRunning;
  bool is_done = false;
  supervisor_->Resize({.pool = "flush", .desired = 2}, [&](const absl::StatusOr<PoolView>&) {
    desired = FindPool(*Now(), "flush")->desired;
  });
  supervisor_->Stop("flush", {}, [&](const absl::StatusOr<PoolView>&) {
    state = FindPool(*Now(), "flush")->state;
    is_done = true;
  });
  EXPECT_TRUE(Until([&] { return is_done; }));
  EXPECT_EQ(desired, 2);
  EXPECT_EQ(state, fleet::PoolState::kStopped);
}

TEST_F(SupervisorTest, TellsTheLedgersAndAudits) {
  store_.shards()[{1}].ledger.accepted = store_.shards()[{1}].ledger.messages = 7;
  Begin(testing::FlushPool(1));
  EXPECT_TRUE(Until([&] { return Now()->shards.size() == 4 && Now()->shards[1].ledger; }));
  EXPECT_EQ(Now()->shards[1].ledger->ledger.accepted, 7u);
  EXPECT_FALSE(Now()->shards[0].ledger) << "never taken";
  const Audits all = Audit(std::nullopt);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 4u);
  EXPECT_EQ((*all)[1].reply.residual, 7);
  EXPECT_TRUE(
      Until([&] { return Now()->shards[1].audit && Now()->shards[1].audit->residual == 7; }));
  EXPECT_EQ(Audit(ShardId{1})->front().reply.residual, 7);
  EXPECT_EQ(RefusalReason(Audit(ShardId{9}).status()), "SHARD_NOT_FOUND");
}

// The topic was made again with fewer partitions: what the buffer still has is served as well.
TEST_F(SupervisorTest, ServesShardsThatOnlyTheBufferKnows) {
  bool is_taken = false;
  store_.Take(ShardId{6}, {.owner = 1, .input = {}, .log_end = 10},
              [&](const auto& result) { is_taken = result.ok(); });
  ASSERT_TRUE(Until([&] { return is_taken; }));
  Begin(testing::FlushPool(1));
  EXPECT_TRUE(Until([&] { return Now()->shards.size() == 5; }));
  EXPECT_EQ(Now()->shards.back().id, ShardId{6});
}

TEST_F(SupervisorTest, AnAuditNeedsToKnowTheShards) {
  testing::FakeDiscovery none(absl::UnavailableError("no broker"));
  supervisor_ = std::make_unique<Supervisor>(
      testing::FlushPool(1), Parts{loop_, SystemClock(), launcher_, none, 1, {}, &store_});
  supervisor_->Begin();
  EXPECT_TRUE(
      Until([&] { return FindCheck("kafka")->detail.find("no broker") != std::string::npos; }));
  EXPECT_EQ(RefusalReason(Audit(std::nullopt).status()), "SHARDS_UNKNOWN");
  supervisor_.reset();
}

TEST_F(SupervisorTest, RefusesWithStableReasons) {
  config::Config config = testing::FlushPool(1);
  config::Pool external;
  external.name = "other";
  external.scale_owner = config::ScaleOwner::kExternal;
  config.pools.push_back(external);
  Begin(config);
  const auto reason = [&](const ResizeRequest& request) {
    return RefusalReason(Resize(request).status());
  };
  EXPECT_EQ(reason({.pool = "none", .desired = 1}), "POOL_NOT_FOUND");
  EXPECT_EQ(reason({.pool = "other", .desired = 1}), "EXTERNALLY_SCALED");
  EXPECT_EQ(reason({.pool = "flush", .desired = 9}), "OUT_OF_RANGE");
  EXPECT_EQ(reason({.pool = "flush", .desired = 2, .origin = {.etag = "old"}}), "ETAG_MISMATCH");
  EXPECT_EQ(reason({.pool = "flush", .desired = 2, .min = 5}), "OUT_OF_RANGE");
  const auto tried = Resize({.pool = "flush", .desired = 5, .origin = {.validate_only = true}});
  EXPECT_EQ(tried->desired, 5);
  EXPECT_EQ(Now()->pools[0].desired, 1);
}

TEST_F(SupervisorTest, RefusesStrangersAtTheGateway) {
  Begin(testing::FlushPool(1));
  MakeReady(0);
  const auto reason_for = [&](wire::Hello hello) {
    FakeWorker stranger(*supervisor_, std::move(hello));
    EXPECT_TRUE(Until([&] { return stranger.answer().has_value(); }));
    return RefusalReason(stranger.answer()->status());
  };
  wire::Hello hello = HelloOf(*Find(0));
  EXPECT_EQ(reason_for(hello), "DUPLICATE_UID");
  hello.pid = 1;
  EXPECT_EQ(reason_for(hello), "STALE_GENERATION");
  hello.slot = 7;
  EXPECT_EQ(reason_for(hello), "WORKER_NOT_FOUND");
}

TEST_F(SupervisorTest, WelcomesRegisteredWorkersAndRefusesWhatNeedsItsOwnProcess) {
  config::Config config = testing::FlushPool(1);
  config.pools[0].scale_owner = config::ScaleOwner::kExternal;
  config.pools[0].max = 1;
  Begin(config);
  EXPECT_TRUE(launcher_.entries.empty());
  wire::Hello hello;
  hello.uid = "first";
  hello.pid = 4711;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  hello.is_registered = true;
  FakeWorker worker(*supervisor_, hello);
  ASSERT_TRUE(Until([&] { return worker.answer().has_value(); }));
  ASSERT_TRUE(worker.answer()->ok());
  EXPECT_EQ((*worker.answer())->welcome.worker, "pools/flush/workers/0");
  worker.Report();
  EXPECT_TRUE(UntilState(0, WorkerState::kReady));

  const auto answer_to = [&](wire::Hello other) {
    FakeWorker stranger(*supervisor_, std::move(other));
    EXPECT_TRUE(Until([&] { return stranger.answer().has_value(); }));
    return stranger.answer()->status();
  };
  const absl::Status doubled = answer_to(hello);
  EXPECT_EQ(RefusalReason(doubled), "DUPLICATE_UID");
  EXPECT_THAT(std::string(doubled.message()),
              HasSubstr("pools/flush/workers/0 (pid 4711, uid first)"));
  hello.uid = "second";
  EXPECT_EQ(RefusalReason(answer_to(hello)), "POOL_FULL");
  const auto stopped =
      Await([&](PoolDone done) { supervisor_->Stop("flush", {}, std::move(done)); });
  EXPECT_EQ(RefusalReason(stopped.status()), "NOT_LAUNCHED");
  EXPECT_EQ(RefusalReason(Resize({.pool = "flush", .desired = 1}).status()), "EXTERNALLY_SCALED");
}

TEST_F(SupervisorTest, ALostWorkerThatSpeaksAgainKeepsItsPlaceThoughItIsAskedFor) {
  config::Config config = testing::FlushPool(1);
  config.pools[0].scale_owner = config::ScaleOwner::kExternal;
  config.pools[0].max = 1;
  config.health.silence_timeout = config.health.handover_timeout = config::Milliseconds(50);
  Begin(config);
  wire::Hello hello;
  hello.uid = "first";
  hello.pid = 4711;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  hello.is_registered = true;
  FakeWorker worker(*supervisor_, hello);
  ASSERT_TRUE(Until([&] { return worker.answer().has_value(); }));
  worker.Report();
  ASSERT_TRUE(UntilState(0, WorkerState::kLost));
  worker.Report();
  hello.uid = "second";
  FakeWorker stranger(*supervisor_, hello);
  ASSERT_TRUE(Until([&] { return stranger.answer().has_value(); }));
  EXPECT_EQ(RefusalReason(stranger.answer()->status()), "POOL_FULL");
  EXPECT_FALSE(worker.link().closed.has_value());
}

TEST_F(SupervisorTest, AdoptsWhatRuns) {
  launcher_.leftovers = {{{"flush", 0}, Generation{6}, 4711}};
  Begin(testing::FlushPool(1));
  EXPECT_EQ(launcher_.entries.size(), 1u) << "nothing new was started";
  MakeReady(0);
  EXPECT_EQ(Find(0)->pid, 4711);
  EXPECT_EQ(Find(0)->generation, Generation{6});
}

TEST_F(SupervisorTest, StopsAndStartsAPool) {
  Begin(testing::FlushPool(1));
  FakeWorker& worker = MakeReady(0);
  ASSERT_TRUE(Await([&](PoolDone done) { supervisor_->Stop("flush", {}, std::move(done)); }).ok());
  EXPECT_TRUE(Until([&] { return worker.IsToldToDrain(); }));
  launcher_.Exit(Find(0)->pid, 0);
  EXPECT_TRUE(UntilState(0, WorkerState::kStopped));
  EXPECT_EQ(Now()->pools[0].observed, 0);
  ASSERT_TRUE(Await([&](PoolDone done) { supervisor_->Start("flush", {}, std::move(done)); }).ok());
  EXPECT_TRUE(UntilState(0, WorkerState::kStarting));
}

TEST_F(SupervisorTest, RestartsAPoolWithItsProgressInThePool) {
  Begin(testing::FlushPool(2));
  FakeWorker& first = MakeReady(0);
  MakeReady(1);
  const auto begun =
      Await([&](PoolDone done) { supervisor_->Restart({.pool = "flush"}, std::move(done)); });
  ASSERT_TRUE(begun.ok()) << begun.status();
  ASSERT_TRUE(begun->restart.has_value());
  EXPECT_EQ(begun->restart->number, 1u);
  EXPECT_TRUE(Until([&] { return first.IsToldToDrain(); }));
  EXPECT_EQ(Find(1)->state, WorkerState::kReady);
  launcher_.Exit(Find(0)->pid, 0);
  MakeReady(0);
  EXPECT_TRUE(UntilState(1, WorkerState::kDraining));
  EXPECT_EQ(Now()->pools[0].restart->replaced, 1);
  launcher_.Exit(Find(1)->pid, 0);
  MakeReady(1);
  EXPECT_EQ(Now()->pools[0].restart->state, fleet::PoolRestart::State::kDone);
}

TEST_F(SupervisorTest, AWorkerInACrashLoopWorksAgainByAPersonsHand) {
  config::Config config = testing::FlushPool(1);
  config.restart.max_restarts = 1;
  config.restart.backoff.initial = std::chrono::milliseconds(1);
  Begin(config);
  for (const uint64_t generation : {1u, 2u}) {
    ASSERT_TRUE(Until([&] {
      return Find(0) != nullptr && Find(0)->generation.value == generation &&
             Find(0)->state == WorkerState::kStarting;
    }));
    launcher_.Exit(Find(0)->pid, 1);
  }
  ASSERT_TRUE(UntilState(0, WorkerState::kCrashLoop));
  const auto answer = Await([&](PoolDone done) {
    supervisor_->RestartWorker({"flush", 0}, {}, std::move(done));
  });
  ASSERT_TRUE(answer.ok()) << answer.status();
  MakeReady(0);
  EXPECT_EQ(Find(0)->restarts, 0);
}

TEST_F(SupervisorTest, APausedPoolIsReadyAndItsNextWorkerStartsPaused) {
  Begin(testing::FlushPool(1));
  FakeWorker& worker = MakeReady(0);
  const auto paused =
      Await([&](PoolDone done) { supervisor_->Pause("flush", {}, std::move(done)); });
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->state, fleet::PoolState::kPaused);
  EXPECT_TRUE(Until([&] { return worker.OrderedShards().size() == 4; }));
  EXPECT_TRUE(FindCheck("pool/flush")->ok);
  EXPECT_EQ(FindCheck("pool/flush")->detail, "paused");
  ASSERT_TRUE(Resize({.pool = "flush", .desired = 2}).ok());
  ASSERT_TRUE(UntilState(1, WorkerState::kStarting));
  EXPECT_TRUE(launcher_.entries.at(Find(1)->pid).spec.is_paused);
  const auto resumed =
      Await([&](PoolDone done) { supervisor_->Resume("flush", {}, std::move(done)); });
  EXPECT_EQ(resumed->state, fleet::PoolState::kRunning);
}

TEST_F(SupervisorTest, RefusesVerbsWithStableReasons) {
  Begin(testing::FlushPool(1));
  const auto restart = [&](const RestartRequest& request) {
    return RefusalReason(
        Await([&](PoolDone done) { supervisor_->Restart(request, std::move(done)); }).status());
  };
  const auto restart_worker = [&](const fleet::WorkerKey& worker) {
    return RefusalReason(Await([&](PoolDone done) {
                           supervisor_->RestartWorker(worker, {}, std::move(done));
                         }).status());
  };
  EXPECT_EQ(restart({.pool = "none"}), "POOL_NOT_FOUND");
  EXPECT_EQ(restart({.pool = "flush", .max_unavailable = 0}), "OUT_OF_RANGE");
  EXPECT_EQ(restart_worker({"flush", 3}), "WORKER_NOT_FOUND");
  EXPECT_EQ(restart_worker({"none", 0}), "POOL_NOT_FOUND");
  MakeReady(0);
  ASSERT_TRUE(Await([&](PoolDone done) { supervisor_->Stop("flush", {}, std::move(done)); }).ok());
  EXPECT_EQ(restart({.pool = "flush"}), "POOL_STOPPED");
  EXPECT_EQ(restart_worker({"flush", 0}), "WORKER_NOT_WANTED");
  const auto pause =
      Await([&](PoolDone done) { supervisor_->Pause("flush", {}, std::move(done)); });
  EXPECT_EQ(RefusalReason(pause.status()), "POOL_STOPPED");
}

TEST_F(SupervisorTest, ARestartedShardIsTakenFromItsOwnerAndGivenAgain) {
  Begin(testing::FlushPool(1));
  const auto restart = [&](int shard) {
    return Await(
        [&](PoolDone done) { supervisor_->RestartShard(ShardId{shard}, {}, std::move(done)); });
  };
  EXPECT_EQ(RefusalReason(restart(9).status()), "SHARD_NOT_FOUND");
  EXPECT_EQ(RefusalReason(restart(1).status()), "SHARD_NOT_HELD");
  FakeWorker& worker = MakeReady(0);
  ASSERT_TRUE(Until([&] { return worker.OrderedShards().size() == 4; }));
  worker.Report();
  ASSERT_TRUE(Until([&] { return supervisor_->Snapshot()->shards[1].flush.has_value(); }));
  const auto answer = restart(1);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->name, "flush");
  EXPECT_TRUE(Until([&] { return worker.OrderedShards().size() == 3; }));
  worker.Report();
  EXPECT_TRUE(Until([&] { return worker.OrderedShards().size() == 4; }));
}

TEST_F(SupervisorTest, DrainEndsEveryoneAndRefusesOrdersMeanwhile) {
  Begin(testing::FlushPool(2));
  FakeWorker& worker = MakeReady(0);
  ASSERT_TRUE(UntilState(1, WorkerState::kStarting));
  std::optional<absl::Status> drained;
  supervisor_->Drain([&](const absl::Status& status) { drained = status; });
  EXPECT_EQ(RefusalReason(Resize({.pool = "flush", .desired = 1}).status()), "SERVER_STOPPING");
  EXPECT_TRUE(Until([&] { return worker.IsToldToDrain(); }));
  launcher_.Exit(Find(0)->pid, 0);
  EXPECT_TRUE(Until([&] { return drained.has_value(); })) << "the other got TERM";
  EXPECT_TRUE(drained->ok()) << *drained;
}

TEST_F(SupervisorTest, AStartThatFailsIsTriedAgainAndTold) {
  launcher_.next_error = absl::NotFoundError("/bin/spillway-worker: No such file");
  Begin(testing::FlushPool(1));
  EXPECT_TRUE(UntilState(0, WorkerState::kStarting));
  EXPECT_THAT(Find(0)->last_death, HasSubstr("could not be started: /bin/spillway-worker"));
}

TEST_F(SupervisorTest, SaysWhatItWaitsFor) {
  Begin(testing::FlushPool(1));
  EXPECT_TRUE(Until([&] { return FindCheck("kafka") != nullptr && FindCheck("kafka")->ok; }));
  EXPECT_FALSE(FindCheck("redis")->ok);
  EXPECT_THAT(FindCheck("redis")->detail, HasSubstr("waits for the first report"));
  EXPECT_THAT(FindCheck("pool/flush")->detail, HasSubstr("0 of 1 workers ready"));
  EXPECT_THAT(FindCheck("shards")->detail, HasSubstr("nobody flushes 0, 1, 2, 3"));
}

TEST_F(SupervisorTest, AHandOverOrAWorkerThatStartsIsNoReasonNotToBeReady) {
  Begin(testing::FlushPool(1));
  FakeWorker& first = MakeReady(0);
  ASSERT_TRUE(Until([&] {
    first.Report();
    return IsReady(*Now());
  }));
  ASSERT_TRUE(Resize({.pool = "flush", .desired = 2}).ok());
  FakeWorker& second = Dial(1);
  EXPECT_TRUE(UntilState(1, WorkerState::kReady));
  ASSERT_TRUE(Until([&] {
    first.Report();
    return second.OrderedShards().size() == 2;
  }));
  EXPECT_TRUE(FindCheck("shards")->ok) << "two shards are on their way";
  EXPECT_TRUE(FindCheck("redis")->ok);
  EXPECT_TRUE(FindCheck("kafka")->ok);
}

TEST_F(SupervisorTest, APoolIsAsHealthyAsItsWorstWorker) {
  Begin(testing::FlushPool(2));
  MakeReady(0);
  ASSERT_TRUE(UntilState(1, WorkerState::kStarting));
  EXPECT_EQ(Now()->pools[0].health.state, fleet::HealthState::kStarting);
  EXPECT_THAT(Now()->pools[0].health.evidence, HasSubstr("pools/flush/workers/1"));
}

TEST_F(SupervisorTest, ListenersHearFromAnyThreadUntilTheyEnd) {
  Begin(testing::FlushPool(1));
  int heard = 0;
  std::unique_ptr<Subscription> subscription;
  std::thread([&] {
    subscription = supervisor_->Subscribe([&](const SnapshotPtr&) { ++heard; });
  }).join();
  EXPECT_TRUE(Until([&] { return heard >= 1; }));
  const int before = heard;
  MakeReady(0);
  EXPECT_GT(heard, before);
  subscription.reset();
  const int after = heard;
  ASSERT_TRUE(Resize({.pool = "flush", .desired = 2}).ok());
  EXPECT_TRUE(UntilState(1, WorkerState::kStarting));
  EXPECT_EQ(heard, after);
}

TEST_F(SupervisorTest, AnEndedSupervisorAnswersThatItIsStopping) {
  Begin(testing::FlushPool(1));
  std::optional<absl::StatusOr<PoolView>> answer;
  supervisor_->Start("flush", {}, [&](absl::StatusOr<PoolView> view) { answer = std::move(view); });
  supervisor_.reset();
  EXPECT_TRUE(Until([&] { return answer.has_value(); }));
  EXPECT_EQ(RefusalReason(answer->status()), "SERVER_STOPPING");
}

}  // namespace
}  // namespace spillway::supervisor
