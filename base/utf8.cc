#include "base/utf8.h"

#include <algorithm>

namespace spillway {
namespace {

// Bytes of the UTF-8 character that begins at `at`; 0: none does.
size_t CharacterBytes(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto is_more = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(at), second = byte(at + 1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return is_more(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool is_overlong = first == 0xE0 && second < 0xA0;
    const bool is_surrogate = first == 0xED && second >= 0xA0;
    return is_more(at + 1) && is_more(at + 2) && !is_overlong && !is_surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool is_out = (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
    return is_more(at + 1) && is_more(at + 2) && is_more(at + 3) && !is_out ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string ValidUtf8(std::string text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = CharacterBytes(text, at);
    if (length == 0) text[at] = '?';
    at += std::max<size_t>(length, 1);
  }
  return text;
}

}  // namespace spillway
