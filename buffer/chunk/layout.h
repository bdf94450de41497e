// What both the writer and the reader of chunks know of FORMAT.md. Only for this directory.
#ifndef SPILLWAY_BUFFER_CHUNK_LAYOUT_H_
#define SPILLWAY_BUFFER_CHUNK_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace spillway::buffer::layout {

inline constexpr uint8_t kChunkV1 = 0x01;
inline constexpr uint8_t kReferenceV1 = 0x81;
inline constexpr uint8_t kSealedFlag = 1;
inline constexpr uint8_t kOpaqueFlag = 2;
inline constexpr size_t kChecksumBytes = 4;
inline constexpr size_t kMaxVarintBytes = 10;
inline constexpr size_t kDictionaryIdBytes = 4;
inline constexpr size_t kIdBytes = 8;
inline constexpr size_t kIdDigits = 2 * kIdBytes;

}  // namespace spillway::buffer::layout

#endif  // SPILLWAY_BUFFER_CHUNK_LAYOUT_H_
