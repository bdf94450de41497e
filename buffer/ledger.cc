#include "buffer/ledger.h"

#include <utility>

namespace spillway::buffer {

int64_t Residual(const Ledger& ledger, uint64_t live_spans) {
  uint64_t unexplained = 0;  // wraps around and back
  for (const LedgerCounter& counter : kLedgerCounters) {
    if (counter.side == LedgerSide::kIn) unexplained += ledger.*counter.value;
    if (counter.side == LedgerSide::kOut) unexplained -= ledger.*counter.value;
  }
  return static_cast<int64_t>(unexplained - live_spans);
}

int64_t MessageResidual(const Ledger& ledger) {
  return static_cast<int64_t>(ledger.messages - ledger.accepted - ledger.rejected -
                              ledger.filtered);
}

uint64_t DuplicatesAtMost(const Ledger& ledger) {
  return ledger.released + ledger.resurrected + ledger.replayed;
}

AuditReply Compared(AuditReply counted) {
  const ShardSummary& summary = counted.summary;
  counted.residual = Residual(summary.ledger, counted.live_spans);
  counted.message_residual = MessageResidual(summary.ledger);
  counted.part_residual = static_cast<int64_t>(summary.claimed_parts - counted.in_flight_parts);
  counted.duplicates_at_most = DuplicatesAtMost(summary.ledger);
  return counted;
}

}  // namespace spillway::buffer
