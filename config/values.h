// Single values as text: durations, sizes, ratios, switches. Parsing answers empty for what is
// wrong; the caller says what would be right (the Describe… functions name it).
#ifndef SPILLWAY_CONFIG_VALUES_H_
#define SPILLWAY_CONFIG_VALUES_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace spillway::config {

// "500ms", "10s", "5m", "1h"; a whole number and one unit. "0" needs a unit too.
std::optional<std::chrono::milliseconds> ParseDuration(absl::string_view text);
// The same in the largest unit that is exact.
std::string PrintDuration(std::chrono::milliseconds duration);

// "512B", "64KiB", "4MiB", "1GiB"; a number without unit is bytes.
std::optional<uint64_t> ParseSize(absl::string_view text);
std::string PrintSize(uint64_t bytes);

// Decimal digits only, within 0…2^63−1.
std::optional<int64_t> ParseCount(absl::string_view text);
std::optional<bool> ParseFlag(absl::string_view text);     // true | false
std::optional<double> ParseRatio(absl::string_view text);  // 0…1
std::string PrintRatio(double ratio);                      // any number
// CPU cores: 0, or a number within kMinCores…kMaxCores. Below it the kernel's shortest quota (1 ms
// of each 100 ms) would be more.
std::optional<double> ParseCores(absl::string_view text);
inline constexpr double kMinCores = 0.01;
inline constexpr double kMaxCores = 1024;

// How many single-character edits lead from one to the other: for suggestions.
size_t EditDistance(absl::string_view a, absl::string_view b);

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_VALUES_H_
