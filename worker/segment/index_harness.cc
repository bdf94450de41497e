#include "worker/segment/index_harness.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace spillway::segment {

void MemoryShard::Check(bool condition, absl::string_view what, const PartName& part) {
  if (!condition && error_.empty()) error_ = absl::StrCat(what, ": part ", part.ToString());
}

bool MemoryShard::IsOpen(const PartName& part) const {
  const auto found = due_.find(part);
  return found != due_.end() && found->second > clock_;
}

void MemoryShard::Apply(const BatchPlan& plan, const std::vector<Offset>& offsets) {
  Check(plan.from == watermark_, "watermark is not the plan's", {});
  Check(plan.clock_before == clock_, "clock is not the plan's", {});
  std::set<PartName> created, absorbed, seen;
  for (const PartWrite& write : plan.writes) {
    Check(seen.insert(write.part).second, "written twice in a plan", write.part);
    if (lists_.contains(write.part)) {
      Check(IsOpen(write.part), "write to a part that can be claimed", write.part);
    } else {
      Check(write.has_chunk && !write.spans.empty(), "a list starts without spans", write.part);
      created.insert(write.part);
    }
    std::vector<Entry>& list = lists_[write.part];
    for (const PartName& reference : write.references) {
      const bool was_of_another =
          std::count(write.references.begin(), write.references.end(), holder_[reference]) == 1;
      Check(IsOpen(reference) || absorbed.contains(reference) || was_of_another,
            "absorbs a part that can be claimed", reference);
      holder_[reference] = write.part;
      list.push_back({.is_reference = true, .absorbed = reference, .header = {}, .spans = {}});
      references_[write.part].push_back(reference);
      references_.erase(reference);
      absorbed.erase(reference);
      due_.erase(reference);
    }
    if (write.has_chunk) {
      Entry chunk{.is_reference = false, .absorbed = {}, .header = write.header, .spans = {}};
      for (const uint32_t span : write.spans) chunk.spans.push_back(offsets[span]);
      Check(write.header.span_count == chunk.spans.size(), "wrong count of spans", write.part);
      Check(std::is_sorted(chunk.spans.begin(), chunk.spans.end()), "spans out of order",
            write.part);
      for (const Offset offset : chunk.spans) {
        Check(written_.insert(offset).second, "span written twice", write.part);
      }
      list.push_back(std::move(chunk));
    }
    if (write.is_absorbed) {
      absorbed.insert(write.part);
      Check(created.contains(write.part) || due_.contains(write.part), "absorbed twice",
            write.part);
    } else {
      Check(write.deadline >= plan.clock_before, "deadline before the clock", write.part);
      due_[write.part] = write.deadline;
    }
  }
  for (const PartName& part : absorbed) Check(false, "absorbed by nobody", part);
  watermark_ = plan.to;
  clock_ = plan.clock_after;
  accepted_ += plan.accepted;
  deduplicated_ += plan.deduplicated;
  rejected_ += plan.rejected;
}

Message MemoryShard::Load(const PartName& part) {
  Message message;
  buffer::ChunkHeader header;
  for (const Entry& entry : lists_.at(part)) {
    if (!entry.is_reference) {
      header = entry.header;
      message.offsets.insert(message.offsets.end(), entry.spans.begin(), entry.spans.end());
      continue;
    }
    for (const Entry& other : lists_.at(entry.absorbed)) {
      message.offsets.insert(message.offsets.end(), other.spans.begin(), other.spans.end());
    }
  }
  std::sort(message.offsets.begin(), message.offsets.end());
  message.segment = header.segment;
  message.part_number = header.part_number;
  message.skip_enrichment = header.sealed || header.part_number > 0;
  return message;
}

std::vector<Message> MemoryShard::Acknowledge(int claim) {
  std::vector<Message> messages;
  for (const auto& [part, deadline] : claims_.at(claim)) {
    messages.push_back(Load(part));
    for (const PartName& reference : references_[part]) lists_.erase(reference);
    lists_.erase(part);
    references_.erase(part);
  }
  claims_.erase(claim);
  return messages;
}

void MemoryShard::Release(int claim) {
  due_.merge(claims_.at(claim));
  claims_.erase(claim);
}

TakenState MemoryShard::Take() const {
  TakenState taken;
  taken.watermark = watermark_;
  taken.clock = clock_;
  const auto add = [&](const PartName& part, EventTime deadline, bool is_in_due) {
    LivePart& live = taken.live.emplace_back();
    live.name = part;
    live.deadline = deadline;
    live.is_in_due = is_in_due;
    const auto references = references_.find(part);
    if (references != references_.end()) live.references = references->second;
    const std::vector<Entry>& list = lists_.at(part);
    if (is_in_due && deadline > clock_ && !list.back().is_reference) {
      live.last_header = list.back().header;
    }
  };
  for (const auto& [part, deadline] : due_) add(part, deadline, true);
  for (const auto& [id, claim] : claims_) {
    for (const auto& [part, deadline] : claim) add(part, deadline, false);
  }
  return taken;
}

std::optional<EventTime> MemoryShard::LowestOutstanding() const {
  std::optional<EventTime> lowest;
  const auto include = [&lowest](EventTime deadline) {
    lowest = lowest ? std::min(*lowest, deadline) : deadline;
  };
  for (const auto& [part, deadline] : due_) include(deadline);
  for (const auto& [id, claim] : claims_) {
    for (const auto& [part, deadline] : claim) include(deadline);
  }
  return lowest;
}

Limits RowLimits() {
  using std::chrono::milliseconds;
  return {.root_timeout = milliseconds(10),
          .idle_timeout = milliseconds(60),
          .max_age = milliseconds(100'000),
          .late_window = milliseconds(30),
          .max_part_bytes = 1u << 30,
          .max_references = 1024};
}

namespace {

SegmentId IdOf(absl::string_view text) {
  return SegmentId::FromText(text.size() == 1 ? std::string(16, text[0]) : std::string(text));
}

SpanRecord ParseSpan(absl::string_view text) {
  SpanRecord span;
  span.content_hash = absl::Hash<absl::string_view>()(text);
  span.bytes = 30;
  span.trace = {.project_id = 1, .trace_high = 0xaa, .trace_low = 0xbb};
  span.id = IdOf(text.substr(0, 1)).span_id();
  span.parent = SegmentId(span.id);
  std::optional<SegmentId> named;
  for (size_t at = 1; at < text.size();) {
    const char mark = text[at++];
    const absl::string_view word = text.substr(at, text.substr(at).find_first_of("*>@~"));
    at += word.size();
    if (mark == '*') span.is_segment_span = true;
    if (mark == '>') span.parent = IdOf(word);
    if (mark == '~') named = IdOf(word);
    if (mark == '@') CHECK(absl::SimpleAtoi(word, &span.trace.project_id), "a project is a number");
  }
  if (named) span.parent = *named;
  if (span.is_segment_span) span.parent = SegmentId(span.id);
  return span;
}

}  // namespace

std::vector<std::vector<LogEntry>> ParseRow(absl::string_view row) {
  std::vector<std::vector<LogEntry>> batches;
  for (const absl::string_view batch : absl::StrSplit(row, '|')) {
    std::vector<LogEntry>& entries = batches.emplace_back();
    for (const absl::string_view text :
         absl::StrSplit(batch, absl::ByAnyChar(" ,"), absl::SkipEmpty())) {
      entries.push_back(text == "!" ? LogEntry() : LogEntry(ParseSpan(text)));
    }
  }
  return batches;
}

IndexHarness::IndexHarness(const Limits& limits) : limits_(limits) { Take(0); }

void IndexHarness::Append(LogEntry entry) {
  if (entry) entry->offset = static_cast<Offset>(log_.size());
  log_.push_back(std::move(entry));
}

void IndexHarness::Feed(absl::string_view row, int64_t at) {
  for (const std::vector<LogEntry>& batch : ParseRow(row)) {
    for (LogEntry entry : batch) {
      if (entry) entry->timestamp = EventTime{at};
      Append(std::move(entry));
    }
    AddAll();
  }
}

void IndexHarness::FeedEach(absl::string_view row, int64_t at) {
  for (const absl::string_view text :
       absl::StrSplit(row, absl::ByAnyChar(" ,|"), absl::SkipEmpty())) {
    Feed(text, at);
  }
}

BatchPlan IndexHarness::Plan(size_t count) {
  const Offset from = index_->watermark();
  const Offset to = from + static_cast<Offset>(count);
  planned_offsets_.clear();
  index_->BeginBatch(from);
  for (Offset offset = from; offset < to; ++offset) {
    const LogEntry& entry = log_[static_cast<size_t>(offset)];
    if (entry) {
      index_->Add(*entry);
      planned_offsets_.push_back(offset);
    } else {
      index_->Reject(offset);
    }
  }
  return index_->EndBatch(to);
}

void IndexHarness::Commit(const BatchPlan& plan) {
  shard_.Apply(plan, planned_offsets_);
  index_->CommitBatch();
}

void IndexHarness::Observe() { index_->Observe(shard_.clock(), shard_.LowestOutstanding()); }

void IndexHarness::Tick(int64_t clock) {
  shard_.Tick(EventTime{clock});
  Observe();
}

std::vector<Message> IndexHarness::Leave() {
  const std::optional<int> claim = shard_.ClaimDue([] { return true; });
  return claim ? shard_.Acknowledge(*claim) : std::vector<Message>();
}

std::string IndexHarness::Describe(const Message& message) const {
  std::set<std::string> ids;
  uint64_t project = 0;
  for (const Offset offset : message.offsets) {
    const SpanRecord& span = *log_[static_cast<size_t>(offset)];
    ids.insert(SegmentId(span.id).ToString().substr(0, 1));
    project = span.trace.project_id;
  }
  const std::string name = message.segment.ToString();
  return absl::StrCat(project, "/", message.segment.is_opaque() ? name : name.substr(0, 1), ":{",
                      absl::StrJoin(ids, ","), "}");
}

std::string IndexHarness::LeaveAt(int64_t clock) {
  Tick(clock);
  std::vector<std::string> texts;
  for (const Message& message : Leave()) texts.push_back(Describe(message));
  std::sort(texts.begin(), texts.end());
  return texts.empty() ? "none" : absl::StrJoin(texts, " ");
}

void IndexHarness::Take(Offset start) {
  const TakenState taken = shard_.Take();
  index_ = std::make_unique<ShardIndex>(limits_, taken);
  for (Offset offset = start; offset < taken.watermark; ++offset) {
    if (const LogEntry& entry = log_[static_cast<size_t>(offset)]) index_->Replay(*entry);
  }
  index_->Reconcile();
}

}  // namespace spillway::segment
