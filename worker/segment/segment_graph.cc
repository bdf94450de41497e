#include "worker/segment/segment_graph.h"

#include <algorithm>

#include "base/check.h"

namespace spillway::segment {

SegmentGraph::SegmentGraph()
    : trace_set_(0, HashTrace{&traces_}, SameTrace{&traces_}),
      node_set_(0, HashNode{&nodes_}, SameNode{&nodes_}) {}

// Traces.

Slot SegmentGraph::FindTrace(const TraceKey& key) const {
  const auto found = trace_set_.find(key);
  return found == trace_set_.end() ? kNoSlot : *found;
}

Slot SegmentGraph::FindOrAddTrace(const TraceKey& key) {
  if (const Slot found = FindTrace(key); found != kNoSlot) return found;
  const Slot slot = traces_.Allocate();
  CHECK(slot < (1u << 28), "a node keeps 28 bits of its trace");
  Trace& trace = traces_[slot];
  trace.key = key;
  trace.is_alive = true;
  trace.touched_in = batch_;
  trace_set_.insert(slot);
  if (in_batch_) undo_.created_traces.push_back(slot);
  return slot;
}

SegmentGraph::Trace& SegmentGraph::TouchTrace(Slot slot) {
  Trace& trace = traces_[slot];
  if (in_batch_ && trace.touched_in != batch_) {
    undo_.traces.emplace_back(slot, trace);
    trace.touched_in = batch_;
  }
  return trace;
}

void SegmentGraph::IndexTrace(Trace& trace) {
  trace.is_indexed = true;
  for (Slot at = trace.first_component; at != kNoSlot; at = components_[at].next_in_trace) {
    for (Slot node = components_[at].first_node; node != kNoSlot; node = nodes_[node].next) {
      node_set_.insert(node);
    }
  }
}

void SegmentGraph::FreeTrace(Slot slot) {
  trace_set_.erase(slot);
  traces_.Free(slot);
}

void SegmentGraph::SweepTraces() {
  if (in_batch_) return;
  for (const Slot slot : idle_traces_) {
    if (traces_[slot].is_alive && traces_[slot].component_count == 0) FreeTrace(slot);
  }
  idle_traces_.clear();
}

// The component still has the nodes by which its trace is known.
void SegmentGraph::LeaveTrace(Slot slot) {
  const Slot trace_slot = nodes_[components_[slot].first_node].trace;
  Trace& trace = TouchTrace(trace_slot);
  if (--trace.component_count == 0) idle_traces_.push_back(trace_slot);
  if (trace.is_indexed) return;
  const Slot next = components_[slot].next_in_trace;
  if (trace.first_component == slot) {
    trace.first_component = next;
    return;
  }
  Slot before = trace.first_component;
  while (components_[before].next_in_trace != slot) before = components_[before].next_in_trace;
  Touch(before).next_in_trace = next;
}

// Nodes.

Slot SegmentGraph::FindId(Slot trace_slot, NodeId id) const {
  const Trace& trace = traces_[trace_slot];
  if (trace.is_indexed) {
    const auto found = node_set_.find(NodeKey{id.value, Key(trace_slot, id.is_opaque)});
    return found == node_set_.end() ? kNoSlot : *found;
  }
  for (Slot at = trace.first_component; at != kNoSlot; at = components_[at].next_in_trace) {
    for (Slot node = components_[at].first_node; node != kNoSlot; node = nodes_[node].next) {
      if (IdOf(node) == id) return node;
    }
  }
  return kNoSlot;
}

Slot SegmentGraph::Find(Slot trace, const SegmentId& id) const {
  if (!id.is_opaque()) return Find(trace, id.span_id());
  const std::optional<uint64_t> number = opaque_names_.Find(id.opaque());
  return number ? FindId(trace, {*number, true}) : kNoSlot;
}

Slot SegmentGraph::AddNode(Slot component, Slot trace_slot, const SegmentId& id) {
  const Slot slot = nodes_.Allocate();
  Node& node = nodes_[slot];
  node.id = id.is_opaque() ? opaque_names_.Acquire(id.opaque()) : id.span_id().value;
  node.is_opaque = id.is_opaque() ? 1 : 0;
  node.trace = trace_slot & 0xfffffffu;
  node.is_new = in_batch_ ? 1 : 0;
  node.component = component;
  Component& owner = Touch(component);
  node.next = std::exchange(owner.first_node, slot);
  ++owner.node_count;
  if (in_batch_) undo_.created_nodes.push_back(slot);
  Trace& trace = TouchTrace(trace_slot);
  ++trace.node_count;
  if (trace.is_indexed) {
    node_set_.insert(slot);
  } else if (trace.node_count > kMaxWalk) {
    IndexTrace(trace);
  }
  return slot;
}

Node& SegmentGraph::Change(Slot slot) {
  Node& node = nodes_[slot];
  if (in_batch_ && !node.is_new) undo_.nodes.emplace_back(slot, node);
  return node;
}

void SegmentGraph::Decide(Slot node, Slot parent) { Change(node).parent = parent; }

bool SegmentGraph::HasSpan(Slot slot, uint64_t content_hash) const {
  const Node& node = nodes_[slot];
  if (!node.has_span) return false;
  if (node.content_hash == content_hash) return true;
  if (!node.has_variants) return false;
  const std::vector<uint64_t>& variants = variants_.at(slot);
  return std::find(variants.begin(), variants.end(), content_hash) != variants.end();
}

void SegmentGraph::AddSpan(Slot slot, uint64_t content_hash) {
  ++span_count_;
  Node& node = Change(slot);
  if (!node.has_span) {
    node.has_span = 1;
    node.content_hash = content_hash;
    return;
  }
  node.has_variants = 1;
  variants_[slot].push_back(content_hash);
  if (in_batch_) undo_.added_variants.push_back(slot);
}

NodeId SegmentGraph::LowestOfCycle(Slot node, Slot parent, NodeId otherwise) const {
  NodeId lowest = IdOf(node);
  // More steps than nodes: a cycle further up, which exists only if a rebuilt component is odd.
  uint32_t steps_left = components_[nodes_[node].component].node_count;
  for (Slot at = parent; at != node; at = nodes_[at].parent) {
    if (at == Node::kUndecided || at == Node::kElsewhere || nodes_[at].parent == at)
      return otherwise;
    if (steps_left-- == 0) return otherwise;
    if (nodes_[at].id < lowest.value) lowest = IdOf(at);
  }
  return lowest;
}

void SegmentGraph::EraseNode(Slot slot) {
  Trace& trace = TouchTrace(nodes_[slot].trace);
  --trace.node_count;
  if (trace.is_indexed) node_set_.erase(slot);
  if (in_batch_) {
    undo_.erased_nodes.push_back(slot);
  } else {
    FreeNode(slot);
  }
}

void SegmentGraph::FreeNode(Slot slot) {
  const Node& node = nodes_[slot];
  if (node.is_opaque) opaque_names_.Release(node.id);
  if (node.has_variants) variants_.erase(slot);
  nodes_.Free(slot);
}

// Components.

Slot SegmentGraph::AddComponent(Slot trace, const SegmentId& id) {
  const Slot slot = components_.Allocate();
  Component& component = components_[slot];
  component.is_alive = true;
  component.touched_in = batch_;
  if (in_batch_) undo_.created_components.push_back(slot);
  Trace& owner = TouchTrace(trace);
  ++owner.component_count;
  if (!owner.is_indexed) component.next_in_trace = std::exchange(owner.first_component, slot);
  const Slot node = AddNode(slot, trace, id);
  component.name = IdOf(node);
  return node;
}

Component& SegmentGraph::Touch(Slot slot) {
  Component& component = components_[slot];
  if (in_batch_ && component.touched_in != batch_) {
    undo_.components.emplace_back(slot, component);
    component.touched_in = batch_;
    component.part.write = kNoSlot;
  }
  return component;
}

Slot SegmentGraph::Unite(Slot a, Slot b) {
  const bool keeps_a = Touch(a).node_count >= Touch(b).node_count;
  const Slot kept = keeps_a ? a : b;
  const Slot dropped = keeps_a ? b : a;
  Component& into = components_[kept];
  Component& from = components_[dropped];
  LeaveTrace(dropped);
  Slot last = kNoSlot;
  for (Slot slot = from.first_node; slot != kNoSlot; slot = nodes_[slot].next) {
    Change(slot).component = kept;
    last = slot;
  }
  Change(last).next = into.first_node;
  into.first_node = std::exchange(from.first_node, kNoSlot);
  into.node_count += std::exchange(from.node_count, 0);
  return kept;
}

void SegmentGraph::Expire(Slot slot) {
  Component& component = Touch(slot);
  if (component.is_expired) return;
  component.is_expired = true;
  LeaveTrace(slot);
  for (Slot node = component.first_node; node != kNoSlot;) {
    const Slot next = nodes_[node].next;
    const auto variants = nodes_[node].has_variants ? variants_[node].size() : 0;
    span_count_ -= nodes_[node].has_span + variants;
    EraseNode(node);
    node = next;
  }
  component.first_node = kNoSlot;
  component.node_count = 0;
}

void SegmentGraph::Forget(Slot slot) {
  CHECK(!in_batch_, "an undo could not bring it back");
  Expire(slot);
  Drop(slot);
}

void SegmentGraph::Drop(Slot slot) {
  components_[slot].is_alive = false;
  if (in_batch_) {
    undo_.dropped_components.push_back(slot);
  } else {
    components_.Free(slot);
  }
}

SegmentId SegmentGraph::NameOf(NodeId id) const {
  return id.is_opaque ? SegmentId::FromText(opaque_names_.Text(id.value))
                      : SegmentId(SpanId{id.value});
}

// Batches.

void SegmentGraph::Begin() {
  SweepTraces();
  ++batch_;
  in_batch_ = true;
  undo_.span_count = span_count_;
}

void SegmentGraph::Commit() {
  in_batch_ = false;
  for (const Slot slot : undo_.created_nodes) nodes_[slot].is_new = 0;
  for (const Slot slot : undo_.erased_nodes) FreeNode(slot);
  for (const Slot slot : undo_.dropped_components) components_.Free(slot);
  undo_.Clear();
  SweepTraces();
}

void SegmentGraph::Abort() {
  in_batch_ = false;
  for (auto it = undo_.nodes.rbegin(); it != undo_.nodes.rend(); ++it)
    nodes_[it->first] = it->second;
  for (const Slot slot : undo_.added_variants) {
    std::vector<uint64_t>& variants = variants_[slot];
    variants.pop_back();
    if (variants.empty()) variants_.erase(slot);
  }
  for (const Slot slot : undo_.created_nodes) {
    if (traces_[nodes_[slot].trace].is_indexed) node_set_.erase(slot);
    nodes_[slot].has_variants = 0;
    FreeNode(slot);
  }
  for (const Slot slot : undo_.erased_nodes) {
    if (nodes_[slot].component == kNoSlot) continue;  // created by the same batch
    if (traces_[nodes_[slot].trace].is_indexed) node_set_.insert(slot);
  }
  for (auto& [slot, component] : undo_.components) components_[slot] = std::move(component);
  for (const Slot slot : undo_.created_components) components_.Free(slot);
  for (const auto& [slot, before] : undo_.traces) {
    const bool is_indexed = traces_[slot].is_indexed;  // stays so: its nodes are in the set
    traces_[slot] = before;
    traces_[slot].is_indexed = is_indexed;
  }
  for (const Slot slot : undo_.created_traces) FreeTrace(slot);
  span_count_ = undo_.span_count;
  undo_.Clear();
  SweepTraces();
}

void SegmentGraph::Undo::Clear() {
  components.clear();
  created_components.clear();
  dropped_components.clear();
  nodes.clear();
  created_nodes.clear();
  erased_nodes.clear();
  added_variants.clear();
  traces.clear();
  created_traces.clear();
}

size_t SegmentGraph::memory_bytes() const {
  // A hash table's slot costs its byte of control data and a share of empty ones.
  constexpr size_t kSetEntryBytes = 8;
  size_t bytes = traces_.size() * (sizeof(Trace) + kSetEntryBytes) + nodes_.size() * sizeof(Node) +
                 node_set_.size() * kSetEntryBytes + components_.size() * sizeof(Component) +
                 opaque_names_.memory_bytes();
  return bytes + variants_.size() * 64;
}

}  // namespace spillway::segment
