#include "config/values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace spillway::config {
namespace {

struct Unit {
  const char* name;
  int64_t factor;
};

// Largest first: printing takes the first that is exact.
constexpr std::array<Unit, 4> kDurationUnits = {
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizeUnits = {
    {{"GiB", int64_t{1} << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}};

std::optional<int64_t> ParseWithUnit(absl::string_view text, const std::array<Unit, 4>& units) {
  const auto digits_end = std::find_if_not(text.begin(), text.end(), absl::ascii_isdigit);
  const auto digits = static_cast<size_t>(digits_end - text.begin());
  const std::optional<int64_t> number = ParseCount(text.substr(0, digits));
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    if (*number > std::numeric_limits<int64_t>::max() / unit.factor) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

std::string PrintWithUnit(int64_t value, const std::array<Unit, 4>& units) {
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) return absl::StrCat(value / unit.factor, unit.name);
  }
  return absl::StrCat("0", units.back().name);
}

}  // namespace

std::optional<std::chrono::milliseconds> ParseDuration(absl::string_view text) {
  const std::optional<int64_t> ms = ParseWithUnit(text, kDurationUnits);
  if (!ms) return std::nullopt;
  return std::chrono::milliseconds(*ms);
}

std::string PrintDuration(std::chrono::milliseconds duration) {
  return PrintWithUnit(duration.count(), kDurationUnits);
}

std::optional<uint64_t> ParseSize(absl::string_view text) {
  std::optional<int64_t> bytes = ParseCount(text);
  if (!bytes) bytes = ParseWithUnit(text, kSizeUnits);
  if (!bytes) return std::nullopt;
  return static_cast<uint64_t>(*bytes);
}

std::string PrintSize(uint64_t bytes) {
  return PrintWithUnit(static_cast<int64_t>(bytes), kSizeUnits);
}

std::optional<int64_t> ParseCount(absl::string_view text) {
  int64_t number = 0;
  if (text.empty() || !std::all_of(text.begin(), text.end(), absl::ascii_isdigit)) return {};
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

std::optional<bool> ParseFlag(absl::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::optional<double> ParseRatio(absl::string_view text) {
  double ratio = 0;
  if (!absl::SimpleAtod(text, &ratio) || !(ratio >= 0 && ratio <= 1)) return std::nullopt;
  return ratio;
}

std::optional<double> ParseCores(absl::string_view text) {
  double cores = 0;
  if (!absl::SimpleAtod(text, &cores)) return std::nullopt;
  const bool is_limit = cores >= kMinCores && cores <= kMaxCores;
  return is_limit || cores == 0 ? std::optional(std::abs(cores)) : std::nullopt;
}

std::string PrintRatio(double ratio) {
  const std::string text = absl::StrCat(ratio);  // six digits
  double again = 0;
  if (absl::SimpleAtod(text, &again) && again == ratio) return text;
  char exact[32];
  std::snprintf(exact, sizeof exact, "%.17g", ratio);
  return exact;
}

size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace spillway::config
