// Storage for very many small objects that refer to each other by number.
#ifndef SPILLWAY_WORKER_SEGMENT_SLOT_POOL_H_
#define SPILLWAY_WORKER_SEGMENT_SLOT_POOL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace spillway::segment {

// Number of an object in its pool: half the size of a pointer.
using Slot = uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;

// Objects keep their address until freed; a freed slot is used again, last freed first. Grows in
// blocks, never copies. Not thread-safe. Limit: 2^32 - 1 objects at once.
template <typename T>
class SlotPool {
 public:
  // The new object is value-initialised.
  Slot Allocate() {
    ++size_;
    if (!free_.empty()) {
      const Slot slot = free_.back();
      free_.pop_back();
      return slot;
    }
    if ((end_ & (kBlockSize - 1)) == 0) blocks_.push_back(std::make_unique<Block>());
    return end_++;
  }

  // Resets the object to T{}, which releases what it owns.
  void Free(Slot slot) {
    (*this)[slot] = T{};
    free_.push_back(slot);
    --size_;
  }

  T& operator[](Slot slot) { return (*blocks_[slot / kBlockSize])[slot % kBlockSize]; }
  const T& operator[](Slot slot) const { return (*blocks_[slot / kBlockSize])[slot % kBlockSize]; }

  size_t size() const { return size_; }  // objects in use
  Slot end() const { return end_; }      // no slot at or above this was ever used

 private:
  static constexpr Slot kBlockSize = 1024;
  using Block = std::array<T, kBlockSize>;

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Slot> free_;
  size_t size_ = 0;
  Slot end_ = 0;
};

}  // namespace spillway::segment

#endif  // SPILLWAY_WORKER_SEGMENT_SLOT_POOL_H_
