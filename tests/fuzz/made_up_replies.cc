#include "tests/fuzz/made_up_replies.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace spillway::fuzz {
namespace {

constexpr int kMaxDepth = 5;  // replies of scripts have two

// What the store's readers look for, so that a fuzzer need not guess it.
constexpr std::array<absl::string_view, 32> kTexts = {
    "",
    "0",
    "1",
    "-1",
    "42",
    "1:1",
    "2:a",
    "ingest",
    "flush",
    "watermark",
    "clock",
    "claimed",
    "marks",
    "accepted",
    "1.5",
    "1.5 1.7",
    "1.9",
    "master",
    "slave",
    "yes",
    "?",
    "127.0.0.1",
    "::1",
    "redis_version:7.0.15",
    "nan",
    "1e400",
    "-0",
    "9223372036854775807",
    "-9223372036854775808",
    "used_memory:18446744073709551615\r\nmaxmemory:1\r\n",
    "0000000000000001000000000000000200 1:1 5",
    "00000000000000010000000000000002 1:1 1704067200000000"};
constexpr std::array<absl::string_view, 20> kErrors = {
    "ERR",
    "FENCED 2:a",
    "NO_SHARD",
    "WATERMARK 5",
    "WATERMARK",
    "CLOCK 7",
    "OOM command",
    "NOSCRIPT",
    "LOADING",
    "READONLY",
    "BUSY",
    "WRONGTYPE",
    "MOVED 5 127.0.0.1:1",
    "ASK 5 [::1]:2",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "MOVED 99999 :0",
    "ASK x",
    "NOAUTH",
    "ERR Error running script (call to f_1): @user_script:61: -OOM no"};

}  // namespace

uint8_t MadeUpReplies::NextByte() {
  if (bytes_.empty()) return 0;
  const auto byte = static_cast<uint8_t>(bytes_.front());
  bytes_.remove_prefix(1);
  return byte;
}

int64_t MadeUpReplies::NextNumber() {
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | NextByte();
  return static_cast<int64_t>(number);
}

absl::string_view MadeUpReplies::NextText() {
  const absl::string_view text = bytes_.substr(0, NextByte());
  bytes_.remove_prefix(std::min(text.size(), bytes_.size()));
  return text;
}

std::optional<std::string> MadeUpReplies::Next() {
  if (bytes_.empty()) return std::nullopt;
  std::string reply;
  if (!is_raw_) {
    AppendValue(0, reply);
    return reply;
  }
  const size_t end = std::min(bytes_.find('\xff'), bytes_.size());
  reply = std::string(bytes_.substr(0, end));
  bytes_.remove_prefix(std::min(end + 1, bytes_.size()));
  return reply;
}

void MadeUpReplies::AppendValue(int depth, std::string& out) {
  const auto bulk = [&out](absl::string_view text) {
    absl::StrAppend(&out, "$", text.size(), "\r\n", text, "\r\n");
  };
  switch (NextByte() % 12) {
    case 0:
      return absl::StrAppend(&out, "$-1\r\n");
    case 1:
      return absl::StrAppend(&out, ":", NextByte(), "\r\n");
    case 2:
      return absl::StrAppend(&out, ":", NextNumber(), "\r\n");
    case 3:
      return bulk(NextText());
    case 4:
      return bulk(absl::StrCat(NextByte()));
    case 5:
      return bulk(absl::StrCat(NextNumber()));
    case 6:
    case 7:
      return bulk(kTexts[NextByte() % kTexts.size()]);
    case 8:
      return absl::StrAppend(&out, "-", kErrors[NextByte() % kErrors.size()], "\r\n");
    default:
      break;
  }
  const size_t count = depth < kMaxDepth ? NextByte() % 24 : 0;
  absl::StrAppend(&out, "*", count, "\r\n");
  for (size_t i = 0; i < count; ++i) AppendValue(depth + 1, out);
}

}  // namespace spillway::fuzz
