// How long audits of a busy shard take, what they find, and what they cost: a shard with many live
// parts, which grow all the time, takes and flushes spans while it is audited over and over. A
// program to look at, not a test. Starts a private Redis.
//
//   audit_bench [PARTS [SPANS_PER_SECOND [SECONDS]]]    default 100000, then 25000 and 0 (as fast
//   as
//                                                       the machine can), 10 seconds each
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "buffer/chunk/chunk.h"
#include "buffer/redis/connection.h"
#include "buffer/redis/redis_store.h"
#include "tests/support/processes.h"

namespace spillway::buffer {
namespace {

constexpr ShardId kShard{0};
constexpr size_t kSpansPerPart = 5;    // of those that come and leave
constexpr size_t kNewPerBatch = 150;   // parts
constexpr size_t kGrowPerBatch = 250;  // of the many that stay, by a span each
constexpr uint64_t kSpansPerBatch = kNewPerBatch * kSpansPerPart + kGrowPerBatch;
constexpr uint32_t kPartsPerClaim = 500;
constexpr EventTime kStays{1'000'000'000'000};

class AuditBench {
 public:
  explicit AuditBench(size_t parts)
      : server_(Started()),
        connection_(loop_, Options()),
        store_(loop_, {.connection = Options(), .name_space = "bench"}),
        pace_(loop_, [this] { AddBatch(); }),
        parts_(parts) {
    RunUntil([&] { return store_.state().is_ready && connection_.state().is_ready; });
    Do({"CONFIG", "SET", "slowlog-log-slower-than", "0"});
    Do({"CONFIG", "SET", "slowlog-max-len", "100000"});
    for (size_t i = 0; i < 100; ++i) {
      one_.push_back(MakeChunk(1));
      whole_.push_back(MakeChunk(kSpansPerPart));
    }
    Fill();
  }

  // 0 spans per second: as fast as they are taken.
  void Run(uint64_t spans_per_second, int seconds);

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
  void Do(std::initializer_list<absl::string_view> words,
          const std::function<void(const Reply&)>& read = {});
  double CpuSeconds();
  std::string MakeChunk(size_t spans);
  void Fill();
  void Add(std::vector<AddPart> parts, uint64_t spans, std::function<void()> then);
  void AddBatch();
  void Flush();
  void FlushAgain();
  void ClaimAndLeave(const PeekReply& peek);
  void Audit();
  void Load(uint64_t spans_per_second, int seconds, bool is_audited, const char* title);
  void PrintSlowest();

  RedisServer server_;
  Loop loop_;
  RedisConnection connection_;
  RedisShardStore store_;
  Timer pace_;
  std::minstd_rand random_{7};
  ChunkEncoder encoder_{Codec::kZstd, 1};
  std::shared_ptr<DictionaryShelf> shelf_ = std::make_shared<DictionaryShelf>();
  std::vector<std::string> one_, whole_;
  const size_t parts_;

  Epoch ingest_epoch_, flush_epoch_;
  Offset watermark_ = 0;
  EventTime clock_{-1};
  uint64_t last_claim_ = 0;
  Duration interval_{0};
  Instant next_batch_;
  bool is_over_ = false;  // the load
  int under_way_ = 0;     // adding, flushing
  bool audits_ = false;   // one is under way
  Instant audits_end_;    // none begins any more
  uint64_t added_ = 0, left_ = 0;

  struct Audits {
    int exact = 0, unknown = 0, uneven = 0;
    double shortest = 1e9, longest = 0;
    uint64_t live_parts = 0;
  } found_;
};

void AuditBench::Do(std::initializer_list<absl::string_view> words,
                    const std::function<void(const Reply&)>& read) {
  bool is_done = false;
  connection_.Send(Command(words), [&](const CommandResult& result) {
    if (read) read(result.reply);
    is_done = true;
  });
  RunUntil([&] { return is_done; });
}

double AuditBench::CpuSeconds() {
  double seconds = 0;
  Do({"INFO", "cpu"}, [&](const Reply& reply) {
    for (absl::string_view key : {"used_cpu_user:", "used_cpu_sys:"}) {
      absl::string_view rest = reply.text().substr(reply.text().find(key) + key.size());
      double value = 0;
      CHECK(absl::SimpleAtod(rest.substr(0, rest.find('\r')), &value), "INFO gives a number");
      seconds += value;
    }
  });
  return seconds;
}

std::string AuditBench::MakeChunk(size_t count) {
  std::string bytes;
  while (bytes.size() < 400) absl::StrAppend(&bytes, random_(), "-");
  std::vector<ChunkSpan> spans(count, ChunkSpan{.bytes = bytes});
  for (ChunkSpan& span : spans) span.id = {random_()};
  std::string chunk;
  encoder_.Encode({.segment = SegmentId(SpanId{random_()}), .part_bytes = 400 * count}, spans,
                  chunk);
  return chunk;
}

void AuditBench::Fill() {
  bool is_ready = false;
  store_.Take(kShard, {.owner = 1, .input = {}, .log_end = 1'000'000'000'000},
              [&](const StoreResult<TakeReply>& taken) {
                ingest_epoch_ = taken.value.epoch;
                store_.Acquire(kShard, {.owner = 2}, [&](const StoreResult<Epoch>& acquired) {
                  flush_epoch_ = acquired.value;
                  is_ready = true;
                });
              });
  RunUntil([&] { return is_ready; });
  for (size_t first = 0; first < parts_; first += 1000) {
    std::vector<AddPart> parts;
    for (size_t i = first; i < std::min(first + 1000, parts_); ++i) {
      parts.push_back({.name = {1, static_cast<Offset>(i)},
                       .references = {},
                       .chunk = one_[i % one_.size()],
                       .deadline = {kStays.ms + static_cast<int64_t>(i)}});
    }
    bool is_added = false;
    const uint64_t spans = parts.size();
    Add(std::move(parts), spans, [&] { is_added = true; });
    RunUntil([&] { return is_added; });
  }
}

void AuditBench::Add(std::vector<AddPart> parts, uint64_t spans, std::function<void()> then) {
  const AddRequest request{.epoch = ingest_epoch_,
                           .expected_watermark = watermark_,
                           .new_watermark = watermark_ + static_cast<Offset>(spans),
                           .expected_clock = clock_,
                           .new_clock = {clock_.ms + 40},
                           .ledger = {.messages = spans, .accepted = spans},
                           .parts = std::move(parts),
                           .dictionary = nullptr};
  watermark_ = request.new_watermark;
  clock_ = request.new_clock;
  store_.Add(kShard, std::make_shared<const AddRequest>(request),
             [then = std::move(then)](const StoreResult<ShardFigures>& result) {
               CHECK(result.ok(), "an add is accepted");
               then();
             });
}

void AuditBench::AddBatch() {
  if (is_over_) {
    --under_way_;
    return;
  }
  std::vector<AddPart> parts;
  for (size_t i = 0; i < kNewPerBatch; ++i) {
    parts.push_back({.name = {1, watermark_ + static_cast<Offset>(i * kSpansPerPart)},
                     .references = {},
                     .chunk = whole_[random_() % whole_.size()],
                     .deadline = {clock_.ms + 500 + static_cast<int64_t>(i)}});
  }
  const size_t first = random_() % parts_;
  for (size_t i = 0; i < kGrowPerBatch; ++i) {
    const size_t at = (first + i * 97) % parts_;
    parts.push_back({.name = {1, static_cast<Offset>(at)},
                     .references = {},
                     .chunk = one_[random_() % one_.size()],
                     .deadline = {kStays.ms + static_cast<int64_t>(random_() % 100'000)}});
  }
  Add(std::move(parts), kSpansPerBatch, [this] {
    added_ += kSpansPerBatch;
    next_batch_ += interval_;
    pace_.Start(std::max(next_batch_ - SystemClock().Now(), Duration::zero()));
  });
}

void AuditBench::FlushAgain() {
  if (is_over_) {
    --under_way_;
  } else {
    Flush();
  }
}

void AuditBench::Flush() {
  store_.Peek(kShard, flush_epoch_, kPartsPerClaim, [this](const StoreResult<PeekReply>& peek) {
    if (peek.value.due.empty()) return FlushAgain();
    ClaimAndLeave(peek.value);
  });
}

void AuditBench::ClaimAndLeave(const PeekReply& peek) {
  store_.ClaimParts(
      kShard, {.epoch = flush_epoch_, .id = {1, ++last_claim_}, .parts = peek.due},
      [this](const StoreResult<Claim>& claim) {
        store_.Load(kShard, claim.value.parts, shelf_,
                    [this, claim = claim.value](const StoreResult<std::vector<LoadedPart>>&) {
                      const uint64_t spans = claim.parts.size() * kSpansPerPart;
                      store_.Acknowledge(kShard,
                                         {.id = claim.id,
                                          .lease_end = claim.lease_end,
                                          .parts = claim.parts,
                                          .acknowledged_spans = spans},
                                         [this, spans](const StoreResult<AcknowledgeReply>& ack) {
                                           CHECK(ack.value.was_known, "the claim is ours");
                                           left_ += spans;
                                           FlushAgain();
                                         });
                    });
      });
}

void AuditBench::Audit() {
  const Instant begin = SystemClock().Now();
  store_.Audit(kShard, [this, begin](const StoreResult<AuditReply>& result) {
    const AuditReply& audit = result.value;
    const double seconds = std::chrono::duration<double>(SystemClock().Now() - begin).count();
    ++(result.ok() && audit.is_exact ? found_.exact : found_.unknown);
    if (audit.residual != 0 || audit.part_residual != 0) ++found_.uneven;
    found_.shortest = std::min(found_.shortest, seconds);
    found_.longest = std::max(found_.longest, seconds);
    found_.live_parts = std::max(found_.live_parts, audit.due_parts + audit.in_flight_parts);
    audits_ = SystemClock().Now() < audits_end_;
    if (audits_) Audit();
  });
}

void AuditBench::Load(uint64_t spans_per_second, int seconds, bool is_audited, const char* title) {
  interval_ = Duration::zero();
  if (spans_per_second > 0) {
    interval_ = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
        static_cast<double>(kSpansPerBatch) / static_cast<double>(spans_per_second)));
  }
  found_ = Audits();
  added_ = left_ = 0;
  is_over_ = false;
  const double cpu = CpuSeconds();
  const Instant begin = next_batch_ = SystemClock().Now();
  audits_end_ = begin + std::chrono::seconds(seconds);
  under_way_ = 2;
  AddBatch();
  Flush();
  audits_ = is_audited;
  if (is_audited) Audit();
  RunUntil([&] { return SystemClock().Now() >= audits_end_ && !audits_; });
  is_over_ = true;
  RunUntil([&] { return under_way_ == 0; });
  const double took = std::chrono::duration<double>(SystemClock().Now() - begin).count();
  std::printf("%-24s %9.0f %9.0f %9.2f", title, static_cast<double>(added_) / took,
              static_cast<double>(left_) / took,
              (CpuSeconds() - cpu) * 1e6 / static_cast<double>(added_));
  if (is_audited) {
    std::printf(" %6d %6d %6d %9zu %8.2f %8.2f", found_.exact, found_.unknown, found_.uneven,
                static_cast<size_t>(found_.live_parts), found_.shortest, found_.longest);
  }
  std::printf("\n");
  std::fflush(stdout);
}

// Of the last 100,000 calls. On a machine that is not idle the longest tell how long the server had
// to wait for its turn.
void AuditBench::PrintSlowest() {
  std::map<std::string, std::vector<int64_t>> calls;
  Do({"SLOWLOG", "GET", "100000"}, [&](const Reply& reply) {
    for (size_t i = 0; i < reply.size(); ++i) {
      const absl::string_view sha = reply[i][3][1].text();
      for (const Script* script :
           {&scripts::kAuditbegin, &scripts::kAuditnames, &scripts::kAuditclaim,
            &scripts::kAuditparts, &scripts::kAuditread, &scripts::kAuditend, &scripts::kAdd,
            &scripts::kClaim, &scripts::kAck}) {
        if (sha != script->sha1) continue;
        calls[script->name].push_back(reply[i][2].integer());
      }
    }
  });
  std::printf("ms a call: median, 99 of 100, longest\n");
  for (auto& [name, us] : calls) {
    std::ranges::sort(us);
    const auto at = [&us](size_t i) { return static_cast<double>(us[i]) / 1000; };
    std::printf("  %-12s %8.2f %8.2f %8.2f\n", name.c_str(), at(us.size() / 2),
                at(us.size() * 99 / 100), at(us.size() - 1));
  }
  Do({"SLOWLOG", "RESET"});
}

void AuditBench::Run(uint64_t spans_per_second, int seconds) {
  const std::string rate =
      spans_per_second == 0 ? "full speed" : absl::StrCat(spans_per_second, " spans/s");
  Load(spans_per_second, seconds, false, rate.c_str());
  Do({"SLOWLOG", "RESET"});
  Load(spans_per_second, seconds, true, (rate + ", audited").c_str());
  PrintSlowest();
}

}  // namespace
}  // namespace spillway::buffer

int main(int argc, char** argv) {
  const auto number = [&](int i, int otherwise) {
    return argc > i ? std::max(std::atoi(argv[i]), 0) : otherwise;
  };
  spillway::buffer::AuditBench bench(static_cast<size_t>(std::max(number(1, 100'000), 1)));
  std::printf("%-24s %9s %9s %9s %6s %6s %6s %9s %8s %8s\n", "", "in/s", "out/s", "us/span",
              "exact", "moving", "uneven", "parts", "least s", "most s");
  const int seconds = std::max(number(3, 10), 1);
  if (argc > 2) {
    bench.Run(static_cast<uint64_t>(number(2, 0)), seconds);
  } else {
    bench.Run(25'000, seconds);
    bench.Run(0, seconds);
  }
  return 0;
}
