#include "base/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace spillway {

bool IsPoolName(absl::string_view text) {
  const auto ok = [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  };
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), ok);
}

bool IsUid(absl::string_view text) {
  const auto ok = [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == ':' || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), ok);
}

}  // namespace spillway
