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

void ParseServerInfo(absl::string_view info, ServerCheck& check) {
  check.mode = std::string(InfoValue(info, "redis_mode"));
  if (check.mode.empty()) check.mode = std::string(InfoValue(info, "server_mode"));  // Valkey
  check.version = std::string(InfoValue(info, "redis_version"));
  check.memory = ParseMemoryInfo(info);
}

absl::Status CheckUsable(const ServerCheck& check, const ServerDemands& demands) {
  if (check.mode == "sentinel") {
    return absl::FailedPreconditionError(absl::StrCat(
        "redis.url: ", check.name, " is a sentinel; right is redis+sentinel://HOST:PORT/MASTER"));
  }
  if (check.mode == "cluster" && !demands.is_cluster) {
    return absl::FailedPreconditionError(absl::StrCat(
        "redis.url: ", check.name, " is a node of a cluster; right is redis+cluster://HOST:PORT"));
  }
  if (!IsAtLeast(check.version, 6, 2)) {
    return absl::FailedPreconditionError(
        absl::StrCat("redis.url: ", check.name, " has version \"", check.version,
                     "\"; Spillway needs Redis 6.2 or newer, or Valkey"));
  }
  const std::string& policy = check.memory.policy;
  if (!demands.allows_eviction && !policy.empty() && policy != "noeviction") {
    return absl::FailedPreconditionError(absl::StrCat(
        "redis.allow_eviction: the maxmemory-policy of ", check.name, " is ", policy,
        ", which deletes buffered spans; set it to noeviction, or redis.allow_eviction to true"));
  }
  return absl::OkStatus();
}

std::vector<std::string> WarningsFor(const ServerCheck& check) {
  std::vector<std::string> warnings;
  if (check.memory.max_bytes == 0) {
    warnings.push_back(
        absl::StrCat(check.name, " has maxmemory 0: no limit, so the memory gate is off"));
  }
  if (check.requires_full_coverage) {
    warnings.push_back(absl::StrCat(
        check.name,
        " has cluster-require-full-coverage yes: a node that is lost without a replica "
        "stops the shards of all the others too"));
  }
  return warnings;
}

}  // namespace spillway::buffer
