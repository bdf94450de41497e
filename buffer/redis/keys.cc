#include "buffer/redis/keys.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace spillway::buffer {

ShardKeys::ShardKeys(absl::string_view name_space, ShardId shard)
    : tag_(absl::StrCat("{", name_space, "/", shard.value, "}")), meta_(tag_ + "m") {}

std::string RegistryKey(absl::string_view name_space) {
  return absl::StrCat("{", name_space, "}shards");
}

std::string ScratchKey(absl::string_view name_space, int number, absl::string_view suffix) {
  return absl::StrCat("{", name_space, "/selftest", number, "}", suffix);
}

int ScratchNumberOn(absl::string_view name_space, const std::vector<Slot>& slots) {
  if (slots.empty()) return 0;
  std::vector<bool> is_there(kSlotCount);
  for (const Slot slot : slots) is_there[slot] = true;
  // One slot is found within so many numbers but for once in e^16 times.
  for (int number = 0; number < 16 * kSlotCount; ++number) {
    if (is_there[SlotOfKey(ScratchKey(name_space, number, ""))]) return number;
  }
  return 0;
}

std::string EpochText(const Epoch& epoch) {
  return absl::StrCat(epoch.number, ":", HexText(epoch.owner));
}

Epoch EpochFromText(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(text, ':');
  Epoch epoch;
  if (!absl::SimpleAtoi(halves.first, &epoch.number)) epoch.number = 0;
  if (!absl::SimpleHexAtoi(halves.second, &epoch.owner)) epoch.owner = 0;
  return epoch;
}

bool ParseInflight(absl::string_view member, InflightClaim& claim) {
  const std::vector<absl::string_view> words = absl::StrSplit(member, ' ');
  if (words.size() != 3 || words[0].size() != 32) return false;
  claim.epoch = EpochFromText(words[1]);
  return absl::SimpleHexAtoi(words[0].substr(0, 16), &claim.id.high) &&
         absl::SimpleHexAtoi(words[0].substr(16), &claim.id.low) &&
         absl::SimpleAtoi(words[2], &claim.lease_end.us);
}

std::vector<PartName> PartNamesFromText(absl::string_view text) {
  std::vector<PartName> names;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (auto name = PartName::FromText(word); name.ok()) names.push_back(*name);
  }
  return names;
}

}  // namespace spillway::buffer
