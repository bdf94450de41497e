// For tests: a shard's store in memory, an index that writes to it, and a short way to write spans.
#ifndef SPILLWAY_WORKER_SEGMENT_INDEX_HARNESS_H_
#define SPILLWAY_WORKER_SEGMENT_INDEX_HARNESS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "worker/segment/shard_index.h"

namespace spillway::segment {

// One part as it would leave.
struct Message {
  SegmentId segment;
  uint32_t part_number = 0;
  bool skip_enrichment = false;
  std::vector<Offset> offsets;  // ascending
  auto operator<=>(const Message&) const = default;
};

// What Redis does with plans, claims and acknowledges, as plainly as possible. Instead of refusing
// a plan that breaks a rule it remembers the first such error.
class MemoryShard {
 public:
  using Claim = std::map<PartName, EventTime>;

  // `offsets[n]` is the offset of the n-th Add of the batch.
  void Apply(const BatchPlan& plan, const std::vector<Offset>& offsets);
  void Tick(EventTime clock) { clock_ = std::max(clock_, clock); }

  // Claims every due part of which `chosen` (called once a part) says so.
  template <typename Chosen>
  std::optional<int> ClaimDue(Chosen&& chosen) {
    Claim claim;
    for (const auto& [part, deadline] : due_) {
      if (deadline <= clock_ && chosen()) claim.emplace(part, deadline);
    }
    if (claim.empty()) return std::nullopt;
    for (const auto& [part, deadline] : claim) due_.erase(part);
    claims_.emplace(++claim_count_, std::move(claim));
    return claim_count_;
  }
  std::vector<Message> Acknowledge(int claim);
  void Release(int claim);
  const std::map<int, Claim>& claims() const { return claims_; }

  TakenState Take() const;
  EventTime clock() const { return clock_; }
  Offset watermark() const { return watermark_; }
  std::optional<EventTime> LowestOutstanding() const;
  const std::map<PartName, EventTime>& due() const { return due_; }
  const std::vector<PartName>& ReferencesOf(const PartName& part) { return references_[part]; }
  bool is_empty() const { return lists_.empty() && due_.empty() && claims_.empty(); }
  uint64_t accepted() const { return accepted_; }
  uint64_t deduplicated() const { return deduplicated_; }
  uint64_t rejected() const { return rejected_; }
  const std::string& error() const { return error_; }  // empty: none

 private:
  struct Entry {
    bool is_reference = false;
    PartName absorbed;
    buffer::ChunkHeader header;
    std::vector<Offset> spans;
  };
  void Check(bool condition, absl::string_view what, const PartName& part);
  bool IsOpen(const PartName& part) const;
  Message Load(const PartName& part);

  std::map<PartName, std::vector<Entry>> lists_;
  std::map<PartName, EventTime> due_;
  std::map<PartName, std::vector<PartName>> references_;
  std::map<PartName, PartName> holder_;  // of an absorbed part
  std::map<int, Claim> claims_;
  std::set<Offset> written_;
  EventTime clock_{0};
  Offset watermark_ = 0;
  uint64_t accepted_ = 0, deduplicated_ = 0, rejected_ = 0;
  int claim_count_ = 0;
  std::string error_;
};

// A log entry: a span, or a message that became a dead letter.
using LogEntry = std::optional<SpanRecord>;

// Time-outs of the conformance rows: root 10, idle 60; late window 30, no limit on size or age.
Limits RowLimits();

// Spans in the notation of the conformance rows: `x>p` span x with parent p, `x*` segment span,
// `x*>p` segment span with a parent, `@n` project, `~s` with segment id s (one letter: a span id),
// `!` a rejected message; separated by blanks or commas; `|` ends a batch. Ids are the letter (a
// hex digit) 16 times. The same text is the same span. Offsets and timestamps are left to the
// harness.
std::vector<std::vector<LogEntry>> ParseRow(absl::string_view row);

// One shard: log, index and store together.
class IndexHarness {
 public:
  explicit IndexHarness(const Limits& limits = RowLimits());

  // Appends to the log and adds it in the row's batches, all with event time `at`.
  void Feed(absl::string_view row, int64_t at = 0);
  void FeedEach(absl::string_view row, int64_t at = 0);  // every span a batch of its own
  void Append(LogEntry entry);                           // only to the log; sets its offset
  BatchPlan Plan(size_t count);                          // the next `count` entries of the log
  void Commit(const BatchPlan& plan);
  void Abort() { index_->AbortBatch(); }
  void AddNext(size_t count) { Commit(Plan(count)); }
  void AddAll() { AddNext(log_.size() - static_cast<size_t>(index_->watermark())); }

  void Observe();
  void Tick(int64_t clock);      // the clock as Redis moves it; then Observe
  std::vector<Message> Leave();  // claims and acknowledges all that is due
  // Tick and Leave in the table's words: "1/b:{a,b} 2/c:{d}" in order of name, or "none".
  std::string LeaveAt(int64_t clock);
  void Take(Offset start);  // a new index, replayed from there

  ShardIndex& index() { return *index_; }
  MemoryShard& shard() { return shard_; }
  const std::vector<LogEntry>& log() const { return log_; }

 private:
  std::string Describe(const Message& message) const;

  const Limits limits_;
  std::vector<LogEntry> log_;
  MemoryShard shard_;
  std::unique_ptr<ShardIndex> index_;
  std::vector<Offset> planned_offsets_;
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_INDEX_HARNESS_H_
