// A borrowed, typed look at what Redis answered. Only this directory sees hiredis.
#ifndef SPILLWAY_BUFFER_REDIS_REPLY_H_
#define SPILLWAY_BUFFER_REDIS_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "buffer/shard_store.h"

struct redisReply;

namespace spillway::buffer {

// Never fails: a reply of another shape than expected reads as empty text, 0 or no elements. Valid
// while the callback that was given it runs.
class Reply {
 public:
  Reply() = default;
  explicit Reply(const redisReply* reply) : reply_(reply) {}

  bool is_error() const;
  bool is_nil() const;
  absl::string_view text() const;         // string, status or error
  int64_t integer() const;                // integer, or text that is one
  std::optional<int64_t> number() const;  // the same, empty where there is none
  uint64_t count() const { return static_cast<uint64_t>(integer()); }
  size_t size() const;  // elements of an array
  Reply operator[](size_t i) const;

 private:
  const redisReply* reply_ = nullptr;
};

// First word of an error, also of one that Redis 6.2 wraps into the text of a script's failure:
// "OOM", "NOSCRIPT", "FENCED", "ERR", …
absl::string_view ErrorWord(absl::string_view error);

// What an error means to the callers of the store. `error` is the whole text.
StoreCode CodeOfError(absl::string_view error);

// Whether the command was not executed and may succeed on this server, or its successor, soon.
bool IsTemporary(absl::string_view error);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_REPLY_H_
