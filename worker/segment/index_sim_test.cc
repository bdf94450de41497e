// Seeded random lives of one shard: logs with everything the rules mention, small limits, refused
// batches, claims, ticks, hand-overs. `--seed=N` runs that seed alone, `--seeds=N` so many of them.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seeded_random.h"
#include "worker/segment/index_harness.h"

namespace spillway::segment {
namespace {

using std::chrono::milliseconds;
using test_support::SeededRandom;

// Set once by main.
uint64_t first_seed = 1;
uint64_t last_seed = 2000;

// Runs `life` with every seed until one fails.
template <typename Life>
void ForAllSeeds(Life&& life) {
  for (uint64_t seed = first_seed; seed <= last_seed; ++seed) {
    SCOPED_TRACE(::testing::Message() << "replay with --seed=" << seed);
    life(seed);
    if (::testing::Test::HasFailure()) return;
  }
}

Limits SmallLimits(SeededRandom& random) {
  static constexpr uint64_t kBytes[] = {10, 24, 80, 1000};
  static constexpr uint32_t kReferences[] = {0, 1, 2, 3, 1000};
  return {.root_timeout = milliseconds(3),
          .idle_timeout = milliseconds(8),
          .max_age = milliseconds(random.Chance(0.5) ? 20 : 12),
          .late_window = milliseconds(5),
          .max_part_bytes = kBytes[random.Below(std::size(kBytes))],
          .max_references = kReferences[random.Below(std::size(kReferences))]};
}

// Writes logs of two traces whose spans come in any order.
class LogMaker {
 public:
  explicit LogMaker(SeededRandom& random)
      : random_(random),
        shares_ids_(random.Chance(0.4)),
        has_opaque_(random.Chance(0.3)),
        is_slow_(random.Chance(0.5)),
        is_mixed_(random.Chance(0.5)) {}

  std::vector<LogEntry> Make(size_t length) {
    while (log_.size() < length) log_.push_back(Next());
    if (is_mixed_) Mix();
    SetTimes();
    return std::move(log_);
  }

 private:
  const SpanRecord* Earlier(uint64_t trace) {
    std::vector<const SpanRecord*> candidates;
    for (const LogEntry& entry : log_) {
      if (entry && entry->trace.trace_low == trace) candidates.push_back(&*entry);
    }
    if (candidates.empty()) return nullptr;
    const size_t recent = std::min<size_t>(candidates.size(), 8);
    return candidates[candidates.size() - 1 - random_.Below(recent)];
  }

  // Children before their parents, whole subtrees before they are connected.
  void Mix() {
    for (size_t i = log_.size() - 1; i > 0; --i) {
      std::swap(log_[i], log_[i - random_.Below(std::min<size_t>(i + 1, 20))]);
    }
  }

  void SetTimes() {
    static constexpr int64_t kPauses[] = {0, 0, 0, 0, 1, 1, 2, 3, 7};
    int64_t time = 0;
    for (LogEntry& entry : log_) {
      if (!is_slow_ || random_.Chance(0.2)) time += kPauses[random_.Below(std::size(kPauses))];
      if (!entry) continue;
      entry->timestamp = EventTime{time};
      if (random_.Chance(0.2)) {
        entry->timestamp.ms -= std::min(time, static_cast<int64_t>(random_.Below(9)));
      }
    }
  }

  LogEntry Next() {
    if (random_.Chance(0.07)) return std::nullopt;
    SpanRecord span;
    span.trace = {.project_id = 1, .trace_high = 0, .trace_low = random_.Below(2)};
    const SpanRecord* earlier = Earlier(span.trace.trace_low);
    if (earlier != nullptr && random_.Chance(0.1)) {
      span = *earlier;
    } else {
      Fill(span, earlier);
    }
    return span;
  }

  void Fill(SpanRecord& span, const SpanRecord* earlier) {
    span.id = SpanId{next_id_++};
    const double kind = static_cast<double>(random_.Below(100)) / 100;
    if (kind < 0.45 && earlier != nullptr) {
      span.parent = random_.Chance(0.3) ? earlier->parent : SegmentId(earlier->id);
    } else if (kind < 0.8) {
      span.parent = SegmentId(SpanId{next_id_ + random_.Below(4)});
    } else {
      span.parent = SegmentId(span.id);
      span.is_segment_span = random_.Chance(0.8);
    }
    if (shares_ids_ && earlier != nullptr && random_.Chance(0.2)) span.id = earlier->id;
    if (has_opaque_ && random_.Chance(0.15)) {
      span.parent = SegmentId::FromText(random_.Chance(0.5) ? "checkout" : "pay");
      span.is_segment_span = false;
    }
    span.content_hash = log_.size() + 1;
    span.bytes = 1 + static_cast<uint32_t>(random_.Below(random_.Chance(0.05) ? 40 : 6));
  }

  SeededRandom& random_;
  const bool shares_ids_;
  const bool has_opaque_;
  const bool is_slow_;
  const bool is_mixed_;
  std::vector<LogEntry> log_;
  uint64_t next_id_ = 1;
};

auto Fields(const PartWrite& write) {
  return std::tie(write.part, write.references, write.has_chunk, write.spans, write.is_absorbed,
                  write.header, write.deadline);
}

bool Same(const BatchPlan& a, const BatchPlan& b) {
  const auto fields = [](const BatchPlan& plan) {
    return std::tie(plan.from, plan.to, plan.clock_before, plan.clock_after, plan.accepted,
                    plan.deduplicated, plan.rejected);
  };
  return fields(a) == fields(b) &&
         std::equal(a.writes.begin(), a.writes.end(), b.writes.begin(), b.writes.end(),
                    [](const PartWrite& x, const PartWrite& y) { return Fields(x) == Fields(y); });
}

size_t NextBatch(SeededRandom& random, IndexHarness& shard, size_t most) {
  const size_t left = shard.log().size() - static_cast<size_t>(shard.index().watermark());
  return std::min<size_t>(left, 1 + random.Below(most));
}

void AbortSome(SeededRandom& random, IndexHarness& shard) {
  while (random.Chance(0.4)) {
    const size_t count = NextBatch(random, shard, 20);
    if (count == 0) return;
    (void)shard.Plan(count);
    shard.Abort();
  }
}

TEST(IndexSimTest, ARefusedBatchLeavesNoTrace) {
  ForAllSeeds([](uint64_t seed) {
    SeededRandom random(seed);
    const Limits limits = SmallLimits(random);
    IndexHarness shard(limits), twin(limits);
    for (const LogEntry& entry : LogMaker(random).Make(60)) {
      shard.Append(entry);
      twin.Append(entry);
    }
    int64_t clock = 0;
    while (const size_t count = NextBatch(random, shard, 6)) {
      AbortSome(random, shard);
      const BatchPlan plan = shard.Plan(count);
      ASSERT_TRUE(Same(plan, twin.Plan(count))) << "at offset " << plan.from;
      shard.Commit(plan);
      twin.Commit(plan);
      if (random.Chance(0.3)) {
        clock = shard.shard().clock().ms + static_cast<int64_t>(random.Below(4));
        shard.Tick(clock);
        twin.Tick(clock);
      }
      AbortSome(random, shard);
      if (random.Chance(0.5)) {
        ASSERT_EQ(shard.Leave(), twin.Leave());
      }
      ASSERT_EQ(shard.index().LowWatermark(), twin.index().LowWatermark());
      ASSERT_EQ(shard.index().next_deadline(), twin.index().next_deadline());
      ASSERT_EQ(shard.index().live_spans(), twin.index().live_spans());
      ASSERT_EQ(shard.index().clock(), twin.index().clock());
    }
    ASSERT_THAT(shard.shard().error(), ::testing::IsEmpty());
  });
}

// What an index holds once everything has left.
size_t MemoryOfAnIdleIndex() {
  IndexHarness shard;
  shard.Feed("a*");
  shard.LeaveAt(10);
  shard.Tick(100);
  return shard.index().memory_bytes();
}

// All messages of the log with one random split into batches and schedule of claims.
std::vector<Message> RunOnce(const Limits& limits, const std::vector<LogEntry>& log,
                             SeededRandom& random) {
  IndexHarness shard(limits);
  for (const LogEntry& entry : log) shard.Append(entry);
  std::vector<Message> all;
  const auto leave = [&] {
    for (Message& message : shard.Leave()) all.push_back(std::move(message));
  };
  const size_t most = random.Chance(0.3) ? 60 : 5;
  while (const size_t count = NextBatch(random, shard, most)) {
    AbortSome(random, shard);
    shard.AddNext(count);
    if (random.Chance(0.5)) leave();
    if (random.Chance(0.5)) shard.Observe();
  }
  shard.Tick(100'000);
  leave();
  shard.Observe();
  EXPECT_THAT(shard.shard().error(), ::testing::IsEmpty());
  EXPECT_TRUE(shard.shard().is_empty());
  EXPECT_EQ(shard.index().LowWatermark(), static_cast<Offset>(log.size()));
  EXPECT_EQ(shard.index().live_spans(), 0);
  EXPECT_EQ(shard.index().next_deadline(), std::nullopt);
  static const size_t kIdleBytes = MemoryOfAnIdleIndex();
  EXPECT_EQ(shard.index().memory_bytes(), kIdleBytes);
  std::sort(all.begin(), all.end());
  return all;
}

TEST(IndexSimTest, MessagesDependOnTheLogAlone) {
  ForAllSeeds([](uint64_t seed) {
    SeededRandom random(seed);
    const Limits limits = SmallLimits(random);
    const std::vector<LogEntry> log = LogMaker(random).Make(50);
    const std::vector<Message> expected = RunOnce(limits, log, random);
    for (int schedule = 0; schedule < 3; ++schedule) {
      ASSERT_EQ(RunOnce(limits, log, random), expected);
    }
  });
}

// A shard that is taken again and again while claims are open and the clock ticks.
class ShardLife {
 public:
  explicit ShardLife(uint64_t seed)
      : random_(seed), limits_(SmallLimits(random_)), shard_(limits_) {
    for (const LogEntry& entry : LogMaker(random_).Make(60)) shard_.Append(entry);
  }

  void Run() {
    while (!::testing::Test::HasFailure() && NextBatch(random_, shard_, 1) > 0) Step();
    if (::testing::Test::HasFailure()) return;
    shard_.Tick(100'000);
    while (!shard_.shard().claims().empty()) End(shard_.shard().claims().begin()->first);
    Deliver(shard_.Leave());
    shard_.Observe();
    CommitLowWatermark();
    EXPECT_EQ(committed_, static_cast<Offset>(shard_.log().size()));
    EXPECT_TRUE(shard_.shard().is_empty());
    EXPECT_EQ(shard_.index().live_spans(), 0);
    EXPECT_THAT(shard_.shard().error(), ::testing::IsEmpty());
  }

 private:
  void Step() {
    switch (random_.Below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        AbortSome(random_, shard_);
        shard_.AddNext(NextBatch(random_, shard_, 4));
        if (random_.Chance(0.7)) shard_.Observe();
        break;
      case 4:
        shard_.Tick(shard_.shard().clock().ms + 1 + static_cast<int64_t>(random_.Below(4)));
        break;
      case 5:
        (void)shard_.shard().ClaimDue([this] { return random_.Chance(0.6); });
        break;
      case 6:
      case 7:
        if (!shard_.shard().claims().empty()) End(shard_.shard().claims().begin()->first);
        break;
      case 8:
        shard_.Observe();
        CommitLowWatermark();
        break;
      case 9:
        if (random_.Chance(0.4)) shard_.Take(committed_);
        break;
    }
    EXPECT_THAT(shard_.shard().error(), ::testing::IsEmpty());
  }

  void End(int claim) {
    if (random_.Chance(0.2)) {
      shard_.shard().Release(claim);
    } else {
      Deliver(shard_.shard().Acknowledge(claim));
    }
  }

  void Deliver(const std::vector<Message>& messages) {
    for (const Message& message : messages) {
      uint64_t bytes = 0;
      const SpanRecord& first = *shard_.log()[static_cast<size_t>(message.offsets.at(0))];
      for (const Offset offset : message.offsets) {
        const SpanRecord& span = *shard_.log()[static_cast<size_t>(offset)];
        EXPECT_EQ(span.trace, first.trace);
        EXPECT_TRUE(delivered_.insert(offset).second) << "offset " << offset << " leaves twice";
        contents_.insert({span.trace.trace_low, span.content_hash});
        bytes += span.bytes;
      }
      EXPECT_TRUE(bytes <= limits_.max_part_bytes || message.offsets.size() == 1)
          << "a part of " << bytes << " bytes";
    }
  }

  // Offsets below it must be settled: it is where the next owner would start to read.
  void CommitLowWatermark() {
    const Offset low = shard_.index().LowWatermark();
    for (Offset offset = committed_; offset < low; ++offset) {
      const LogEntry& entry = shard_.log()[static_cast<size_t>(offset)];
      if (!entry || delivered_.contains(offset)) continue;
      EXPECT_TRUE(contents_.contains({entry->trace.trace_low, entry->content_hash}))
          << "low watermark " << low << " is above offset " << offset << ", not delivered";
    }
    committed_ = std::max(committed_, low);
  }

  SeededRandom random_;
  const Limits limits_;
  IndexHarness shard_;
  Offset committed_ = 0;
  std::set<Offset> delivered_;
  std::set<std::pair<uint64_t, uint64_t>> contents_;
};

TEST(IndexSimTest, HandOversLoseNothingAndWriteNothingTwice) {
  ForAllSeeds([](uint64_t seed) { ShardLife(seed).Run(); });
}

}  // namespace

void ReadFlag(const char* flag) {
  if (std::strncmp(flag, "--seed=", 7) == 0)
    first_seed = last_seed = std::strtoull(flag + 7, nullptr, 10);
  if (std::strncmp(flag, "--seeds=", 8) == 0) last_seed = std::strtoull(flag + 8, nullptr, 10);
}

}  // namespace spillway::segment

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) spillway::segment::ReadFlag(argv[i]);
  return RUN_ALL_TESTS();
}
