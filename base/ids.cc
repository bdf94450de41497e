#include "base/ids.h"

#include "base/hex.h"

namespace spillway {

std::string HexText(uint64_t value, int digits) {
  std::string text(static_cast<size_t>(digits), '0');
  PutHex(value, text.size(), text.data());
  return text;
}

std::string ClaimId::ToString() const { return HexText(high) + HexText(low); }

}  // namespace spillway
