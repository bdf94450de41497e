// The span buffer as its users see it: one call per shard and step, answered later (design section
// 4). Implemented over Redis in buffer/redis and by a fake in tests/support; both pass the contract
// suite in tests/unit/shard_store_contract.h.
//
// Threads: everything, callbacks included, on the one loop thread that owns the store. A callback
// is called exactly once, never from inside the call that was given it, and not after the store is
// gone.
#ifndef SPILLWAY_BUFFER_SHARD_STORE_H_
#define SPILLWAY_BUFFER_SHARD_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "base/ids.h"
#include "buffer/chunk/dictionary.h"
#include "buffer/chunk/names.h"

namespace spillway::buffer {

enum class StoreCode {
  kOk,
  kFenced,        // a higher epoch is stored: nothing was written
  kNoShard,       // `meta` is missing: nothing was written (lost Redis; take again)
  kWatermark,     // stored W is not the expected one: nothing was written
  kClock,         // stored clock is not the expected one: nothing was written
  kMemory,        // Redis refuses writes for memory: nothing was written; plan again later
  kMoving,        // the shard's cluster slot is moving, or no node serves it: nothing was written
  kNoDictionary,  // the shard does not have the dictionary: nothing was written. Never an add's
                  // answer
  kDropRevision,  // the stored drop rules are of another revision: nothing was written
  kUnavailable,   // not answered: it may or may not have been executed
  kInvalid,       // keys of an unknown type or format version, or a script error: needs a person
};

template <typename T>
struct StoreResult {
  StoreCode code = StoreCode::kUnavailable;
  T value{};            // meaningful if code is kOk, and where a code's comment says so
  std::string message;  // for a person: names shard, key, what was found, what would be right
  bool ok() const { return code == StoreCode::kOk; }
};

template <typename T>
using Done = absl::AnyInvocable<void(StoreResult<T>)>;

using ClaimId = spillway::ClaimId;

// What the log behind a shard is (invariant 4). Empty or kNoOffset: not known.
struct InputIdentity {
  std::string cluster_id;
  std::string topic;
  std::string topic_id;
  bool operator==(const InputIdentity&) const = default;
};

struct LivePartRecord {
  PartName name;
  EventTime deadline;
  bool is_in_due = false;  // else in flight
  std::vector<PartName> references;
  std::string
      last_chunk_prefix;  // of the own list's last chunk, at most kMaxHeaderBytes; open parts only
};
// The least of the part's own name and its references'.
Offset LowestOffset(const LivePartRecord& part);

struct TakeRequest {
  uint64_t proposed_number = 0;  // at least the highest number this process has seen
  uint64_t owner = 0;            // drawn at random for this call
  InputIdentity input;
  Offset committed = kNoOffset;  // C as committed to Kafka; kNoOffset: none
  Offset log_start = 0;          // first offset that still exists
  Offset log_end = 0;            // next offset to be written by producers
  // What the caller knows of W before this call, so that what Redis has forgotten can be counted.
  Offset reached = kNoOffset;  // it was at least this; kNoOffset: not known
  Offset reached_at_most = 0;  // and at most this: as sent last, or the log's end right before
  bool was_set_back = false;   // an answer showed an earlier state
};
struct TakeReply {
  Epoch epoch;
  uint32_t incarnation = 0;
  Offset start = 0;      // where reading begins (invariant 3)
  Offset watermark = 0;  // W, already raised to C or to the new log's start
  EventTime clock;
  WallTime redis_time;
  bool is_new_log = false;             // the input's identity or extent said so
  bool is_created = false;             // there was no `meta`
  uint64_t unreplayable = 0;           // offsets in [start wanted, log_start) that are gone
  uint64_t replayed = 0;               // counted by this call, see Ledger
  std::vector<uint32_t> dictionaries;  // that the shard has; the last one stored first
  uint64_t drop_revision = 0;          // 0: there have been no drop rules
  std::string drop_rules;              // as stored last for this log; empty: none
  std::vector<LivePartRecord> live;    // due and in flight, all of one instant
};

// Figures that come with every accepted add and tick (invariant 9).
struct ShardFigures {
  Offset watermark = 0;
  EventTime clock;
  std::optional<EventTime> lowest_outstanding;  // lowest deadline due or in flight
  uint64_t backlog = 0;                         // parts with deadline <= clock, in flight included
  std::chrono::milliseconds lateness{
      0};  // Redis time now - Redis time when the clock passed the lowest outstanding deadline
  double memory_ratio = 0;  // used / maxmemory; 0: no limit set
  WallTime redis_time;
};

struct AddPart {
  PartName name;
  std::vector<PartName> references;  // appended before the chunk
  std::string chunk;                 // encoded; may be empty if only absorbed
  bool is_absorbed = false;          // leaves due
  EventTime deadline;                // else: score
};
struct LedgerDelta {
  uint64_t messages = 0;  // read
  uint64_t accepted = 0;
  uint64_t deduplicated = 0;
  uint64_t rejected = 0;
  uint64_t filtered = 0;
  uint64_t resurrected = 0;
};
struct AddRequest {
  Epoch epoch;
  Offset expected_watermark = 0;
  Offset new_watermark = 0;
  EventTime expected_clock;
  EventTime new_clock;
  LedgerDelta ledger;
  std::vector<AddPart> parts;  // absorbed parts before their hosts
  // That the chunks name; null: none. Where the shard does not have it, it is stored first.
  std::shared_ptr<const Dictionary> dictionary;
};

struct TickRequest {
  Epoch epoch;
  Offset expected_watermark = 0;
  EventTime expected_clock;
  bool moves_clock = false;  // to Redis TIME, never back; else only the figures
};

// The shard forgets a dictionary. The caller writes no chunk that names it any more, nor will under
// this epoch and W; and no part that may hold such a chunk has a deadline above `last_deadline`.
struct DropDictionaryRequest {
  Epoch epoch;
  Offset expected_watermark = 0;
  uint32_t id = 0;
  EventTime last_deadline;
};

// For which offsets of the shard drop rules are in force, stored before a message is judged by
// them.
struct StoreDropRulesRequest {
  Epoch epoch;
  uint64_t revision = 0;  // 1 above the stored one
  std::string rules;      // means something to the ingest workers only
};

// Counters of `meta` (invariant 13). Spans, except: messages, rejected, filtered; unreplayable and
// skipped, replayed (offsets); orphan, resurrected, released (parts); stale_acknowledges (calls). A
// new incarnation starts them again, with the spans of older ones still live as `carried`. Every
// span leaves by one counter: carried + accepted =
//     acknowledged + deduplicated + dropped + dead_lettered + quarantined + live + residual.
struct Ledger {
  uint64_t messages = 0, accepted = 0, rejected = 0, filtered = 0, deduplicated = 0;
  uint64_t acknowledged = 0, dropped = 0, orphan = 0, quarantined = 0, resurrected = 0;
  uint64_t unreplayable = 0, dead_lettered = 0, released = 0, stale_acknowledges = 0;
  uint64_t carried = 0;  // live spans of older incarnations when this one began
  uint64_t skipped = 0;  // offsets between W and C where W was found below C
  // Offsets that are read again, though their spans may have left, because Redis has forgotten
  // them: from C to `reached_at_most`, once for each take that finds so. It does if Redis holds
  // nothing or less than the caller or C knows of.
  uint64_t replayed = 0;
  bool operator==(const Ledger&) const = default;
};

inline constexpr Duration kLongWait = std::chrono::seconds(2);

// What an ingest worker needs. See the file comment for threads.
class IngestStore {
 public:
  virtual ~IngestStore() = default;
  virtual void Take(ShardId shard, const TakeRequest& request, Done<TakeReply> done) = 0;
  // kWatermark carries the stored W in value.watermark.
  // Shared with a caller who may have to send it again: the payload is not copied.
  virtual void Add(ShardId shard, std::shared_ptr<const AddRequest> request,
                   Done<ShardFigures> done) = 0;
  virtual void Tick(ShardId shard, const TickRequest& request, Done<ShardFigures> done) = 0;
  // kNoDictionary: the shard does not have it, or something else under its name.
  virtual void ReadDictionary(ShardId shard, uint32_t id,
                              Done<std::shared_ptr<const Dictionary>> done) = 0;
  // value: whether it is gone. It stays while a part with a deadline up to `last_deadline` is due
  // or in flight.
  virtual void DropDictionary(ShardId shard, const DropDictionaryRequest& request,
                              Done<bool> done) = 0;
  // Sent again as it was, it changes nothing. kDropRevision: what is stored is not what the caller
  // knows.
  virtual void StoreDropRules(ShardId shard, const StoreDropRulesRequest& request,
                              Done<bool> done) = 0;
  // As FlushStore::KeepsWaiting.
  virtual bool KeepsWaiting(ShardId shard) const = 0;
};

struct AcquireRequest {
  uint64_t proposed_number = 0;
  uint64_t owner = 0;
};
struct InflightClaim {
  ClaimId id;
  Epoch epoch;         // of the owner that made it
  WallTime lease_end;  // by Redis TIME
};
struct PeekedPart {
  PartName name;
  EventTime deadline;
  std::vector<PartName> references;
  uint32_t attempts = 0;
  uint64_t part_bytes = 0;  // as ClaimedPart has it
};
struct PeekReply {
  EventTime clock;
  WallTime redis_time;
  std::vector<PeekedPart> due;             // deadline <= clock, lowest first, at most `limit`
  uint64_t due_count = 0;                  // all of them
  std::optional<EventTime> next_deadline;  // lowest above the clock
  std::vector<InflightClaim> inflight;     // every claim of the shard, any epoch
  std::chrono::milliseconds lateness{0};
};
struct ClaimRequest {
  Epoch epoch;
  ClaimId id;
  std::chrono::milliseconds lease{60'000};
  std::vector<PeekedPart> parts;  // just as peeked; those no longer due are skipped
  // Count the entries of every part, and take one that is of a foreign type for lost. Dearer, so
  // only after a load that was not complete.
  bool counts_entries = false;
};
struct ClaimedPart {
  PartName name;
  EventTime deadline;
  WallTime due_since;  // Redis time when the clock passed the deadline (clock marks)
  std::vector<PartName> references;
  // Entries of the own list, then of the references' in order. Empty: everything was there and was
  // not counted.
  std::vector<uint64_t> list_lengths;
  uint64_t part_bytes =
      0;  // about the spans' bytes: never less, at most a quarter or 64 more; 0: not known
};
struct Claim {
  ClaimId id;
  WallTime lease_end;
  std::vector<ClaimedPart> parts;  // empty: nothing was due any more, no claim exists
};
struct LoadedPart {
  PartName name;
  std::vector<std::string> own;         // list entries, in order; references included
  std::vector<std::string> referenced;  // entries of the referenced lists, in order
  // IsWhole(of the claim, this), and not gone before its dictionary could be fetched.
  bool is_complete = false;
};

// Whether what was loaded is what was claimed: `lengths` as in ClaimedPart; if the claim has none,
// something is there and its last header says about as many bytes as the claim. Not so: Redis was
// lost or set back in between, or something else writes.
bool IsWhole(const ClaimedPart& claimed, const LoadedPart& loaded,
             const std::vector<uint64_t>& lengths);
struct AcknowledgeRequest {
  ClaimId id;
  WallTime lease_end;              // of this very claim (invariant 5)
  std::vector<ClaimedPart> parts;  // names and references
  uint64_t acknowledged_spans = 0;
  uint64_t dead_lettered_spans = 0;  // of parts that went to the dead letter topic
  uint64_t quarantined_spans = 0;
};
struct AcknowledgeReply {
  bool was_known = false;  // false: nothing was changed, counted stale
  WallTime redis_time;
};
struct ReleaseRequest {
  ClaimId id;
  bool counts_attempt = false;  // the owner died, or the broker refused for good
};

// What a flush worker needs. See the file comment for threads.
class FlushStore {
 public:
  virtual ~FlushStore() = default;
  virtual void Acquire(ShardId shard, const AcquireRequest& request, Done<Epoch> done) = 0;
  // Read-only. Compares the epoch.
  virtual void Peek(ShardId shard, Epoch epoch, uint32_t limit, Done<PeekReply> done) = 0;
  virtual void ClaimParts(ShardId shard, ClaimRequest request, Done<Claim> done) = 0;
  // Puts the dictionaries that the entries name on `shelf`, but those that are there or are gone.
  virtual void Load(ShardId shard, const std::vector<ClaimedPart>& parts,
                    std::shared_ptr<DictionaryShelf> shelf, Done<std::vector<LoadedPart>> done) = 0;
  virtual void Acknowledge(ShardId shard, const AcknowledgeRequest& request,
                           Done<AcknowledgeReply> done) = 0;
  // value: whether the claim existed.
  virtual void Release(ShardId shard, const ReleaseRequest& request, Done<bool> done) = 0;
  // Whether it is Redis' turn, and has been for long: the shard's server owes replies and has said
  // nothing for kLongWait, or refuses for now. Every call is answered in the end; until then this
  // tells waiting from a call that was never made (health, design section 5).
  virtual bool KeepsWaiting(ShardId shard) const = 0;
};

// What the control plane and audits read.
struct ShardSummary {
  bool exists = false;
  uint32_t incarnation = 0;
  Epoch ingest_epoch, flush_epoch;
  Offset watermark = 0;
  EventTime clock;
  WallTime redis_time;
  uint64_t due_parts = 0;  // in `due`, whatever their deadline
  uint64_t backlog = 0;    // of them, deadline <= clock
  uint64_t inflight_claims = 0;
  uint64_t claimed_parts = 0;  // in flight, as the counter says
  std::chrono::milliseconds lateness{0};
  Ledger ledger;
};
// What a walk over the shard has found, beside what its counters say at the very same instant.
struct AuditReply {
  ShardSummary summary;
  // False: it could not be told within the walk's limits: another audit of the shard did not end,
  // or somebody changes the shard and says so nowhere; only `summary` means something then.
  bool is_exact = false;
  uint64_t live_spans = 0;  // of due and in-flight parts
  uint64_t due_parts = 0;
  uint64_t in_flight_parts = 0;
  uint64_t missing_lists = 0;        // of live parts: their spans are gone, and unaccounted for
  uint64_t undecodable_entries = 0;  // their spans are not counted: quarantined when they leave
  // See buffer/ledger.h. All zero, or something is wrong.
  int64_t residual = 0;          // spans
  int64_t message_residual = 0;  // messages
  int64_t part_residual = 0;     // claimed_parts - in_flight_parts
  uint64_t duplicates_at_most = 0;
};
inline constexpr std::chrono::seconds kAuditTimeLimit{60};

class ShardReader {
 public:
  virtual ~ShardReader() = default;
  virtual void Summary(ShardId shard, Done<ShardSummary> done) = 0;
  // Takes as long as the shard is large, in small steps, but not longer than kAuditTimeLimit. Does
  // not hold up those who use the shard, who note what they change while it is under way. One at a
  // time for each shard: others wait.
  virtual void Audit(ShardId shard, Done<AuditReply> done) = 0;
  // The shards of the namespace that have ever been taken, ascending.
  virtual void ListShards(Done<std::vector<ShardId>> done) = 0;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_SHARD_STORE_H_
