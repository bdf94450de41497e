#include "server/record/sqlite_open.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "server/record/sqlite_record_store.h"

namespace spillway::record {
namespace {

constexpr int64_t kApplicationId = 0x53504c57;  // "SPLW"
constexpr mode_t kOnlyOwner = 0600;             // the journal names people and addresses

// Sequences are rowids: 1 above the greatest, and the greatest is never deleted.
// What each version adds to the one before; the first begins with nothing. Never edited, only added
// to: a file of any former version is brought up by the steps that it lacks.
constexpr const char* kSteps[] = {
    R"(
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
)",
    // 2: what etags are made of.
    R"(
  ALTER TABLE server ADD COLUMN identity INTEGER NOT NULL DEFAULT 0;
  UPDATE server SET identity = random();
  ALTER TABLE pools ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
)",
    // 3: operations.
    R"(
  ALTER TABLE requests ADD COLUMN operation INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE operations(
    number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, state INTEGER NOT NULL, pool TEXT NOT NULL,
    slot INTEGER NOT NULL, actor TEXT NOT NULL, begun_us INTEGER NOT NULL,
    ended_us INTEGER NOT NULL, detail TEXT NOT NULL, before_desired INTEGER NOT NULL,
    before_min INTEGER NOT NULL, before_max INTEGER NOT NULL, before_state INTEGER NOT NULL,
    revision INTEGER NOT NULL, desired INTEGER NOT NULL, generation INTEGER NOT NULL,
    restart INTEGER NOT NULL, only_failed INTEGER NOT NULL, max_unavailable INTEGER NOT NULL,
    replaced TEXT NOT NULL) STRICT;
)",
    // 4: pools created through the API.
    R"(
  ALTER TABLE pools ADD COLUMN is_created INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE pools ADD COLUMN role INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE pools ADD COLUMN is_scaled_elsewhere INTEGER NOT NULL DEFAULT 0;
)",
    // 5: drop rules. Numbers of 64 bits without a sign are kept in a column's 64 bits with one.
    R"(
  CREATE TABLE drop_rules(
    name TEXT PRIMARY KEY, project_id INTEGER, trace_high INTEGER, trace_low INTEGER,
    expire_us INTEGER NOT NULL, set_us INTEGER NOT NULL, actor TEXT NOT NULL,
    reason TEXT NOT NULL) STRICT;
)",
    // 6: configuration generations.
    R"(
  CREATE TABLE configs(
    generation INTEGER PRIMARY KEY, settings TEXT NOT NULL, standing INTEGER NOT NULL,
    begun_us INTEGER NOT NULL, detail TEXT NOT NULL) STRICT;
)"};
static_assert(std::size(kSteps) == SqliteRecordStore::kSchemaVersion);

absl::Status Wrong(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("server.state: ", path, ": ", what));
}

// SQLite's own words for these are poor.
absl::Status MakeFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOnlyOwner));
  if (file.valid()) return absl::OkStatus();
  const std::string why = std::strerror(errno);
  if (errno == ENOSPC || errno == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "server.state: ", path, ": ", why, ": expected room for some MiB on this file system"));
  }
  return Wrong(path, why + ": expected a file and a folder that this user may write");
}

absl::Status CheckIsOurs(Database& database) {
  ASSIGN_OR_RETURN(const int64_t id, database.Integer("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const int64_t tables, database.Integer("SELECT count(*) FROM sqlite_schema"));
  const bool is_new = id == 0 && tables == 0;
  if (!is_new && id != kApplicationId) {
    return Wrong(database.path(),
                 "is the database of another program: name a file of Spillway's, or one that is "
                 "not there yet");
  }
  ASSIGN_OR_RETURN(const int64_t version, database.Integer("PRAGMA user_version"));
  if (version > SqliteRecordStore::kSchemaVersion) {
    return Wrong(database.path(),
                 absl::StrCat("has schema version ", version, ", this spillwayd knows ",
                              SqliteRecordStore::kSchemaVersion,
                              ": run the newer spillwayd, or name another file"));
  }
  return absl::OkStatus();
}

absl::Status CheckIsWhole(Database& database) {
  ASSIGN_OR_RETURN(const std::string verdict, database.Text("PRAGMA integrity_check(1)"));
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "server.state: ", database.path(), ": is damaged (", verdict,
      "): put a backup in its place, or move it away to begin with the configuration's pools"));
}

absl::Status MakeTables(Database& database, const std::string& name_space) {
  ASSIGN_OR_RETURN(const int64_t version, database.Integer("PRAGMA user_version"));
  if (version == SqliteRecordStore::kSchemaVersion) return absl::OkStatus();
  // One transaction: a server that dies within leaves the file as it was, or a whole one.
  RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  for (size_t step = static_cast<size_t>(version); step < std::size(kSteps); ++step) {
    RETURN_IF_ERROR(database.Execute(kSteps[step]));
    if (step > 0) continue;
    RETURN_IF_ERROR(database.Prepare("INSERT INTO server VALUES(?, 0)").Bind(name_space).Run());
  }
  RETURN_IF_ERROR(
      database.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId).c_str()));
  RETURN_IF_ERROR(database.Execute(
      absl::StrCat("PRAGMA user_version = ", SqliteRecordStore::kSchemaVersion).c_str()));
  return database.Execute("COMMIT");
}

absl::Status CheckNamespace(Database& database, const std::string& name_space) {
  ASSIGN_OR_RETURN(const std::string owner, database.Text("SELECT namespace FROM server"));
  if (owner == name_space) return absl::OkStatus();
  return Wrong(database.path(),
               absl::StrCat("is the record of namespace \"", owner, "\", this server's is \"",
                            name_space, "\": give each namespace a file of its own"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenStateFile(const std::string& path,
                                                        const std::string& name_space) {
  RETURN_IF_ERROR(MakeFile(path));
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  RETURN_IF_ERROR(CheckIsOurs(*database));
  RETURN_IF_ERROR(CheckIsWhole(*database));
  // FULL: in WAL mode each commit is synced, not only each checkpoint.
  RETURN_IF_ERROR(database->Text("PRAGMA journal_mode = WAL").status());
  RETURN_IF_ERROR(database->Execute("PRAGMA synchronous = FULL"));
  RETURN_IF_ERROR(database->Execute("PRAGMA journal_size_limit = 4194304"));
  RETURN_IF_ERROR(MakeTables(*database, name_space));
  RETURN_IF_ERROR(CheckNamespace(*database, name_space));
  return database;
}

}  // namespace spillway::record
