#include "worker/ingest/drop_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace spillway::ingest {
namespace {

using ::testing::HasSubstr;
using wire::DropRule;

constexpr WallTime kNow{1'000};
constexpr WallTime kLater{2'000};
constexpr TraceKey kNoisy{7, 1, 2};
constexpr TraceKey kOther{8, 1, 2};

DropRule OfProject(uint64_t project, const std::string& name = "noisy", WallTime expires = kLater) {
  return {name, {.project_id = project, .trace_id = {}}, expires};
}

TEST(DropHistoryTest, ARuleIsInForceFromTheNextOffsetOn) {
  const auto history = DropHistory().With({OfProject(7)}, kNow, 100, 50);
  ASSERT_TRUE(history.has_value());
  EXPECT_EQ(history->Find(99, kNoisy), nullptr);
  ASSERT_NE(history->Find(100, kNoisy), nullptr);
  EXPECT_EQ(history->Find(100, kNoisy)->rule, "noisy");
  EXPECT_EQ(history->Find(100, kOther), nullptr);
  EXPECT_FALSE(history->With({OfProject(7)}, kNow, 200, 50).has_value()) << "it is so already";
}

TEST(DropHistoryTest, AnEndedRuleStillJudgesWhatItHasJudged) {
  const auto began = DropHistory().With({OfProject(7)}, kNow, 100, 50);
  for (const auto& ended :
       {began->With({}, kNow, 200, 50), began->With({OfProject(7)}, kLater, 200, 50)}) {  // expired
    ASSERT_TRUE(ended.has_value());
    EXPECT_EQ(ended->Find(99, kNoisy), nullptr);
    EXPECT_NE(ended->Find(199, kNoisy), nullptr);
    EXPECT_EQ(ended->Find(200, kNoisy), nullptr);
  }
}

TEST(DropHistoryTest, WhatIsNeverReadAgainIsForgotten) {
  const auto ended = DropHistory().With({OfProject(7)}, kNow, 100, 50)->With({}, kNow, 200, 50);
  const auto later = ended->With({OfProject(9, "other")}, kNow, 300, 199);
  ASSERT_EQ(later->periods().size(), 2u);
  const auto last = ended->With({OfProject(9, "other")}, kNow, 300, 200);
  ASSERT_EQ(last->periods().size(), 1u);
  EXPECT_EQ(last->periods()[0].rule, "other");
}

// The owner that began it had read on to 100, and Redis has what is below 90.
TEST(DropHistoryTest, ARuleThatHasJudgedNothingYetLeavesNothing) {
  const auto began = DropHistory().With({OfProject(7)}, kNow, 100, 50);
  EXPECT_TRUE(began->With({}, kNow, 90, 50)->empty());
  EXPECT_TRUE(began->With({}, kNow, 100, 50)->empty());
}

TEST(DropHistoryTest, AChangedRuleEndsAndBegins) {
  const auto began = DropHistory().With({OfProject(7)}, kNow, 100, 50);
  const auto changed = began->With({OfProject(8)}, kNow, 200, 50);
  ASSERT_EQ(changed->periods().size(), 2u);
  EXPECT_NE(changed->Find(150, kNoisy), nullptr);
  EXPECT_EQ(changed->Find(150, kOther), nullptr);
  EXPECT_EQ(changed->Find(250, kNoisy), nullptr);
  EXPECT_NE(changed->Find(250, kOther), nullptr);
}

TEST(DropHistoryTest, AllThatIsGivenMustMatch) {
  const wire::DropMatch trace{.project_id = {}, .trace_id = wire::TraceId{1, 2}};
  EXPECT_TRUE(trace.Covers(kNoisy));
  EXPECT_TRUE(trace.Covers(kOther));
  EXPECT_FALSE(trace.Covers({7, 1, 3}));
  const wire::DropMatch both{.project_id = 7, .trace_id = wire::TraceId{1, 2}};
  EXPECT_TRUE(both.Covers(kNoisy));
  EXPECT_FALSE(both.Covers(kOther));
}

TEST(DropHistoryTest, AtTheLimitNewRulesWaitAndOldOnesStillEnd) {
  DropHistory history;
  std::vector<DropRule> rules;
  for (size_t i = 0; i < DropHistory::kMaxPeriods; ++i) {
    rules.push_back(OfProject(i, absl::StrCat("r", i)));
  }
  history = *history.With(rules, kNow, 100, 0);
  rules.push_back(OfProject(7'000, "new"));
  EXPECT_FALSE(history.With(rules, kNow, 200, 0).has_value());
  rules.erase(rules.begin());
  history = *history.With(rules, kNow, 200, 0);
  EXPECT_EQ(history.periods().size(), DropHistory::kMaxPeriods);
  EXPECT_EQ(history.Find(200, {0, 1, 1}), nullptr);
  EXPECT_EQ(history.Find(300, {7'000, 1, 1}), nullptr);
  history = *history.With(rules, kNow, 300, 200);
  EXPECT_NE(history.Find(300, {7'000, 1, 1}), nullptr);
}

TEST(DropHistoryTest, TextIsReadBackAsItWas) {
  DropRule trace = OfProject(7, "one-trace");
  trace.match.trace_id = wire::TraceId{0xabc, 5};
  auto history = *DropHistory().With({OfProject(~0ull), trace}, kNow, 100, 0);
  history = *history.With({trace}, kNow, 200, 0);
  EXPECT_EQ(history.ToText(),
            "100 200 18446744073709551615 - noisy\n"
            "100 - 7 0000000000000abc0000000000000005 one-trace\n");
  const auto read = DropHistory::FromText(history.ToText());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, history);
  EXPECT_TRUE(DropHistory::FromText("")->empty());
}

TEST(DropHistoryTest, BadTextIsRefusedWithWhatWouldBeRight) {
  const std::string trace(32, 'a');
  for (const std::string& line :
       {std::string("1 - 7"), std::string("x - 7 - n"), std::string("-1 - 7 - n"),
        std::string("5 4 7 - n"), std::string("5 y 7 - n"), std::string("1 - q - n"),
        std::string("1 - - abc n"), std::string("1 - - - n"), "1 - - " + trace + " ",
        "1 - - " + trace + " n n", "1 - - " + std::string(31, 'a') + "z n",
        "1 - - " + trace + " " + std::string(64, 'n')}) {
    const auto read = DropHistory::FromText(line);
    ASSERT_FALSE(read.ok()) << line;
    EXPECT_THAT(read.status().message(), HasSubstr("a line is: from, to, project, trace, name"));
  }
  std::string many;
  for (size_t i = 0; i <= DropHistory::kMaxPeriods; ++i) absl::StrAppend(&many, "1 - 7 - n\n");
  EXPECT_FALSE(DropHistory::FromText(many).ok());
}

}  // namespace
}  // namespace spillway::ingest
