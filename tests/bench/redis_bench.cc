// What the span buffer costs in Redis: CPU time of the server per span for add and for flush (peek,
// claim, load, acknowledge), and memory per span, beside a bare pipelined RPUSH of the same bytes.
// A program to look at, not a test. Starts a private Redis.
//
//   redis_bench [SPANS [CASE]]        default 200000, all cases
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "buffer/chunk/chunk.h"
#include "buffer/redis/connection.h"
#include "buffer/redis/redis_store.h"
#include "tests/support/processes.h"

namespace spillway::buffer {
namespace {

constexpr ShardId kShard{0};
constexpr size_t kPartsPerCall = 200;
constexpr size_t kCallsInFlight = 4;

struct Case {
  const char* name;
  size_t spans_per_part;
  size_t spans_per_chunk;  // less than spans_per_part: the rest comes in later batches
};
constexpr Case kCases[] = {{"k=1", 1, 1}, {"k=5", 5, 5}, {"k=20", 20, 20}, {"spread", 20, 1}};

// One span of about 1 kB: the text of a service's span, with the ids and numbers that differ.
std::string MakeSpan(std::minstd_rand& random) {
  const auto hex = [&](int digits) {
    std::string text;
    while (static_cast<int>(text.size()) < digits) absl::StrAppendFormat(&text, "%07x", random());
    return text.substr(0, static_cast<size_t>(digits));
  };
  std::string span = absl::StrCat(
      R"({"organization_id":1,"project_id":42,"trace_id":")", hex(32), R"(","span_id":")", hex(16),
      R"(","parent_span_id":")", hex(16), R"(","start_timestamp":17000)", random() % 100000, ".",
      random() % 1000000, R"(,"end_timestamp":17000)", random() % 100000, ".", random() % 1000000,
      R"(,"received":1700012345.5,"retention_days":90,"status":"ok","name":"GET /api/0/projects/)",
      random() % 1000, R"(/","attributes":{)");
  const char* keys[] = {"http.request.method",
                        "http.response.status_code",
                        "server.address",
                        "sentry.sdk.version",
                        "db.statement.parameters",
                        "thread.name",
                        "messaging.destination",
                        "user.id",
                        "release"};
  for (const char* key : keys) {
    absl::StrAppend(&span, "\"", key, R"(":{"type":"string","value":")", key, random() % 100000,
                    "\"},");
  }
  absl::StrAppend(&span, R"("sentry.op":{"type":"string","value":"http.server"}}})");
  return span;
}

class Bench {
 public:
  Bench()
      : server_(Started()),
        connection_(loop_, Options()),
        store_(loop_, {.connection = Options(), .name_space = "bench"}),
        random_(7) {
    RunUntil([&] { return store_.state().is_ready && connection_.state().is_ready; });
    for (int i = 0; i < 400; ++i) spans_.push_back(MakeSpan(random_));
  }

  void Run(const Case& row, size_t spans);

 private:
  static RedisServer Started() {
    auto server = RedisServer::Start();
    CHECK(server.ok(), "redis-server can be started");
    return *std::move(server);
  }
  ConnectionOptions Options() const {
    ConnectionOptions options;
    options.endpoint = *ParseEndpoint(server_.url());
    return options;
  }
  void RunUntil(const std::function<bool()>& is_done) {
    while (!is_done()) uv_run(loop_.native(), UV_RUN_ONCE);
  }
  // The number that INFO gives for `key`.
  double Info(absl::string_view section, absl::string_view key);
  double CpuSeconds() { return Info("cpu", "used_cpu_user") + Info("cpu", "used_cpu_sys"); }
  void Flushall();
  std::string NextChunk(size_t spans);
  void AddAll(const Case& row, size_t parts);
  size_t FlushAll();
  double BareRpush(const Case& row, size_t parts);

  RedisServer server_;
  Loop loop_;
  RedisConnection connection_;
  RedisShardStore store_;
  std::minstd_rand random_;
  std::vector<std::string> spans_;
  ChunkEncoder encoder_{Codec::kZstd, 1};
  std::shared_ptr<DictionaryShelf> shelf_ = std::make_shared<DictionaryShelf>();
  Epoch ingest_epoch_, flush_epoch_;
  uint64_t chunk_bytes_ = 0;
};

double Bench::Info(absl::string_view section, absl::string_view key) {
  double value = -1;
  connection_.Send(Command({"INFO", section}), [&](const CommandResult& result) {
    const absl::string_view text = result.reply.text();
    const size_t at = text.find(absl::StrCat(key, ":"));
    CHECK(at != absl::string_view::npos, "INFO has the key");
    const absl::string_view rest = text.substr(at + key.size() + 1);
    CHECK(absl::SimpleAtod(rest.substr(0, rest.find('\r')), &value), "and a number for it");
  });
  RunUntil([&] { return value >= 0; });
  return value;
}

void Bench::Flushall() {
  bool is_done = false;
  connection_.Send(Command({"FLUSHALL"}), [&](const CommandResult&) { is_done = true; });
  RunUntil([&] { return is_done; });
}

std::string Bench::NextChunk(size_t count) {
  std::vector<ChunkSpan> spans(count);
  for (ChunkSpan& span : spans) {
    span.id = {random_()};
    span.offset = 1'000'000;
    span.is_segment = {.form = SpanEdit::Form::kMember, .position = 900};
    span.segment_id = {.form = SpanEdit::Form::kMember, .position = 950};
    span.bytes = spans_[random_() % spans_.size()];
  }
  std::string chunk;
  encoder_.Encode({.segment = SegmentId(SpanId{random_()}),
                   .part_number = 0,
                   .sealed = false,
                   .part_bytes = 1000 * count,
                   .first_event_time = {1'700'000'000'000},
                   .span_count = 0},
                  spans, chunk);
  chunk_bytes_ += chunk.size();
  return chunk;
}

// All parts are open at the same time; each gets its chunks one batch after the other.
void Bench::AddAll(const Case& row, size_t parts) {
  size_t in_flight = 0;
  Offset watermark = 0;
  const size_t rounds = row.spans_per_part / row.spans_per_chunk;
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t first = 0; first < parts; first += kPartsPerCall) {
      const size_t last = std::min(first + kPartsPerCall, parts);
      const uint64_t spans = (last - first) * row.spans_per_chunk;
      AddRequest request{.epoch = ingest_epoch_,
                         .expected_watermark = watermark,
                         .new_watermark = watermark + static_cast<Offset>(spans),
                         .expected_clock = {watermark == 0 ? -1 : 1000},
                         .new_clock = {1000},
                         .ledger = {.messages = spans, .accepted = spans},
                         .parts = {},
                         .dictionary = nullptr};
      watermark = request.new_watermark;
      for (size_t i = first; i < last; ++i) {
        request.parts.push_back({.name = {1, static_cast<Offset>(100'000'000 + i)},
                                 .references = {},
                                 .chunk = NextChunk(row.spans_per_chunk),
                                 .is_absorbed = false,
                                 .deadline = {1'700'000'000'000 + static_cast<int64_t>(i)}});
      }
      RunUntil([&] { return in_flight < kCallsInFlight; });
      ++in_flight;
      auto shared = std::make_shared<const AddRequest>(std::move(request));
      store_.Add(kShard, std::move(shared), [&](const StoreResult<ShardFigures>& result) {
        CHECK(result.ok(), "an add is accepted");
        --in_flight;
      });
    }
  }
  RunUntil([&] { return in_flight == 0; });
}

size_t Bench::FlushAll() {
  size_t flushed = 0;
  for (uint64_t id = 1;; ++id) {
    bool is_answered = false;
    bool is_empty = false;
    store_.Peek(kShard, flush_epoch_, kPartsPerCall, [&](const StoreResult<PeekReply>& peek) {
      is_empty = peek.value.due.empty();
      if (is_empty) return void(is_answered = true);
      store_.ClaimParts(
          kShard, {.epoch = flush_epoch_, .id = {1, id}, .parts = peek.value.due},
          [&](const StoreResult<Claim>& claim) {
            store_.Load(kShard, claim.value.parts, shelf_,
                        [&, claimed = claim.value](const StoreResult<std::vector<LoadedPart>>&) {
                          flushed += claimed.parts.size();
                          store_.Acknowledge(kShard,
                                             {.id = claimed.id,
                                              .lease_end = claimed.lease_end,
                                              .parts = claimed.parts,
                                              .acknowledged_spans = 1},
                                             [&](const StoreResult<AcknowledgeReply>& ack) {
                                               CHECK(ack.value.was_known, "the claim is ours");
                                               is_answered = true;
                                             });
                        });
          });
    });
    RunUntil([&] { return is_answered; });
    if (is_empty) return flushed;
  }
}

// Seconds of CPU for the same bytes into the same lists, with nothing around them.
double Bench::BareRpush(const Case& row, size_t parts) {
  Flushall();
  const double before = CpuSeconds();
  size_t outstanding = 0;
  for (size_t round = 0; round < row.spans_per_part / row.spans_per_chunk; ++round) {
    for (size_t i = 0; i < parts; ++i) {
      RunUntil([&] { return outstanding < kPartsPerCall * kCallsInFlight; });
      ++outstanding;
      const std::string chunk = NextChunk(row.spans_per_chunk);
      connection_.Send(Command({"RPUSH", absl::StrCat("{bench/0}p1.", 100'000'000 + i), chunk}),
                       [&](const CommandResult&) { --outstanding; });
    }
  }
  RunUntil([&] { return outstanding == 0; });
  return CpuSeconds() - before;
}

void Bench::Run(const Case& row, size_t spans) {
  const size_t parts = std::max<size_t>(spans / row.spans_per_part, 1);
  const auto total = static_cast<double>(parts * row.spans_per_part);
  const double bare = BareRpush(row, parts);
  Flushall();
  bool is_taken = false;
  store_.Take(kShard, {.owner = 1, .input = {}, .log_end = 1'000'000'000},
              [&](const StoreResult<TakeReply>& result) {
                ingest_epoch_ = result.value.epoch;
                store_.Acquire(kShard, {.owner = 2}, [&](const StoreResult<Epoch>& acquired) {
                  flush_epoch_ = acquired.value;
                  is_taken = true;
                });
              });
  RunUntil([&] { return is_taken; });
  const double empty_bytes = Info("memory", "used_memory");
  const double start = CpuSeconds();
  chunk_bytes_ = 0;
  AddAll(row, parts);
  const double added = CpuSeconds();
  const auto stored = static_cast<double>(chunk_bytes_);
  const double bytes = Info("memory", "used_memory") - empty_bytes;
  bool is_due = false;
  store_.Tick(kShard,
              {.epoch = ingest_epoch_,
               .expected_watermark = static_cast<Offset>(total),
               .expected_clock = {1000},
               .moves_clock = true},
              [&](const StoreResult<ShardFigures>& result) { is_due = result.ok(); });
  RunUntil([&] { return is_due; });
  const double before_flush = CpuSeconds();
  CHECK(FlushAll() == parts, "everything leaves");
  const double flushed = CpuSeconds();
  const double add_us = (added - start) / total * 1e6;
  const double flush_us = (flushed - before_flush) / total * 1e6;
  std::printf("%-8s %8.2f %8.2f %8.2f %12.2f %10.0f %10.0f\n", row.name, add_us, flush_us,
              add_us + flush_us, bare / total * 1e6, bytes / total, stored / total);
  std::fflush(stdout);
}

}  // namespace
}  // namespace spillway::buffer

int main(int argc, char** argv) {
  size_t spans = 200'000;
  if (argc > 1) spans = static_cast<size_t>(std::max(std::atoi(argv[1]), 1));
  spillway::buffer::Bench bench;
  std::printf("Redis CPU in us per span; memory in bytes per span; %zu spans each\n", spans);
  std::printf("%-8s %8s %8s %8s %12s %10s %10s\n", "", "add", "flush", "together", "bare RPUSH",
              "memory", "payload");
  for (const auto& row : spillway::buffer::kCases) {
    if (argc < 3 || absl::string_view(argv[2]) == row.name) bench.Run(row, spans);
  }
  return 0;
}
