#include "worker/segment/shard_index.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "worker/segment/shard_index_impl.h"

namespace spillway::segment {

ShardIndex::Impl::Impl(const Limits& limits, const TakenState& taken)
    : limits_(limits),
      incarnation_(taken.incarnation),
      deadlines_(graph_.components()),
      held_parts_(taken.live, taken.incarnation),
      watermark_(taken.watermark),
      taken_(taken) {
  CHECK(limits.max_part_bytes < kMaxPartBytes, "a part leaves as one message");
  for (const LivePart& part : taken_.live) {
    if (part.name.incarnation != incarnation_) continue;
    openings_.try_emplace(part.name.offset);
    for (const PartName& reference : part.references) openings_.try_emplace(reference.offset);
  }
}

void ShardIndex::Impl::BeginBatch(Offset from) {
  CHECK(!graph_.in_batch(), "one batch at a time");
  CHECK(from == watermark_, "batches follow each other without a gap");
  graph_.Begin();
  plan_.writes.reserve(usual_writes_);
  plan_.from = from;
  plan_.clock_before = clock_;
  span_count_ = 0;
  start_ = {clock_, live_offsets_.end()};
}

void ShardIndex::Impl::Add(const SpanRecord& record) {
  CHECK(graph_.in_batch(), "spans are added to a batch");
  clock_ = std::max(clock_, record.timestamp);
  ++plan_.accepted;
  if (!Place(record, span_count_++)) ++plan_.deduplicated;
}

BatchPlan ShardIndex::Impl::EndBatch(Offset to) {
  CHECK(graph_.in_batch() && to >= plan_.from, "a batch ends behind its start");
  end_ = to;
  plan_.to = to;
  plan_.clock_after = clock_;
  if (has_moved_spans_) {
    std::erase_if(plan_.writes, [](const PartWrite& write) {
      return !write.has_chunk && write.references.empty();
    });
  }
  bool any_absorbed = false;
  for (PartWrite& write : plan_.writes) {
    CHECK(write.has_chunk, "a part that changed says so in a chunk");
    if (has_moved_spans_ && !std::is_sorted(write.spans.begin(), write.spans.end())) {
      std::sort(write.spans.begin(), write.spans.end());
    }
    write.header.span_count = static_cast<uint32_t>(write.spans.size());
    any_absorbed |= write.is_absorbed;
  }
  BatchPlan plan = std::move(plan_);
  if (any_absorbed) {
    std::stable_partition(plan.writes.begin(), plan.writes.end(),
                          [](const PartWrite& write) { return write.is_absorbed; });
  }
  plan_ = BatchPlan{};
  starts_list_.clear();
  has_moved_spans_ = false;
  usual_writes_ = plan.writes.size();
  return plan;
}

void ShardIndex::Impl::CommitBatch() {
  CHECK(graph_.in_batch(), "only a planned batch is committed");
  graph_.Commit();
  for (const uint64_t ticket : dropped_tickets_) live_offsets_.Remove(ticket);
  dropped_tickets_.clear();
  watermark_ = end_;
}

void ShardIndex::Impl::AbortBatch() {
  CHECK(graph_.in_batch(), "only a planned batch is aborted");
  plan_ = BatchPlan{};
  starts_list_.clear();
  has_moved_spans_ = false;
  graph_.Abort();
  dropped_tickets_.clear();
  live_offsets_.Truncate(start_.ticket_end);
  clock_ = start_.clock;
}

void ShardIndex::Impl::Observe(EventTime clock, std::optional<EventTime> lowest_outstanding) {
  CHECK(!graph_.in_batch(), "figures belong to a committed state");
  clock_ = std::max(clock_, clock);
  EventTime horizon = clock_ - limits_.late_window;
  if (lowest_outstanding) {
    horizon = std::min(horizon, *lowest_outstanding);
    held_parts_.PassedBy(*lowest_outstanding);
  } else {
    held_parts_.PassedBy(EventTime{INT64_MAX});
  }
  Forget(horizon);
  graph_.SweepTraces();
}

// Forgets components whose deadline is below `horizon`: they have left, and nothing is late enough
// to belong to them.
void ShardIndex::Impl::Forget(EventTime horizon) {
  deadlines_.Advance(clock_, horizon, [this](Slot slot) {
    const uint64_t ticket = graph_.component(slot).ticket;
    graph_.Forget(slot);
    DropTicket(ticket);
  });
}

Offset ShardIndex::Impl::LowWatermark() const {
  Offset lowest = watermark_;
  if (const auto live = live_offsets_.Lowest()) lowest = std::min(lowest, *live);
  if (const auto held = held_parts_.Lowest()) lowest = std::min(lowest, *held);
  return lowest;
}

size_t ShardIndex::Impl::memory_bytes() const {
  return graph_.memory_bytes() + deadlines_.memory_bytes() + live_offsets_.memory_bytes() +
         held_parts_.memory_bytes() + openings_.capacity() * sizeof(Opening);
}

ShardIndex::ShardIndex(const Limits& limits, const TakenState& taken)
    : impl_(std::make_unique<Impl>(limits, taken)) {}
ShardIndex::~ShardIndex() = default;

void ShardIndex::Replay(const SpanRecord& record) { impl_->Replay(record); }
void ShardIndex::Reconcile() { impl_->Reconcile(); }
void ShardIndex::BeginBatch(Offset from) { impl_->BeginBatch(from); }
void ShardIndex::Add(const SpanRecord& record) { impl_->Add(record); }
void ShardIndex::Reject(Offset) { impl_->Reject(); }
BatchPlan ShardIndex::EndBatch(Offset to) { return impl_->EndBatch(to); }
void ShardIndex::CommitBatch() { impl_->CommitBatch(); }
void ShardIndex::AbortBatch() { impl_->AbortBatch(); }
void ShardIndex::Observe(EventTime clock, std::optional<EventTime> lowest_outstanding) {
  impl_->Observe(clock, lowest_outstanding);
}
Offset ShardIndex::LowWatermark() const { return impl_->LowWatermark(); }
EventTime ShardIndex::clock() const { return impl_->clock(); }
Offset ShardIndex::watermark() const { return impl_->watermark(); }
size_t ShardIndex::memory_bytes() const { return impl_->memory_bytes(); }
size_t ShardIndex::live_spans() const { return impl_->live_spans(); }
std::optional<EventTime> ShardIndex::next_deadline() const { return impl_->next_deadline(); }

}  // namespace spillway::segment
