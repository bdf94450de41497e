#include "worker/segment/live_offsets.h"

#include <algorithm>

#include "base/check.h"

namespace spillway::segment {

LiveOffsets::Ticket LiveOffsets::Append(Offset offset) {
  if (end_ / kBlockSize - first_block_ == blocks_.size()) {
    blocks_.push_back(std::make_unique<Block>());
    ++block_count_;
  }
  Block& block = BlockOf(end_);
  block.offsets[end_ % kBlockSize] = offset;
  ++block.live_count;
  return end_++;
}

void LiveOffsets::Remove(Ticket ticket) {
  Block& block = BlockOf(ticket);
  CHECK(block.offsets[ticket % kBlockSize] != kNoOffset, "an offset is removed once");
  block.offsets[ticket % kBlockSize] = kNoOffset;
  const bool is_last = ticket / kBlockSize == end_ / kBlockSize;
  if (--block.live_count == 0 && !is_last) {
    blocks_[ticket / kBlockSize - first_block_].reset();
    --block_count_;
  }
  if (ticket == begin_) SkipRemoved();
}

void LiveOffsets::SkipRemoved() {
  while (begin_ < end_) {
    const auto& block = blocks_[begin_ / kBlockSize - first_block_];
    if (block == nullptr || block->live_count == 0) {
      begin_ = std::min(end_, (begin_ / kBlockSize + 1) * kBlockSize);
    } else if (block->offsets[begin_ % kBlockSize] == kNoOffset) {
      ++begin_;
    } else {
      break;
    }
  }
  // The block that is filled now stays, even if all of it was removed.
  while (first_block_ < begin_ / kBlockSize && !blocks_.empty()) {
    if (blocks_.front() != nullptr) --block_count_;
    blocks_.pop_front();
    ++first_block_;
  }
}

void LiveOffsets::Truncate(Ticket end) {
  CHECK(begin_ <= end, "what is taken back was never removed");
  while (end_ > end) {
    --end_;
    Block& block = BlockOf(end_);
    --block.live_count;
    if (end_ % kBlockSize == 0) {
      blocks_.pop_back();
      --block_count_;
    }
  }
}

Offset LiveOffsets::At(Ticket ticket) const {
  return blocks_[ticket / kBlockSize - first_block_]->offsets[ticket % kBlockSize];
}

std::optional<Offset> LiveOffsets::Lowest() const {
  if (begin_ == end_) return std::nullopt;
  return blocks_[begin_ / kBlockSize - first_block_]->offsets[begin_ % kBlockSize];
}

size_t LiveOffsets::memory_bytes() const {
  return block_count_ * sizeof(Block) + blocks_.size() * sizeof(void*);
}

HeldParts::HeldParts(std::span<const LivePart> live, uint32_t incarnation) {
  for (const LivePart& part : live) {
    if (part.name.incarnation != incarnation) continue;
    Offset lowest = part.name.offset;
    for (const PartName& reference : part.references) lowest = std::min(lowest, reference.offset);
    held_.push_back({part.deadline, lowest});
  }
  std::sort(held_.begin(), held_.end(),
            [](const Held& a, const Held& b) { return a.deadline > b.deadline; });
  for (size_t i = 1; i < held_.size(); ++i) {
    held_[i].lowest = std::min(held_[i].lowest, held_[i - 1].lowest);
  }
}

void HeldParts::PassedBy(EventTime lowest_outstanding) {
  while (!held_.empty() && held_.back().deadline < lowest_outstanding) held_.pop_back();
}

std::optional<Offset> HeldParts::Lowest() const {
  if (held_.empty()) return std::nullopt;
  return held_.back().lowest;
}

}  // namespace spillway::segment
