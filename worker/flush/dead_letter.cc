#include "worker/flush/dead_letter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "buffer/chunk/chunk.h"

namespace spillway::flush {

kafka::OutgoingMessage DeadLetter(const DeadLetterOrigin& origin, std::string payload) {
  kafka::OutgoingMessage message;
  message.payload = std::move(payload);
  message.headers = {{"spillway-reason", origin.reason},
                     {"spillway-topic", origin.topic},
                     {"spillway-partition", absl::StrCat(origin.shard.value)},
                     {"spillway-offset", absl::StrCat(origin.offset)},
                     {"spillway-error", origin.error}};
  return message;
}

kafka::OutgoingMessage BareDeadLetter(const DeadLetterOrigin& origin, size_t payload_bytes) {
  kafka::OutgoingMessage message = DeadLetter(origin, "");
  message.headers.emplace_back("spillway-omitted-bytes", absl::StrCat(payload_bytes));
  return message;
}

uint64_t CountSpans(const buffer::LoadedPart& part) {
  uint64_t spans = 0;
  for (const auto* list : {&part.own, &part.referenced}) {
    for (const std::string& entry : *list) {
      const auto header =
          buffer::DecodeHeader(absl::string_view(entry).substr(0, buffer::kMaxHeaderBytes));
      if (header.ok()) spans += header->span_count;
    }
  }
  return spans;
}

}  // namespace spillway::flush
