#include "worker/span/json_text.h"

#include <cstdint>

#include "absl/strings/ascii.h"

namespace spillway::span {
namespace {

uint32_t HexDigit(char c) {
  return static_cast<uint32_t>(absl::ascii_isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

// The code unit of `\uXXXX`, of which `at` is the first X.
uint32_t CodeUnit(absl::string_view raw, size_t at) {
  uint32_t unit = 0;
  for (size_t i = at; i < at + 4; ++i) unit = unit << 4 | HexDigit(raw[i]);
  return unit;
}

void AppendUtf8(uint32_t code, std::string& out) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

char SimpleEscape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;  // quote, backslash, slash
  }
}

}  // namespace

void Unescape(absl::string_view raw, std::string& text) {
  text.clear();
  for (size_t at = 0; at < raw.size();) {
    if (raw[at] != '\\') {
      text.push_back(raw[at++]);
    } else if (raw[at + 1] != 'u') {
      text.push_back(SimpleEscape(raw[at + 1]));
      at += 2;
    } else {
      uint32_t code = CodeUnit(raw, at + 2);
      at += 6;
      const bool is_high_surrogate = code >= 0xd800 && code < 0xdc00;
      if (is_high_surrogate && at + 6 <= raw.size()) {  // simdjson accepts whole pairs only
        code = 0x10000 + ((code - 0xd800) << 10) + (CodeUnit(raw, at + 2) - 0xdc00);
        at += 6;
      }
      AppendUtf8(code, text);
    }
  }
}

void AppendEscaped(absl::string_view text, std::string& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out.append("\\u00");
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 0xf]);
    } else {
      out.push_back(c);
    }
  }
}

bool IsJsonNumber(absl::string_view text) {
  size_t at = 0;
  const auto peek = [&](char c) { return at < text.size() && text[at] == c; };
  const auto digits = [&] {
    const size_t begin = at;
    while (at < text.size() && absl::ascii_isdigit(text[at])) ++at;
    return at > begin;
  };
  if (peek('-')) ++at;
  if (peek('0')) {
    ++at;
  } else if (!digits()) {
    return false;
  }
  if (peek('.')) {
    ++at;
    if (!digits()) return false;
  }
  if (peek('e') || peek('E')) {
    ++at;
    if (peek('+') || peek('-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

}  // namespace spillway::span
