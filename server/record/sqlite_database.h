// Owners of SQLite's handles; errors as statuses.
#ifndef SPILLWAY_SERVER_RECORD_SQLITE_DATABASE_H_
#define SPILLWAY_SERVER_RECORD_SQLITE_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace spillway::record {

// One prepared statement: bind in order, then Step until there is no row. Its database outlives it.
// A binding or preparation that fails shows in the next Step.
class Statement {
 public:
  Statement(sqlite3* database, const std::string& path, const char* sql);

  Statement& Bind(int64_t value);
  Statement& Bind(const std::string& text);
  Statement& BindBlob(const std::string& bytes);
  // Whether there is a row.
  absl::StatusOr<bool> Step();
  // For a statement without rows.
  absl::Status Run();

  int64_t Integer(int column);
  int32_t Integer32(int column) { return static_cast<int32_t>(Integer(column)); }
  std::string Text(int column);

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  sqlite3* const database_;
  const std::string& path_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
  int bound_ = 0;
  int code_ = SQLITE_OK;
};

// An open database file. One thread at a time.
class Database {
 public:
  // The file must be there (it may be empty).
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);

  absl::Status Execute(const char* sql);  // without results
  Statement Prepare(const char* sql) { return Statement(database_.get(), path_, sql); }
  // The first column of the first row; 0 if there is none.
  absl::StatusOr<int64_t> Integer(const char* sql);
  absl::StatusOr<std::string> Text(const char* sql);

  const std::string& path() const { return path_; }

 private:
  struct Closer {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  explicit Database(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::unique_ptr<sqlite3, Closer> database_;
};

}  // namespace spillway::record

#endif  // SPILLWAY_SERVER_RECORD_SQLITE_DATABASE_H_
