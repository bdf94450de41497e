// The index after take: the log says what is connected, Redis which parts there are (design section
// 4, invariant 3).
#include <algorithm>
#include <utility>

#include "worker/segment/shard_index_impl.h"

namespace spillway::segment {

void ShardIndex::Impl::Replay(const SpanRecord& record) {
  clock_ = std::max(clock_, std::min(record.timestamp, taken_.clock));
  Place(record, 0);
  constexpr uint64_t kForgetEvery = 1024;
  if (++replayed_count_ % kForgetEvery != 0) return;
  // Live parts hold the low watermark by themselves, so what the log alone says has left, has left.
  Forget(clock_ - limits_.late_window);
  graph_.SweepTraces();
}

Slot ShardIndex::Impl::ComponentOf(const LivePart& part) const {
  const auto component_at = [this](Offset offset) {
    const Opening& opening = openings_.at(offset);
    const Slot trace = opening.was_replayed ? graph_.FindTrace(opening.trace) : kNoSlot;
    const Slot node = trace == kNoSlot ? kNoSlot : graph_.Find(trace, opening.id);
    if (node == kNoSlot) return kNoSlot;
    // The replay may have let the span's segment expire and begun another with the same id: that
    // one does not hold the low watermark for this part, so it must not go on as its own.
    const Slot component = graph_.node(node).component;
    const uint64_t ticket = graph_.component(component).ticket;
    const bool holds = ticket != Component::kNoTicket && live_offsets_.At(ticket) <= offset;
    return holds ? component : kNoSlot;
  };
  Slot component = component_at(part.name.offset);
  for (const PartName& reference : part.references) {
    if (component != kNoSlot) break;
    component = component_at(reference.offset);
  }
  return component;
}

void ShardIndex::Impl::Reconcile() {
  clock_ = taken_.clock;
  struct Open {
    const LivePart* part = nullptr;
    bool is_one_of_several = false;
  };
  absl::flat_hash_map<Slot, Open> open;                   // by component
  absl::flat_hash_map<Offset, EventTime> live_deadlines;  // of parts that are not open
  absl::flat_hash_map<Slot, EventTime> latest;            // of those, by component
  const auto goes_on_before = [](const LivePart& a, const LivePart& b) {
    return std::pair(a.deadline, a.name.offset) > std::pair(b.deadline, b.name.offset);
  };
  for (const LivePart& part : taken_.live) {
    if (part.name.incarnation != incarnation_) continue;
    const Slot component = ComponentOf(part);
    if (part.is_in_due && part.deadline > taken_.clock && part.last_header) {
      if (component == kNoSlot) continue;  // leaves at its deadline
      Open& entry = open[component];
      entry.is_one_of_several = entry.part != nullptr;
      if (entry.part == nullptr || goes_on_before(part, *entry.part)) entry.part = &part;
      continue;
    }
    live_deadlines[part.name.offset] = part.deadline;
    if (component != kNoSlot) {
      EventTime& deadline = latest[component];
      deadline = std::max(deadline, part.deadline);
    }
  }
  for (Slot slot = 0; slot < graph_.components().end(); ++slot) {
    Component& component = graph_.component(slot);
    if (!component.is_alive || component.is_expired) continue;
    const auto found = open.find(slot);
    if (found != open.end()) {
      Reopen(slot, *found->second.part, found->second.is_one_of_several);
    } else {
      Close(slot, live_deadlines);
      const auto late = latest.find(slot);
      if (late != latest.end()) component.deadline = std::max(component.deadline, late->second);
    }
    deadlines_.Schedule(slot);
  }
  RenewLiveOffsets();
  taken_ = TakenState{};
  openings_ = {};
  graph_.SweepTraces();
}

// A reopened part may begin below what the replay has of its segment (a segment that the replay cut
// and Redis did not): the low watermark must know.
void ShardIndex::Impl::RenewLiveOffsets() {
  std::vector<std::pair<Offset, Slot>> lowest;
  for (Slot slot = 0; slot < graph_.components().end(); ++slot) {
    const Component& component = graph_.component(slot);
    const bool has_ticket = component.ticket != Component::kNoTicket;
    if (!component.is_alive || (!has_ticket && !component.is_open)) continue;
    Offset offset = has_ticket ? live_offsets_.At(component.ticket) : component.part.offset;
    if (component.is_open) offset = std::min(offset, component.part.LowestOffset());
    lowest.emplace_back(offset, slot);
  }
  std::sort(lowest.begin(), lowest.end());
  live_offsets_ = LiveOffsets();
  for (const auto& [offset, slot] : lowest)
    graph_.component(slot).ticket = live_offsets_.Append(offset);
}

// Everything about the part is as Redis has it; what belongs to it, as the log has it.
void ShardIndex::Impl::Reopen(Slot slot, const LivePart& live, bool is_one_of_several) {
  Component& component = graph_.component(slot);
  const buffer::ChunkHeader& header = *live.last_header;
  Part part;
  part.offset = live.name.offset;
  part.first_event_time = header.first_event_time;
  for (const PartName& reference : live.references) part.references.Append(reference.offset);
  part.bytes = static_cast<uint32_t>(std::min<uint64_t>(header.part_bytes, kMaxPartBytes));
  part.absorbed_count = static_cast<uint32_t>(live.references.size());
  part.number = header.part_number;
  part.chunk_count = std::max(component.part.chunk_count, 1u);
  component.part = std::move(part);
  component.deadline = live.deadline;
  component.is_open = true;
  component.is_sticky = header.part_number > 0 || is_one_of_several;
  component.next_number = std::max(component.next_number, header.part_number + 1);
  // The name need not be a node. An opaque one stays acquired: at most one a take and part.
  component.name = header.segment.is_opaque()
                       ? NodeId{graph_.opaque_names().Acquire(header.segment.opaque()), true}
                       : NodeId{header.segment.span_id().value, false};
}

// Redis has no open part of it: what was in it has left, or leaves at its deadline.
void ShardIndex::Impl::Close(Slot slot,
                             const absl::flat_hash_map<Offset, EventTime>& live_deadlines) {
  Component& component = graph_.component(slot);
  const auto live = live_deadlines.find(component.part.offset);
  component.deadline =
      live != live_deadlines.end() ? live->second : std::min(component.deadline, taken_.clock);
  component.is_open = false;
  component.is_sticky = true;
}

}  // namespace spillway::segment
