#include "server/record/sqlite_database.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace spillway::record {
namespace {

constexpr int kBusyTimeoutMs = 2'000;  // somebody looks at the file with another program

bool IsFull(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

// What went wrong, and what would be right.
absl::Status ErrorOf(sqlite3* database, int code, const std::string& path) {
  const int primary = code & 0xff;
  const int system = database == nullptr ? 0 : sqlite3_system_errno(database);
  std::string text =
      absl::StrCat("server.state: ", path, ": ",
                   database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database));
  if (primary == SQLITE_FULL || (primary == SQLITE_IOERR && IsFull(system))) {
    return absl::ResourceExhaustedError(
        absl::StrCat(text, ": expected room for some MiB on this file system"));
  }
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
    return absl::DataLossError(absl::StrCat(
        text,
        ": put a backup in its place, or move it away to begin with the configuration's pools"));
  }
  if (primary == SQLITE_READONLY || primary == SQLITE_CANTOPEN || primary == SQLITE_PERM) {
    return absl::FailedPreconditionError(
        absl::StrCat(text, ": expected a file and a folder that this user may write"));
  }
  if (primary == SQLITE_BUSY) {
    return absl::UnavailableError(absl::StrCat(text, ": another program writes to it"));
  }
  if (system != 0) absl::StrAppend(&text, " (", std::strerror(system), ")");
  return absl::UnavailableError(text);
}

}  // namespace

Statement::Statement(sqlite3* database, const std::string& path, const char* sql)
    : database_(database), path_(path) {
  sqlite3_stmt* statement = nullptr;
  code_ = sqlite3_prepare_v2(database, sql, -1, &statement, nullptr);
  statement_.reset(statement);
}

Statement& Statement::Bind(int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_.get(), ++bound_, value);
  return *this;
}

Statement& Statement::Bind(const std::string& text) {
  if (code_ != SQLITE_OK) return *this;
  code_ = sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(),
                              SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::BindBlob(const std::string& bytes) {
  if (code_ != SQLITE_OK) return *this;
  code_ =
      sqlite3_bind_blob64(statement_.get(), ++bound_, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  if (code_ != SQLITE_OK) return ErrorOf(database_, code_, path_);
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return ErrorOf(database_, code, path_);
}

absl::Status Statement::Run() { return Step().status(); }

int64_t Statement::Integer(int column) { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::Text(int column) {
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  if (bytes == nullptr) return "";
  return std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  std::unique_ptr<Database> database(new Database(path));
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  database->database_.reset(handle);
  if (code != SQLITE_OK) return ErrorOf(handle, code, path);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  return database;
}

absl::Status Database::Execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ErrorOf(database_.get(), code, path_);
}

absl::StatusOr<int64_t> Database::Integer(const char* sql) {
  Statement statement = Prepare(sql);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  return has_row ? statement.Integer(0) : 0;
}

absl::StatusOr<std::string> Database::Text(const char* sql) {
  Statement statement = Prepare(sql);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  return has_row ? statement.Text(0) : "";
}

}  // namespace spillway::record
