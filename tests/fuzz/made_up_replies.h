// Turns a fuzzer's bytes into replies of Redis.
#ifndef SPILLWAY_TESTS_FUZZ_MADE_UP_REPLIES_H_
#define SPILLWAY_TESTS_FUZZ_MADE_UP_REPLIES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace spillway::fuzz {

// Raw: the bytes are RESP, or not, and 0xff stands between replies. Otherwise every reply is one
// value, well formed, of a kind, length and depth that the bytes choose: these get past the
// protocol's parser. A value. Borrows the bytes.
class MadeUpReplies {
 public:
  MadeUpReplies(absl::string_view bytes, bool is_raw) : bytes_(bytes), is_raw_(is_raw) {}

  // Empty: all have been used.
  std::optional<std::string> Next();

 private:
  uint8_t NextByte();
  int64_t NextNumber();
  absl::string_view NextText();
  void AppendValue(int depth, std::string& out);

  absl::string_view bytes_;
  bool is_raw_;
};

}  // namespace spillway::fuzz

#endif  // SPILLWAY_TESTS_FUZZ_MADE_UP_REPLIES_H_
