// The conformance rows A, D, L and K that concern the buffer alone, on a real Redis: from JSON to
// output messages (redis_shard.h). Rows with many orders run all of them, each on its own shard.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "buffer/redis/keys.h"
#include "tests/integration/redis_shard.h"
#include "tests/support/reference_forest.h"
#include "tests/support/reference_model.h"
#include "tests/support/seeded_random.h"

namespace spillway::integration {
namespace {

using buffer::Codec;
using std::chrono::milliseconds;
using test_support::ReferenceSegment;
using test_support::ReferenceSpan;

// How a row's spans are divided into batches.
enum class Batches {
  kAsGiven,     // at each `|`
  kOnePerSpan,  //
  kAllInOne,    // all that arrive at one time
  kHandOvers,   // one per span, and another owner takes the shard before each
};

struct Variant {
  Codec codec = Codec::kNone;
  Batches batches = Batches::kAsGiven;
};
const char* NameOf(const Variant& variant) {
  static constexpr const char* kNames[2][4] = {
      {"as given", "one per span", "all in one", "hand-overs"},
      {"as given, zstd", "one per span, zstd", "all in one, zstd", "hand-overs, zstd"}};
  return kNames[variant.codec == Codec::kZstd][static_cast<int>(variant.batches)];
}

std::vector<std::string> WordsOf(absl::string_view spans) {
  return absl::StrSplit(spans, ' ', absl::SkipEmpty());
}

enum class Orders { kGiven, kAll, kReversedAndSplit };

// A story: `t: spans` arrive with timestamp t, `t= messages` leave at t, or `n spans` in any.
struct Row {
  const char* name;
  const char* story;
  Orders orders = Orders::kGiven;  // of the first line's spans
  uint64_t deduplicated = 0;
  double spans_per_part = 1'000;  // max_bytes, in messages of `a>b`
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.story; }

std::vector<std::string> OrdersOf(const std::string& spans, Orders orders) {
  std::vector<std::string> result = {spans};
  if (orders == Orders::kGiven) return result;
  result.clear();
  std::vector<std::string> words = WordsOf(spans);
  if (orders == Orders::kAll) {
    std::sort(words.begin(), words.end());
    do {
      result.push_back(absl::StrJoin(words, " "));
    } while (std::next_permutation(words.begin(), words.end()));
    return result;
  }
  for (int direction = 0; direction < 2; ++direction) {
    for (size_t split = 0; split < words.size(); ++split) {
      std::vector<std::string> divided = words;
      if (split > 0) divided.insert(divided.begin() + static_cast<std::ptrdiff_t>(split), "|");
      result.push_back(absl::StrJoin(divided, " "));
    }
    std::reverse(words.begin(), words.end());
  }
  return result;
}

void Feed(RedisShard& shard, absl::string_view spans, int64_t at, Batches batches) {
  std::vector<std::string> batch;
  const auto add = [&] {
    if (batches == Batches::kHandOvers) shard.HandOver();
    shard.Add(batch, at);
    batch.clear();
  };
  for (const std::string& word : WordsOf(spans)) {
    if (word == "|") {
      if (batches == Batches::kAsGiven) add();
      continue;
    }
    batch.push_back(word == "!" ? "no JSON" : MessageOf(word));
    if (batches == Batches::kOnePerSpan || batches == Batches::kHandOvers) add();
  }
  if (!batch.empty()) add();
}

// The story's lines as (time, ':' or '=', text).
using Line = std::tuple<int64_t, char, std::string>;
std::vector<Line> LinesOf(absl::string_view story) {
  std::vector<Line> lines;
  for (const absl::string_view text : absl::StrSplit(story, "; ")) {
    const size_t mark = text.find_first_of(":=");
    int64_t time = 0;
    EXPECT_TRUE(absl::SimpleAtoi(text.substr(0, mark), &time)) << text;
    lines.emplace_back(time, text[mark], std::string(text.substr(mark + 2)));
  }
  return lines;
}

class RowTest : public RedisAssembly, public ::testing::TestWithParam<Row> {
 protected:
  void Play(const std::vector<Line>& lines, const Variant& variant) {
    const double max_bytes =
        GetParam().spans_per_part * static_cast<double>(MessageOf("a>b").size());
    RedisShard shard = NewShard(RowLimits(static_cast<uint64_t>(max_bytes)), variant.codec);
    for (const auto& [time, mark, text] : lines) {
      SCOPED_TRACE(absl::StrCat(time, ": ", text, " (", NameOf(variant), ")"));
      if (mark == ':') {
        Feed(shard, text, time, variant.batches);
      } else if (text.ends_with(" spans")) {
        ExpectCount(shard, time, text);
      } else {
        EXPECT_EQ(shard.LeaveAt(time), text);
      }
    }
    shard.ExpectAllLeft(GetParam().deduplicated);
  }

 private:
  static void ExpectCount(RedisShard& shard, int64_t time, const std::string& text) {
    shard.MoveClock(time);
    size_t spans = 0;
    for (const LeftMessage& message : shard.Leave()) spans += message.offsets.size();
    EXPECT_EQ(absl::StrCat(spans, " spans"), text);
  }
};

TEST_P(RowTest, LeavesAsTheRowSays) {
  std::vector<Line> lines = LinesOf(GetParam().story);
  for (const std::string& order : OrdersOf(std::get<2>(lines[0]), GetParam().orders)) {
    std::get<2>(lines[0]) = order;
    for (const Codec codec : {Codec::kNone, Codec::kZstd}) {
      for (const Batches batches :
           {Batches::kAsGiven, Batches::kOnePerSpan, Batches::kAllInOne, Batches::kHandOvers}) {
        Play(lines, {codec, batches});
      }
    }
    ASSERT_FALSE(HasFailure()) << order;
  }
  ExpectOnlyMeta();
}

INSTANTIATE_TEST_SUITE_P(
    Conformance, RowTest,
    ::testing::Values(
        Row{"A1", "0: a>b d>b c>b b*; 5= none; 11= 1/b:{a,b,c,d}; 1000= none", Orders::kAll},
        Row{"A2", "0: d>b | b>a a* c>a; 10= 1/a:{a,b,c,d}; 60= none", Orders::kAll},
        Row{"A3", "0: e>d d>b b>c c>a a*; 10= 1/a:{a,b,c,d,e}", Orders::kAll},
        Row{"A4", "0: c>b d>b e>b b*@2; 11= 2/b:{b}; 60= 1/b:{c,d,e}", Orders::kAll},
        Row{"A5", "0: c*>d d>b e>b b*@2; 11= 1/c:{c} 2/b:{b}; 60= 1/b:{d,e}",
            Orders::kReversedAndSplit},
        Row{"A6", "0: b>c~a a*~a; 11= 1/a:{a,b}", Orders::kAll},
        Row{"A7", "0: a>b b* a>b b*; 11= 1/b:{a,b}", Orders::kAll, 2},
        Row{"A8", "0: a>b; 1: b*; 10= none; 12= 1/b:{a,b}"},
        Row{"A9", "0: d>c; 1: c>b; 2: b>a; 3: a*; 14= 1/a:{a,b,c,d}"},
        Row{"A10", "0: a* b*; 11= 1/a:{a} 1/b:{b}", Orders::kAll},
        Row{"A16", "0: a>b | c>b; 60= 1/b:{a,c}; 61: b*; 71= 1/b:{b}#1!"},
        Row{"A16BeyondTheLateWindow", "0: a>b | c>b; 60= 1/b:{a,c}; 91: b*; 101= 1/b:{b}"},
        Row{"A16AHigherParentComes", "0: a>b; 60= 1/b:{a}; 61: b>c c*; 200= 1/b:{b}#1! 1/c:{c}"},
        Row{"A16ALargerOneJoins",
            "0: a>b; 60= 1/b:{a}; 61: c>d e>d f>d | d>b b>0; 121= 1/b:{b,c,d,e,f}#1!"},
        Row{"A17TheFirstDecides", "0: a>b a>c b* c*; 11= 1/b:{a,a,b} 1/c:{c}"},
        Row{"A17BothSidesOfACall", "0: a>b b>c c* b*~d; 11= 4 spans", Orders::kAll},
        Row{"A17EveryVariantIsKnown", "0: a>b a>c | a>c a>b; 60= 1/b:{a,a}", Orders::kGiven, 2},
        Row{"A17Cycle", "0: a>b b>c c>a d>b; 60= 1/a:{a,b,c,d}", Orders::kAll},
        Row{"A17OwnParent", "0: a>a b>a; 11= none; 60= 1/a:{a,b}", Orders::kAll},
        Row{"OpaqueSegmentIds",
            "0: a>b~check-out c>d~check-out e>d~pay f>d~pay@2; "
            "60= 1/check-out:{a,c} 1/pay:{e} 2/pay:{f}",
            Orders::kAll},
        Row{"D1", "0: a>b; 20: c>b; 30: b*; 35: d>b; 44= none; 45= 1/b:{a,b,c,d}"},
        Row{"D1WithoutARoot", "0: a>b; 20: c>b; 79= none; 80= 1/b:{a,c}"},
        Row{"D3", "1000: a>b; 1050: c>b; 1100: b*; 1109= none; 1110= 1/b:{a,b,c}"},
        Row{"D4cTheClockNeverGoesBack", "100: a>b; 3: c>b; 159= none; 160= 1/b:{a,c}"},
        Row{"L1", "0: b>a | c>a | d>a; 0= 1/a:{b,c}!; 60= 1/a:{d}#1!", Orders::kGiven, 0, 2.4},
        Row{"L2", "0: c>b b>a | d>a e>a a*; 60= 5 spans", Orders::kGiven, 0, 3.3},
        Row{"L3", "0: a>b b*; 10= 1/b:{a,b}"},
        Row{"L4", "0: a>b b* c>b; 60= 1/b:{a}! 1/b:{b}#1! 1/b:{c}#2!", Orders::kGiven, 0, 0.5}),
    [](const auto& row) { return std::string(row.param.name); });

class AssemblyRedisTest : public RedisAssembly, public ::testing::Test {
 protected:
  // Root 10, everything at time 0, one segment named a in one part.
  void ExpectOneSegment(const std::vector<std::string>& messages, size_t batch, Codec codec) {
    RedisShard shard = NewShard(RowLimits(), codec);
    for (auto at = messages.begin(); at != messages.end();) {
      const auto end =
          at + std::min<std::ptrdiff_t>(messages.end() - at, static_cast<std::ptrdiff_t>(batch));
      shard.Add({at, end}, 0);
      at = end;
    }
    shard.MoveClock(10);
    const std::vector<LeftMessage> left = shard.Leave();
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0].offsets.size(), messages.size());
    EXPECT_EQ(left[0].segment.ToString(), "0000000000000001");
    EXPECT_FALSE(left[0].skip_enrichment);
    shard.ExpectAllLeft();
  }
};

// The four ways to have no segment id; and A12's text that must come through as it is, with `$S`
// for the value of is_segment and `$A` for what stands where the segment id goes.
struct Text {
  const char* text;
  const char* is_segment;
  const char* attributes;
  const char* edited_attributes;
};
#define REQUIRED                                                                                \
  R"("organization_id":1,"project_id":1,"trace_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",)"        \
  R"("span_id":"bbbbbbbbbbbbbbbb","start_timestamp":1e3,"end_timestamp":1.50E+3,"received":2,)" \
  R"("retention_days":90,"status":"ok")"
#define ID R"("sentry.segment.id":{"type":"string","value":"bbbbbbbbbbbbbbbb"})"
const Text kTexts[] = {
    // A11
    {"{" REQUIRED R"(,"is_segment":$S,"attributes":$A,"z":0})", "true", "null", "{" ID "}"},
    {"{" REQUIRED R"(,"is_segment":$S$A})", "true", "", R"(,"attributes":{)" ID "}"},
    {"{" REQUIRED R"(,"attributes":{$A},"is_segment":$S})", "false", "", ID},
    {"{" REQUIRED R"(,"attributes":{$A,"a":{"type":"integer","value":1}},"is_segment":$S})", "true",
     R"("sentry.segment.id":null)", ID},
    // A12
    {"{" REQUIRED
     R"(,"name":"gr\u00fc\u00df \"\\\/\n 漢字 🜁","parent_span_id":null,"is_segment":$S,)"
     R"("numbers":[1e3,12345678901234567890,-0.0,1E+400,0.10],"deep":{"a":[{"b":null},[],{}],)"
     R"("attributes":{"sentry.segment.id":null},"is_segment":false},"description":null,)"
     R"("attributes":{"x":{"type":"double","value":1.50},"n":null$A},"kind":"server"})",
     "null", "", "," ID},
    {"\n { " REQUIRED " ,\t\"parent_span_id\" : \"\" , \"is_segment\" : $S , "
     "\"attributes\" : { \"ключ\" : [ 1 ] $A} } ",
     "false", "", "," ID},
};
#undef REQUIRED
#undef ID

TEST_F(AssemblyRedisTest, A11AndA12AllBytesButTheEditsStay) {
  ForBothCodecs([this](Codec codec) {
    for (const Text& row : kTexts) {
      SCOPED_TRACE(row.text);
      const auto with = [&](const char* is_segment, const char* attributes) {
        return absl::StrReplaceAll(row.text, {{"$S", is_segment}, {"$A", attributes}});
      };
      RedisShard shard = NewShard(RowLimits(), codec);
      shard.Add({with(row.is_segment, row.attributes)}, 0);
      shard.MoveClock(10);
      const std::vector<LeftMessage> left = shard.Leave();
      ASSERT_EQ(left.size(), 1u);
      EXPECT_THAT(left[0].payload, ::testing::StartsWith(absl::StrCat(
                                       "{\"spans\":[", with("true", row.edited_attributes), "]")));
      shard.ExpectAllLeft();
    }
  });
  ExpectOnlyMeta();
}

TEST_F(AssemblyRedisTest, A13AChainOfAThousand) {
  std::vector<std::string> chain = {NumberedSpan(1, 1)};
  for (uint64_t id = 2; id <= 1000; ++id) chain.push_back(NumberedSpan(id, id - 1));
  std::vector<std::string> reversed(chain.rbegin(), chain.rend());
  std::vector<std::string> shuffled = chain;
  test_support::SeededRandom(13).Shuffle(shuffled);
  ForBothCodecs([&](Codec codec) {
    for (const auto* order : {&chain, &reversed, &shuffled}) {
      ExpectOneSegment(*order, 1, codec);
      ExpectOneSegment(*order, 1000, codec);
    }
  });
  ExpectOnlyMeta();
}

TEST_F(AssemblyRedisTest, A14TenThousandSpansInOneBatch) {
  std::vector<std::string> spans = {NumberedSpan(1, 1)};
  for (uint64_t id = 2; id <= 10'000; ++id) spans.push_back(NumberedSpan(id, id / 4 + 1));
  ForBothCodecs([&](Codec codec) {
    ExpectOneSegment(spans, 10'000, codec);
    std::swap(spans.front(), spans.back());
    ExpectOneSegment(spans, 10'000, codec);
    std::swap(spans.front(), spans.back());
  });
  ExpectOnlyMeta();
}

std::vector<ReferenceSegment> SegmentsOf(const std::vector<LeftMessage>& messages,
                                         const std::vector<ReferenceSpan>& spans) {
  std::vector<test_support::LeftSegment> left;
  for (const LeftMessage& message : messages) {
    EXPECT_TRUE(message.reason == "root" || message.reason == "idle") << message.reason;
    left.push_back({message.segment.ToString(), {message.offsets.begin(), message.offsets.end()}});
  }
  return test_support::InModelWords(std::move(left), spans);
}

TEST_F(AssemblyRedisTest, A15RandomForestsMatchTheReferenceModel) {
  size_t span_count = 0, segment_count = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto spans = test_support::RandomForest({.seed = seed, .traces = 200});
    const auto expected = test_support::ExpectedSegments(spans);
    test_support::SeededRandom random(seed);
    RedisShard shard = NewShard(RowLimits(), seed % 4 < 2 ? Codec::kNone : Codec::kZstd);
    for (size_t at = 0; at < spans.size();) {
      std::vector<std::string> batch;
      const size_t end = at + 1 + random.Below(seed % 2 == 0 ? 800 : 20);
      for (; at < std::min(end, spans.size()); ++at) batch.push_back(spans[at].content);
      if (seed % 4 == 0) shard.HandOver();
      shard.Add(batch, 0);
    }
    shard.MoveClock(10);
    std::vector<LeftMessage> left = shard.Leave();
    for (const ReferenceSegment& segment : SegmentsOf(left, spans)) {
      EXPECT_TRUE(segment.has_segment_span) << segment.name;
    }
    shard.MoveClock(60);
    for (LeftMessage& message : shard.Leave()) left.push_back(std::move(message));
    EXPECT_EQ(SegmentsOf(left, spans), expected.segments);
    shard.ExpectAllLeft(expected.deduplicated);
    ASSERT_FALSE(HasFailure());
    span_count += spans.size();
    segment_count += left.size();
  }
  std::cout << "spans: " << span_count << ", segments: " << segment_count << "\n";
  ExpectOnlyMeta();
}

}  // namespace
}  // namespace spillway::integration
