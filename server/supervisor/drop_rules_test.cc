// Drop rules that operators set and delete, and their end.
#include "server/supervisor/drop_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/supervisor/supervisor.h"
#include "tests/support/fake_launcher.h"
#include "tests/support/memory_record_store.h"
#include "tests/support/supervisor_harness.h"

namespace spillway::supervisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Result = absl::StatusOr<PoolView>;

class DropRulesTest : public ::testing::Test {
 protected:
  DropRulesTest() { Begin(); }
  ~DropRulesTest() override { End(); }

  void Begin() {
    recorder_ = std::make_unique<record::Recorder>(
        std::make_unique<testing::MemoryRecordStore>(disk_), SystemClock());
    Parts parts{loop_, SystemClock(), launcher_, discovery_, 1, {}, nullptr};
    parts.recorder = recorder_.get();
    parts.drop_rules = disk_.state().drop_rules;
    supervisor_ = std::make_unique<Supervisor>(testing::FlushPool(1), parts);
    supervisor_->Begin();
  }
  void End() {
    supervisor_.reset();
    recorder_.reset();
  }
  static DropRuleSetting Setting(const std::string& name, Duration ttl) {
    const int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(ttl).count();
    DropRuleSetting setting;
    setting.rule = {name, {.project_id = 7, .trace_id = {}}, {SystemClock().Wall().us + us}};
    setting.reason = "an incident";
    setting.origin.actor = "tester";
    return setting;
  }
  Result Set(DropRuleSetting setting) {
    std::optional<Result> answer;
    supervisor_->SetDropRule(std::move(setting), [&](Result view) { answer = std::move(view); });
    EXPECT_TRUE(Until([&] { return answer.has_value(); }));
    return *answer;
  }
  Result Set(const std::string& name, Duration ttl) { return Set(Setting(name, ttl)); }
  Result Delete(const std::string& name) {
    std::optional<Result> answer;
    supervisor_->DeleteDropRule(name, {}, [&](Result view) { answer = std::move(view); });
    EXPECT_TRUE(Until([&] { return answer.has_value(); }));
    return *answer;
  }
  bool Until(const std::function<bool()>& condition) {
    return testing::TurnUntil(loop_, condition);
  }
  const DropRuleView* Find(const std::string& name) {
    snapshot_ = supervisor_->Snapshot();
    return FindDropRule(*snapshot_, name);
  }
  std::vector<std::string> Actions() {
    std::vector<std::string> actions;
    for (const record::Event& event : disk_.events()) actions.push_back(event.action);
    return actions;
  }

  testing::RecordDisk disk_;
  testing::FakeDiscovery discovery_{4};
  Loop loop_;
  testing::FakeLauncher launcher_{loop_};
  std::unique_ptr<record::Recorder> recorder_;
  std::unique_ptr<Supervisor> supervisor_;
  SnapshotPtr snapshot_;
};

constexpr std::chrono::hours kHour{1};

TEST_F(DropRulesTest, ARuleIsOnRecordAndSeenAtOnce) {
  ASSERT_TRUE(Set("noisy", kHour).ok());
  ASSERT_NE(Find("noisy"), nullptr);
  EXPECT_EQ(Find("noisy")->actor, "tester");
  EXPECT_EQ(Find("noisy")->reason, "an incident");
  ASSERT_EQ(disk_.state().drop_rules.size(), 1u);
  EXPECT_EQ(disk_.state().drop_rules[0].rule, Find("noisy")->rule);
  const record::Event event = disk_.events().at(0);
  EXPECT_EQ(event.action, "SetDropRule");
  EXPECT_EQ(event.target, "dropRules/noisy");
  EXPECT_THAT(event.after, HasSubstr("project 7, until 2"));
  EXPECT_THAT(event.after, HasSubstr("an incident"));
}

TEST_F(DropRulesTest, AnotherRuleOfTheNameTakesItsPlace) {
  ASSERT_TRUE(Set("noisy", kHour).ok());
  const WallTime first = Find("noisy")->rule.expire_time;
  ASSERT_TRUE(Set("noisy", 2 * kHour).ok());
  EXPECT_GT(Find("noisy")->rule.expire_time.us, first.us);
  EXPECT_EQ(disk_.state().drop_rules.size(), 1u);
  EXPECT_THAT(disk_.events().back().before, HasSubstr("project 7"));
}

TEST_F(DropRulesTest, ADeletedRuleIsGone) {
  ASSERT_TRUE(Set("noisy", kHour).ok());
  ASSERT_TRUE(Delete("noisy").ok());
  EXPECT_EQ(Find("noisy"), nullptr);
  EXPECT_THAT(disk_.state().drop_rules, IsEmpty());
  EXPECT_EQ(RefusalReason(Delete("noisy").status()), "DROP_RULE_NOT_FOUND");
}

TEST_F(DropRulesTest, ARuleOutlivesTheServer) {
  ASSERT_TRUE(Set("noisy", kHour).ok());
  End();
  Begin();
  ASSERT_NE(Find("noisy"), nullptr);
  EXPECT_EQ(Find("noisy")->reason, "an incident");
}

TEST_F(DropRulesTest, TimeEndsARuleAndTheJournalTells) {
  ASSERT_TRUE(Set("stays", kHour).ok());
  ASSERT_TRUE(Set("short", std::chrono::milliseconds(20)).ok());
  EXPECT_TRUE(Until([&] { return Find("short") == nullptr; }));
  EXPECT_NE(Find("stays"), nullptr);
  EXPECT_THAT(Actions(), ElementsAre("SetDropRule", "SetDropRule", "DropRuleExpired"));
  EXPECT_EQ(disk_.events().back().actor, "spillwayd");
}

TEST_F(DropRulesTest, AnEndThatCannotBeRecordedIsTriedAgainWithoutNoise) {
  ASSERT_TRUE(Set("short", std::chrono::milliseconds(20)).ok());
  disk_.Fail(absl::ResourceExhaustedError("full"));
  ASSERT_TRUE(Until([&] { return !recorder_->health().last_write.ok(); }));
  disk_.Fail(absl::OkStatus());
  EXPECT_TRUE(Until([&] { return Find("short") == nullptr; }));
  EXPECT_THAT(Actions(), ElementsAre("SetDropRule", "DropRuleExpired"));
}

TEST_F(DropRulesTest, WhatHasNoReasonableEndIsRefused) {
  EXPECT_EQ(RefusalReason(Set("past", -kHour).status()), "OUT_OF_RANGE");
  EXPECT_EQ(RefusalReason(Set("late", kLongestDropRule + kHour).status()), "OUT_OF_RANGE");
  EXPECT_EQ(Find("past"), nullptr);
}

TEST_F(DropRulesTest, NoMoreRulesThanTheLimit) {
  for (size_t i = 0; i < wire::kMaxDropRules; ++i) {
    ASSERT_TRUE(Set("rule-" + std::to_string(i), kHour).ok());
  }
  EXPECT_EQ(RefusalReason(Set("one-more", kHour).status()), "TOO_MANY_DROP_RULES");
  EXPECT_TRUE(Set("rule-0", 2 * kHour).ok()) << "it takes the place of the one of its name";
}

TEST_F(DropRulesTest, AQuestionChangesNothing) {
  DropRuleSetting setting = Setting("noisy", kHour);
  setting.origin.validate_only = true;
  EXPECT_TRUE(Set(setting).ok());
  EXPECT_EQ(Find("noisy"), nullptr);
  EXPECT_EQ(disk_.commits(), 0);
}

TEST_F(DropRulesTest, WhatCannotBeRecordedIsNotDone) {
  disk_.Fail(absl::ResourceExhaustedError("full"));
  EXPECT_EQ(RefusalReason(Set("noisy", kHour).status()), "STATE_NOT_WRITABLE");
  EXPECT_EQ(Find("noisy"), nullptr);
}

}  // namespace
}  // namespace spillway::supervisor
