// Reads the shards' counters from the store: all of them every few seconds, and when an operator
// asks for an audit, by walking the shards.
#ifndef SPILLWAY_SERVER_SUPERVISOR_SHARD_BOOKS_H_
#define SPILLWAY_SERVER_SUPERVISOR_SHARD_BOOKS_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "server/supervisor/shard_audit.h"

namespace spillway::supervisor {

inline constexpr Duration kLedgerInterval = std::chrono::seconds(2);  // between two readings
inline constexpr size_t kMaxLedgersAtOnce = 8;                        // asked for at the same time
inline constexpr size_t kMaxAuditsAtOnce = 4;                         // shards, of all requests
inline constexpr size_t kMaxAuditRequests = 8;  // more are refused: RESOURCE_EXHAUSTED
// Shards whose turn has not come by then are answered kUnavailable.
inline constexpr Duration kAuditRequestLimit = std::chrono::minutes(2);

// Make it with make_shared. Loop thread only. `reader` is borrowed and may be null: then nothing is
// known and audits are refused.
class ShardBooks : public std::enable_shared_from_this<ShardBooks> {
 public:
  struct Hooks {
    std::function<std::vector<ShardId>()> shards;  // which there are
    std::function<void()> on_read;                 // `ledgers` or `audits` has changed
  };

  ShardBooks(Loop& loop, const Clock& clock, buffer::ShardReader* reader, Hooks hooks);

  void Begin();  // and goes on until Close
  // Answers the audits under way UNAVAILABLE / SERVER_STOPPING and calls no hook any more.
  void Close();

  // Of shards that exist in the store; those that cannot be read keep what was read last.
  const std::map<ShardId, LedgerView>& ledgers() const { return ledgers_; }

  // The last exact audit of each shard.
  const std::map<ShardId, AuditView>& audits() const { return audits_; }

  // Answers later, in the order of `shards`; possibly_persisted is left zero.
  void Audit(const std::vector<ShardId>& shards, AuditDone done);

 private:
  struct Request {
    Instant deadline;
    size_t outstanding = 0;
    std::vector<ShardAudit> audits;
    AuditDone done;
  };
  using RequestPtr = std::shared_ptr<Request>;

  void Read();
  void ReadNext();
  void OnSummary(ShardId shard, const buffer::StoreResult<buffer::ShardSummary>& result);
  void AuditNext();
  void OnAudited(const RequestPtr& request, size_t index,
                 buffer::StoreResult<buffer::AuditReply> result);

  const Clock& clock_;
  buffer::ShardReader* const reader_;
  Hooks hooks_;
  Timer timer_;
  bool is_closed_ = false;

  std::map<ShardId, LedgerView> ledgers_;
  std::map<ShardId, AuditView> audits_;
  std::deque<ShardId> to_read_;  // in this round
  size_t reading_ = 0;

  std::deque<std::pair<RequestPtr, size_t>> to_audit_;  // requests and indexes into their audits
  size_t auditing_ = 0;
  std::set<RequestPtr> requests_;  // not answered yet
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_SHARD_BOOKS_H_
