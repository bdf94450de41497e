#include "tests/support/fake_shard.h"

#include <algorithm>
#include <set>

#include "buffer/chunk/chunk.h"

namespace spillway::buffer {
namespace {

bool Differs(const std::string& stored, const std::string& found) {
  return !stored.empty() && !found.empty() && stored != found;
}
void FillIn(std::string& stored, const std::string& found) {
  if (!found.empty()) stored = found;
}

}  // namespace

bool Differs(const InputIdentity& stored, const InputIdentity& found) {
  return Differs(stored.cluster_id, found.cluster_id) || Differs(stored.topic, found.topic) ||
         Differs(stored.topic_id, found.topic_id);
}
void FillIn(InputIdentity& stored, const InputIdentity& found) {
  FillIn(stored.cluster_id, found.cluster_id);
  FillIn(stored.topic, found.topic);
  FillIn(stored.topic_id, found.topic_id);
}

Offset LowestOffset(const FakeShard& shard, const PartName& name) {
  Offset lowest = name.offset;
  if (const auto it = shard.references.find(name); it != shard.references.end()) {
    for (const PartName& reference : it->second) lowest = std::min(lowest, reference.offset);
  }
  return lowest;
}

std::vector<PartName> ReferencesOf(const FakeShard& shard, const PartName& name) {
  const auto it = shard.references.find(name);
  return it == shard.references.end() ? std::vector<PartName>() : it->second;
}
uint64_t LengthOf(const FakeShard& shard, const PartName& name) {
  const auto it = shard.lists.find(name);
  return it == shard.lists.end() ? 0 : it->second.size();
}
std::string HeaderPrefix(const FakeShard& shard, const PartName& name) {
  const auto it = shard.lists.find(name);
  return it == shard.lists.end() ? "" : it->second.back().substr(0, kMaxHeaderBytes);
}

void StartNewIncarnation(FakeShard& shard) {
  const Ledger old = shard.ledger;
  ++shard.incarnation;
  shard.ledger = Ledger();
  shard.ledger.carried = old.carried + old.accepted - old.acknowledged - old.deduplicated -
                         old.dropped - old.dead_lettered - old.quarantined;
  shard.gap_end = 0;
  shard.resurrected_end = 0;
  shard.drop_rules.clear();
}

bool Writes(const AddRequest& request) {
  return std::ranges::any_of(
      request.parts, [](const AddPart& p) { return !p.chunk.empty() || !p.references.empty(); });
}

void AppendPart(FakeShard& shard, const AddPart& part) {
  auto& list = shard.lists[part.name];
  for (const PartName& reference : part.references) {
    list.emplace_back();
    EncodeReference(reference, list.back());
    shard.references[part.name].push_back(reference);
    shard.references.erase(reference);
  }
  if (!part.chunk.empty()) list.push_back(part.chunk);
  if (list.empty()) shard.lists.erase(part.name);
  if (part.is_absorbed) {
    shard.due.erase(part.name);
  } else {
    shard.due[part.name] = part.deadline;
  }
}

Claim DescribeClaim(const FakeShard& shard, const ClaimId& id, bool counts_entries, WallTime now) {
  const FakeShard::ClaimState& state = shard.claims.at(id);
  Claim claim{.id = id, .lease_end = state.lease_end, .parts = {}};
  for (const auto& [name, deadline] : state.parts) {
    ClaimedPart part{.name = name,
                     .deadline = deadline,
                     .due_since = shard.marks.PassedAt(deadline, now),
                     .references = ReferencesOf(shard, name),
                     .list_lengths = {},
                     .part_bytes = 0};
    if (counts_entries || !part.references.empty()) {
      part.list_lengths.push_back(LengthOf(shard, name));
      for (const PartName& r : part.references) part.list_lengths.push_back(LengthOf(shard, r));
    }
    const auto header = DecodeHeader(HeaderPrefix(shard, name));
    if (header.ok()) part.part_bytes = header->part_bytes;
    claim.parts.push_back(std::move(part));
  }
  return claim;
}

void FetchDictionaries(const ClaimedPart& part, const FakeShard& shard, LoadedPart& loaded,
                       DictionaryShelf& shelf) {
  bool is_one_gone = false;
  for (const auto* entries : {&loaded.own, &loaded.referenced}) {
    for (const std::string& entry : *entries) {
      const uint32_t id = DictionaryIdOf(entry);
      if (id == 0 || shelf.Find(id) != nullptr) continue;
      const auto found = shard.dictionaries.find(id);
      // If it is damaged, its chunks tell.
      if (found != shard.dictionaries.end()) (void)shelf.Put(id, found->second->content());
      is_one_gone |= found == shard.dictionaries.end();
    }
  }
  if (!is_one_gone) return;
  const auto is_gone = [&shard](const PartName& name) { return !shard.lists.contains(name); };
  if (is_gone(part.name) || std::ranges::any_of(part.references, is_gone)) {
    loaded.is_complete = false;
  }
}

// The list of a due part is gone: so is the part.
void OrphanPart(FakeShard& shard, const PeekedPart& part) {
  ++shard.ledger.orphan;
  shard.attempts.erase(part.name);
  shard.references.erase(part.name);
  for (const PartName& reference : part.references) shard.lists.erase(reference);
}

bool IsWhole(const FakeShard& shard, const FakeShard::ClaimState& claim,
             const AcknowledgeRequest& request) {
  if (claim.lease_end != request.lease_end || claim.parts.size() != request.parts.size()) {
    return false;
  }
  std::set<PartName> names;
  for (const auto& [name, deadline] : claim.parts) names.insert(name);
  return std::ranges::all_of(request.parts, [&](const ClaimedPart& part) {
    return names.erase(part.name) > 0 && part.references == ReferencesOf(shard, part.name);
  });
}

uint64_t SpansIn(const FakeShard& shard, const PartName& name) {
  const auto it = shard.lists.find(name);
  if (it == shard.lists.end()) return 0;
  uint64_t spans = 0;
  for (const std::string& entry : it->second) {
    const auto header = DecodeHeader(absl::string_view(entry).substr(0, kMaxHeaderBytes));
    if (header.ok()) spans += header->span_count;
  }
  return spans;
}

std::optional<EventTime> FakeShard::LowestOutstanding() const {
  std::optional<EventTime> lowest;
  VisitLive(*this, [&](const PartName&, EventTime deadline, bool) {
    lowest = std::min(lowest.value_or(deadline), deadline);
  });
  return lowest;
}

uint64_t FakeShard::Backlog() const {
  uint64_t parts = 0;
  VisitLive(*this, [&](const PartName&, EventTime deadline, bool is_in_due) {
    if (!is_in_due || deadline <= clock) ++parts;
  });
  return parts;
}

Offset FakeShard::LowestLiveOffset() const {
  Offset lowest = kNoOffset;
  VisitLive(*this, [&](const PartName& name, EventTime, bool) {
    if (name.incarnation != incarnation) return;
    const Offset first = LowestOffset(*this, name);
    if (lowest == kNoOffset || first < lowest) lowest = first;
  });
  return lowest;
}

bool FakeShard::HasItsDictionaries() const {
  for (const auto& [name, entries] : lists) {
    for (const std::string& entry : entries) {
      const uint32_t id = DictionaryIdOf(entry);
      if (id != 0 && !dictionaries.contains(id)) return false;
    }
  }
  return true;
}

}  // namespace spillway::buffer
