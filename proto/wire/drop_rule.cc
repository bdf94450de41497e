#include "proto/wire/drop_rule.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace spillway::wire {

std::string DropRuleName(const std::string& name) { return "dropRules/" + name; }

bool IsDropRuleName(const std::string& name) {
  const auto is_fine = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxDropRuleName && std::ranges::all_of(name, is_fine);
}

}  // namespace spillway::wire
