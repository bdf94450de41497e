// One shard from JSON to output messages, through the product's own pieces and a real Redis: span
// parser, index, chunk encoder and store on the way in, store and assembly on the way out. Only
// Kafka is missing; messages and clock come from the test.
#ifndef SPILLWAY_TESTS_INTEGRATION_REDIS_SHARD_H_
#define SPILLWAY_TESTS_INTEGRATION_REDIS_SHARD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "buffer/chunk/chunk.h"
#include "buffer/redis/redis_under_test.h"
#include "buffer/shard_store.h"
#include "worker/flush/assemble.h"
#include "worker/ingest/work_batch.h"
#include "worker/segment/shard_index.h"
#include "worker/span/span.h"

namespace spillway::integration {

// A message as it would go to the output topic.
struct LeftMessage {
  SegmentId segment;
  std::string part_number, reason;  // headers
  bool skip_enrichment = false;
  std::vector<Offset> offsets;  // of its spans
  std::string payload;
  // `1/b:{a,b}`: project, name and the spans' letters, sorted; then `#n` for a part numbered n > 0
  // and `!` where it says skip_enrichment.
  std::string text;
};

// Every message that leaves is checked: each span's bytes but for the two edits are as they came,
// the edits say what they must, spans are in offset order and written once, flush ids differ, and
// no more bytes of spans than allowed. Failures are those of the running test.
class RedisShard {
 public:
  struct Options {
    segment::Limits limits;
    buffer::Codec codec = buffer::Codec::kNone;
  };

  // Takes and acquires the shard. Borrows `redis`.
  RedisShard(buffer::RedisUnderTest& redis, ShardId shard, const Options& options);

  // One batch. No timestamp: Redis TIME, as for messages without one.
  void Add(const std::vector<std::string>& messages, std::optional<int64_t> timestamp_ms);
  // An add without messages; nothing if the clock is there already.
  void MoveClock(int64_t clock_ms);
  void Tick();  // to Redis TIME
  // A new owner: takes with the low watermark committed (or `committed`) and replays from there.
  void HandOver(std::optional<Offset> committed = std::nullopt);
  // Writes the log's first `count` messages again with this epoch, as if W were 0.
  buffer::StoreCode WriteAgain(size_t count);

  std::optional<buffer::Claim> ClaimDue();
  std::vector<LeftMessage> Assemble(const buffer::Claim& claim);
  void Acknowledge(const buffer::Claim& claim, const std::vector<LeftMessage>& messages);
  // Claims, assembles and acknowledges all that is due.
  std::vector<LeftMessage> Leave();
  // The same at a moment, as the texts in order of name, or "none".
  std::string LeaveAt(int64_t clock_ms);

  // Residual 0, nothing live, and every message accounted for.
  void ExpectAllLeft(uint64_t deduplicated = 0);
  buffer::AuditReply Audit();

  EventTime clock() const { return index_->clock(); }
  EventTime redis_now() const { return redis_now_; }
  size_t due_parts() { return Audit().summary.due_parts; }

 private:
  template <typename T>
  buffer::StoreResult<T> Call(const std::function<void(buffer::Done<T>)>& call);
  void Take(Offset committed);
  void Observe(const buffer::ShardFigures& figures);
  LeftMessage Check(const flush::Part& part, kafka::OutgoingMessage message);

  buffer::RedisUnderTest& redis_;
  const ShardId shard_;
  const segment::Limits limits_;
  span::SpanParser parser_;
  buffer::ChunkEncoder encoder_;
  std::shared_ptr<buffer::DictionaryShelf> shelf_ = std::make_shared<buffer::DictionaryShelf>();
  buffer::ChunkDecoder decoder_{shelf_};
  std::deque<std::string> bytes_;              // the input log, and
  std::vector<ingest::ParsedMessage> parsed_;  // what was read from it
  std::unique_ptr<segment::ShardIndex> index_;
  Epoch ingest_epoch_, flush_epoch_;
  EventTime redis_now_;
  uint64_t claims_ = 0, rejected_ = 0;
  std::set<Offset> left_;
  std::set<std::string> flush_ids_;
};

// Time-outs of the conformance rows, a second of theirs being a millisecond here: root 10, idle 60,
// late window 30; no limit on age.
segment::Limits RowLimits(uint64_t max_part_bytes = 1u << 30);

// The JSON of one span in the rows' notation (tests/support/reference_forest.h).
std::string MessageOf(const std::string& word);
// That of a span numbered `id`; the parent of a segment span is itself.
std::string NumberedSpan(uint64_t id, uint64_t parent);

// What the fixtures have in common: one Redis for a test, a new shard for each run.
class RedisAssembly {
 protected:
  // On the kind of Redis that the binary is built for.
  RedisAssembly();
  RedisShard NewShard(const segment::Limits& limits = RowLimits(),
                      buffer::Codec codec = buffer::Codec::kNone);
  static void ForBothCodecs(const std::function<void(buffer::Codec)>& run);
  // Of all the shards only meta is left, and the registry.
  void ExpectOnlyMeta();

 private:
  buffer::RedisUnderTest redis_;
  int32_t shards_ = 0;
};

}  // namespace spillway::integration

#endif  // SPILLWAY_TESTS_INTEGRATION_REDIS_SHARD_H_
