// A shard's ingest side without Kafka, Redis or a loop: sessions over the fakes, a flush owner in a
// few lines, one clock. Nothing happens but what a test asks for.
#ifndef SPILLWAY_WORKER_INGEST_SESSION_HARNESS_H_
#define SPILLWAY_WORKER_INGEST_SESSION_HARNESS_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_kafka.h"
#include "tests/support/fake_shard_store.h"
#include "tests/support/seeded_random.h"
#include "worker/ingest/shard_session.h"

namespace spillway::ingest {

inline constexpr ShardId kShard{0};
inline constexpr char kTopic[] = "ingest-spans";
inline constexpr char kLetters[] = "ingest-spans-dlq";

// A valid span: one letter each for trace, id and parent (0: a segment span).
std::string SpanText(char trace, char id, char parent, const std::string& name = "x");

// A delivered part, as the flush owner below saw it.
struct DeliveredPart {
  buffer::ChunkHeader header;  // of the last chunk
  std::vector<Offset> offsets;
};

// One process: its consumer, its producer, at most one session (of kShard).
class TestWorker final : public kafka::ConsumerListener, public SessionHost {
 public:
  TestWorker(kafka::FakeKafka& kafka, buffer::FakeShardStore& store, const FakeClock& clock,
             const Options& options, uint64_t seed);
  ~TestWorker() override;

  // Runs what is due; true if anything ran.
  bool RunDue();
  std::optional<Instant> next_wake() const { return wake_; }
  ShardSession* session() { return session_.get(); }
  void Crash();  // forgets the session; the group does not know
  const DictionaryKeeper& dictionaries() const { return dictionaries_; }

  void OnAssigned(const std::vector<ShardId>& shards) override;
  void OnRevoked(const std::vector<ShardId>& shards, bool lost) override;
  void OnReadable(ShardId shard) override;
  void OnError(const absl::Status&, bool) override {}
  void WakeAt(ShardId, Instant when) override;
  void RequestTurn(ShardId) override { wants_turn_ = true; }
  uint64_t RandomNumber() override { return random_.Next(); }
  void OnRedisAnswer(bool) override {}
  void OnKafkaAnswer(bool) override {}

  kafka::FakeConsumer consumer;
  kafka::FakeProducer producer;

 private:
  const FakeClock& clock_;
  buffer::FakeShardStore& store_;
  const Options& options_;
  test_support::SeededRandom random_;
  DeadLetterOutbox letters_;
  span::SpanParser parser_;
  buffer::ChunkEncoder encoder_;
  DictionaryKeeper dictionaries_;
  std::deque<std::pair<DictionaryKeeper::Task, DictionaryKeeper::Task>> offloaded_;
  ShardTotals totals_;
  uint64_t highest_epoch_ = 0;
  std::unique_ptr<ShardSession> session_;
  std::optional<Instant> wake_;
  bool wants_turn_ = false;
  Instant next_retry_;
};

// Without compression.
Options TestOptions();

class Harness {
 public:
  explicit Harness(uint64_t seed = 1, int workers = 1, const Options& base = TestOptions());

  // Lets everything happen that needs no time.
  void Settle();
  // Lets time pass, with all that happens meanwhile.
  void Pass(Duration duration);
  // One thing that waits, chosen by `random`. False: nothing waits.
  bool StepOnce(test_support::SeededRandom& random);

  Offset Append(const std::string& payload, std::optional<EventTime> timestamp = std::nullopt);
  // The Redis time, as producers stamp messages.
  EventTime now() const { return EventTimeOf(store.now()); }
  TestWorker& worker(size_t number = 0) { return *workers_[number]; }
  void AddWorker();
  void ReplaceWorker(size_t number);
  size_t workers() const { return workers_.size(); }

  // A flush owner's round: everything due is delivered and acknowledged.
  void Flush();
  std::map<Offset, int> DeliveredOffsets() const;
  buffer::FakeShard& redis() { return *store.shard(kShard); }
  std::optional<Offset> committed();

  Options options;
  FakeClock clock;
  kafka::FakeKafka kafka;
  buffer::FakeShardStore store;
  std::vector<DeliveredPart> delivered;

 private:
  uint64_t seed_;
  std::vector<std::unique_ptr<TestWorker>> workers_;
  uint64_t claims_ = 0;
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_SESSION_HARNESS_H_
