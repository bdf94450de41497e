#include "tests/load/checker.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simdjson.h"
#include "tests/load/ideal_output.h"

namespace spillway::load {
namespace {

using Output = std::vector<OutputMessage>;

const TrafficOptions kOptions{.seed = 5,
                              .spans = 3'000,
                              .invalid_ratio = 0.01,
                              .duplicate_ratio = 0.02,
                              .rootless_ratio = 0.05};

CheckReport ReportOn(const Manifest& manifest, const std::vector<std::string>& messages) {
  Checker checker(*ExpectationOf(manifest), {});
  for (const std::string& message : messages) checker.Observe(message, 1'012'000);
  return checker.Finish();
}

CheckReport ReportOn(const Output& output) {
  static const Manifest manifest = SentManifest(kOptions);
  std::vector<std::string> texts;
  for (const OutputMessage& message : output) texts.push_back(OutputText(message));
  return ReportOn(manifest, texts);
}

const Output& Ideal() {
  static const Output output = IdealOutput(SentManifest(kOptions));
  return output;
}

// A message of several spans, so that there is something to break.
OutputMessage& Large(Output& output) {
  return *std::find_if(output.begin(), output.end(),
                       [](const OutputMessage& m) { return m.spans.size() >= 5; });
}

void Replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from << " in " << text;
  text.replace(at, from.size(), to);
}

TEST(CheckerTest, FindsNothingWrongWithWhatIsRight) {
  const CheckReport report = ReportOn(Ideal());
  EXPECT_TRUE(report.IsClean()) << ReportText(report);
  EXPECT_EQ(report.spans_in, 3'000u);
  EXPECT_EQ(report.spans_seen, 3'000u);
  EXPECT_EQ(report.segments_out, report.segments_in);
  EXPECT_EQ(report.messages_out, report.segments_in);
  EXPECT_EQ(report.segments_split, 0u);
}

TEST(CheckerTest, AcceptsEveryShape) {
  for (const Shape shape : {Shape::kOne, Shape::kFive, Shape::kTwenty, Shape::kSpread}) {
    const Manifest manifest = SentManifest({.seed = 8, .spans = 500, .shape = shape});
    std::vector<std::string> texts;
    for (const OutputMessage& message : IdealOutput(manifest)) texts.push_back(OutputText(message));
    const CheckReport report = ReportOn(manifest, texts);
    EXPECT_TRUE(report.IsClean()) << ReportText(report);
    EXPECT_EQ(report.spans_seen, 500u);
  }
}

TEST(CheckerTest, KnowsWhenEverythingCame) {
  const Manifest manifest = SentManifest(kOptions);
  Checker checker(*ExpectationOf(manifest), {});
  for (const OutputMessage& message : Ideal()) {
    EXPECT_FALSE(checker.HasEverything());
    checker.Observe(OutputText(message), 1);
  }
  EXPECT_TRUE(checker.HasEverything());
}

TEST(CheckerTest, AcceptsPartsThatSkipEnrichment) {
  Output output = Ideal();
  OutputMessage& first = Large(output);
  OutputMessage second = first;
  second.spans.erase(second.spans.begin(), second.spans.begin() + 2);
  second.skip_enrichment = true;
  second.flush_id = std::string(32, 'f');
  first.spans.resize(2);
  output.push_back(second);
  const CheckReport report = ReportOn(output);
  EXPECT_TRUE(report.IsClean()) << ReportText(report);
  EXPECT_EQ(report.segments_split, 1u);
}

TEST(CheckerTest, CountsLatenessFromTheLastSpanAndTheTimeout) {
  const CheckReport report = ReportOn(Ideal());  // sent at 1,000 s, delivered at 1,012 s
  EXPECT_EQ(report.age_ms.p50, 12'000);
  EXPECT_EQ(report.lateness_ms.p50, 2'000);
  EXPECT_NEAR(report.spans_per_s, 250, 0.1);
}

TEST(CheckerTest, CountsDuplicatesWithTheSameFlushId) {
  Output output = Ideal();
  const OutputMessage copy = Large(output);
  output.push_back(copy);
  CheckReport report = ReportOn(output);
  EXPECT_EQ(report.duplicated, copy.spans.size());
  EXPECT_EQ(report.duplicated_same_flush_id, copy.spans.size());
  EXPECT_EQ(report.wrong + report.lost, 0u);
  output.back().flush_id = std::string(32, 'e');
  report = ReportOn(output);
  EXPECT_EQ(report.duplicated, copy.spans.size());
  EXPECT_EQ(report.duplicated_same_flush_id, 0u);
}

// A message whose first span was sent again behind its second.
size_t RepeatedBehindTheNext(const Expectation& expectation, const Output& output) {
  for (size_t message = 0, span = 0; message < output.size(); ++message) {
    const auto later = expectation.later_arrivals.find(static_cast<uint32_t>(span));
    if (later != expectation.later_arrivals.end() && output[message].spans.size() >= 2 &&
        later->second.back() > expectation.spans[span + 1].arrival) {
      return message;
    }
    span += output[message].spans.size();
  }
  return output.size();
}

// Of a segment that has left, what is read again may begin between its first span and the message
// that repeated it.
TEST(CheckerTest, ACopyMayHaveASpanWhereItWasRepeated) {
  const Output ideal = Ideal();
  const size_t at = RepeatedBehindTheNext(*ExpectationOf(SentManifest(kOptions)), ideal);
  ASSERT_LT(at, ideal.size());
  OutputMessage copy = ideal[at];
  std::swap(copy.spans[0], copy.spans[1]);
  copy.spans.resize(2);
  copy.flush_id = std::string(32, 'f');
  for (const bool is_first : {false, true}) {  // in whichever order they are read
    Output output = ideal;
    output.insert(is_first ? output.begin() : output.end(), copy);
    const CheckReport report = ReportOn(output);
    EXPECT_EQ(report.duplicated, 2u);
    EXPECT_EQ(report.wrong, 0u) << ReportText(report);
  }
  // Nobody else has that right.
  Output output = ideal;
  std::swap(output[at].spans[0], output[at].spans[1]);
  EXPECT_EQ(ReportOn(output).wrong, 1u);
}

TEST(CheckerTest, ReportsAsValidJson) {
  simdjson::dom::parser parser;
  const std::string json = ReportJson(ReportOn(Ideal()));
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(json).get(root), simdjson::SUCCESS) << json;
  EXPECT_EQ(uint64_t(root["lost"]), 0u);
  EXPECT_EQ(int64_t(root["lateness_ms"]["p99"]), 2'000);
}

struct Defect {
  std::string name;
  uint64_t lost;
  uint64_t duplicated;
  bool is_wrong;
  std::string sample;  // what the report says about it
  std::function<void(Output&)> apply;
};

class DefectTest : public ::testing::TestWithParam<Defect> {};

TEST_P(DefectTest, IsNoticed) {
  const Defect& defect = GetParam();
  Output output = Ideal();
  defect.apply(output);
  const CheckReport report = ReportOn(output);
  EXPECT_EQ(report.lost, defect.lost);
  EXPECT_EQ(report.duplicated, defect.duplicated);
  EXPECT_EQ(report.wrong > 0, defect.is_wrong);
  EXPECT_FALSE(report.IsClean());
  EXPECT_THAT(report.samples, ::testing::Contains(::testing::HasSubstr(defect.sample)));
}

// The last span of the large message: spans below the root, with a flag of `false`.
std::string& PlainSpan(Output& output) {
  return *std::find_if(
      Large(output).spans.begin(), Large(output).spans.end(),
      [](const std::string& span) { return absl::StrContains(span, R"("is_segment":false)"); });
}

// In whichever order they are read.
TEST(CheckerTest, AllowsACopyUnderAnotherSegmentId) {
  Output output = Ideal();
  std::string span = PlainSpan(output);
  Replace(span, R"("is_segment":false)", R"("is_segment":true)");
  const OutputMessage copy = {.spans = {span}, .flush_id = std::string(32, 'f')};
  for (const bool is_first : {false, true}) {
    Output both = Ideal();
    both.insert(is_first ? both.begin() : both.end(), copy);
    const CheckReport report = ReportOn(both);
    EXPECT_EQ(report.duplicated, 1u);
    EXPECT_EQ(report.duplicated_elsewhere, 1u);
    EXPECT_EQ(report.wrong, 0u) << ReportText(report);
  }
}

INSTANTIATE_TEST_SUITE_P(
    CheckerTest, DefectTest,
    ::testing::Values(
        Defect{"LostSpan", 1, 0, false, "lost: span",
               [](Output& o) { Large(o).spans.erase(Large(o).spans.begin() + 1); }},
        Defect{"LostMessage", 1, 0, false, "lost: span",
               [](Output& o) {
                 o.erase(std::find_if(o.begin(), o.end(), [](const OutputMessage& m) {
                   return m.spans.size() == 1;
                 }));
               }},
        Defect{"SpanTwiceInAMessage", 0, 1, true, "not in input order",
               [](Output& o) { Large(o).spans.push_back(Large(o).spans[0]); }},
        Defect{"SpanInTwoMessages", 0, 1, true, "in a message of another segment",
               [](Output& o) { o.back().spans.push_back(Large(o).spans[0]); }},
        Defect{"WrongFlag", 0, 0, true, "is_segment is not false",
               [](Output& o) {
                 Replace(PlainSpan(o), R"("is_segment":false)", R"("is_segment":true)");
               }},
        Defect{"FlagOfAnotherType", 0, 0, true, "is_segment is not",
               [](Output& o) { Replace(PlainSpan(o), R"("is_segment":false)", R"("is_segment":0)"); }},
        Defect{"FlagDropped", 0, 0, true, "is_segment is missing",
               [](Output& o) { Replace(PlainSpan(o), R"("is_segment":false,)", ""); }},
        Defect{"WrongSegmentId", 0, 0, true, "sentry.segment.id is",
               [](Output& o) {
                 for (std::string& span : Large(o).spans) {
                   Replace(span, R"("sentry.segment.id":{"type":"string","value":")",
                           R"("sentry.segment.id":{"type":"string","value":"0)");
                 }
               }},
        Defect{"SegmentIdDropped", 0, 0, true, "sentry.segment.id\"] is missing",
               [](Output& o) { Replace(PlainSpan(o), "sentry.segment.id", "sentry.segment"); }},
        Defect{"ChangedByte", 0, 0, true, "its bytes were changed",
               [](Output& o) { Replace(PlainSpan(o), R"("status":"o)", R"("status":"O)"); }},
        Defect{"NumberSpeltAnew", 0, 0, true, "its bytes were changed",
               [](Output& o) { Replace(PlainSpan(o), R"("retention_days":90)", R"("retention_days":90.0)"); }},
        Defect{"WhiteSpaceAdded", 0, 0, true, "its bytes were changed",
               [](Output& o) { Replace(PlainSpan(o), R"(,"retention_days")", R"(, "retention_days")"); }},
        Defect{"KeysReordered", 0, 0, true, "its bytes were changed",
               [](Output& o) {
                 Replace(PlainSpan(o), R"("retention_days":90,)", "");
                 Replace(PlainSpan(o), R"("organization_id")",
                         R"("retention_days":90,"organization_id")");
               }},
        Defect{"SpansOutOfOrder", 0, 0, true, "not in input order",
               [](Output& o) { std::swap(Large(o).spans[0], Large(o).spans[1]); }},
        Defect{"TwoSegmentsInOneMessage", 0, 0, true, "in a message of another segment",
               [](Output& o) {
                 // The last message's spans move into another one.
                 const OutputMessage last = o.back();
                 o.pop_back();
                 Large(o).spans.insert(Large(o).spans.end(), last.spans.begin(), last.spans.end());
               }},
        Defect{"SplitWithoutSkip", 0, 0, true, "of them without skip_enrichment",
               [](Output& o) {
                 OutputMessage second = Large(o);
                 second.spans.erase(second.spans.begin());
                 second.flush_id = std::string(32, 'f');
                 Large(o).spans.resize(1);
                 o.push_back(second);
               }},
        Defect{"SkipOnAWholeSegment", 0, 0, true, "skip_enrichment on a whole segment",
               [](Output& o) { Large(o).skip_enrichment = true; }},
        Defect{"NoFlushId", 0, 0, true, "flush_id",
               [](Output& o) { Large(o).flush_id.clear(); }},
        Defect{"FlushIdNotHex", 0, 0, true, "flush_id",
               [](Output& o) { Large(o).flush_id = std::string(32, 'g'); }},
        Defect{"NoSpans", 0, 0, true, "a message without spans",
               [](Output& o) { o.push_back({.spans = {}, .flush_id = std::string(32, '1')}); }},
        Defect{"ForeignSpan", 0, 0, true, "was never sent",
               [](Output& o) {
                 std::string span = PlainSpan(o);
                 Replace(span, R"("span_id":")", R"("span_id":"0000000000000000","x":")");
                 Large(o).spans.push_back(span);
               }},
        Defect{"OtherTrace", 1, 0, true, "was never sent",
               [](Output& o) {
                 std::string& span = PlainSpan(o);
                 const size_t at = span.find(R"("trace_id":")") + 12;
                 span[at] = span[at] == '0' ? '1' : '0';
               }},
        Defect{"OnlyASpan", 0, 0, true, "a span without its ids",
               [](Output& o) { Large(o).spans.push_back("{}"); }}),
    [](const auto& test) { return test.param.name; });

TEST(CheckerTest, NoticesAMessageThatIsNoJson) {
  const Manifest manifest = SentManifest({.spans = 5, .shape = Shape::kFive});
  const CheckReport report = ReportOn(manifest, {"oops", ""});
  EXPECT_EQ(report.wrong, 2u);
  EXPECT_EQ(report.lost, 5u);
}

// Any single byte changed anywhere in a message is noticed, and never crashes the scanner.
TEST(CheckerTest, NoticesEverySingleChangedByte) {
  const Manifest manifest = SentManifest({.seed = 12, .spans = 3, .shape = Shape::kFive});
  const std::string text = OutputText(IdealOutput(manifest)[0]);
  const size_t flush_id = text.find("\"flush_id\":\"") + 12;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i >= flush_id && i < flush_id + 32) continue;  // another flush id is as good
    for (const char other : {'x', '"', '\\', '}', '\0'}) {
      if (text[i] == other) continue;
      std::string changed = text;
      changed[i] = other;
      EXPECT_FALSE(ReportOn(manifest, {changed}).IsClean()) << "byte " << i << ": " << changed;
    }
  }
}

}  // namespace
}  // namespace spillway::load
