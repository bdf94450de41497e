#include "tests/support/shard_misuse.h"

namespace spillway::buffer {

std::string MisuseBy(const FakeShard& shard, const AddPart& part) {
  for (const PartName& reference : part.references) {
    if (!shard.lists.contains(reference)) return "reference without list: " + reference.ToString();
  }
  const bool is_written = !part.chunk.empty() || !part.references.empty();
  if (!is_written || !shard.lists.contains(part.name)) return "";
  const auto due = shard.due.find(part.name);
  if (due == shard.due.end()) return "write to a part that is not due: " + part.name.ToString();
  return due->second <= shard.clock ? "write to a claimable part: " + part.name.ToString() : "";
}

}  // namespace spillway::buffer
