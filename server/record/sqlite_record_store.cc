#include "server/record/sqlite_record_store.h"

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "server/record/sqlite_open.h"

namespace spillway::record {
namespace {

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("server.state: ", folder.string(), ": ",
                                                 error.message(),
                                                 ": expected a folder that this user may write"));
}

absl::StatusOr<PidLock> Lock(const std::string& path) {
  absl::StatusOr<PidLock> lock = PidLock::Acquire(path + ".lock");
  if (absl::IsAlreadyExists(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("server.state: ", path, ": another spillwayd has it, process ",
                     lock.status().message(), ": give each server a file of its own"));
  }
  if (lock.ok()) return lock;
  const std::string text = absl::StrCat("server.state: ", lock.status().message());
  if (absl::IsResourceExhausted(lock.status())) return absl::ResourceExhaustedError(text);
  return absl::InvalidArgumentError(text + ": expected a folder that this user may write");
}

Sizes SizesAt(Statement& row, int column) {
  return {row.Integer32(column), row.Integer32(column + 1), row.Integer32(column + 2)};
}

WishedState StateAt(Statement& row, int column) {
  return static_cast<WishedState>(row.Integer(column));
}

// "0:5,2:7"
std::map<int32_t, uint64_t> SlotsOf(const std::string& text) {
  std::map<int32_t, uint64_t> slots;
  for (const absl::string_view pair : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(pair, ':');
    int32_t slot = 0;
    uint64_t generation = 0;
    const bool is_pair =
        absl::SimpleAtoi(parts.first, &slot) && absl::SimpleAtoi(parts.second, &generation);
    if (is_pair) slots[slot] = generation;
  }
  return slots;
}

Statement& Bind(Statement& statement, const Sizes& sizes) {
  return statement.Bind(sizes.desired).Bind(sizes.min).Bind(sizes.max);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteRecordStore>> SqliteRecordStore::Open(
    const SqliteOptions& options, const Clock& clock) {
  RETURN_IF_ERROR(MakeFolder(options.path));
  ASSIGN_OR_RETURN(PidLock lock, Lock(options.path));
  absl::StatusOr<std::unique_ptr<Database>> database =
      OpenStateFile(options.path, options.name_space);
  absl::Status status = database.status();
  std::unique_ptr<SqliteRecordStore> store;
  if (status.ok()) {
    store.reset(new SqliteRecordStore(std::move(lock), *std::move(database), clock));
    status = store->Commit({});  // can it be written?
  }
  // Only another server's hold on it may end by itself.
  if (absl::IsFailedPrecondition(status)) return absl::InvalidArgumentError(status.message());
  if (!status.ok()) return status;
  return store;
}

int64_t SqliteRecordStore::OldestRequestTime() const {
  return clock_.Wall().us -
         std::chrono::duration_cast<std::chrono::microseconds>(kMaxRequestAge).count();
}

absl::StatusOr<State> SqliteRecordStore::Load() {
  State state;
  ASSIGN_OR_RETURN(const int64_t identity, database_->Integer("SELECT identity FROM server"));
  state.identity = static_cast<uint64_t>(identity);
  Statement pools = database_->Prepare(
      "SELECT name, desired, min, max, state, configured_desired, configured_min,"
      " configured_max, revision, is_created, role, is_scaled_elsewhere FROM pools"
      " ORDER BY name");
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, pools.Step());
    if (!has_row) break;
    state.pools.push_back({{pools.Text(0), SizesAt(pools, 1), StateAt(pools, 4)},
                           SizesAt(pools, 5),
                           static_cast<uint64_t>(pools.Integer(8))});
    if (pools.Integer(9) == 0) continue;
    state.pools.back().created = {static_cast<PoolRole>(pools.Integer(10)), pools.Integer(11) != 0};
  }
  Statement requests = database_->Prepare(
      "SELECT id, fingerprint, time_us, pool, desired, min, max, state, etag, operation FROM "
      "requests"
      " WHERE time_us >= ? ORDER BY number");
  requests.Bind(OldestRequestTime());
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, requests.Step());
    if (!has_row) break;
    AnsweredRequest request{requests.Text(0), requests.Text(1), {requests.Integer(2)}, {}, ""};
    request.answer = {requests.Text(3), SizesAt(requests, 4), StateAt(requests, 7)};
    request.etag = requests.Text(8);
    request.operation = requests.Integer(9);
    state.requests.push_back(std::move(request));
  }
  ASSIGN_OR_RETURN(state.operations, LoadOperations());
  ASSIGN_OR_RETURN(state.drop_rules, LoadDropRules());
  ASSIGN_OR_RETURN(state.configs, LoadConfigs());
  return state;
}

absl::Status SqliteRecordStore::Commit(const Change& change) {
  RETURN_IF_ERROR(database_->Execute("BEGIN IMMEDIATE"));
  absl::Status status = Write(Clipped(change));
  if (status.ok()) status = database_->Execute("COMMIT");
  // What SQLite has rolled back by itself gives an error here, which says nothing.
  if (!status.ok()) database_->Execute("ROLLBACK").IgnoreError();
  return status;
}

absl::Status SqliteRecordStore::Write(const Change& change) {
  RETURN_IF_ERROR(database_->Execute("UPDATE server SET commits = commits + 1"));
  RETURN_IF_ERROR(WritePools(change));
  if (change.request) RETURN_IF_ERROR(WriteRequest(*change.request));
  RETURN_IF_ERROR(WriteEvents(change.events));
  RETURN_IF_ERROR(WriteDeaths(change.deaths));
  RETURN_IF_ERROR(WriteDropRules(change));
  RETURN_IF_ERROR(WriteConfigs(change.configs));
  return WriteOperations(change.operations);
}

absl::Status SqliteRecordStore::WritePools(const Change& change) {
  for (const std::string& name : change.forgotten_pools) {
    RETURN_IF_ERROR(database_->Prepare("DELETE FROM pools WHERE name = ?").Bind(name).Run());
  }
  for (const PoolRecord& pool : change.pools) {
    Statement insert = database_->Prepare(
        "INSERT OR REPLACE INTO pools(name, desired, min, max, state, configured_desired,"
        " configured_min, configured_max, revision, is_created, role, is_scaled_elsewhere)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    Bind(insert.Bind(pool.wish.pool), pool.wish.sizes).Bind(static_cast<int>(pool.wish.state));
    Bind(insert, pool.configured).Bind(static_cast<int64_t>(pool.revision));
    const CreatedPool created = pool.created.value_or(CreatedPool{});
    insert.Bind(pool.created ? 1 : 0).Bind(static_cast<int>(created.role));
    RETURN_IF_ERROR(insert.Bind(created.is_scaled_elsewhere ? 1 : 0).Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteRecordStore::WriteRequest(const AnsweredRequest& request) {
  // A rowid, not the id, orders them: replaced ones become the newest.
  Statement insert = database_->Prepare(
      "INSERT OR REPLACE INTO requests(id, fingerprint, time_us, pool, desired, min, max,"
      " state, etag, operation) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.Bind(request.id).BindBlob(request.fingerprint).Bind(request.time.us);
  Bind(insert.Bind(request.answer.pool), request.answer.sizes);
  insert.Bind(static_cast<int>(request.answer.state)).Bind(request.etag);
  RETURN_IF_ERROR(insert.Bind(request.operation).Run());
  return database_
      ->Prepare(
          "DELETE FROM requests WHERE time_us < ?"
          " OR number <= (SELECT max(number) FROM requests) - ?")
      .Bind(OldestRequestTime())
      .Bind(kMaxRequests)
      .Run();
}

absl::Status SqliteRecordStore::WriteEvents(const std::vector<Event>& events) {
  if (events.empty()) return absl::OkStatus();
  for (const Event& event : events) {
    Statement insert = database_->Prepare(
        "INSERT INTO events(time_us, actor, action, target, before, after, outcome, detail)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    insert.Bind(event.time.us).Bind(event.actor).Bind(event.action).Bind(event.target);
    insert.Bind(event.before).Bind(event.after).Bind(event.outcome).Bind(event.detail);
    RETURN_IF_ERROR(insert.Run());
  }
  return database_
      ->Prepare("DELETE FROM events WHERE sequence <= (SELECT max(sequence) FROM events) - ?")
      .Bind(kMaxEvents)
      .Run();
}

absl::Status SqliteRecordStore::WriteDeaths(const std::vector<Death>& deaths) {
  if (deaths.empty()) return absl::OkStatus();
  for (const Death& death : deaths) {
    Statement insert = database_->Prepare(
        "INSERT INTO deaths(time_us, pool, slot, pid, generation, kind, value, is_expected, reason,"
        " last_lines) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.Bind(death.time.us).Bind(death.pool).Bind(death.slot).Bind(death.pid);
    insert.Bind(static_cast<int64_t>(death.generation.value)).Bind(static_cast<int>(death.kind));
    insert.Bind(death.value).Bind(death.is_expected ? 1 : 0).Bind(death.reason);
    RETURN_IF_ERROR(insert.Bind(absl::StrJoin(death.last_lines, "\n")).Run());
  }
  return database_
      ->Prepare("DELETE FROM deaths WHERE sequence <= (SELECT max(sequence) FROM deaths) - ?")
      .Bind(kMaxDeaths)
      .Run();
}

absl::Status SqliteRecordStore::WriteOperations(const std::vector<Operation>& operations) {
  if (operations.empty()) return absl::OkStatus();
  for (const Operation& operation : operations) {
    Statement insert = database_->Prepare(
        "INSERT OR REPLACE INTO operations VALUES"
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.Bind(operation.number).Bind(operation.kind).Bind(operation.state).Bind(operation.pool);
    insert.Bind(operation.slot).Bind(operation.actor).Bind(operation.begun.us);
    Bind(insert.Bind(operation.ended.us).Bind(operation.detail), operation.before.sizes);
    insert.Bind(static_cast<int>(operation.before.state));
    insert.Bind(static_cast<int64_t>(operation.revision)).Bind(operation.desired);
    insert.Bind(static_cast<int64_t>(operation.generation));
    insert.Bind(static_cast<int64_t>(operation.restart)).Bind(operation.only_failed ? 1 : 0);
    const std::string replaced = absl::StrJoin(operation.replaced, ",", absl::PairFormatter(":"));
    RETURN_IF_ERROR(insert.Bind(operation.max_unavailable).Bind(replaced).Run());
  }
  return database_
      ->Prepare(
          "DELETE FROM operations WHERE state <> 0"
          " AND number <= (SELECT max(number) FROM operations) - ?")
      .Bind(kMaxOperations)
      .Run();
}

absl::StatusOr<std::vector<Operation>> SqliteRecordStore::LoadOperations() {
  Statement rows = database_->Prepare(
      "SELECT number, kind, state, pool, slot, actor, begun_us, ended_us, detail, before_desired,"
      " before_min, before_max, before_state, revision, desired, generation, restart, only_failed,"
      " max_unavailable, replaced FROM operations ORDER BY number");
  std::vector<Operation> operations;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return operations;
    Operation operation{rows.Integer(0), rows.Integer32(1), rows.Integer32(2), rows.Text(3)};
    operation.slot = rows.Integer32(4);
    operation.actor = rows.Text(5);
    operation.begun = {rows.Integer(6)};
    operation.ended = {rows.Integer(7)};
    operation.detail = rows.Text(8);
    operation.before = {operation.pool, SizesAt(rows, 9), StateAt(rows, 12)};
    operation.revision = static_cast<uint64_t>(rows.Integer(13));
    operation.desired = rows.Integer32(14);
    operation.generation = static_cast<uint64_t>(rows.Integer(15));
    operation.restart = static_cast<uint64_t>(rows.Integer(16));
    operation.only_failed = rows.Integer(17) != 0;
    operation.max_unavailable = rows.Integer32(18);
    operation.replaced = SlotsOf(rows.Text(19));
    operations.push_back(std::move(operation));
  }
}

absl::Status SqliteRecordStore::WriteDropRules(const Change& change) {
  for (const std::string& name : change.ended_drop_rules) {
    RETURN_IF_ERROR(database_->Prepare("DELETE FROM drop_rules WHERE name = ?").Bind(name).Run());
  }
  for (const DropRule& given : change.drop_rules) {
    const wire::DropMatch& match = given.rule.match;
    Statement insert = database_->Prepare(
        "INSERT OR REPLACE INTO drop_rules VALUES(?, iif(?, ?, NULL), iif(?, ?, NULL), iif(?, ?,"
        " NULL), ?, ?, ?, ?)");
    const wire::TraceId trace = match.trace_id.value_or(wire::TraceId{});
    const int has_trace = match.trace_id ? 1 : 0;
    insert.Bind(given.rule.name).Bind(match.project_id ? 1 : 0);
    insert.Bind(static_cast<int64_t>(match.project_id.value_or(0)));
    insert.Bind(has_trace).Bind(static_cast<int64_t>(trace.high));
    insert.Bind(has_trace).Bind(static_cast<int64_t>(trace.low));
    insert.Bind(given.rule.expire_time.us).Bind(given.set.us).Bind(given.actor);
    RETURN_IF_ERROR(insert.Bind(given.reason).Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DropRule>> SqliteRecordStore::LoadDropRules() {
  Statement rows = database_->Prepare(
      "SELECT name, project_id IS NOT NULL, project_id, trace_high IS NOT NULL, trace_high,"
      " trace_low, expire_us, set_us, actor, reason FROM drop_rules ORDER BY name");
  std::vector<DropRule> rules;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return rules;
    DropRule rule;
    rule.rule.name = rows.Text(0);
    if (rows.Integer(1) != 0) rule.rule.match.project_id = static_cast<uint64_t>(rows.Integer(2));
    if (rows.Integer(3) != 0) {
      rule.rule.match.trace_id = {static_cast<uint64_t>(rows.Integer(4)),
                                  static_cast<uint64_t>(rows.Integer(5))};
    }
    rule.rule.expire_time = {rows.Integer(6)};
    rule.set = {rows.Integer(7)};
    rule.actor = rows.Text(8);
    rule.reason = rows.Text(9);
    rules.push_back(std::move(rule));
  }
}

absl::Status SqliteRecordStore::WriteConfigs(const std::vector<ConfigRecord>& configs) {
  if (configs.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(database_->Execute("DELETE FROM configs"));
  for (const ConfigRecord& config : configs) {
    Statement insert = database_->Prepare("INSERT INTO configs VALUES(?, ?, ?, ?, ?)");
    insert.Bind(static_cast<int64_t>(config.generation)).Bind(config.settings);
    insert.Bind(static_cast<int>(config.standing)).Bind(config.begun.us);
    RETURN_IF_ERROR(insert.Bind(config.detail).Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ConfigRecord>> SqliteRecordStore::LoadConfigs() {
  Statement rows = database_->Prepare(
      "SELECT generation, settings, standing, begun_us, detail FROM configs ORDER BY generation");
  std::vector<ConfigRecord> configs;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return configs;
    configs.push_back({static_cast<uint64_t>(rows.Integer(0)),
                       rows.Text(1),
                       static_cast<ConfigStanding>(rows.Integer(2)),
                       {rows.Integer(3)},
                       rows.Text(4)});
  }
}

absl::StatusOr<std::vector<Event>> SqliteRecordStore::ListEvents(const PageQuery& query) {
  Statement rows = database_->Prepare(
      "SELECT sequence, time_us, actor, action, target, before, after, outcome, detail"
      " FROM events WHERE sequence < ? ORDER BY sequence DESC LIMIT ?");
  rows.Bind(query.before).Bind(query.limit);
  std::vector<Event> events;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return events;
    events.push_back({rows.Integer(0),
                      {rows.Integer(1)},
                      rows.Text(2),
                      rows.Text(3),
                      rows.Text(4),
                      rows.Text(5),
                      rows.Text(6),
                      rows.Text(7),
                      rows.Text(8)});
  }
}

absl::StatusOr<std::vector<Death>> SqliteRecordStore::ListDeaths(const PageQuery& query) {
  Statement rows = database_->Prepare(
      "SELECT sequence, time_us, pool, slot, pid, generation, kind, value, is_expected, reason,"
      " last_lines FROM deaths WHERE sequence < ?1 AND (?2 = '' OR pool = ?2)"
      " ORDER BY sequence DESC LIMIT ?3");
  rows.Bind(query.before).Bind(query.pool).Bind(query.limit);
  std::vector<Death> deaths;
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return deaths;
    Death death{rows.Integer(0), {rows.Integer(1)}, rows.Text(2), rows.Integer32(3)};
    death.pid = rows.Integer(4);
    death.generation = {static_cast<uint64_t>(rows.Integer(5))};
    death.kind = static_cast<EndKind>(rows.Integer(6));
    death.value = rows.Integer32(7);
    death.is_expected = rows.Integer(8) != 0;
    death.reason = rows.Text(9);
    const std::string lines = rows.Text(10);
    if (!lines.empty()) death.last_lines = absl::StrSplit(lines, '\n');
    deaths.push_back(std::move(death));
  }
}

}  // namespace spillway::record
