#include "worker/ingest/session_harness.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "buffer/chunk/chunk.h"

namespace spillway::ingest {

std::string SpanText(char trace, char id, char parent, const std::string& name) {
  std::string text =
      absl::StrCat(R"({"organization_id":1,"project_id":1,"trace_id":")", std::string(32, trace),
                   R"(","span_id":")", std::string(16, id), "\"");
  if (parent != 0) absl::StrAppend(&text, R"(,"parent_span_id":")", std::string(16, parent), "\"");
  absl::StrAppend(&text, R"(,"name":")", name,
                  R"(","start_timestamp":1.5,"end_timestamp":2.5,"received":3,)",
                  R"("retention_days":90,"status":"ok"})");
  return text;
}

namespace {

// Too few and too short for zstd's trainer; any bytes do.
std::shared_ptr<const buffer::Dictionary> TrainFromAFew(const DictionarySamples& samples,
                                                        size_t most_bytes) {
  return buffer::Dictionary::Make(samples.bytes.substr(0, most_bytes));
}

}  // namespace

TestWorker::TestWorker(kafka::FakeKafka& kafka, buffer::FakeShardStore& store,
                       const FakeClock& clock, const Options& options, uint64_t seed)
    : consumer(kafka, kTopic, *this),
      producer(kafka),
      clock_(clock),
      store_(store),
      options_(options),
      random_(seed),
      letters_(producer, kTopic, kLetters),
      encoder_(options.codec, 1),
      dictionaries_(options.dictionary,
                    {.clock = clock,
                     .offload =
                         [this](DictionaryKeeper::Task work, DictionaryKeeper::Task done) {
                           offloaded_.emplace_back(std::move(work), std::move(done));
                         },
                     .train = TrainFromAFew}),
      next_retry_(clock.Now()) {}

TestWorker::~TestWorker() = default;

void TestWorker::OnAssigned(const std::vector<ShardId>&) {
  session_ = std::make_unique<ShardSession>(kShard, SessionParts{.options = options_,
                                                                 .clock = clock_,
                                                                 .store = store_,
                                                                 .consumer = consumer,
                                                                 .letters = letters_,
                                                                 .parser = parser_,
                                                                 .encoder = encoder_,
                                                                 .dictionaries = dictionaries_,
                                                                 .host = *this,
                                                                 .totals = totals_,
                                                                 .highest_epoch = highest_epoch_});
  wants_turn_ = true;
}

void TestWorker::OnRevoked(const std::vector<ShardId>&, bool lost) {
  if (session_ != nullptr) session_->OnRevoked(lost);
  Crash();
}

void TestWorker::Crash() {
  session_.reset();
  wake_.reset();
  wants_turn_ = false;
}

void TestWorker::OnReadable(ShardId) {
  if (session_ != nullptr) session_->Pump();
}

void TestWorker::WakeAt(ShardId, Instant when) {
  wake_.reset();
  if (when != Instant::max()) wake_ = when;
}

bool TestWorker::RunDue() {
  const Instant now = clock_.Now();
  if (now >= next_retry_) {
    next_retry_ = now + std::chrono::seconds(1);
    letters_.Retry();
  }
  if (!offloaded_.empty()) {
    auto [work, done] = std::move(offloaded_.front());
    offloaded_.pop_front();
    work();
    done();
    return true;
  }
  if (session_ == nullptr) return false;
  const bool is_due = wants_turn_ || (wake_.has_value() && *wake_ <= now);
  if (!is_due) return false;
  wants_turn_ = false;
  wake_.reset();
  session_->Pump();
  return true;
}

Options TestOptions() {
  Options options;
  options.codec = buffer::Codec::kNone;
  return options;
}

Harness::Harness(uint64_t seed, int workers, const Options& base) : options(base), seed_(seed) {
  options.input_topic = kTopic;
  options.dead_letter_topic = kLetters;
  options.max_index_bytes = 0;
  kafka.CreateTopic(kTopic, 1);
  kafka.CreateTopic(kLetters, 1);
  for (int i = 0; i < workers; ++i) AddWorker();
}

void Harness::AddWorker() {
  workers_.push_back(std::make_unique<TestWorker>(kafka, store, clock, options, ++seed_));
}

void Harness::ReplaceWorker(size_t number) {
  workers_[number].reset();
  workers_[number] = std::make_unique<TestWorker>(kafka, store, clock, options, ++seed_);
}

void Harness::Settle() {
  bool is_busy = true;
  for (int rounds = 0; is_busy; ++rounds) {
    CHECK(rounds < 100'000, "a session must come to rest");
    is_busy = kafka.RunPending() > 0;
    is_busy |= store.RunCallbacks() > 0;
    for (const auto& worker : workers_) is_busy |= worker->RunDue();
  }
}

void Harness::Pass(Duration duration) {
  const Instant end = clock.Now() + duration;
  for (const auto& worker : workers_) worker->consumer.Notify();
  Settle();
  while (clock.Now() < end) {
    Instant next = std::min(end, clock.Now() + std::chrono::milliseconds(500));
    for (const auto& worker : workers_) {
      if (worker->next_wake().has_value()) next = std::min(next, *worker->next_wake());
    }
    // Whole microseconds: Redis knows no smaller ones.
    const auto step = std::max<Duration>(next - clock.Now(), std::chrono::microseconds(1));
    clock.Advance(step);
    store.Advance(std::chrono::duration_cast<std::chrono::microseconds>(step));
    for (const auto& worker : workers_) worker->consumer.Notify();
    Settle();
  }
}

bool Harness::StepOnce(test_support::SeededRandom& random) {
  const uint64_t first = random.Below(3);
  for (uint64_t i = 0; i < 3; ++i) {
    switch ((first + i) % 3) {
      case 0:
        if (kafka.RunOne()) return true;
        break;
      case 1:
        if (store.RunOneCallback()) return true;
        break;
      default:
        for (const auto& worker : workers_) {
          if (worker->RunDue()) return true;
        }
    }
  }
  return false;
}

Offset Harness::Append(const std::string& payload, std::optional<EventTime> timestamp) {
  return kafka.Append(kTopic, 0,
                      {.payload = payload,
                       .key = "",
                       .headers = {},
                       .timestamp = timestamp.has_value() ? timestamp : now(),
                       .is_tombstone = false});
}

std::optional<Offset> Harness::committed() {
  const auto found = kafka.committed().find(0);
  return found == kafka.committed().end() ? std::nullopt : std::optional(found->second);
}

void Harness::Flush() {
  if (store.shard(kShard) == nullptr) return;
  using namespace buffer;
  std::optional<Epoch> epoch;
  store.SetFaults({});
  store.Acquire(kShard, {.proposed_number = 0, .owner = 7},
                [&](StoreResult<Epoch> r) { epoch = r.value; });
  store.RunCallbacks();
  while (true) {
    PeekReply peek;
    store.Peek(kShard, *epoch, 1000, [&](StoreResult<PeekReply> r) { peek = r.value; });
    store.RunCallbacks();
    if (peek.due.empty()) return;
    Claim claim;
    ClaimRequest request{.epoch = *epoch,
                         .id = {1, ++claims_},
                         .lease = std::chrono::seconds(60),
                         .parts = peek.due};
    store.ClaimParts(kShard, request, [&](StoreResult<Claim> r) { claim = r.value; });
    store.RunCallbacks();
    std::vector<LoadedPart> loaded;
    const auto shelf = std::make_shared<DictionaryShelf>();
    store.Load(kShard, claim.parts, shelf,
               [&](StoreResult<std::vector<LoadedPart>> r) { loaded = r.value; });
    store.RunCallbacks();
    ChunkDecoder decoder(shelf);
    uint64_t spans = 0;
    for (const LoadedPart& part : loaded) {
      DeliveredPart& out = delivered.emplace_back();
      for (const std::vector<std::string>* list : {&part.own, &part.referenced}) {
        for (const std::string& entry : *list) {
          const Chunk chunk = decoder.Decode(entry).value();
          if (chunk.is_reference) continue;
          if (list == &part.own) out.header = chunk.header;
          for (const ChunkSpan& span : chunk.spans) out.offsets.push_back(span.offset);
        }
      }
      std::ranges::sort(out.offsets);
      spans += out.offsets.size();
    }
    store.Acknowledge(
        kShard,
        {.id = claim.id,
         .lease_end = claim.lease_end,
         .parts = claim.parts,
         .acknowledged_spans = spans,
         .dead_lettered_spans = 0,
         .quarantined_spans = 0},
        [](const StoreResult<AcknowledgeReply>& r) { CHECK(r.ok(), "the fake acknowledges"); });
    store.RunCallbacks();
  }
}

std::map<Offset, int> Harness::DeliveredOffsets() const {
  std::map<Offset, int> counts;
  for (const DeliveredPart& part : delivered) {
    for (const Offset offset : part.offsets) ++counts[offset];
  }
  return counts;
}

}  // namespace spillway::ingest
