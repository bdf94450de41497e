// From what Redis answered to what the callers of the store are told.
#ifndef SPILLWAY_BUFFER_REDIS_STORE_RESULT_H_
#define SPILLWAY_BUFFER_REDIS_STORE_RESULT_H_

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "buffer/redis/connection.h"
#include "buffer/redis/keys.h"
#include "buffer/redis/reply.h"
#include "buffer/shard_store.h"

namespace spillway::buffer {

template <typename T>
StoreResult<T> Failed(ShardId shard, const CommandResult& result) {
  return {.code = result.code,
          .value = {},
          .message = absl::StrCat("shard ", shard.value, ": ", result.message)};
}

template <typename T>
StoreResult<T> Succeeded(T value) {
  return {.code = StoreCode::kOk, .value = std::move(value), .message = ""};
}

// Scripts write a missing number as empty text.
inline std::optional<EventTime> OptionalTime(const Reply& reply) {
  const std::optional<int64_t> ms = reply.number();
  if (!ms.has_value()) return std::nullopt;
  return EventTime{*ms};
}

// The call of summary.lua, and its reply.
Command MakeSummary(const ShardKeys& keys);
ShardSummary ReadSummary(const Reply& reply);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_STORE_RESULT_H_
