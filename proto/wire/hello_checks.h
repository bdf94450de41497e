// What a worker's words may be before anything is done with them: they come from the network.
#ifndef SPILLWAY_PROTO_WIRE_HELLO_CHECKS_H_
#define SPILLWAY_PROTO_WIRE_HELLO_CHECKS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "spillway/v1/gateway.pb.h"

namespace spillway::wire {

// Far above any topic's partitions, and any worker's part of them.
inline constexpr int32_t kMaxShard = 999'999;
inline constexpr int kMaxShardsOfAWorker = 65'536;
// The next generation, and many more, must still be numbers.
inline constexpr uint64_t kMaxGeneration = uint64_t{1} << 62;
inline constexpr size_t kMaxVersionBytes = 64;
// Texts for people are cut, not refused: a worker in trouble must be heard.
inline constexpr size_t kMaxTextBytes = 2'000;
inline constexpr int kMaxTexts = 16;

// INVALID_ARGUMENT naming the field, and what would be right.
absl::Status CheckHello(const v1::Hello& hello);
absl::Status CheckShardCount(absl::string_view field, int count);

// `text`, cut to kMaxTextBytes; valid UTF-8.
std::string Shortened(const std::string& text);

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_HELLO_CHECKS_H_
