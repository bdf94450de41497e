#include "buffer/redis/slot.h"

#include <array>
#include <cstddef>

namespace spillway::buffer {
namespace {

// CRC-16/XMODEM, as Redis Cluster's specification says.
constexpr std::array<uint16_t, 256> kCrcTable = [] {
  std::array<uint16_t, 256> table = {};
  for (unsigned byte = 0; byte < table.size(); ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = static_cast<uint16_t>(crc);
  }
  return table;
}();

uint16_t Crc16(absl::string_view text) {
  unsigned crc = 0;
  for (const char c : text) {
    const unsigned byte = static_cast<unsigned char>(c);
    crc = ((crc << 8) & 0xffff) ^ kCrcTable[((crc >> 8) ^ byte) & 0xff];
  }
  return static_cast<uint16_t>(crc);
}

}  // namespace

Slot SlotOfKey(absl::string_view key) {
  const size_t open = key.find('{');
  if (open != absl::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != absl::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return Crc16(key) % kSlotCount;
}

}  // namespace spillway::buffer
