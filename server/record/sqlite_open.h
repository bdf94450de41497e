// Opening a state file: what may be wrong with it, and the tables of a new one.
#ifndef SPILLWAY_SERVER_RECORD_SQLITE_OPEN_H_
#define SPILLWAY_SERVER_RECORD_SQLITE_OPEN_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/record/sqlite_database.h"

namespace spillway::record {

// See SqliteRecordStore::Open. The lock is the caller's.
absl::StatusOr<std::unique_ptr<Database>> OpenStateFile(const std::string& path,
                                                        const std::string& name_space);

}  // namespace spillway::record

#endif  // SPILLWAY_SERVER_RECORD_SQLITE_OPEN_H_
