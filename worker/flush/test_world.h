// A flush engine over the fake store and the fake Kafka, on a clock that only tests move.
#ifndef SPILLWAY_WORKER_FLUSH_TEST_WORLD_H_
#define SPILLWAY_WORKER_FLUSH_TEST_WORLD_H_

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kafka.h"
#include "tests/support/fake_shard_store.h"
#include "tests/support/seeded_random.h"
#include "worker/flush/flush_engine.h"
#include "worker/flush/test_parts.h"

namespace spillway::flush {

// One Redis, one Kafka, one time. Writes parts as an ingest owner would.
class World {
 public:
  explicit World(uint64_t seed = 1) : random(seed) {}

  // Creates the shard (as take does).
  void Create(ShardId shard) {
    store.Take(shard, {.owner = 1, .input = {}}, [&](auto result) {
      CHECK(result.ok(), "the fake is in order");
      takes[shard] = result.value;
    });
    store.RunCallbacks();
  }

  // One part of one segment, already due, with the given spans; offsets follow the shard's
  // watermark. Returns the part's name.
  PartName AddPart(ShardId shard, const std::vector<std::string>& spans, bool damaged = false) {
    buffer::TakeReply& taken = takes.at(shard);
    const PartName name{.incarnation = taken.incarnation, .offset = taken.watermark};
    std::vector<TestSpan> written;
    for (const std::string& json : spans) written.push_back({taken.watermark++, json});
    buffer::AddRequest request;
    request.epoch = taken.epoch;
    request.expected_watermark = name.offset;
    request.new_watermark = taken.watermark;
    request.expected_clock = taken.clock;
    request.new_clock = EventTime{taken.clock.ms + 1};
    request.ledger.messages = request.ledger.accepted = spans.size();
    std::string chunk =
        EncodeChunk({.segment = Segment('b'), .first_event_time = request.new_clock}, written);
    if (damaged) chunk.back() = static_cast<char>(chunk.back() + 1);
    request.parts.push_back(
        {.name = name, .references = {}, .chunk = chunk, .deadline = request.new_clock});
    bool is_done = false;
    auto faults = std::exchange(fault_hook, {});  // the ingest side has no faults here
    store.Add(shard, std::make_shared<const buffer::AddRequest>(request), [&](const auto& result) {
      CHECK(result.ok(), "the fake is in order");
      taken.clock = result.value.clock;
      is_done = true;
    });
    while (!is_done && store.RunOneCallback()) {
    }
    fault_hook = std::move(faults);
    spans_added += spans.size();
    return name;
  }

  std::vector<std::string> Output() const { return Payloads("buffered-segments"); }
  std::vector<kafka::FakeRecord> DeadLetters() const { return kafka.Records("ingest-spans-dlq"); }
  std::vector<std::string> Payloads(const std::string& topic) const {
    std::vector<std::string> payloads;
    for (const auto& record : kafka.Records(topic)) payloads.push_back(record.payload);
    return payloads;
  }

  // Nothing of the shard is left but its meta, and the ledger explains everything.
  bool IsEmpty(ShardId shard) {
    const buffer::FakeShard* state = store.shard(shard);
    return state != nullptr && state->due.empty() && state->claims.empty() &&
           state->lists.empty() && state->references.empty();
  }
  int64_t Residual(ShardId shard) {
    auto faults = std::exchange(fault_hook, {});
    int64_t residual = -1;
    bool is_done = false;
    store.Audit(shard, [&](const auto& result) {
      residual = result.value.residual;
      is_done = true;
    });
    while (!is_done && store.RunOneCallback()) {
    }
    fault_hook = std::move(faults);
    return residual;
  }

  void UseFaults(buffer::FakeShardStore::FaultHook hook) {
    fault_hook = std::move(hook);
    store.SetFaults([this](buffer::StoreCall call, ShardId shard) {
      return fault_hook ? fault_hook(call, shard) : buffer::StoreFault::kNone;
    });
  }

  test_support::SeededRandom random;
  FakeClock clock;
  buffer::FakeShardStore store;
  kafka::FakeKafka kafka;
  std::map<ShardId, buffer::TakeReply> takes;
  uint64_t spans_added = 0;
  buffer::FakeShardStore::FaultHook fault_hook;
};

// One flush worker in a world.
class Flusher {
 public:
  explicit Flusher(World& world, const FlushOptions& options = {}, NoteInHand note_in_hand = {})
      : producer(world.kafka),
        engine({.clock = world.clock,
                .store = world.store,
                .producer = producer,
                .random = [&world] { return world.random.Next(); },
                .note_in_hand = std::move(note_in_hand)},
               options, [this](Instant when) { wake_ = when; }),
        world_(world) {}

  void Own(const std::vector<ShardId>& shards) {
    engine.Obey({.sequence = ++sequence_, .shards = shards});
  }
  bool PollIfDue() {
    if (!wake_ || world_.clock.Now() < *wake_) return false;
    wake_.reset();
    engine.Poll();
    return true;
  }
  // Runs everything that can happen now. Time stands still.
  void RunNow() {
    for (bool is_moving = true; is_moving;) {
      is_moving = world_.store.RunCallbacks() > 0;
      is_moving = world_.kafka.RunPending() > 0 || is_moving;
      is_moving = PollIfDue() || is_moving;
    }
  }
  // Lets `duration` pass in steps, running what comes due.
  void RunFor(Duration duration, Duration step = std::chrono::milliseconds(5)) {
    for (Duration passed{0}; passed < duration; passed += step) {
      RunNow();
      world_.clock.Advance(step);
      world_.store.Advance(std::chrono::duration_cast<std::chrono::microseconds>(step));
    }
    RunNow();
  }
  wire::ShardReport ShardReport(ShardId shard) const {
    for (const auto& report : engine.Report().shards) {
      if (report.shard == shard) return report;
    }
    return {};
  }

  kafka::FakeProducer producer;
  FlushEngine engine;

 private:
  World& world_;
  std::optional<Instant> wake_;
  uint64_t sequence_ = 0;
};

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_TEST_WORLD_H_
