// Conformance row A15: random forests against the reference model.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/reference_forest.h"
#include "tests/support/reference_model.h"
#include "tests/support/seeded_random.h"
#include "worker/segment/index_harness.h"

namespace spillway::segment {
namespace {

using test_support::ReferenceSegment;
using test_support::ReferenceSpan;

SpanRecord RecordOf(const ReferenceSpan& reference) {
  SpanRecord span;
  const std::string trace = test_support::NormalTraceId(reference.trace_id);
  span.trace.project_id = reference.project_id;
  EXPECT_TRUE(absl::SimpleHexAtoi(trace.substr(0, 16), &span.trace.trace_high));
  EXPECT_TRUE(absl::SimpleHexAtoi(trace.substr(16), &span.trace.trace_low));
  span.id = SegmentId::FromText(reference.span_id).span_id();
  span.parent = SegmentId::FromText(test_support::EffectiveParent(reference));
  span.is_segment_span = test_support::IsSegmentSpan(reference);
  span.content_hash = absl::Hash<std::string>()(reference.content);
  span.bytes = static_cast<uint32_t>(reference.content.size());
  span.timestamp = EventTime{0};
  return span;
}

std::vector<ReferenceSegment> SegmentsOf(const std::vector<Message>& messages,
                                         const std::vector<ReferenceSpan>& spans) {
  std::vector<test_support::LeftSegment> left;
  for (const Message& message : messages) {
    left.push_back({message.segment.ToString(), {message.offsets.begin(), message.offsets.end()}});
  }
  return test_support::InModelWords(std::move(left), spans);
}

void CompareWithModel(uint64_t seed) {
  SCOPED_TRACE(seed);
  const std::vector<ReferenceSpan> spans = test_support::RandomForest({.seed = seed});
  const test_support::ReferenceResult expected = test_support::ExpectedSegments(spans);
  test_support::SeededRandom random(seed);
  IndexHarness shard;
  for (const ReferenceSpan& span : spans) shard.Append(RecordOf(span));
  for (size_t left = spans.size(); left > 0;) {
    const size_t count = std::min<size_t>(left, 1 + random.Below(seed % 2 == 0 ? 4000 : 20));
    shard.AddNext(count);
    left -= count;
  }
  shard.Tick(10);
  std::vector<Message> messages = shard.Leave();
  for (const ReferenceSegment& segment : SegmentsOf(messages, spans)) {
    EXPECT_TRUE(segment.has_segment_span) << segment.name;
  }
  shard.Tick(60);
  for (Message& message : shard.Leave()) messages.push_back(std::move(message));
  EXPECT_EQ(SegmentsOf(messages, spans), expected.segments);
  EXPECT_EQ(shard.shard().deduplicated(), expected.deduplicated);
  EXPECT_THAT(shard.shard().error(), ::testing::IsEmpty());
  shard.Tick(91);
  EXPECT_EQ(shard.index().live_spans(), 0);
  EXPECT_EQ(shard.index().LowWatermark(), static_cast<Offset>(spans.size()));
}

TEST(AssemblyTest, A15RandomForestsMatchTheReferenceModel) {
  for (uint64_t seed = 1; seed <= SPILLWAY_FORESTS && !::testing::Test::HasFailure(); ++seed) {
    CompareWithModel(seed);
  }
}

}  // namespace
}  // namespace spillway::segment
