#include "buffer/redis/reply.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace spillway::buffer {

bool Reply::is_error() const { return reply_ != nullptr && reply_->type == REDIS_REPLY_ERROR; }

bool Reply::is_nil() const { return reply_ == nullptr || reply_->type == REDIS_REPLY_NIL; }

absl::string_view Reply::text() const {
  if (reply_ == nullptr || reply_->str == nullptr) return {};
  return {reply_->str, reply_->len};
}

std::optional<int64_t> Reply::number() const {
  if (reply_ == nullptr) return std::nullopt;
  if (reply_->type == REDIS_REPLY_INTEGER) return reply_->integer;
  int64_t value = 0;
  if (!absl::SimpleAtoi(text(), &value)) return std::nullopt;
  return value;
}

int64_t Reply::integer() const { return number().value_or(0); }

size_t Reply::size() const {
  return reply_ != nullptr && reply_->type == REDIS_REPLY_ARRAY ? reply_->elements : 0;
}

Reply Reply::operator[](size_t i) const { return i < size() ? Reply(reply_->element[i]) : Reply(); }

absl::string_view ErrorWord(absl::string_view error) {
  // Redis 6.2: "ERR Error running script (call to f_…): @user_script:61: -OOM command not allowed…"
  if (absl::StartsWith(error, "ERR ") && absl::StrContains(error, "@user_script")) {
    const size_t at = error.rfind(": -");
    if (at != absl::string_view::npos) error.remove_prefix(at + 3);
  }
  return error.substr(0, error.find(' '));
}

StoreCode CodeOfError(absl::string_view error) {
  static constexpr std::array<std::pair<absl::string_view, StoreCode>, 11> kCodes = {{
      {"FENCED", StoreCode::kFenced},
      {"NO_SHARD", StoreCode::kNoShard},
      {"WATERMARK", StoreCode::kWatermark},
      {"CLOCK", StoreCode::kClock},
      {"DICTIONARY", StoreCode::kNoDictionary},
      {"DROP_REVISION", StoreCode::kDropRevision},
      {"OOM", StoreCode::kMemory},
      {"MOVED", StoreCode::kMoving},
      {"ASK", StoreCode::kMoving},
      {"TRYAGAIN", StoreCode::kMoving},
      {"CLUSTERDOWN", StoreCode::kMoving},
  }};
  const absl::string_view word = ErrorWord(error);
  const auto* it = std::ranges::find(kCodes, word, [](const auto& code) { return code.first; });
  if (it != kCodes.end()) return it->second;
  return IsTemporary(error) ? StoreCode::kUnavailable : StoreCode::kInvalid;
}

bool IsTemporary(absl::string_view error) {
  static constexpr std::array<absl::string_view, 6> kWords = {
      "LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "BUSY", "MISCONF"};
  return std::ranges::find(kWords, ErrorWord(error)) != kWords.end();
}

}  // namespace spillway::buffer
