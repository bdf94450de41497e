#include "buffer/redis/slot_map.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace spillway::buffer {
namespace {

bool IsPort(int64_t port) { return port >= 1 && port <= 65535; }

// [host, port, id, …] of CLUSTER SLOTS. A node that does not know its own address leaves it empty;
// "?" is one whose name nobody knows.
std::optional<NodeAddress> ReadNode(const Reply& node, const std::string& asked_host) {
  const absl::string_view host = node[0].text();
  const int64_t port = node[1].integer();
  if (host == "?" || !IsPort(port)) return std::nullopt;
  return NodeAddress{.host = host.empty() ? asked_host : std::string(host),
                     .port = static_cast<int>(port)};
}

}  // namespace

std::optional<NodeAddress> ParseNodeAddress(absl::string_view text, const std::string& asked_host) {
  const size_t colon = text.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) ||
      !IsPort(port)) {
    return std::nullopt;
  }
  absl::string_view host = text.substr(0, colon);
  if (host == "?") return std::nullopt;
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return NodeAddress{.host = host.empty() ? asked_host : std::string(host), .port = port};
}

std::vector<SlotRange> ReadSlotRanges(const Reply& reply, const std::string& asked_host) {
  std::vector<SlotRange> ranges;
  for (size_t i = 0; i < reply.size(); ++i) {
    const Reply row = reply[i];
    const int64_t first = row[0].integer();
    const int64_t last = row[1].integer();
    const std::optional<NodeAddress> master = ReadNode(row[2], asked_host);
    if (first < 0 || last < first || last >= kSlotCount || !master.has_value()) continue;
    SlotRange& range = ranges.emplace_back();
    range.first = static_cast<Slot>(first);
    range.last = static_cast<Slot>(last);
    range.master = *master;
    for (size_t j = 3; j < row.size(); ++j) {
      if (const auto replica = ReadNode(row[j], asked_host)) range.replicas.push_back(*replica);
    }
  }
  return ranges;
}

SlotMap::SlotMap(const std::vector<SlotRange>& ranges) : SlotMap() {
  for (const SlotRange& range : ranges) {
    std::fill(owners_.begin() + range.first, owners_.begin() + range.last + 1,
              IndexOf(range.master));
    replicas_.insert(replicas_.end(), range.replicas.begin(), range.replicas.end());
  }
}

const NodeAddress* SlotMap::MasterOf(Slot slot) const {
  const uint16_t owner = owners_.at(slot);
  return owner == kNobody ? nullptr : &masters_[owner];
}

std::vector<std::vector<Slot>> SlotMap::SlotsOfMasters() const {
  std::vector<std::vector<Slot>> slots(masters_.size());
  for (Slot slot = 0; slot < kSlotCount; ++slot) {
    if (owners_[slot] != kNobody) slots[owners_[slot]].push_back(slot);
  }
  return slots;
}

void SlotMap::Assign(Slot slot, const NodeAddress& master) { owners_.at(slot) = IndexOf(master); }

uint16_t SlotMap::IndexOf(const NodeAddress& master) {
  const auto it = std::ranges::find(masters_, master);
  const auto index = static_cast<uint16_t>(it - masters_.begin());
  if (it == masters_.end()) masters_.push_back(master);
  return index;
}

}  // namespace spillway::buffer
