// Numbers for segment ids that are not span ids.
#ifndef SPILLWAY_WORKER_SEGMENT_OPAQUE_NAMES_H_
#define SPILLWAY_WORKER_SEGMENT_OPAQUE_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "worker/segment/slot_pool.h"

namespace spillway::segment {

// Keeps each opaque name once, for as long as anyone uses it. They are rare: nodes and components
// keep 64 bits whatever they are called. Not thread-safe.
class OpaqueNames {
 public:
  std::optional<uint64_t> Find(const std::string& text) const {
    const auto found = numbers_.find(text);
    if (found == numbers_.end()) return std::nullopt;
    return found->second;
  }

  // One more user of the name; each ends with Release.
  uint64_t Acquire(const std::string& text) {
    const auto [entry, is_new] = numbers_.try_emplace(text, kNoSlot);
    if (is_new) {
      entry->second = names_.Allocate();
      names_[entry->second].text = text;
    }
    ++names_[entry->second].user_count;
    return entry->second;
  }

  void Release(uint64_t number) {
    Name& name = names_[static_cast<Slot>(number)];
    if (--name.user_count > 0) return;
    numbers_.erase(name.text);
    names_.Free(static_cast<Slot>(number));
  }

  const std::string& Text(uint64_t number) const { return names_[static_cast<Slot>(number)].text; }
  size_t memory_bytes() const { return names_.size() * 2 * (sizeof(Name) + sizeof(std::string)); }

 private:
  struct Name {
    std::string text;
    uint64_t user_count = 0;
  };
  absl::flat_hash_map<std::string, Slot> numbers_;
  SlotPool<Name> names_;
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_OPAQUE_NAMES_H_
