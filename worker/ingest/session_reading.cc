// ShardSession: from Kafka to a batch of parsed spans.
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "worker/ingest/shard_session.h"

namespace spillway::ingest {

bool ShardSession::IsFull(const WorkBatch& batch) const {
  return batch.bytes >= parts_.options.batch_bytes ||
         batch.messages.size() >= parts_.options.batch_messages;
}

// Reads what one batch may still hold. The next one is filled while this one is in Redis.
void ShardSession::Collect() {
  if (call_ == Call::kRules || call_ == Call::kRulesLost) return;  // what comes is judged by them
  while (is_reading_ && phase_ == Phase::kLive && !IsFull(collecting_)) {
    std::unique_ptr<kafka::Batch> source =
        parts_.consumer.Read(shard_, parts_.options.batch_messages - collecting_.messages.size(),
                             parts_.options.batch_bytes - collecting_.bytes);
    if (source == nullptr) return;
    SPILLWAY_FAILPOINT("ingest.read.polled");
    parts_.host.OnKafkaAnswer(true);
    CollectFrom(std::move(source), 0);
  }
}

void ShardSession::CollectFrom(std::unique_ptr<kafka::Batch> source, size_t first) {
  const std::vector<kafka::Message>& messages = source->messages();
  if (collecting_.empty()) collecting_.started = parts_.clock.Now();
  for (size_t i = first; i < messages.size(); ++i) {
    const kafka::Message& message = messages[i];
    if (HasOffsetsFallen(message.offset)) return;
    position_ = message.offset + 1;
    collecting_.bytes += message.payload.size();
    ParsedMessage& parsed = collecting_.messages.emplace_back();
    parsed.offset = message.offset;
    parsed.timestamp = message.timestamp;
    parsed.bytes = message.payload;
    auto read = parts_.parser.Parse(message.payload);
    if (auto* span = std::get_if<span::Span>(&read)) {
      parsed.is_valid = !IsFiltered(message.offset, span->trace);
      if (!parsed.is_valid) ++collecting_.filtered;
      parsed.span = std::move(*span);
    } else {
      Reject(message, std::get<span::Rejection>(std::move(read)), collecting_);
    }
  }
  collecting_.sources.push_back(std::move(source));
}

bool ShardSession::IsFiltered(Offset offset, const TraceKey& trace) const {
  return !history_.empty() && history_.Find(offset, trace) != nullptr;
}

// The batch may go to Redis only once Kafka has acknowledged the letter (rule 9). The batch may
// have become `current_` by then.
void ShardSession::Reject(const kafka::Message& message, span::Rejection rejection,
                          WorkBatch& batch) {
  const Instant now = parts_.clock.Now();
  if (batch.letters_waiting++ == 0) batch.letters_since = now;
  if (const std::optional<uint64_t> left_out = parts_.letters.log_limit().Admit(now)) {
    Log(LogLevel::kWarning, "message rejected",
        {{"shard", shard_.value},
         {"offset", message.offset},
         {"reason", rejection.reason},
         {"field", rejection.field},
         {"error", rejection.message},
         {"left_out", *left_out}});
  }
  parts_.letters.Send(DeadLetter{.shard = shard_,
                                 .offset = message.offset,
                                 .rejection = std::move(rejection),
                                 .payload = std::string(message.payload),
                                 .key = std::string(message.key)},
                      attempt_, [this, offset = message.offset] {
                        SPILLWAY_FAILPOINT("ingest.dead_letter.delivered");
                        WorkBatch& owner =
                            !current_.empty() && offset < current_.end() ? current_ : collecting_;
                        --owner.letters_waiting;
                        if (owner.letters_waiting == 0) Pump();
                      });
  SPILLWAY_FAILPOINT("ingest.dead_letter.sent");
}

// Kafka gives offsets in order. If they fall, the log is another one: what we know of it is void.
bool ShardSession::HasOffsetsFallen(Offset offset) {
  if (offset >= position_) return false;
  GiveUp("the input log was replaced: its offsets fell", parts_.options.first_backoff);
  return true;
}

// Everything that Kafka has is in Redis.
bool ShardSession::IsAtEnd() const {
  return !is_paused_ && collecting_.empty() && current_.empty() && parts_.consumer.IsAtEnd(shard_);
}

}  // namespace spillway::ingest
