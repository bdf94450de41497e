// Conformance rows A, D, L and K7 on the pure index. Rows with many orders run all of them.
#include "worker/segment/shard_index.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/segment/index_harness.h"

namespace spillway::segment {
namespace {

using std::chrono::milliseconds;
using ::testing::IsEmpty;

// Calls `check` with a harness that was fed `items` (spans, or "|" to split), in every order, all
// items of a batch at once and one by one.
void ForAllOrders(absl::string_view row, const std::function<void(IndexHarness&)>& check) {
  std::vector<std::string> items = absl::StrSplit(row, ' ');
  std::sort(items.begin(), items.end());
  do {
    const std::string order = absl::StrJoin(items, " ");
    SCOPED_TRACE(order);
    IndexHarness together;
    together.Feed(order);
    check(together);
    IndexHarness one_by_one;
    one_by_one.FeedEach(order);
    check(one_by_one);
    EXPECT_THAT(together.shard().error(), IsEmpty());
    EXPECT_THAT(one_by_one.shard().error(), IsEmpty());
    EXPECT_TRUE(together.shard().is_empty() && one_by_one.shard().is_empty());
  } while (!::testing::Test::HasFailure() && std::next_permutation(items.begin(), items.end()));
}

TEST(AssemblyTest, A1JoinsChildrenWithTheirSegmentSpan) {
  ForAllOrders("a>b d>b c>b b*", [](IndexHarness& shard) {
    EXPECT_EQ(shard.LeaveAt(5), "none");
    EXPECT_EQ(shard.LeaveAt(11), "1/b:{a,b,c,d}");
    EXPECT_EQ(shard.LeaveAt(1000), "none");
  });
}

TEST(AssemblyTest, A2JoinsAcrossBatches) {
  ForAllOrders("d>b | b>a a* c>a", [](IndexHarness& shard) {
    EXPECT_EQ(shard.LeaveAt(10), "1/a:{a,b,c,d}");
    EXPECT_EQ(shard.LeaveAt(60), "none");
  });
}

TEST(AssemblyTest, A3JoinsAChain) {
  ForAllOrders("e>d d>b b>c c>a a*",
               [](IndexHarness& shard) { EXPECT_EQ(shard.LeaveAt(10), "1/a:{a,b,c,d,e}"); });
}

TEST(AssemblyTest, A4NeverJoinsProjects) {
  ForAllOrders("c>b d>b e>b b*@2", [](IndexHarness& shard) {
    EXPECT_EQ(shard.LeaveAt(11), "2/b:{b}");
    EXPECT_EQ(shard.LeaveAt(60), "1/b:{c,d,e}");
  });
}

class A5Test : public ::testing::TestWithParam<const char*> {};

TEST_P(A5Test, ASegmentSpanWithAParentStandsAlone) {
  IndexHarness shard;
  shard.Feed(GetParam());
  EXPECT_EQ(shard.LeaveAt(11), "1/c:{c} 2/b:{b}");
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{d,e}");
  EXPECT_TRUE(shard.shard().is_empty());
}

INSTANTIATE_TEST_SUITE_P(Orders, A5Test,
                         ::testing::Values("c*>d d>b e>b b*@2", "c*>d | d>b e>b b*@2",
                                           "c*>d d>b | e>b b*@2", "c*>d d>b e>b | b*@2",
                                           "b*@2 e>b d>b c*>d", "b*@2 | e>b d>b c*>d",
                                           "b*@2 e>b | d>b c*>d", "b*@2 e>b d>b | c*>d"));

TEST(AssemblyTest, A6TheSegmentIdAttributeNamesTheParent) {
  ForAllOrders("b>c~a a*~a",
               [](IndexHarness& shard) { EXPECT_EQ(shard.LeaveAt(11), "1/a:{a,b}"); });
}

TEST(AssemblyTest, A7TheSameSpanTwiceLeavesOnce) {
  IndexHarness shard;
  shard.Feed("a>b b* a>b b*");
  EXPECT_EQ(shard.shard().accepted(), 4);
  EXPECT_EQ(shard.shard().deduplicated(), 2);
  shard.Tick(11);
  const std::vector<Message> messages = shard.Leave();
  ASSERT_EQ(messages.size(), 1);
  EXPECT_EQ(messages[0].offsets, (std::vector<Offset>{0, 1}));
}

TEST(AssemblyTest, A8ANewSpanMovesTheDeadline) {
  IndexHarness shard;
  shard.Feed("a>b", 0);
  shard.Feed("b*", 1);
  EXPECT_EQ(shard.LeaveAt(10), "none");
  EXPECT_EQ(shard.LeaveAt(12), "1/b:{a,b}");
}

TEST(AssemblyTest, A9AChainThatGrowsUpwards) {
  IndexHarness shard;
  shard.Feed("d>c", 0);
  shard.Feed("c>b", 1);
  shard.Feed("b>a", 2);
  shard.Feed("a*", 3);
  EXPECT_EQ(shard.LeaveAt(14), "1/a:{a,b,c,d}");
  EXPECT_TRUE(shard.shard().is_empty());
}

TEST(AssemblyTest, A10TwoSegmentSpansAreTwoSegments) {
  ForAllOrders("a* b*",
               [](IndexHarness& shard) { EXPECT_EQ(shard.LeaveAt(11), "1/a:{a} 1/b:{b}"); });
}

TEST(AssemblyTest, A16ALateSegmentSpanIsTheNextPartOfItsSegment) {
  IndexHarness shard;
  shard.Feed("a>b | c>b");
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{a,c}");
  shard.Feed("b*", 61);
  shard.Tick(71);
  const std::vector<Message> messages = shard.Leave();
  ASSERT_EQ(messages.size(), 1);
  EXPECT_EQ(messages[0].segment.ToString(), "bbbbbbbbbbbbbbbb");
  EXPECT_EQ(messages[0].part_number, 1);
  EXPECT_TRUE(messages[0].skip_enrichment);
}

TEST(AssemblyTest, A16BeyondTheLateWindowASegmentStartsAnew) {
  IndexHarness shard;
  shard.Feed("a>b | c>b");
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{a,c}");
  shard.Feed("b*", 91);
  shard.Tick(101);
  const std::vector<Message> messages = shard.Leave();
  ASSERT_EQ(messages.size(), 1);
  EXPECT_EQ(messages[0].part_number, 0);
  EXPECT_FALSE(messages[0].skip_enrichment);
}

TEST(AssemblyTest, ACutSegmentKeepsItsNameWhenAHigherParentComes) {
  IndexHarness shard;
  shard.Feed("a>b", 0);
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{a}");
  shard.Feed("b>c c*", 61);
  EXPECT_EQ(shard.LeaveAt(200), "1/b:{b} 1/c:{c}");
}

TEST(AssemblyTest, ACutSegmentKeepsItsNameWhenALargerOneJoinsIt) {
  IndexHarness shard;
  shard.Feed("a>b", 0);
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{a}");
  shard.Feed("c>d e>d f>d | d>b b>0", 61);
  EXPECT_EQ(shard.LeaveAt(121), "1/b:{b,c,d,e,f}");
}

TEST(AssemblyTest, A17TheFirstOfASharedIdDecidesItsParent) {
  IndexHarness shard;
  shard.Feed("a>b a>c b* c*");
  EXPECT_EQ(shard.LeaveAt(11), "1/b:{a,b} 1/c:{c}");
  EXPECT_EQ(shard.shard().deduplicated(), 0);
}

TEST(AssemblyTest, A17ClientAndServerSideOfOneCallLeaveTogether) {
  ForAllOrders("a>b b>c c* b*~x", [](IndexHarness& shard) {
    shard.Tick(11);
    size_t spans = 0;
    for (const Message& message : shard.Leave()) spans += message.offsets.size();
    EXPECT_EQ(spans, 4);
  });
}

TEST(AssemblyTest, A17EveryVariantOfASharedIdIsDeduplicated) {
  IndexHarness shard;
  shard.Feed("a>b a>c | a>c a>b");
  EXPECT_EQ(shard.shard().deduplicated(), 2);
}

TEST(AssemblyTest, A17ACycleIsNamedByItsLowestId) {
  ForAllOrders("a>b b>c c>a d>b",
               [](IndexHarness& shard) { EXPECT_EQ(shard.LeaveAt(60), "1/a:{a,b,c,d}"); });
}

TEST(AssemblyTest, A17ASpanMayBeItsOwnParent) {
  ForAllOrders("a>a b>a", [](IndexHarness& shard) {
    EXPECT_EQ(shard.LeaveAt(11), "none");  // no segment span by rule 1
    EXPECT_EQ(shard.LeaveAt(60), "1/a:{a,b}");
  });
}

TEST(AssemblyTest, OpaqueSegmentIdsJoinWithinATrace) {
  ForAllOrders("a>b~check-out c>d~check-out e~pay f~pay@2", [](IndexHarness& shard) {
    EXPECT_EQ(shard.LeaveAt(60), "1/check-out:{a,c} 1/pay:{e} 2/pay:{f}");
    shard.Tick(200);
    EXPECT_EQ(shard.index().live_spans(), 0);
  });
}

// Rows with many spans: ids are numbers.
SpanRecord NumberedSpan(uint64_t id, uint64_t parent, uint32_t bytes = 30) {
  SpanRecord span;
  span.trace = {.project_id = 1, .trace_high = 1, .trace_low = 2};
  span.id = SpanId{id};
  span.parent = SegmentId(SpanId{parent});
  span.is_segment_span = id == parent;
  span.content_hash = id;
  span.bytes = bytes;
  span.timestamp = EventTime{0};
  return span;
}

void Shuffle(std::vector<SpanRecord>& spans) {
  uint64_t state = 42;
  for (size_t i = spans.size(); i > 1; --i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::swap(spans[i - 1], spans[(state >> 33) % i]);
  }
}

std::vector<SpanRecord> Chain(size_t length) {
  std::vector<SpanRecord> spans;
  for (uint64_t id = 1; id <= length; ++id) spans.push_back(NumberedSpan(id, id == 1 ? 1 : id - 1));
  return spans;
}

void ExpectOneSegment(const std::vector<SpanRecord>& spans, size_t batch_size) {
  IndexHarness shard;
  for (const SpanRecord& span : spans) shard.Append(span);
  for (size_t done = 0; done < spans.size(); done += batch_size) {
    shard.AddNext(std::min(batch_size, spans.size() - done));
    shard.Observe();
  }
  shard.Tick(10);
  const std::vector<Message> messages = shard.Leave();
  ASSERT_EQ(messages.size(), 1);
  EXPECT_EQ(messages[0].offsets.size(), spans.size());
  EXPECT_EQ(messages[0].segment.ToString(), "0000000000000001");
  EXPECT_FALSE(messages[0].skip_enrichment);
  EXPECT_THAT(shard.shard().error(), IsEmpty());
}

TEST(AssemblyTest, A13AChainOneSpanABatch) {
  std::vector<SpanRecord> chain = Chain(1000);
  ExpectOneSegment(chain, 1);
  std::reverse(chain.begin(), chain.end());
  ExpectOneSegment(chain, 1);
  Shuffle(chain);
  ExpectOneSegment(chain, 1);
}

TEST(AssemblyTest, A14TenThousandSpansInOneBatch) {
  std::vector<SpanRecord> spans;
  for (uint64_t id = 1; id <= 10'000; ++id)
    spans.push_back(NumberedSpan(id, id == 1 ? 1 : id / 4 + 1));
  ExpectOneSegment(spans, 10'000);
  std::swap(spans.front(), spans.back());
  ExpectOneSegment(spans, 10'000);
  std::vector<SpanRecord> chain = Chain(10'000);
  ExpectOneSegment(chain, 10'000);
  std::reverse(chain.begin(), chain.end());
  ExpectOneSegment(chain, 10'000);
}

TEST(AssemblyTest, A18AThousandSegmentsJoinedOneAtATime) {
  // Segment i: span 10·i+2 below 10·i+1. Then each 10·i+1 joins the one before it.
  std::vector<SpanRecord> joins;
  IndexHarness shard;
  for (uint64_t i = 0; i < 1000; ++i) {
    shard.Append(NumberedSpan(10 * i + 2, 10 * i + 1));
    shard.Append(NumberedSpan(10 * i + 3, 10 * i + 1));
    joins.push_back(NumberedSpan(10 * i + 1, i == 0 ? 1 : 10 * i - 9));
  }
  shard.AddAll();
  Shuffle(joins);
  for (const SpanRecord& join : joins) {
    shard.Append(join);
    const BatchPlan plan = shard.Plan(1);
    EXPECT_LE(plan.writes.size(), 2);
    shard.Commit(plan);
    shard.Observe();
  }
  EXPECT_LE(shard.shard().due().size(), 4);
  shard.Tick(10);
  size_t spans = 0;
  for (const Message& message : shard.Leave()) {
    EXPECT_EQ(message.segment.ToString(), "0000000000000001");
    spans += message.offsets.size();
  }
  EXPECT_EQ(spans, 3000);
  EXPECT_THAT(shard.shard().error(), IsEmpty());
}

TEST(AssemblyTest, WhatOneBatchOpensAndMergesIsOneList) {
  IndexHarness shard;
  for (const std::vector<LogEntry>& batch : ParseRow("a>b c>d e>d d>b b*")) {
    for (LogEntry entry : batch) {
      entry->timestamp = EventTime{0};
      shard.Append(entry);
    }
  }
  const BatchPlan plan = shard.Plan(5);
  ASSERT_EQ(plan.writes.size(), 1);
  EXPECT_EQ(plan.writes[0].part, (PartName{0, 0}));
  EXPECT_THAT(plan.writes[0].references, IsEmpty());
  EXPECT_THAT(plan.writes[0].spans, ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(plan.writes[0].header.span_count, 5);
  EXPECT_EQ(plan.writes[0].header.part_bytes, 150);
  shard.Commit(plan);
}

TEST(AssemblyTest, ListsOfEarlierBatchesAreReferredTo) {
  IndexHarness shard;
  shard.Feed("a>b | c>d | e>f | d>b");
  EXPECT_THAT(shard.shard().ReferencesOf({0, 0}), ::testing::ElementsAre(PartName{0, 1}));
  shard.Feed("f>d");
  EXPECT_THAT(shard.shard().ReferencesOf({0, 0}),
              ::testing::ElementsAre(PartName{0, 1}, PartName{0, 2}));
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{a,c,d,e,f}");
  EXPECT_TRUE(shard.shard().is_empty());
}

TEST(DeadlineTest, D1RunsFromTheLastSpan) {
  IndexHarness shard;
  shard.Feed("a>b", 0);
  EXPECT_EQ(shard.index().next_deadline(), EventTime{60});
  shard.Feed("c>b", 20);
  EXPECT_EQ(shard.index().next_deadline(), EventTime{80});
  shard.Feed("b*", 30);
  EXPECT_EQ(shard.index().next_deadline(), EventTime{40});
  shard.Feed("d>b", 35);
  EXPECT_EQ(shard.index().next_deadline(), EventTime{45});
  EXPECT_EQ(shard.LeaveAt(44), "none");
  EXPECT_EQ(shard.LeaveAt(45), "1/b:{a,b,c,d}");
}

TEST(DeadlineTest, D2APartLeavesAtItsMaximalAge) {
  Limits limits = RowLimits();
  limits.max_age = milliseconds(600);
  IndexHarness shard(limits);
  std::vector<size_t> sizes;
  for (int64_t t = 0; t < 1200; t += 5) {
    SpanRecord span = NumberedSpan(static_cast<uint64_t>(t) + 10, 1);
    span.timestamp = EventTime{t};
    shard.Append(span);
    shard.AddAll();
    shard.Observe();
    for (const Message& message : shard.Leave()) {
      EXPECT_EQ(t, 600);
      EXPECT_EQ(message.part_number, 0);
      sizes.push_back(message.offsets.size());
    }
  }
  shard.Tick(1300);
  for (const Message& message : shard.Leave()) {
    EXPECT_EQ(message.part_number, 1);
    sizes.push_back(message.offsets.size());
  }
  EXPECT_THAT(sizes, ::testing::ElementsAre(120, 120));
}

TEST(DeadlineTest, D3DeadlinesFollowTheMessagesNotTheWall) {
  IndexHarness shard;
  shard.Feed("a>b", 1000);
  shard.Feed("c>b", 1050);
  shard.Feed("b*", 1100);
  EXPECT_EQ(shard.index().clock(), EventTime{1100});
  EXPECT_EQ(shard.LeaveAt(1109), "none");
  EXPECT_EQ(shard.LeaveAt(1110), "1/b:{a,b,c}");
}

TEST(DeadlineTest, D4TicksMakeEverythingDue) {
  IndexHarness shard;
  shard.Feed("a>b c*", 0);
  EXPECT_EQ(shard.LeaveAt(10), "1/c:{c}");
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{a}");
}

TEST(DeadlineTest, D4bWithoutTicksTheClockStandsStillAcrossARestart) {
  IndexHarness shard;
  shard.Feed("a>b", 0);
  shard.Take(0);
  EXPECT_EQ(shard.index().clock(), EventTime{0});
  shard.Feed("b*", 50);
  EXPECT_EQ(shard.LeaveAt(60), "1/b:{a,b}");
}

TEST(DeadlineTest, D4cTheClockNeverGoesBack) {
  IndexHarness shard;
  shard.Feed("a>b", 100);
  shard.Feed("c>b", 3);
  EXPECT_EQ(shard.index().clock(), EventTime{100});
  EXPECT_EQ(shard.index().next_deadline(), EventTime{160});
}

Limits SmallParts(uint64_t bytes) {
  Limits limits = RowLimits();
  limits.max_part_bytes = bytes;
  return limits;
}

TEST(SizeTest, L1AFullPartIsSealedAndTheSegmentGoesOn) {
  IndexHarness shard(SmallParts(70));
  shard.Feed("b>a | c>a | d>a");
  ASSERT_EQ(shard.shard().due().size(), 2);
  EXPECT_EQ(shard.shard().due().at({0, 0}), EventTime{0});  // due at once
  shard.Tick(60);
  EXPECT_THAT(shard.Leave(), ::testing::ElementsAre(
                                 Message{SegmentId::FromText("aaaaaaaaaaaaaaaa"), 0, true, {0, 1}},
                                 Message{SegmentId::FromText("aaaaaaaaaaaaaaaa"), 1, true, {2}}));
}

TEST(SizeTest, L2NoPartExceedsTheLimit) {
  IndexHarness shard(SmallParts(100));
  shard.Feed("c>b b>a | d>a e>a a*");
  shard.Tick(60);
  size_t spans = 0;
  for (const Message& message : shard.Leave()) {
    EXPECT_LE(message.offsets.size(), 3);
    EXPECT_EQ(message.segment.ToString(), "aaaaaaaaaaaaaaaa");
    spans += message.offsets.size();
  }
  EXPECT_EQ(spans, 5);
}

TEST(SizeTest, L3ASmallSegmentIsNotMarked) {
  IndexHarness shard;
  shard.Feed("a>b b*");
  shard.Tick(10);
  const std::vector<Message> messages = shard.Leave();
  ASSERT_EQ(messages.size(), 1);
  EXPECT_FALSE(messages[0].skip_enrichment);
}

TEST(SizeTest, L4AnOversizeSpanStandsAlone) {
  IndexHarness shard(SmallParts(20));
  shard.Feed("a>b b* c>b");
  shard.Tick(60);
  const std::vector<Message> messages = shard.Leave();
  ASSERT_EQ(messages.size(), 3);
  for (const Message& message : messages) {
    EXPECT_EQ(message.offsets.size(), 1);
    EXPECT_TRUE(message.skip_enrichment);
  }
}

TEST(SizeTest, OfTwoPartsTooBigToMergeTheOneOpenedFirstIsSealed) {
  IndexHarness shard(SmallParts(130));
  shard.Feed("a>b c>b | d>e f>e | e>b");
  ASSERT_EQ(shard.shard().due().size(), 2);
  EXPECT_EQ(shard.shard().due().at({0, 0}), EventTime{0});
  shard.Tick(60);
  EXPECT_THAT(
      shard.Leave(),
      ::testing::ElementsAre(Message{SegmentId::FromText("bbbbbbbbbbbbbbbb"), 0, true, {0, 1}},
                             Message{SegmentId::FromText("bbbbbbbbbbbbbbbb"), 1, true, {2, 3, 4}}));
}

TEST(SizeTest, TooManyReferencesSealAPart) {
  Limits limits = RowLimits();
  limits.max_references = 2;
  IndexHarness shard(limits);
  // 2, 3 … are tops of their own; each then joins segment 1.
  for (uint64_t i = 2; i <= 6; ++i) shard.Append(NumberedSpan(100 * i, i));
  shard.Append(NumberedSpan(100, 1));
  for (uint64_t i = 2; i <= 6; ++i) shard.Append(NumberedSpan(i, 1));
  for (int i = 0; i < 11; ++i) shard.AddNext(1);
  shard.Tick(60);
  const std::vector<Message> messages = shard.Leave();
  size_t spans = 0;
  for (const Message& message : messages) spans += message.offsets.size();
  EXPECT_EQ(spans, 11);
  ASSERT_EQ(messages.size(), 2);
  EXPECT_TRUE(messages[0].skip_enrichment && messages[1].skip_enrichment);
  EXPECT_THAT(shard.shard().error(), IsEmpty());
}

TEST(ReplayTest, K7OtherBatchBoundariesChangeNothing) {
  const absl::string_view row = "a>b c>d ! b>c a>b d* e>b e>f ! f*";
  IndexHarness one;
  one.Feed(row);
  IndexHarness other;
  other.FeedEach(row);
  EXPECT_EQ(one.shard().accepted(), other.shard().accepted());
  EXPECT_EQ(one.shard().deduplicated(), other.shard().deduplicated());
  EXPECT_EQ(one.shard().rejected(), other.shard().rejected());
  one.Tick(100);
  other.Tick(100);
  EXPECT_EQ(one.Leave(), other.Leave());
}

}  // namespace
}  // namespace spillway::segment
