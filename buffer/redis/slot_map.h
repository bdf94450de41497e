// Which node of a cluster serves which slot, as a node has told (CLUSTER SLOTS).
#ifndef SPILLWAY_BUFFER_REDIS_SLOT_MAP_H_
#define SPILLWAY_BUFFER_REDIS_SLOT_MAP_H_

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "buffer/redis/reply.h"
#include "buffer/redis/slot.h"

namespace spillway::buffer {

// Where a node listens for clients.
struct NodeAddress {
  std::string host;
  int port = 0;
  auto operator<=>(const NodeAddress&) const = default;
};

// "host:port", as errors of a cluster write it; the host may be IPv6 without brackets, and empty
// where it is the one that was asked: `asked_host`. Empty: not an address.
std::optional<NodeAddress> ParseNodeAddress(absl::string_view text, const std::string& asked_host);

struct SlotRange {
  Slot first = 0;
  Slot last = 0;  // inclusive
  NodeAddress master;
  std::vector<NodeAddress> replicas;
  bool operator==(const SlotRange&) const = default;
};

// The reply of CLUSTER SLOTS of a node at `asked_host`. What cannot be read is left out.
std::vector<SlotRange> ReadSlotRanges(const Reply& reply, const std::string& asked_host);

// A value; copying costs 32 KiB.
class SlotMap {
 public:
  SlotMap() { owners_.fill(kNobody); }
  explicit SlotMap(const std::vector<SlotRange>& ranges);

  // Null: no node serves the slot. Valid until the map changes.
  const NodeAddress* MasterOf(Slot slot) const;
  // What a redirection has said, until the next map says it too.
  void Assign(Slot slot, const NodeAddress& master);

  bool empty() const { return masters_.empty(); }
  // Those that serve a slot, in no order.
  const std::vector<NodeAddress>& masters() const { return masters_; }
  // The slots of each of masters(), in its order; of one that a redirection has robbed of its last
  // slot, none.
  std::vector<std::vector<Slot>> SlotsOfMasters() const;
  // In no order, perhaps twice.
  const std::vector<NodeAddress>& replicas() const { return replicas_; }

 private:
  static constexpr uint16_t kNobody = UINT16_MAX;

  uint16_t IndexOf(const NodeAddress& master);

  std::vector<NodeAddress> masters_;
  std::vector<NodeAddress> replicas_;
  std::array<uint16_t, kSlotCount> owners_;  // indexes of masters_
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_SLOT_MAP_H_
