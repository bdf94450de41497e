#include "buffer/shard_store.h"

#include <algorithm>

#include "buffer/chunk/chunk.h"

namespace spillway::buffer {

Offset LowestOffset(const LivePartRecord& part) {
  Offset lowest = part.name.offset;
  for (const PartName& reference : part.references) lowest = std::min(lowest, reference.offset);
  return lowest;
}

bool IsWhole(const ClaimedPart& claimed, const LoadedPart& loaded,
             const std::vector<uint64_t>& lengths) {
  if (!claimed.list_lengths.empty()) return lengths == claimed.list_lengths;
  if (loaded.own.empty()) return false;
  const auto header = DecodeHeader(loaded.own.back());
  if (!header.ok() || claimed.part_bytes == 0) return true;  // damage is found by decoding
  const uint64_t bytes = header->part_bytes;
  return bytes <= claimed.part_bytes && claimed.part_bytes <= bytes + bytes / 4 + 64;
}

}  // namespace spillway::buffer
