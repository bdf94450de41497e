// The operations that the supervisor knows: those under way, and the newest that have ended.
#ifndef SPILLWAY_SERVER_SUPERVISOR_OPERATIONS_H_
#define SPILLWAY_SERVER_SUPERVISOR_OPERATIONS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/fleet/operation.h"
#include "server/record/record.h"
#include "server/supervisor/snapshot.h"

namespace spillway::supervisor {

// Of those that have ended the newest record::kMaxOperations are kept; those that run end each
// other (fleet::Supersedes), so there are at most a few of a pool and one of a worker. The newest
// kMaxDetailed ends tell of each worker, too. One thread.
class OperationBook {
 public:
  static constexpr size_t kMaxDetailed = 100;

  explicit OperationBook(const std::vector<record::Operation>& recorded);

  // A new one under the next number; not yet in the book.
  record::Operation Draft(const fleet::OperationGoal& goal) const;
  // Those under way that `newer` makes pointless, as they have ended then.
  std::vector<record::Operation> Superseded(const record::Operation& newer, WallTime now) const;
  // Begins or replaces it.
  void Put(const record::Operation& operation);
  // While the end of these, which a change brings, is on its way to the disk they are not judged:
  // an end that has been told is never taken back. An empty list ends that.
  void Hold(const std::vector<record::Operation>& operations);
  // Judges what is under way; what has ended by that, as it is now.
  std::vector<record::Operation> Judge(const fleet::Fleet& fleet, WallTime now);

  const record::Operation* Find(int64_t number) const;  // null: none; until the next change
  OperationPtr View(int64_t number) const;              // null: none
  std::shared_ptr<const std::vector<OperationPtr>> Views() const;  // oldest first

 private:
  struct Entry {
    record::Operation operation;
    OperationPtr view;
  };
  void Trim();
  void NoteEnd(int64_t number);

  std::map<int64_t, Entry> entries_;
  std::set<int64_t> running_;
  std::set<int64_t> held_;
  std::deque<int64_t> detailed_;  // have ended, and still tell of each worker
  // Made when it is asked for; null: something has changed since.
  mutable std::shared_ptr<const std::vector<OperationPtr>> views_;
};

// "operations/7"
std::string OperationName(int64_t number);
bool IsRunning(const record::Operation& operation);
record::Operation Ended(record::Operation operation, fleet::OperationState state,
                        std::string detail, WallTime now);
// The restart of a pool as it was asked for: what has been replaced since shows by itself.
fleet::PoolRestart RestartOf(const record::Operation& operation);

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_OPERATIONS_H_
