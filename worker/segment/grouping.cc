// Which component a span belongs to (design section 5, rules 2, 3, 6 and 7).
#include <algorithm>
#include <utility>

#include "worker/segment/shard_index_impl.h"

namespace spillway::segment {

Slot ShardIndex::Impl::Look(Slot node) {
  if (node == kNoSlot) return kNoSlot;
  const Slot slot = graph_.node(node).component;
  const Component& component = graph_.component(slot);
  if (component.is_open && clock_ >= component.deadline) Cut(graph_.Touch(slot));
  if (!component.is_open && clock_ > component.deadline + limits_.late_window) {
    graph_.Expire(slot);
    return kNoSlot;
  }
  return node;
}

Slot ShardIndex::Impl::Join(const SpanRecord& record, Slot trace) {
  Slot node = graph_.HasComponents(trace) ? Look(graph_.Find(trace, record.id)) : kNoSlot;
  if (node != kNoSlot && graph_.HasSpan(node, record.content_hash)) {
    NoteOpening(record);
    return kNoSlot;
  }
  node = Connect(record, trace, node);
  graph_.AddSpan(node, record.content_hash);
  NoteOpening(record);
  return node;
}

// The first span with an id decides its parent, and a sticky component takes no parent at all.
Slot ShardIndex::Impl::Connect(const SpanRecord& record, Slot trace, Slot node) {
  const bool is_own_parent = record.parent.Is(record.id);
  if (node != kNoSlot) {
    const bool is_decided = graph_.node(node).parent != Node::kUndecided;
    if (is_decided || graph_.component(graph_.node(node).component).is_sticky) {
      if (!is_decided) graph_.Decide(node, is_own_parent ? node : Node::kElsewhere);
      return node;
    }
  }
  if (is_own_parent) {
    if (node == kNoSlot) node = graph_.AddComponent(trace, record.parent);
    graph_.Decide(node, node);
    return node;
  }
  Slot parent = graph_.HasComponents(trace) ? Look(graph_.Find(trace, record.parent)) : kNoSlot;
  if (parent == kNoSlot && node == kNoSlot) parent = graph_.AddComponent(trace, record.parent);
  if (node == kNoSlot) {
    node = graph_.AddNode(graph_.node(parent).component, trace, SegmentId(record.id));
  } else if (parent == kNoSlot) {
    const Slot component = graph_.node(node).component;
    parent = graph_.AddNode(component, trace, record.parent);
    graph_.Touch(component).name = graph_.IdOf(parent);
  } else if (graph_.node(node).component == graph_.node(parent).component) {
    Component& component = graph_.Touch(graph_.node(node).component);
    component.name = graph_.LowestOfCycle(node, parent, component.name);
  } else {
    Merge(record, graph_.node(parent).component, graph_.node(node).component);
  }
  graph_.Decide(node, parent);
  return node;
}

// The merged component is the parent's, whichever slot goes on.
void ShardIndex::Impl::Merge(const SpanRecord& record, Slot parent, Slot child) {
  const Slot kept = graph_.Unite(parent, child);
  Component& upper = graph_.component(parent);
  Component& lower = graph_.component(child);
  upper.has_segment_span |= lower.has_segment_span;
  DropTicket(std::max(upper.ticket, lower.ticket));
  upper.ticket = std::min(upper.ticket, lower.ticket);
  if (lower.is_open) MergeParts(upper, lower, record.bytes);
  if (kept == child) {
    lower.name = upper.name;
    lower.deadline = upper.deadline;
    lower.part = std::move(upper.part);
    lower.ticket = upper.ticket;
    lower.next_number = upper.next_number;
    lower.is_open = upper.is_open;
    lower.is_sticky = upper.is_sticky;
    lower.has_segment_span = upper.has_segment_span;
  }
  graph_.Drop(kept == child ? parent : child);
}

void ShardIndex::Impl::NoteOpening(const SpanRecord& record) {
  if (openings_.empty()) return;
  const auto found = openings_.find(record.offset);
  if (found != openings_.end()) found->second = {record.trace, record.id, true};
}

}  // namespace spillway::segment
