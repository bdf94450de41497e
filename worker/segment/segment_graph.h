// Which span ids are connected: the nodes and components of a shard, with undo.
#ifndef SPILLWAY_WORKER_SEGMENT_SEGMENT_GRAPH_H_
#define SPILLWAY_WORKER_SEGMENT_SEGMENT_GRAPH_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "buffer/chunk/names.h"
#include "worker/segment/component.h"
#include "worker/segment/opaque_names.h"
#include "worker/segment/slot_pool.h"

namespace spillway::segment {

// A span id or opaque name that is known within a trace, as a span or as a span's parent.
// There is one per live span: 32 bytes.
struct Node {
  static constexpr Slot kUndecided = kNoSlot;      // no span with this id has come
  static constexpr Slot kElsewhere = kNoSlot - 1;  // decided, but no node of the component

  uint64_t id = 0;            // NodeId::value
  uint64_t content_hash = 0;  // of the first span with this id
  uint32_t trace : 28 = 0;
  uint32_t is_opaque : 1 = 0;
  uint32_t has_span : 1 = 0;
  uint32_t has_variants : 1 = 0;  // spans with this id and other bytes have come
  uint32_t is_new : 1 = 0;        // since Begin: not to be copied for Abort
  Slot component = kNoSlot;       // kNoSlot: a free slot
  Slot parent = kUndecided;
  Slot next = kNoSlot;  // in the component
};
static_assert(sizeof(Node) == 32);

// Traces → nodes → components. Every change made between Begin and Commit can be taken back by
// Abort; what such a batch sets free is free only after Commit. Knows nothing of parts: those are
// fields of Component for its user, who calls Touch before changing one. Not thread-safe.
class SegmentGraph {
 public:
  SegmentGraph();
  SegmentGraph(const SegmentGraph&) = delete;
  SegmentGraph& operator=(const SegmentGraph&) = delete;

  // A trace without components lasts until the next SweepTraces, Commit or Abort. REQUIRES of a new
  // one: AddComponent follows.
  Slot FindOrAddTrace(const TraceKey& key);
  bool HasComponents(Slot trace) const { return traces_[trace].component_count > 0; }
  Slot FindTrace(const TraceKey& key) const;
  void SweepTraces();

  // Nodes. A NodeSlot stays valid until its component is forgotten.
  Slot Find(Slot trace, SpanId id) const { return FindId(trace, {id.value, false}); }
  Slot Find(Slot trace, const SegmentId& id) const;
  const Node& node(Slot slot) const { return nodes_[slot]; }
  Slot AddNode(Slot component, Slot trace, const SegmentId& id);  // REQUIRES: not there yet
  // The first span with this id decides its parent and is what later ones are compared with.
  void Decide(Slot node, Slot parent);
  bool HasSpan(Slot node, uint64_t content_hash) const;
  void AddSpan(Slot node, uint64_t content_hash);  // REQUIRES: !HasSpan
  NodeId IdOf(Slot node) const { return {nodes_[node].id, nodes_[node].is_opaque != 0}; }
  // Lowest id of the cycle that an arc from `node` to `parent` closes; `otherwise` if it closes
  // none.
  NodeId LowestOfCycle(Slot node, Slot parent, NodeId otherwise) const;

  // Components.
  Component& component(Slot slot) { return components_[slot]; }
  const Component& component(Slot slot) const { return components_[slot]; }
  SlotPool<Component>& components() { return components_; }
  // A component with one node; returns the node.
  Slot AddComponent(Slot trace, const SegmentId& id);
  Component& Touch(Slot component);  // keeps a copy for Abort, once a batch
  // Makes all nodes of `a` and `b` nodes of the larger one and returns it. The caller merges the
  // other fields, then drops the other. Amortised O(log n) per node.
  Slot Unite(Slot a, Slot b);
  void Drop(Slot component);    // REQUIRES: it has no nodes
  void Expire(Slot component);  // forgets its nodes
  void Forget(Slot component);  // and the rest. REQUIRES: no batch

  void Begin();
  void Commit();
  void Abort();
  bool in_batch() const { return in_batch_; }

  OpaqueNames& opaque_names() { return opaque_names_; }
  SegmentId NameOf(NodeId id) const;
  size_t span_count() const { return span_count_; }  // live, different bytes under one id included
  size_t memory_bytes() const;

 private:
  // Most traces are small: their nodes are found by walking along their components. A larger one is
  // indexed, for as long as it lives: its nodes are in node_set_, and the list of its components is
  // no longer kept.
  struct Trace {
    TraceKey key;
    Slot first_component = kNoSlot;
    uint32_t component_count = 0;
    uint32_t node_count = 0;
    uint32_t touched_in = 0;
    bool is_alive = false;
    bool is_indexed = false;
  };
  static constexpr uint32_t kMaxWalk = 8;  // nodes of a trace that is not indexed

  struct NodeKey {
    uint64_t id;
    uint64_t scope;  // trace and kind
  };
  static uint64_t Key(Slot trace, bool is_opaque) {
    return uint64_t{trace} << 1 | (is_opaque ? 1 : 0);
  }

  struct HashNode {
    using is_transparent = void;
    size_t operator()(const NodeKey& key) const {
      return absl::Hash<std::pair<uint64_t, uint64_t>>()({key.id, key.scope});
    }
    size_t operator()(Slot slot) const { return (*this)(KeyOf((*nodes)[slot])); }
    const SlotPool<Node>* nodes;
  };
  struct SameNode {
    using is_transparent = void;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot slot, const NodeKey& key) const {
      const NodeKey other = KeyOf((*nodes)[slot]);
      return other.id == key.id && other.scope == key.scope;
    }
    bool operator()(const NodeKey& key, Slot slot) const { return (*this)(slot, key); }
    const SlotPool<Node>* nodes;
  };
  struct HashTrace {
    using is_transparent = void;
    size_t operator()(const TraceKey& key) const { return absl::Hash<TraceKey>()(key); }
    size_t operator()(Slot slot) const { return (*this)((*traces)[slot].key); }
    const SlotPool<Trace>* traces;
  };
  struct SameTrace {
    using is_transparent = void;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot slot, const TraceKey& key) const { return (*traces)[slot].key == key; }
    bool operator()(const TraceKey& key, Slot slot) const { return (*this)(slot, key); }
    const SlotPool<Trace>* traces;
  };

  // What Abort needs. Nodes and components are restored before they are taken out or put back.
  struct Undo {
    std::vector<std::pair<Slot, Component>> components;  // as they were
    std::vector<Slot> created_components;
    std::vector<Slot> dropped_components;
    std::vector<std::pair<Slot, Node>> nodes;  // as they were, oldest first
    std::vector<Slot> created_nodes;
    std::vector<Slot> erased_nodes;
    std::vector<Slot> added_variants;
    std::vector<std::pair<Slot, Trace>> traces;  // as they were
    std::vector<Slot> created_traces;
    size_t span_count = 0;
    void Clear();
  };

  static NodeKey KeyOf(const Node& node) { return {node.id, Key(node.trace, node.is_opaque != 0)}; }
  Slot FindId(Slot trace, NodeId id) const;
  Node& Change(Slot node);
  Trace& TouchTrace(Slot trace);
  void IndexTrace(Trace& trace);
  void FreeTrace(Slot trace);
  void LeaveTrace(Slot component);
  void EraseNode(Slot node);
  void FreeNode(Slot node);

  SlotPool<Trace> traces_;
  SlotPool<Node> nodes_;
  SlotPool<Component> components_;
  absl::flat_hash_set<Slot, HashTrace, SameTrace> trace_set_;
  absl::flat_hash_set<Slot, HashNode, SameNode> node_set_;
  absl::flat_hash_map<Slot, std::vector<uint64_t>> variants_;  // node → further content hashes
  OpaqueNames opaque_names_;
  std::vector<Slot> idle_traces_;  // may have no component left
  size_t span_count_ = 0;
  uint32_t batch_ = 1;  // number of the batch
  bool in_batch_ = false;
  Undo undo_;
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_SEGMENT_GRAPH_H_
