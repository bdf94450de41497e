#include "tests/support/reference_model.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/reference_forest.h"
#include "tests/support/seeded_random.h"

namespace spillway::test_support {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// "1/b:abcd": project, first letter of the name (or all of an opaque one), letters of its spans.
std::vector<std::string> Letters(const std::vector<ReferenceSpan>& spans) {
  std::vector<std::string> lines;
  for (const ReferenceSegment& segment : ExpectedSegments(spans).segments) {
    std::string members;
    for (const size_t i : segment.spans) members += spans[i].span_id[0];
    std::sort(members.begin(), members.end());
    const bool is_letter = segment.name == RowSpanId(segment.name[0]);
    lines.push_back(absl::StrCat(segment.project_id, "/",
                                 is_letter ? segment.name.substr(0, 1) : segment.name, ":", members,
                                 segment.has_segment_span ? "" : " (rootless)"));
  }
  return lines;
}

// What every order of the row's spans gives, or one line saying that orders differ.
std::vector<std::string> InAllOrders(absl::string_view row) {
  const std::vector<ReferenceSpan> spans = SpansOfRow(row);
  std::vector<size_t> order(spans.size());
  std::iota(order.begin(), order.end(), 0);
  const std::vector<std::string> first = Letters(spans);
  do {
    std::vector<ReferenceSpan> arrived;
    for (const size_t i : order) arrived.push_back(spans[i]);
    if (Letters(arrived) != first) return {"the order matters"};
  } while (std::next_permutation(order.begin(), order.end()));
  return first;
}

struct Row {
  std::string name;
  std::string spans;
  std::vector<std::string> segments;
};

class AnyOrder : public ::testing::TestWithParam<Row> {};

TEST_P(AnyOrder, GivesTheSegments) {
  EXPECT_EQ(InAllOrders(GetParam().spans), GetParam().segments);
}

INSTANTIATE_TEST_SUITE_P(
    ReferenceModelTest, AnyOrder,
    ::testing::Values(
        Row{"A1", "a>b d>b c>b b*", {"1/b:abcd"}}, Row{"A2", "d>b b>a a* c>a", {"1/a:abcd"}},
        Row{"A3", "e>d d>b b>c c>a a*", {"1/a:abcde"}},
        Row{"A4", "c>b d>b e>b b*@2", {"1/b:cde (rootless)", "2/b:b"}},
        Row{"A5", "c*>d d>b e>b b*@2", {"1/b:de (rootless)", "1/c:c", "2/b:b"}},
        Row{"A6", "b>c~a a*~a", {"1/a:ab"}}, Row{"A8", "a>b b*", {"1/b:ab"}},
        Row{"A9", "d>c c>b b>a a*", {"1/a:abcd"}}, Row{"A10", "a* b*", {"1/a:a", "1/b:b"}},
        Row{"A17Cycle", "c>b b>a a>c d>c", {"1/a:abcd (rootless)"}},
        Row{"A17OwnParent", "b>b c>b", {"1/b:bc (rootless)"}},
        Row{"OpaqueSegmentId", "b>a~cart-1 c>a~cart-1 d>b", {"1/cart-1:bcd (rootless)"}},
        Row{"SegmentSpanIgnoresItsAttribute", "b*>a~cart-1 c>b", {"1/b:bc"}},
        Row{"UnknownParent", "b>a c>b", {"1/a:bc (rootless)"}},
        Row{"NoParentIsEnough", "a b>a", {"1/a:ab"}}),
    [](const auto& test) { return test.param.name; });

TEST(ReferenceModelTest, TheSameSpanTwiceLeavesOnce) {
  const auto spans = SpansOfRow("a>b b* a>b b*");
  const ReferenceResult result = ExpectedSegments(spans);
  ASSERT_EQ(result.segments.size(), 1u);
  EXPECT_THAT(result.segments[0].spans, ElementsAre(0u, 1u));
  EXPECT_EQ(result.deduplicated, 2u);
}

TEST(ReferenceModelTest, ASharedIdWithOtherBytesLeavesToo) {
  auto spans = SpansOfRow("a>b b* a>b");
  spans[2].content += " ";
  const ReferenceResult result = ExpectedSegments(spans);
  ASSERT_EQ(result.segments.size(), 1u);
  EXPECT_THAT(result.segments[0].spans, ElementsAre(0u, 1u, 2u));
  EXPECT_EQ(result.deduplicated, 0u);
}

TEST(ReferenceModelTest, TheFirstSpanOfAnIdDecidesItsParent) {
  EXPECT_THAT(Letters(SpansOfRow("c>a c>b a* b* d>c")), ElementsAre("1/a:accd", "1/b:b"));
  EXPECT_THAT(Letters(SpansOfRow("c>b c>a a* b* d>c")), ElementsAre("1/a:a", "1/b:bccd"));
}

TEST(ReferenceModelTest, ALaterSegmentSpanJoinsTheFirstOfItsId) {
  EXPECT_THAT(Letters(SpansOfRow("c>a c*>a a*")), ElementsAre("1/a:acc"));
  EXPECT_THAT(Letters(SpansOfRow("c*>a c>a a*")), ElementsAre("1/a:a", "1/c:cc"));
}

TEST(ReferenceModelTest, IdsAreComparedInLowerCaseAndTracesWithoutDashes) {
  auto spans = SpansOfRow("a>b b*");
  spans[0].parent_span_id = "BBBBBBBBBBBBBBBB";
  spans[0].trace_id = "AAAAAAAA-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
  EXPECT_THAT(Letters(spans), ElementsAre("1/b:ab"));
  EXPECT_EQ(ExpectedSegments(spans).segments[0].trace_id, RowTraceId('a'));
}

TEST(ReferenceModelTest, OpaqueSegmentIdsKeepTheirCase) {
  EXPECT_EQ(NormalSegmentId("Cart"), "Cart");
  EXPECT_EQ(NormalSegmentId("ABCDEF0123456789"), "abcdef0123456789");
}

TEST(ReferenceModelTest, AnOrphansOwnAttributeMeansNothingWhenItIsEmpty) {
  auto spans = SpansOfRow("a>b b*");
  spans[0].segment_id = "";
  EXPECT_THAT(Letters(spans), ElementsAre("1/b:ab"));
}

// A11: the ways not to have a segment id all read as none, whatever the rest of the attributes.
TEST(ReferenceModelTest, AllVariantsOfAMessageSayTheSame) {
  const ReferenceSpan span = SpansOfRow("b*")[0];
  std::set<std::string> messages;
  for (uint64_t variant = 0; variant < 30; ++variant) messages.insert(SpanMessage(span, variant));
  EXPECT_EQ(messages.size(), 30u);
}

TEST(ReferenceModelTest, JoinsALongChainInAnyOrder) {
  std::vector<ReferenceSpan> chain;
  for (int i = 0; i < 1000; ++i) {
    ReferenceSpan span;
    span.trace_id = RowTraceId('a');
    span.span_id = absl::StrFormat("%016x", i);
    if (i > 0) span.parent_span_id = absl::StrFormat("%016x", i - 1);
    span.content = span.span_id;
    chain.push_back(span);
  }
  SeededRandom random(3);
  random.Shuffle(chain);
  const ReferenceResult result = ExpectedSegments(chain);
  ASSERT_EQ(result.segments.size(), 1u);
  EXPECT_EQ(result.segments[0].spans.size(), 1000u);
  EXPECT_EQ(result.segments[0].name, std::string(16, '0'));
}

// The definition itself, checked without the model's own shortcut: two spans are in one segment iff
// a path of "is my effective parent" or "has my id" leads from one to the other.
TEST(ReferenceForestTest, ModelGivesTheConnectedComponents) {
  const auto spans =
      RandomForest({.seed = 11, .traces = 60, .projects = 3, .max_spans_per_trace = 12});
  std::map<std::tuple<uint64_t, std::string, std::string>, std::string> parents;
  for (const ReferenceSpan& span : spans) {
    parents.emplace(
        std::tuple(span.project_id, NormalTraceId(span.trace_id), NormalSegmentId(span.span_id)),
        EffectiveParent(span));
  }
  // Floods labels over the edges until nothing changes.
  std::map<std::tuple<uint64_t, std::string, std::string>, std::string> label;
  for (const auto& [node, parent] : parents) {
    label[node] = std::get<2>(node);
    label[{std::get<0>(node), std::get<1>(node), parent}] = parent;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [node, parent] : parents) {
      std::string& a = label[node];
      std::string& b = label[{std::get<0>(node), std::get<1>(node), parent}];
      if (a == b) continue;
      a = b = std::min(a, b);
      changed = true;
    }
  }
  std::map<std::tuple<uint64_t, std::string, std::string>, std::set<std::string>> names;
  for (const ReferenceSegment& segment : ExpectedSegments(spans).segments) {
    for (const size_t i : segment.spans) {
      const std::string at =
          label[{segment.project_id, segment.trace_id, NormalSegmentId(spans[i].span_id)}];
      names[{segment.project_id, segment.trace_id, at}].insert(segment.name);
    }
    EXPECT_EQ((label[{segment.project_id, segment.trace_id, segment.name}]),
              (label[{segment.project_id, segment.trace_id,
                      NormalSegmentId(spans[segment.spans[0]].span_id)}]));
  }
  for (const auto& [component, found] : names) EXPECT_EQ(found.size(), 1u);
}

TEST(ReferenceForestTest, IsTheSameForTheSameSeedOnly) {
  const auto content = [](uint64_t seed) {
    std::string all;
    for (const auto& span : RandomForest({.seed = seed, .traces = 50})) all += span.content;
    return all;
  };
  EXPECT_EQ(content(1), content(1));
  EXPECT_NE(content(1), content(2));
}

TEST(ReferenceForestTest, LosesNoSpanAndHasEveryIngredient) {
  const auto spans = RandomForest({});
  const ReferenceResult result = ExpectedSegments(spans);
  uint64_t grouped = 0, rootless = 0, opaque = 0, shared = 0;
  for (const ReferenceSegment& segment : result.segments) {
    grouped += segment.spans.size();
    rootless += segment.has_segment_span ? 0 : 1;
    opaque += absl::StartsWith(segment.name, "checkout-") ? 1 : 0;
    std::set<std::string> ids;
    for (const size_t i : segment.spans) ids.insert(NormalSegmentId(spans[i].span_id));
    shared += segment.spans.size() - ids.size();
  }
  EXPECT_EQ(grouped + result.deduplicated, spans.size());
  EXPECT_GT(result.deduplicated, 100u);
  EXPECT_GT(rootless, 100u);
  EXPECT_GT(opaque, 100u);
  EXPECT_GT(shared, 20u);
  EXPECT_GT(result.segments.size(), 1000u);
}

}  // namespace
}  // namespace spillway::test_support
