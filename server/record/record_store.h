// Where the record is kept. SqliteRecordStore is the real one, tests/support/memory_record_store.h
// the fake; both pass record_store_contract_test.cc.
#ifndef SPILLWAY_SERVER_RECORD_RECORD_STORE_H_
#define SPILLWAY_SERVER_RECORD_RECORD_STORE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/record/record.h"

namespace spillway::record {

// One thread at a time. Every call may wait for the disk. Errors say which file, what is wrong and
// what would be right; the store can be asked again after any of them.
class RecordStore {
 public:
  virtual ~RecordStore() = default;

  virtual absl::StatusOr<State> Load() = 0;
  // OK: all of the change survives the end of this process and of the machine. Else nothing of it
  // is in the record. Texts are clipped (see Clipped); a change of nothing is written, too: it
  // tells whether writing works. RESOURCE_EXHAUSTED: the disk is full; DATA_LOSS: the record is
  // damaged; FAILED_PRECONDITION, UNAVAILABLE: anything else.
  virtual absl::Status Commit(const Change& change) = 0;
  virtual absl::StatusOr<std::vector<Event>> ListEvents(const PageQuery& query) = 0;
  virtual absl::StatusOr<std::vector<Death>> ListDeaths(const PageQuery& query) = 0;
};

}  // namespace spillway::record

#endif  // SPILLWAY_SERVER_RECORD_RECORD_STORE_H_
