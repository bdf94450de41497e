// The shards' counters as readers of the fleet see them.
#ifndef SPILLWAY_SERVER_SUPERVISOR_SHARD_AUDIT_H_
#define SPILLWAY_SERVER_SUPERVISOR_SHARD_AUDIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "buffer/shard_store.h"

namespace spillway::supervisor {

// A shard's counters when they were last read.
struct LedgerView {
  uint32_t incarnation = 0;
  buffer::Ledger ledger;
  Instant read_at;  // age = now − this
};

// What the last audit that could tell has found.
struct AuditView {
  int64_t residual = 0;  // spans
  Instant at;            // age = now − this
};

// What became of the audit of one shard.
struct ShardAudit {
  ShardId shard;
  buffer::StoreCode code = buffer::StoreCode::kUnavailable;
  std::string message{};            // if code is not kOk
  buffer::AuditReply reply{};       // if it is
  uint64_t possibly_persisted = 0;  // as the shard's present flush owner has counted
};

using AuditDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<ShardAudit>>)>;

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_SHARD_AUDIT_H_
