#include "tests/load/traffic.h"

#include <zstd.h>

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "simdjson.h"
#include "tests/load/manifest.h"
#include "tests/load/span_text.h"

namespace spillway::load {
namespace {

uint64_t HashOf(const TrafficOptions& options) {
  Traffic traffic(options);
  uint64_t hash = 0;
  for (Message message; traffic.Next(message);) hash = ContentHash(hash, message.bytes);
  return hash;
}

struct Totals {
  uint64_t spans = 0, duplicates = 0, invalid = 0, ended = 0, bytes = 0;
  size_t smallest = SIZE_MAX, largest = 0;
  std::set<std::pair<uint64_t, uint64_t>> traces;
  std::set<std::tuple<int, int>> forms;
  std::set<uint64_t> projects;
};

Totals TotalsOf(const TrafficOptions& options) {
  Traffic traffic(options);
  Totals totals;
  for (Message message; traffic.Next(message);) {
    if (message.kind == MessageKind::kInvalid) {
      ++totals.invalid;
      continue;
    }
    ++(message.kind == MessageKind::kSpan ? totals.spans : totals.duplicates);
    totals.ended += message.ends_trace ? 1 : 0;
    totals.bytes += message.bytes.size();
    totals.smallest = std::min(totals.smallest, message.bytes.size());
    totals.largest = std::max(totals.largest, message.bytes.size());
    totals.traces.emplace(message.trace->high, message.trace->low);
    totals.forms.emplace(static_cast<int>(message.span->is_segment),
                         static_cast<int>(message.span->attributes));
    totals.projects.insert(ServiceOf(*message.span).project_id);
  }
  return totals;
}

TEST(TrafficTest, IsTheSameForTheSameOptions) {
  const TrafficOptions options{.seed = 3,
                               .spans = 5'000,
                               .invalid_ratio = 0.01,
                               .duplicate_ratio = 0.02,
                               .rootless_ratio = 0.02};
  EXPECT_EQ(HashOf(options), HashOf(options));
  TrafficOptions other = options;
  other.seed = 4;
  EXPECT_NE(HashOf(options), HashOf(other));
}

TEST(TrafficTest, MakesExactlyTheSpansAskedFor) {
  for (const Shape shape :
       {Shape::kRealistic, Shape::kOne, Shape::kFive, Shape::kTwenty, Shape::kSpread}) {
    const Totals totals = TotalsOf({.spans = 1'003, .shape = shape});
    EXPECT_EQ(totals.spans, 1'003u);
    EXPECT_EQ(totals.duplicates + totals.invalid, 0u);
    EXPECT_EQ(totals.ended, totals.traces.size());
  }
}

TEST(TrafficTest, FixedShapesHaveFixedSizes) {
  const Totals totals = TotalsOf({.spans = 1'000, .shape = Shape::kFive});
  EXPECT_EQ(totals.smallest, kFixedSpanBytes);
  EXPECT_EQ(totals.largest, kFixedSpanBytes);
  EXPECT_EQ(totals.traces.size(), 200u);
}

// Bytes a span of frames that hold a trace's spans each, one after the other.
double CompressedSpanBytes(Shape shape) {
  constexpr uint64_t kSpans = 10'000;
  Traffic traffic({.spans = kSpans, .shape = shape, .base_time_ms = 1'764'000'000'000});
  std::string frame, compressed(ZSTD_compressBound(20 * kFixedSpanBytes), '\0');
  size_t bytes = 0;
  for (Message message; traffic.Next(message);) {
    frame += message.bytes;
    if (!message.ends_trace) continue;
    bytes += ZSTD_compress(compressed.data(), compressed.size(), frame.data(), frame.size(), 1);
    frame.clear();
  }
  return static_cast<double>(bytes) / kSpans;
}

// As the spans of the measurements in docs/design.md ("Codec") do, so that figures compare.
TEST(TrafficTest, FixedShapesCompressLikeTheSpansOfTheDesign) {
  EXPECT_NEAR(static_cast<double>(kFixedSpanBytes), 1'000, 30);
  EXPECT_NEAR(CompressedSpanBytes(Shape::kOne), 465, 465 * 0.05);
  EXPECT_NEAR(CompressedSpanBytes(Shape::kFive), 187, 187 * 0.05);
}

TEST(TrafficTest, RealisticSpansVaryInSizeAndForm) {
  const Totals totals = TotalsOf({.spans = 50'000});
  EXPECT_GT(totals.bytes / totals.spans, 700u);
  EXPECT_LT(totals.bytes / totals.spans, 2'000u);
  EXPECT_GT(totals.largest, 2'500u);
  EXPECT_LT(totals.largest, 5'000u);
  EXPECT_EQ(totals.forms.size(), 20u);  // every spelling of both edited fields
  EXPECT_GE(totals.projects.size(), 5u);
  EXPECT_GT(totals.traces.size(), 1'500u);
}

TEST(TrafficTest, AddsTheDuplicatesAndInvalidMessagesAskedFor) {
  const Totals totals = TotalsOf({.spans = 20'000, .invalid_ratio = 0.01, .duplicate_ratio = 0.05});
  EXPECT_NEAR(static_cast<double>(totals.duplicates), 1'000, 150);
  EXPECT_NEAR(static_cast<double>(totals.invalid), 200, 60);
}

TEST(TrafficTest, DuplicatesAreTheSameBytes) {
  Traffic traffic({.spans = 5'000, .duplicate_ratio = 0.05});
  std::set<std::string> seen;
  for (Message message; traffic.Next(message);) {
    EXPECT_EQ(seen.insert(message.bytes).second, message.kind == MessageKind::kSpan);
  }
}

TEST(TrafficTest, WritesValidJsonWithTheRequiredFields) {
  Traffic traffic({.spans = 20'000, .rootless_ratio = 0.05});
  simdjson::dom::parser parser;
  for (Message message; traffic.Next(message);) {
    simdjson::dom::object span;
    ASSERT_EQ(parser.parse(message.bytes).get(span), simdjson::SUCCESS) << message.bytes;
    for (const char* key :
         {"organization_id", "project_id", "trace_id", "span_id", "start_timestamp",
          "end_timestamp", "received", "retention_days", "status"}) {
      ASSERT_EQ(span[key].error(), simdjson::SUCCESS) << key << " in " << message.bytes;
    }
  }
}

TEST(TrafficTest, InterleavesTraces) {
  Traffic traffic({.spans = 20'000, .spread_seconds = 1});
  uint64_t previous = 0, changes = 0, count = 0;
  for (Message message; traffic.Next(message); ++count) {
    changes += message.trace->low != previous ? 1 : 0;
    previous = message.trace->low;
  }
  EXPECT_GT(changes, count * 9 / 10);
}

TEST(TrafficTest, SpreadShapeKeepsSpansOfASegmentApart) {
  const TrafficOptions options{.spans = 200'000, .shape = Shape::kSpread, .spread_seconds = 0.5};
  Traffic traffic(options);
  std::map<uint64_t, uint64_t> last;
  uint64_t count = 0, closest = UINT64_MAX;
  for (Message message; traffic.Next(message); ++count) {
    const auto [at, is_new] = last.try_emplace(message.trace->low, count);
    if (!is_new) closest = std::min(closest, count - at->second);
    at->second = count;
  }
  EXPECT_GE(closest, 4'900u);
}

TEST(TrafficTest, OpensMoreTracesForMoreSpread) {
  EXPECT_EQ(OpenTraceCount({.spans_per_second = 2'000, .spread_seconds = 1}), 100u);
  EXPECT_EQ(OpenTraceCount({.spans_per_second = 2'000, .spread_seconds = 4}), 400u);
  EXPECT_EQ(OpenTraceCount({.shape = Shape::kFive}), 1u);
}

}  // namespace
}  // namespace spillway::load
