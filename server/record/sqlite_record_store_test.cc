// What may be wrong with a state file, and what is said then.
#include "server/record/sqlite_record_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "server/record/sqlite_database.h"

namespace spillway::record {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// For as long as it lives no file of this process grows beyond this: as good as a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

class SqliteRecordStoreTest : public ::testing::Test {
 protected:
  SqliteRecordStoreTest() {
    std::string name = ::testing::TempDir() + "spillway-record-XXXXXX";
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/state.db";
  }
  ~SqliteRecordStoreTest() override { fs::remove_all(folder_); }

  absl::StatusOr<std::unique_ptr<SqliteRecordStore>> Open(const std::string& name_space = "test") {
    return SqliteRecordStore::Open({path_, name_space}, SystemClock());
  }
  void ExpectRefusal(absl::StatusCode code, const std::string& what,
                     const std::string& name_space = "test") {
    const auto store = Open(name_space);
    EXPECT_EQ(store.status().code(), code) << store.status();
    EXPECT_THAT(std::string(store.status().message()),
                AllOf(HasSubstr("server.state: " + path_), HasSubstr(what)));
  }
  void Execute(const char* sql) {
    std::ofstream(path_, std::ios::app).close();
    auto database = Database::Open(path_);
    ASSERT_TRUE(database.ok()) << database.status();
    const absl::Status status = (*database)->Execute(sql);
    ASSERT_TRUE(status.ok()) << status;
  }
  // A file with some pages of content, closed as it should be.
  void Fill() {
    const auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    Change change;
    change.events.resize(500);
    for (Event& event : change.events) event.detail = std::string(200, 'd');
    ASSERT_TRUE((*store)->Commit(change).ok());
  }

  std::string folder_, path_;
};

TEST_F(SqliteRecordStoreTest, MakesTheFolderAndAFileForItsOwnerOnly) {
  path_ = folder_ + "/deep/down/state.db";
  ASSERT_TRUE(Open().ok());
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(SqliteRecordStoreTest, ASecondServerIsToldTheFirstsPid) {
  const auto first = Open();
  ASSERT_TRUE(first.ok()) << first.status();
  ExpectRefusal(absl::StatusCode::kFailedPrecondition,
                "another spillwayd has it, process " + std::to_string(getpid()));
}

TEST_F(SqliteRecordStoreTest, WhatIsNoDatabaseIsNotTouched) {
  std::ofstream(path_) << "precious notes, and more of them than a header has bytes: "
                       << std::string(200, '.');
  const auto size = fs::file_size(path_);
  ExpectRefusal(absl::StatusCode::kDataLoss, "not a database");
  EXPECT_EQ(fs::file_size(path_), size);
}

TEST_F(SqliteRecordStoreTest, AnotherProgramsDatabaseIsRefused) {
  Execute("CREATE TABLE bookmarks(url TEXT)");
  ExpectRefusal(absl::StatusCode::kInvalidArgument, "the database of another program");
}

TEST_F(SqliteRecordStoreTest, ANewerVersionIsRefused) {
  Fill();
  Execute("PRAGMA user_version = 99");
  ExpectRefusal(absl::StatusCode::kInvalidArgument,
                "has schema version 99, this spillwayd knows 6: run the newer spillwayd");
}

TEST_F(SqliteRecordStoreTest, AFileOfTheFirstVersionIsBroughtUpAndKeepsWhatItHas) {
  Execute(R"(
    CREATE TABLE server(namespace TEXT NOT NULL, commits INTEGER NOT NULL) STRICT;
    CREATE TABLE pools(
      name TEXT PRIMARY KEY, desired INTEGER NOT NULL, min INTEGER NOT NULL, max INTEGER NOT NULL,
      state INTEGER NOT NULL, configured_desired INTEGER NOT NULL,
      configured_min INTEGER NOT NULL, configured_max INTEGER NOT NULL) STRICT;
    CREATE TABLE requests(
      number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, fingerprint BLOB NOT NULL,
      time_us INTEGER NOT NULL, pool TEXT NOT NULL, desired INTEGER NOT NULL, min INTEGER NOT NULL,
      max INTEGER NOT NULL, state INTEGER NOT NULL, etag TEXT NOT NULL) STRICT;
    CREATE TABLE events(
      sequence INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, actor TEXT NOT NULL,
      action TEXT NOT NULL, target TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
      outcome TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
    CREATE TABLE deaths(
      sequence INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, pool TEXT NOT NULL,
      slot INTEGER NOT NULL, pid INTEGER NOT NULL, generation INTEGER NOT NULL,
      kind INTEGER NOT NULL, value INTEGER NOT NULL, is_expected INTEGER NOT NULL,
      reason TEXT NOT NULL, last_lines TEXT NOT NULL) STRICT;
    INSERT INTO server VALUES('test', 7);
    INSERT INTO pools VALUES('flush', 3, 1, 8, 2, 1, 1, 8);
    INSERT INTO requests VALUES(1, 'id', X'70', 9000000000000000, 'flush', 3, 1, 8, 2, 'etag');
    INSERT INTO events VALUES(5, 1, 'a', 'b', 'c', 'd', 'e', 'OK', 'f');
    PRAGMA application_id = 1397771351;
    PRAGMA user_version = 1;)");
  uint64_t identity = 0;
  {
    const auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    const auto state = (*store)->Load();
    ASSERT_TRUE(state.ok()) << state.status();
    ASSERT_EQ(state->pools.size(), 1u);
    EXPECT_EQ(state->pools[0].wish, (PoolWish{"flush", {3, 1, 8}, WishedState::kStopped}));
    EXPECT_EQ(state->pools[0].revision, 1u);
    EXPECT_FALSE(state->pools[0].created.has_value());
    EXPECT_EQ((*store)->ListEvents({})->at(0).sequence, 5);
    EXPECT_TRUE(state->operations.empty());
    ASSERT_EQ(state->requests.size(), 1u);
    EXPECT_EQ(state->requests[0].etag, "etag");
    EXPECT_EQ(state->requests[0].operation, 0) << "such a request began none";
    Change change;
    change.operations.resize(1);
    change.operations[0].number = 7;
    change.operations[0].pool = "flush";
    ASSERT_TRUE((*store)->Commit(change).ok());
    identity = state->identity;
    EXPECT_NE(identity, 0u);
  }
  const auto again = Open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Load()->identity, identity) << "once for every file";
  EXPECT_EQ((*again)->Load()->operations.at(0).number, 7);
}

TEST_F(SqliteRecordStoreTest, AnotherNamespacesRecordIsRefused) {
  Fill();
  ExpectRefusal(absl::StatusCode::kInvalidArgument, "is the record of namespace \"test\"", "prod");
}

TEST_F(SqliteRecordStoreTest, DamageIsFoundAtStart) {
  Fill();
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(fs::file_size(path_)) - 3 * 4096);
  file << std::string(4096, '\x5a');
  file.close();
  ExpectRefusal(absl::StatusCode::kDataLoss, "put a backup in its place");
}

TEST_F(SqliteRecordStoreTest, ACutOffFileIsDamaged) {
  Fill();
  fs::resize_file(path_, fs::file_size(path_) / 2);
  ExpectRefusal(absl::StatusCode::kDataLoss, "put a backup in its place");
}

TEST_F(SqliteRecordStoreTest, AFolderThatMayNotBeWrittenIsNamed) {
  if (geteuid() == 0) {
    path_ = "/proc/spillway-state.db";  // root may write everywhere else
  } else {
    fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  }
  ExpectRefusal(absl::StatusCode::kInvalidArgument, "this user may write");
}

TEST_F(SqliteRecordStoreTest, AFullDiskRefusesTheWholeChangeAndIsGotOver) {
  const auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Commit({.pools = {{{"flush", {1, 1, 8}}, {1, 1, 8}}}}).ok());
  Change change{.pools = {{{"flush", {5, 1, 8}}, {1, 1, 8}}}};
  change.events.resize(2'000);
  for (Event& event : change.events) event.detail = std::string(kMaxTextBytes, 'd');
  const FileSizeLimit limit(256 << 10);

  const absl::Status status = (*store)->Commit(change);

  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("server.state: " + path_));
  EXPECT_EQ((*store)->Load()->pools.front().wish.sizes.desired, 1) << "nothing half done";
  EXPECT_TRUE((*store)->ListEvents({})->empty());
  EXPECT_TRUE((*store)->Commit({.pools = {{{"flush", {2, 1, 8}}, {1, 1, 8}}}}).ok());
}

}  // namespace
}  // namespace spillway::record
