// The record in one SQLite file: WAL, synchronous=FULL, one writer.
#ifndef SPILLWAY_SERVER_RECORD_SQLITE_RECORD_STORE_H_
#define SPILLWAY_SERVER_RECORD_SQLITE_RECORD_STORE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/pid_lock.h"
#include "server/record/record_store.h"
#include "server/record/sqlite_database.h"

namespace spillway::record {

struct SqliteOptions {
  std::string path;        // server.state
  std::string name_space;  // whose record it is
};

// Holds the lock <path>.lock for life.
class SqliteRecordStore final : public RecordStore {
 public:
  static constexpr int64_t kSchemaVersion = 6;

  // Makes folder and file if they are missing; checks that the file is ours, whole and writable.
  // All errors begin with "server.state: <path>" and say what would be right. FAILED_PRECONDITION:
  // another server has it (its pid is in the message). INVALID_ARGUMENT: it is another program's,
  // another namespace's, of a newer version, or may not be written. DATA_LOSS: it is damaged.
  // RESOURCE_EXHAUSTED: the disk is full. `clock` must outlive the store.
  static absl::StatusOr<std::unique_ptr<SqliteRecordStore>> Open(const SqliteOptions& options,
                                                                 const Clock& clock);

  absl::StatusOr<State> Load() override;
  absl::Status Commit(const Change& change) override;
  absl::StatusOr<std::vector<Event>> ListEvents(const PageQuery& query) override;
  absl::StatusOr<std::vector<Death>> ListDeaths(const PageQuery& query) override;

 private:
  SqliteRecordStore(PidLock lock, std::unique_ptr<Database> database, const Clock& clock)
      : lock_(std::move(lock)), database_(std::move(database)), clock_(clock) {}
  absl::Status Write(const Change& change);
  absl::Status WritePools(const Change& change);
  absl::Status WriteRequest(const AnsweredRequest& request);
  absl::Status WriteEvents(const std::vector<Event>& events);
  absl::Status WriteDeaths(const std::vector<Death>& deaths);
  absl::Status WriteOperations(const std::vector<Operation>& operations);
  absl::Status WriteDropRules(const Change& change);
  absl::Status WriteConfigs(const std::vector<ConfigRecord>& configs);
  absl::StatusOr<std::vector<Operation>> LoadOperations();
  absl::StatusOr<std::vector<DropRule>> LoadDropRules();
  absl::StatusOr<std::vector<ConfigRecord>> LoadConfigs();
  int64_t OldestRequestTime() const;  // µs

  const PidLock lock_;
  const std::unique_ptr<Database> database_;
  const Clock& clock_;
};

}  // namespace spillway::record

#endif  // SPILLWAY_SERVER_RECORD_SQLITE_RECORD_STORE_H_
