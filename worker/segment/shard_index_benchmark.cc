// Cost of the index per span: time through plan and commit, and memory while everything is live.
// Arguments: spans of a segment, and whether they come together or one a batch ("spread").
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "worker/segment/shard_index.h"

namespace spillway::segment {
namespace {

constexpr size_t kBatchSpans = 2000;
constexpr size_t kLiveSpans = 1'000'000;

uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// Spans of endless segments of `size`, children first, each below the one after it or the root.
// Together: a segment's spans follow each other. Spread: the n-th spans of many segments do.
class Traffic {
 public:
  Traffic(size_t size, bool is_spread) : size_(size), is_spread_(is_spread) {}

  const SpanRecord& Next(EventTime time) {
    uint64_t segment, position;
    const uint64_t n = count_++;
    if (is_spread_) {
      const uint64_t round = n / (kBatchSpans * size_);
      segment = round * kBatchSpans + n % kBatchSpans;
      position = n / kBatchSpans % size_;
    } else {
      segment = n / size_;
      position = n % size_;
    }
    const bool is_root = position + 1 == size_;
    const uint64_t parent = is_root || position % 2 == 0 ? size_ - 1 : position + 1;
    span_.offset = static_cast<Offset>(n);
    span_.trace = {
        .project_id = segment % 50, .trace_high = Mix(segment), .trace_low = Mix(~segment)};
    span_.id = SpanId{Mix(segment * 1000 + position + 1)};
    span_.parent = SegmentId(SpanId{Mix(segment * 1000 + parent + 1)});
    span_.is_segment_span = is_root;
    span_.content_hash = Mix(n);
    span_.bytes = 1000;
    span_.timestamp = time;
    return span_;
  }

 private:
  const size_t size_;
  const bool is_spread_;
  uint64_t count_ = 0;
  SpanRecord span_;
};

void AddBatch(ShardIndex& index, Traffic& traffic, int64_t time) {
  const Offset from = index.watermark();
  index.BeginBatch(from);
  for (size_t i = 0; i < kBatchSpans; ++i) index.Add(traffic.Next(EventTime{time}));
  benchmark::DoNotOptimize(index.EndBatch(from + static_cast<Offset>(kBatchSpans)));
  index.CommitBatch();
}

void BM_Traffic(benchmark::State& state) {
  for (auto _ : state) {
    Traffic traffic(static_cast<size_t>(state.range(0)), false);
    for (size_t i = 0; i < kLiveSpans; ++i) benchmark::DoNotOptimize(traffic.Next(EventTime{0}));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kLiveSpans));
}

// A steady state: about kLiveSpans are remembered, as many are forgotten as come.
void BM_Steady(benchmark::State& state) {
  Traffic traffic(static_cast<size_t>(state.range(0)), state.range(1) != 0);
  ShardIndex index(Limits{}, TakenState{});
  // A span is remembered for root_timeout and late_window, 40 s.
  constexpr int64_t kBatchMs = 40'000 * static_cast<int64_t>(kBatchSpans) / kLiveSpans;
  int64_t time = 0;
  const auto step = [&] {
    time += kBatchMs;
    AddBatch(index, traffic, time);
    index.Observe(EventTime{time}, EventTime{time});
    benchmark::DoNotOptimize(index.LowWatermark());
  };
  for (size_t done = 0; done < 2 * kLiveSpans; done += kBatchSpans) step();
  for (auto _ : state) step();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBatchSpans));
  state.counters["bytes/span"] =
      static_cast<double>(index.memory_bytes()) / static_cast<double>(index.live_spans());
  state.counters["live"] = static_cast<double>(index.live_spans());
}

void BM_Replay(benchmark::State& state) {
  for (auto _ : state) {
    Traffic traffic(static_cast<size_t>(state.range(0)), state.range(1) != 0);
    TakenState taken;
    taken.watermark = kLiveSpans;
    taken.clock = EventTime{40'000};
    ShardIndex index(Limits{}, taken);
    for (size_t i = 0; i < kLiveSpans; ++i) {
      index.Replay(traffic.Next(EventTime{static_cast<int64_t>(i * 40'000 / kLiveSpans)}));
    }
    index.Reconcile();
    benchmark::DoNotOptimize(index.LowWatermark());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kLiveSpans));
}

void Shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"k", "spread"})->Args({1, 0})->Args({5, 0})->Args({20, 0})->Args({20, 1});
}

BENCHMARK(BM_Traffic)->ArgName("k")->Arg(5)->Unit(benchmark::kMillisecond);  // to be subtracted
BENCHMARK(BM_Steady)->Apply(Shapes);
BENCHMARK(BM_Replay)->Apply(Shapes)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace spillway::segment

BENCHMARK_MAIN();
