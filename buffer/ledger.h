// What the counters of a shard mean, and whether they explain what is there (design section 4,
// invariant 13). Pure.
#ifndef SPILLWAY_BUFFER_LEDGER_H_
#define SPILLWAY_BUFFER_LEDGER_H_

#include <array>
#include <cstdint>

#include "buffer/shard_store.h"

namespace spillway::buffer {

// On which side of the account of spans a counter stands: what came in, what has left.
enum class LedgerSide { kIn, kOut, kNeither };

// One counter. `name` is its field in `meta`, in the API and, as spillway_ledger_<name>_total, in
// the metrics.
struct LedgerCounter {
  const char* name;
  uint64_t Ledger::*value;
  LedgerSide side;
  const char* help;  // a sentence, with the unit
};

inline constexpr std::array<LedgerCounter, 17> kLedgerCounters = {{
    {"messages", &Ledger::messages, LedgerSide::kNeither,
     "Input messages read: accepted, rejected or filtered."},
    {"accepted", &Ledger::accepted, LedgerSide::kIn, "Spans taken from the input topic."},
    {"carried", &Ledger::carried, LedgerSide::kIn,
     "Spans of an earlier input log that were live when this one began."},
    {"rejected", &Ledger::rejected, LedgerSide::kNeither,
     "Messages that are no valid span, sent to the dead letter topic."},
    {"filtered", &Ledger::filtered, LedgerSide::kNeither, "Messages left out by a drop rule."},
    {"deduplicated", &Ledger::deduplicated, LedgerSide::kOut,
     "Accepted spans that had come before and were not stored again."},
    {"acknowledged", &Ledger::acknowledged, LedgerSide::kOut,
     "Spans delivered to the output topic and acknowledged."},
    {"dropped", &Ledger::dropped, LedgerSide::kOut, "Accepted spans given up on purpose."},
    {"dead_lettered", &Ledger::dead_lettered, LedgerSide::kOut,
     "Spans of segments that the broker refused for good, sent to the dead letter topic."},
    {"quarantined", &Ledger::quarantined, LedgerSide::kOut,
     "Spans that could not be decoded when they were to leave."},
    {"orphan", &Ledger::orphan, LedgerSide::kNeither,
     "Parts that were due but whose spans were not there."},
    {"released", &Ledger::released, LedgerSide::kNeither,
     "Parts given back after a claim: some may have been delivered before."},
    {"resurrected", &Ledger::resurrected, LedgerSide::kNeither,
     "Parts that had left and came back to life with an older state of Redis."},
    {"unreplayable", &Ledger::unreplayable, LedgerSide::kNeither,
     "Input offsets that were wanted again and are gone from the log."},
    {"skipped", &Ledger::skipped, LedgerSide::kNeither,
     "Input offsets passed over because the committed offset was ahead of Redis."},
    {"stale_acknowledges", &Ledger::stale_acknowledges, LedgerSide::kNeither,
     "Acknowledges of claims that had ended otherwise."},
    {"replayed", &Ledger::replayed, LedgerSide::kNeither,
     "At most so many input offsets were read again after they had left: Redis forgot them."},
}};

// Spans: carried + accepted - acknowledged - deduplicated - dropped - dead_lettered - quarantined
// - live. Positive: spans are missing; negative: there are more than came in.
int64_t Residual(const Ledger& ledger, uint64_t live_spans);

// Messages: messages - accepted - rejected - filtered.
int64_t MessageResidual(const Ledger& ledger);

// At most so many parts have left more than once since the ledger began, as far as it knows: every
// part given back after a claim, every part that came back to life, and those of what was read
// again because Redis had forgotten it (each holds one such offset or more).
uint64_t DuplicatesAtMost(const Ledger& ledger);

// `counted` with its residuals and its bound of duplicates filled in from what was counted.
AuditReply Compared(AuditReply counted);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_LEDGER_H_
