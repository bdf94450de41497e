// Which of a cluster's slots a key belongs to.
#ifndef SPILLWAY_BUFFER_REDIS_SLOT_H_
#define SPILLWAY_BUFFER_REDIS_SLOT_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace spillway::buffer {

using Slot = uint16_t;  // below kSlotCount
inline constexpr Slot kSlotCount = 16384;

// Of the hash tag: what is between the first '{' and the next '}' if that is something, else of the
// whole key.
Slot SlotOfKey(absl::string_view key);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_SLOT_H_
