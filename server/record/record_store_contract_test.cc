// What every RecordStore promises, on the real one and on the fake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "server/record/sqlite_record_store.h"
#include "tests/support/memory_record_store.h"

namespace spillway::record {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A place that outlives the stores on it.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::unique_ptr<RecordStore> Open() = 0;  // REQUIRES: no other is open
};

class FilePlace final : public Place {
 public:
  FilePlace() {
    std::string name = ::testing::TempDir() + "spillway-record-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~FilePlace() override { std::filesystem::remove_all(folder_); }
  std::unique_ptr<RecordStore> Open() override {
    auto store = SqliteRecordStore::Open({folder_ + "/state.db", "test"}, SystemClock());
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

 private:
  std::string folder_;
};

class MemoryPlace final : public Place {
 public:
  std::unique_ptr<RecordStore> Open() override {
    return std::make_unique<testing::MemoryRecordStore>(disk_);
  }

 private:
  testing::RecordDisk disk_;
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Place>()> make;
};

class RecordStoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    place_ = GetParam().make();
    store_ = place_->Open();
    ASSERT_NE(store_, nullptr);
  }
  void Commit(const Change& change) {
    const absl::Status status = store_->Commit(change);
    ASSERT_TRUE(status.ok()) << status;
  }
  // As a server that comes after this one.
  void Reopen() {
    store_.reset();
    store_ = place_->Open();
    ASSERT_NE(store_, nullptr);
  }
  State Load() {
    auto state = store_->Load();
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? *state : State();
  }
  std::vector<int64_t> Events(const PageQuery& query) {
    std::vector<int64_t> sequences;
    const auto events = store_->ListEvents(query);
    EXPECT_TRUE(events.ok()) << events.status();
    for (const Event& event : *events) sequences.push_back(event.sequence);
    return sequences;
  }

  std::unique_ptr<Place> place_;
  std::unique_ptr<RecordStore> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Stores, RecordStoreTest,
    ::testing::Values(Kind{"Sqlite", [] { return std::make_unique<FilePlace>(); }},
                      Kind{"Memory", [] { return std::make_unique<MemoryPlace>(); }}),
    [](const auto& row) { return row.param.name; });

PoolRecord Pool(const std::string& name, int32_t desired) {
  return {{name, {desired, 1, 8}}, {1, 1, 8}};
}

AnsweredRequest Request(const std::string& id, WallTime time = SystemClock().Wall()) {
  return {
      id, std::string("all\0of it", 9), time, {"flush", {3, 1, 8}, WishedState::kStopped}, "5-7"};
}

Event MakeEvent(const std::string& action) {
  Event event;
  event.time = {1'700'000'000'000'000};
  event.actor = "ipv4:127.0.0.1:1 spillway/1";
  event.action = action;
  event.target = "pools/flush";
  event.before = "desired 1";
  event.after = "desired 3";
  event.outcome = "OK";
  event.detail = "a detail";
  return event;
}

Death MakeDeath(const std::string& pool) {
  Death death;
  death.time = {1'700'000'000'000'001};
  death.pool = pool;
  death.slot = 2;
  death.pid = 4711;
  death.generation = {9};
  death.kind = EndKind::kSignaled;
  death.value = 11;
  death.is_expected = true;
  death.reason = "killed by SIGSEGV";
  death.last_lines = {"first", "", "last"};
  return death;
}

TEST_P(RecordStoreTest, AnOperationIsReplacedUnderItsNumber) {
  Operation operation;
  operation.number = 7;
  operation.kind = 3;
  operation.pool = "flush";
  operation.actor = "tester";
  operation.begun = {11};
  operation.before = {"flush", {2, 1, 8}, WishedState::kPaused};
  operation.revision = 9;
  operation.desired = 4;
  operation.generation = 5;
  operation.restart = 2;
  operation.only_failed = true;
  operation.max_unavailable = 3;
  operation.replaced = {{0, 5}, {2, 7}};
  Change change;
  change.operations = {operation};
  Commit(change);
  EXPECT_EQ(Load().operations, std::vector{operation});
  operation.state = 1;
  operation.ended = {12};
  operation.detail = "done";
  change.operations = {operation};
  Commit(change);
  Reopen();
  EXPECT_EQ(Load().operations, std::vector{operation});
}

TEST_P(RecordStoreTest, ANewOneHasNothing) {
  EXPECT_THAT(Load().pools, IsEmpty());
  EXPECT_THAT(Load().requests, IsEmpty());
  EXPECT_THAT(Events({}), IsEmpty());
}

TEST_P(RecordStoreTest, KeepsAllOfAChange) {
  Change change;
  change.pools = {Pool("ingest", 2), Pool("flush", 3)};
  change.pools[0].wish.state = WishedState::kPaused;
  change.request = Request("abc");
  change.events = {MakeEvent("ResizePool")};
  change.deaths = {MakeDeath("flush")};
  Commit(change);
  Reopen();

  EXPECT_THAT(Load().pools, ElementsAre(change.pools[1], change.pools[0]));
  EXPECT_THAT(Load().requests, ElementsAre(*change.request));
  change.events[0].sequence = change.deaths[0].sequence = 1;
  EXPECT_EQ(*store_->ListEvents({}), change.events);
  EXPECT_EQ(*store_->ListDeaths({}), change.deaths);
}

TEST_P(RecordStoreTest, KeepsWhatItAloneKnowsOfACreatedPool) {
  PoolRecord pool = Pool("flush-2", 3);
  pool.created = CreatedPool{PoolRole::kFlush, true};
  Commit({.pools = {pool, Pool("flush", 1)}});
  Reopen();
  EXPECT_THAT(Load().pools, ElementsAre(Pool("flush", 1), pool));
}

TEST_P(RecordStoreTest, KeepsDropRulesUntilTheyAreEnded) {
  DropRule project;
  project.rule = {"noisy", {.project_id = ~uint64_t{0}, .trace_id = {}}, WallTime{9}};
  project.set = {5};
  project.actor = "someone";
  project.reason = "an incident";
  DropRule trace;
  trace.rule = {"a-trace", {.project_id = {}, .trace_id = wire::TraceId{~uint64_t{0}, 0}}, {8}};
  Change change;
  change.drop_rules = {project, trace};
  Commit(change);
  Reopen();
  EXPECT_THAT(Load().drop_rules, ElementsAre(trace, project)) << "by name";
  project.rule.expire_time = {10};
  Change later;
  later.drop_rules = {project};
  later.ended_drop_rules = {"a-trace", "unknown"};
  Commit(later);
  Reopen();
  EXPECT_THAT(Load().drop_rules, ElementsAre(project));
}

TEST_P(RecordStoreTest, KeepsTheConfigurationsThatAreGivenLast) {
  const ConfigRecord proven{3, "log: {level: info}\n", ConfigStanding::kProven, {5}, ""};
  const ConfigRecord rejected{4, "log: {level: x}\n", ConfigStanding::kRejected, {6}, "died"};
  Commit({.configs = {{2, "", ConfigStanding::kProven, {1}, ""}}});
  Commit({.configs = {proven, rejected}});
  Commit({.pools = {Pool("flush", 2)}});
  Reopen();
  EXPECT_THAT(Load().configs, ElementsAre(proven, rejected));
}

TEST_P(RecordStoreTest, TheNewestWordOnAPoolCounts) {
  Commit({.pools = {Pool("flush", 2), Pool("old", 1)}});
  Commit({.pools = {Pool("flush", 5)}, .forgotten_pools = {"old"}});
  EXPECT_THAT(Load().pools, ElementsAre(Pool("flush", 5)));
}

TEST_P(RecordStoreTest, PagesGoFromTheNewestBack) {
  for (int i = 0; i < 5; ++i) Commit({.events = {MakeEvent("StartPool")}});
  EXPECT_THAT(Events({.limit = 2}), ElementsAre(5, 4));
  EXPECT_THAT(Events({.before = 4, .limit = 2}), ElementsAre(3, 2));
  EXPECT_THAT(Events({.before = 2, .limit = 2}), ElementsAre(1));
  EXPECT_THAT(Events({.before = 1}), IsEmpty());
}

TEST_P(RecordStoreTest, DeathsOfOnePoolCanBeAskedFor) {
  Commit({.deaths = {MakeDeath("flush"), MakeDeath("ingest")}});
  const auto deaths = store_->ListDeaths({.pool = "ingest"});
  ASSERT_TRUE(deaths.ok());
  ASSERT_EQ(deaths->size(), 1u);
  EXPECT_EQ(deaths->front().pool, "ingest");
}

TEST_P(RecordStoreTest, EveryListIsBounded) {
  Change many;
  many.events.assign(kMaxEvents + 3, MakeEvent("StartPool"));
  many.deaths.assign(kMaxDeaths + 3, MakeDeath("flush"));
  Commit(many);
  for (int i = 0; i < kMaxRequests + 3; ++i) Commit({.request = Request(std::to_string(i))});

  const auto events = store_->ListEvents({.limit = kMaxEvents + 10});
  ASSERT_TRUE(events.ok());
  EXPECT_EQ(events->size(), static_cast<size_t>(kMaxEvents));
  EXPECT_EQ(events->front().sequence, kMaxEvents + 3) << "the oldest have gone";
  EXPECT_EQ(store_->ListDeaths({.limit = kMaxDeaths + 10})->size(),
            static_cast<size_t>(kMaxDeaths));
  const State state = Load();
  EXPECT_EQ(state.requests.size(), static_cast<size_t>(kMaxRequests));
  EXPECT_EQ(state.requests.front().id, "3");
}

TEST_P(RecordStoreTest, OldRequestIdsAreForgotten) {
  const WallTime now = SystemClock().Wall();
  const auto age = std::chrono::microseconds(kMaxRequestAge + std::chrono::hours(1));
  Commit({.request = Request("old", {now.us - age.count()})});
  Commit({.request = Request("new", now)});
  const State state = Load();
  ASSERT_EQ(state.requests.size(), 1u);
  EXPECT_EQ(state.requests.front().id, "new");
}

TEST_P(RecordStoreTest, LongAndBrokenTextsAreMended) {
  Change change;
  change.events = {MakeEvent(std::string(2 * kMaxTextBytes, 'x'))};
  change.deaths = {MakeDeath("flush")};
  change.deaths[0].last_lines.assign(kMaxLastLines + 5, "bad \xff bytes, good \xc3\xa4");
  change.deaths[0].last_lines.back() = "newest";
  Commit(change);

  EXPECT_EQ(store_->ListEvents({})->front().action.size(), kMaxTextBytes);
  const std::vector<std::string> lines = store_->ListDeaths({})->front().last_lines;
  EXPECT_EQ(lines.size(), kMaxLastLines);
  EXPECT_EQ(lines.front(), "bad ? bytes, good \xc3\xa4");
  EXPECT_EQ(lines.back(), "newest");
}

}  // namespace
}  // namespace spillway::record
