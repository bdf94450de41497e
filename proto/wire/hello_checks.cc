#include "proto/wire/hello_checks.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "base/utf8.h"

namespace spillway::wire {
namespace {

absl::Status Expected(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": expected ", what));
}

bool IsVersion(const std::string& text) {
  const auto ok = [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); };
  return text.size() <= kMaxVersionBytes && std::all_of(text.begin(), text.end(), ok);
}

}  // namespace

absl::Status CheckHello(const v1::Hello& hello) {
  if (!IsUid(hello.uid())) return Expected("hello.uid", kUidRule);
  if (!IsPoolName(hello.pool())) return Expected("hello.pool", kPoolNameRule);
  if (hello.pid() <= 0) return Expected("hello.pid", "a process id, above 0");
  if (hello.slot() < 0) return Expected("hello.slot", "0 or more");
  if (hello.generation() > kMaxGeneration) {
    return Expected("hello.generation", absl::StrCat("at most ", kMaxGeneration));
  }
  if (!IsVersion(hello.version())) {
    return Expected("hello.version",
                    absl::StrCat("at most ", kMaxVersionBytes, " printable characters"));
  }
  return absl::OkStatus();
}

absl::Status CheckShardCount(absl::string_view field, int count) {
  if (count <= kMaxShardsOfAWorker) return absl::OkStatus();
  return Expected(field, absl::StrCat("at most ", kMaxShardsOfAWorker, " shards, not ", count));
}

std::string Shortened(const std::string& text) {
  return text.size() <= kMaxTextBytes ? text : ValidUtf8(text.substr(0, kMaxTextBytes));
}

}  // namespace spillway::wire
