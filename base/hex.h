// Hexadecimal digits for the paths that every span takes.
#ifndef SPILLWAY_BASE_HEX_H_
#define SPILLWAY_BASE_HEX_H_

#include <cstddef>
#include <cstdint>

namespace spillway {

// As HexText in base/ids.h, but to `out`, which has room for `digits`: takes no memory.
inline void PutHex(uint64_t value, size_t digits, char* out) {
  for (size_t i = digits; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
}

}  // namespace spillway

#endif  // SPILLWAY_BASE_HEX_H_
