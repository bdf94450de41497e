#include "buffer/redis/server_check.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace spillway::buffer {
namespace {

// Value of "key:value\r\n" in INFO; empty if missing.
absl::string_view InfoValue(absl::string_view info, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(info, absl::ByAnyChar("\r\n"), absl::SkipEmpty())) {
    if (absl::StartsWith(line, key) && line.size() > key.size() && line[key.size()] == ':') {
      return line.substr(key.size() + 1);
    }
  }
  return {};
}

uint64_t InfoNumber(absl::string_view info, absl::string_view key) {
  uint64_t value = 0;
  return absl::SimpleAtoi(InfoValue(info, key), &value) ? value : 0;
}

bool IsAtLeast(absl::string_view version, int want_major, int want_minor) {
  const std::vector<absl::string_view> words = absl::StrSplit(version, '.');
  int major = 0;
  int minor = 0;
  if (words.size() < 2 || !absl::SimpleAtoi(words[0], &major) ||
      !absl::SimpleAtoi(words[1], &minor)) {
    return false;
  }
  return major > want_major || (major == want_major && minor >= want_minor);
}

}  // namespace

double MemoryInfo::ratio() const {
  return max_bytes == 0 ? 0 : static_cast<double>(used_bytes) / static_cast<double>(max_bytes);
}

MemoryInfo ParseMemoryInfo(absl::string_view info) {
  return {.used_bytes = InfoNumber(info, "used_memory"),
          .max_bytes = InfoNumber(info, "maxmemory"),
          .policy = std::string(InfoValue(info, "maxmemory_policy"))};
}

ServerCheck ParseServerInfo(absl::string_view info) {
  return {.version = std::string(InfoValue(info, "redis_version")),
          .memory = ParseMemoryInfo(info)};
}

absl::Status CheckUsable(const ServerCheck& check, bool allow_eviction) {
  if (!IsAtLeast(check.version, 6, 2)) {
    return absl::FailedPreconditionError(
        absl::StrCat("redis.url: the server has version \"", check.version,
                     "\"; Spillway needs Redis 6.2 or newer, or Valkey"));
  }
  const std::string& policy = check.memory.policy;
  if (!allow_eviction && !policy.empty() && policy != "noeviction") {
    return absl::FailedPreconditionError(absl::StrCat(
        "redis.allow_eviction: the server's maxmemory-policy is ", policy,
        ", which deletes buffered spans; set it to noeviction, or redis.allow_eviction to true"));
  }
  return absl::OkStatus();
}

std::vector<std::string> WarningsFor(const ServerCheck& check) {
  if (check.memory.max_bytes != 0) return {};
  return {"Redis has maxmemory 0: no limit, so the memory gate is off"};
}

}  // namespace spillway::buffer
