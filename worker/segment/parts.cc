// Which part a span goes to, and what Redis is told of it (design section 5, rules 4 and 5).
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "worker/segment/shard_index_impl.h"

namespace spillway::segment {

bool ShardIndex::Impl::Place(const SpanRecord& record, uint32_t span_number) {
  const Slot trace = graph_.FindOrAddTrace(record.trace);
  const Slot node = Join(record, trace);
  if (node == kNoSlot) return false;
  const Slot slot = graph_.node(node).component;
  Component& component = graph_.Touch(slot);
  component.has_segment_span |= record.is_segment_span;
  if (component.is_open && uint64_t{component.part.bytes} + record.bytes > limits_.max_part_bytes) {
    Seal(component);
  }
  if (!component.is_open) OpenPart(component, record.offset);
  AppendSpan(component, record, span_number);
  if (component.part.absorbed_count > limits_.max_references) {
    Seal(component);
  } else {
    const auto timeout = component.has_segment_span ? limits_.root_timeout : limits_.idle_timeout;
    const EventTime deadline =
        std::min(clock_ + timeout, component.part.first_event_time + limits_.max_age);
    component.deadline =
        std::max(deadline, clock_);  // limits may have shrunk since the part opened
    RefreshWrite(component);
  }
  deadlines_.Schedule(slot);
  return true;
}

void ShardIndex::Impl::OpenPart(Component& component, Offset offset) {
  component.is_open = true;
  component.part = Part{};
  component.part.offset = offset;
  component.part.first_event_time = clock_;
  component.part.number = component.next_number++;
  if (component.ticket == Component::kNoTicket) component.ticket = live_offsets_.Append(offset);
}

void ShardIndex::Impl::AppendSpan(Component& component, const SpanRecord& record,
                                  uint32_t span_number) {
  component.part.bytes += record.bytes;
  if (!graph_.in_batch()) {
    component.part.chunk_count = 1;  // how many the replayed log was written in is not known
    return;
  }
  PartWrite& write = WriteOf(component);
  if (!write.has_chunk) {
    write.has_chunk = true;
    ++component.part.chunk_count;
  }
  write.spans.push_back(span_number);
}

// `child` is open. Its spans and the parent's leave together from now on, unless they are too big.
void ShardIndex::Impl::MergeParts(Component& parent, Component& child, uint64_t joining_bytes) {
  if (!parent.is_open) {  // a new root above a segment, or a cut one that goes on: its list goes on
    parent.part = std::move(child.part);
    parent.part.number = parent.next_number++;
    parent.is_open = true;
    return;
  }
  const uint32_t number = parent.part.number;
  if (joining_bytes + parent.part.bytes + child.part.bytes > limits_.max_part_bytes) {
    if (child.part.LowestOffset() < parent.part.LowestOffset()) {
      std::swap(parent.part, child.part);
      parent.part.number = number;
    }
    Seal(parent);
    parent.part = std::move(child.part);
    parent.part.number = parent.next_number++;
    parent.is_open = true;
    return;
  }
  const bool child_hosts = child.part.chunk_count != parent.part.chunk_count
                               ? child.part.chunk_count > parent.part.chunk_count
                               : child.part.offset < parent.part.offset;
  if (child_hosts) {
    std::swap(parent.part, child.part);
    parent.part.number = number;
  }
  Absorb(parent, child.part);
}

// The host refers to the other's list, unless this batch would be the first to write to that: then
// its spans go to the host's. Whether a part is sealed for its references must not depend on how
// the log is split into batches, so both count.
void ShardIndex::Impl::Absorb(Component& host, Part& other) {
  Part& part = host.part;
  part.bytes += other.bytes;
  part.first_event_time = std::min(part.first_event_time, other.first_event_time);
  part.absorbed_count += other.absorbed_count + 1;
  if (other.write != kNoSlot && starts_list_[other.write]) {
    CHECK(other.references.size() == 0, "of two lists the older one goes on");
    MoveSpans(other.write, WriteOf(host));
    return;
  }
  for (const Offset reference : other.references) part.references.Append(reference);
  part.references.Append(other.offset);
  if (!graph_.in_batch()) return;
  PartWrite& write = WriteOf(host);
  for (const Offset reference : other.references) write.references.push_back(NameOf(reference));
  write.references.push_back(NameOf(other.offset));
  if (other.write == kNoSlot) return;
  PartWrite& absorbed = plan_.writes[other.write];
  absorbed.is_absorbed = true;
  absorbed.references.clear();  // the host has them now
}

// EndBatch puts the spans in order and leaves out what has nothing to write.
void ShardIndex::Impl::MoveSpans(Slot from, PartWrite& to) {
  PartWrite& emptied = plan_.writes[from];
  if (emptied.spans.size() > to.spans.size()) std::swap(emptied.spans, to.spans);
  to.spans.insert(to.spans.end(), emptied.spans.begin(), emptied.spans.end());
  emptied.spans.clear();
  emptied.has_chunk = false;
  has_moved_spans_ = true;
}

void ShardIndex::Impl::Cut(Component& component) {
  component.is_open = false;
  component.is_sticky = true;
}

// Due at once. If the batch has no span in the part, its chunk is an empty one.
void ShardIndex::Impl::Seal(Component& component) {
  component.deadline = clock_;
  if (graph_.in_batch()) {
    PartWrite& write = WriteOf(component);
    write.has_chunk = true;
    write.header.sealed = true;
    RefreshWrite(component);
  }
  Cut(component);
}

PartWrite& ShardIndex::Impl::WriteOf(Component& component) {
  Part& part = component.part;
  if (part.write == kNoSlot) {
    part.write = static_cast<Slot>(plan_.writes.size());
    starts_list_.push_back(part.chunk_count == 0);
    plan_.writes.emplace_back().part = NameOf(part.offset);
  }
  return plan_.writes[part.write];
}

void ShardIndex::Impl::RefreshWrite(Component& component) {
  if (!graph_.in_batch()) return;
  const Part& part = component.part;
  PartWrite& write = plan_.writes[part.write];
  write.header.segment = graph_.NameOf(component.name);
  write.header.part_number = part.number;
  write.header.part_bytes = part.bytes;
  write.header.first_event_time = part.first_event_time;
  write.deadline = component.deadline;
}

void ShardIndex::Impl::DropTicket(uint64_t ticket) {
  if (ticket == Component::kNoTicket) return;
  if (graph_.in_batch()) {
    dropped_tickets_.push_back(ticket);
  } else {
    live_offsets_.Remove(ticket);
  }
}

}  // namespace spillway::segment
