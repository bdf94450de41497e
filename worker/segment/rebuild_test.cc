// The index after take: what the log says and what Redis says, one clause of invariant 3 at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "worker/segment/index_harness.h"

namespace spillway::segment {
namespace {

constexpr Offset kWatermark = 8;

SpanRecord Record(Offset offset, absl::string_view row, int64_t at = 0) {
  SpanRecord record = *ParseRow(row)[0][0];
  record.offset = offset;
  record.timestamp = EventTime{at};
  return record;
}

// In flight.
LivePart Part(Offset offset, int64_t deadline, const std::vector<Offset>& references = {}) {
  LivePart part;
  part.name = {1, offset};
  part.deadline = {deadline};
  for (const Offset reference : references) part.references.push_back({1, reference});
  return part;
}
// The same, but still taking spans; of the segment of the row's span.
LivePart Open(LivePart part, absl::string_view row) {
  part.is_in_due = true;
  part.last_header.emplace();
  part.last_header->segment = Record(0, row).parent;
  part.last_header->part_bytes = 10;
  return part;
}

TakenState State(std::vector<LivePart> live, int64_t clock = 0) {
  return {.incarnation = 1, .watermark = kWatermark, .clock = {clock}, .live = std::move(live)};
}

// What Redis is told of one more span.
PartWrite WriteOf(ShardIndex& index, absl::string_view row) {
  index.BeginBatch(kWatermark);
  index.Add(Record(kWatermark, row, index.clock().ms));
  BatchPlan plan = index.EndBatch(kWatermark + 1);
  index.CommitBatch();
  EXPECT_EQ(plan.writes.size(), 1u);
  return plan.writes.empty() ? PartWrite() : plan.writes[0];
}

TEST(RebuildTest, AReferenceHoldsTheLowWatermark) {
  ShardIndex index(RowLimits(), State({Part(5, 10, {2})}, 20));
  index.Reconcile();
  EXPECT_EQ(index.LowWatermark(), 2);
}

TEST(RebuildTest, APartIsFoundByWhatItRefersTo) {
  ShardIndex index(RowLimits(), State({Open(Part(5, 60, {7}), "a>b")}));
  index.Replay(Record(7, "a>b"));
  index.Reconcile();
  EXPECT_EQ(WriteOf(index, "c>b").part, (PartName{1, 5}));
}

TEST(RebuildTest, OfSeveralOpenPartsTheOneWithTheLatestDeadlineGoesOn) {
  ShardIndex index(RowLimits(), State({Open(Part(5, 50), "a>b"), Open(Part(7, 60), "a>b")}));
  index.Replay(Record(5, "a>b"));
  index.Replay(Record(7, "c>b"));
  index.Reconcile();
  EXPECT_EQ(WriteOf(index, "d>b").part, (PartName{1, 7}));
}

TEST(RebuildTest, APartThatRedisHasNotIsClosed) {
  ShardIndex index(RowLimits(), State({}));
  index.Replay(Record(5, "a>b"));
  index.Reconcile();
  const PartWrite write = WriteOf(index, "c>b");
  EXPECT_EQ(write.part, (PartName{1, kWatermark}));
  EXPECT_EQ(write.header.part_number, 1u);
}

TEST(RebuildTest, ASegmentWhosePartIsClosedKeepsItsName) {
  ShardIndex index(RowLimits(), State({}));
  index.Replay(Record(5, "a>b"));
  index.Reconcile();
  EXPECT_EQ(WriteOf(index, "b>c").header.segment, Record(0, "a>b").parent);
}

TEST(LowWatermarkTest, WhatHasLeftHoldsItForItsLateWindow) {
  IndexHarness shard;
  shard.Feed("a*");
  EXPECT_EQ(shard.LeaveAt(10), "1/a:{a}");
  shard.Tick(40);
  EXPECT_EQ(shard.index().LowWatermark(), 0);
  shard.Tick(41);
  EXPECT_EQ(shard.index().LowWatermark(), 1);
}

}  // namespace
}  // namespace spillway::segment
