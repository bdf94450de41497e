// What becomes of spans that cannot leave as a segment: messages for the dead letter topic (design
// section 5, rule 9). Pure.
#ifndef SPILLWAY_WORKER_FLUSH_DEAD_LETTER_H_
#define SPILLWAY_WORKER_FLUSH_DEAD_LETTER_H_

#include <string>

#include "base/ids.h"
#include "buffer/shard_store.h"
#include "kafka/producer.h"

namespace spillway::flush {

// Where a dead letter came from. `offset` is the span's in the input topic or, of a list entry that
// cannot be decoded, that of the span which opened its part.
struct DeadLetterOrigin {
  std::string reason;  // refused, undecodable, attempts
  std::string topic;   // the input topic
  ShardId shard;
  Offset offset = kNoOffset;
  std::string error;  // the reason for a person
};

// `payload` as it is, with headers spillway-reason, -topic, -partition, -offset, -error. It has no
// key: the buffer does not keep that of the input.
kafka::OutgoingMessage DeadLetter(const DeadLetterOrigin& origin, std::string payload);

// The same without a payload, for a topic that refuses it: names the size it had in
// spillway-omitted-bytes. The input topic still has the message while it is retained.
kafka::OutgoingMessage BareDeadLetter(const DeadLetterOrigin& origin, size_t payload_bytes);

// Number of spans in the lists of a part that cannot be decoded, as far as headers can be read:
// what an audit of the buffer counts for it.
uint64_t CountSpans(const buffer::LoadedPart& part);

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_DEAD_LETTER_H_
