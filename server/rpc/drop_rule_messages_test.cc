#include "server/rpc/drop_rule_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/wire/convert.h"

namespace spillway::rpc {
namespace {

using ::testing::HasSubstr;

constexpr WallTime kNow{1'700'000'000'000'000};

v1::SetDropRuleRequest Request() {
  v1::SetDropRuleRequest request;
  request.mutable_drop_rule()->set_name("dropRules/noisy");
  request.mutable_drop_rule()->set_project_id(7);
  request.mutable_drop_rule()->set_reason("an incident");
  request.mutable_ttl()->set_seconds(90);
  return request;
}

std::string ProblemOf(const v1::SetDropRuleRequest& request) {
  const absl::Status status = ToSetting(request, kNow).status();
  EXPECT_EQ(supervisor::RefusalReason(status), "INVALID_DROP_RULE");
  return std::string(status.message());
}

TEST(DropRuleMessagesTest, ATimeToLiveIsAnEnd) {
  const auto setting = ToSetting(Request(), kNow);
  ASSERT_TRUE(setting.ok()) << setting.status();
  EXPECT_EQ(setting->rule.name, "noisy");
  EXPECT_EQ(setting->rule.match.project_id, 7u);
  EXPECT_EQ(setting->rule.expire_time.us, kNow.us + 90'000'000);
  EXPECT_EQ(setting->reason, "an incident");
}

TEST(DropRuleMessagesTest, AnEndIsGivenOnceAndInOneWay) {
  v1::SetDropRuleRequest request = Request();
  *request.mutable_drop_rule()->mutable_expire_time() = wire::ToProto(WallTime{kNow.us + 5});
  EXPECT_THAT(ProblemOf(request), HasSubstr("expected one of them"));
  request.clear_ttl();
  EXPECT_EQ(ToSetting(request, kNow)->rule.expire_time.us, kNow.us + 5);
  request.mutable_drop_rule()->clear_expire_time();
  EXPECT_THAT(ProblemOf(request), HasSubstr("a rule has an end"));
}

TEST(DropRuleMessagesTest, WildTimesAreRefused) {
  v1::SetDropRuleRequest request = Request();
  for (const int64_t seconds : {int64_t{-1}, INT64_MAX, INT64_MIN}) {
    request.mutable_ttl()->set_seconds(seconds);
    EXPECT_THAT(ProblemOf(request), HasSubstr("ttl: "));
  }
}

TEST(DropRuleMessagesTest, WhatMatchesEverythingIsRefused) {
  v1::SetDropRuleRequest request = Request();
  request.mutable_drop_rule()->clear_project_id();
  EXPECT_THAT(ProblemOf(request), HasSubstr("would drop everything"));
  request.mutable_drop_rule()->set_trace_id("xyz");
  EXPECT_THAT(ProblemOf(request), HasSubstr("32 hex digits"));
}

TEST(DropRuleMessagesTest, NamesAreChecked) {
  EXPECT_EQ(*ParseDropRuleName("dropRules/a-b"), "a-b");
  for (const char* name : {"a-b", "dropRules/", "dropRules/a/b", ""}) {
    EXPECT_EQ(supervisor::RefusalReason(ParseDropRuleName(name).status()), "INVALID_NAME") << name;
  }
}

TEST(DropRuleMessagesTest, AListHasWhoAndWhy) {
  supervisor::FleetSnapshot snapshot;
  EXPECT_EQ(DropRulesMessage(snapshot).drop_rules_size(), 0);
  const supervisor::DropRuleView view{ToSetting(Request(), kNow)->rule, kNow, "tester", "why"};
  snapshot.drop_rules = std::make_shared<const std::vector<supervisor::DropRuleView>>(1, view);
  const v1::ListDropRulesResponse list = DropRulesMessage(snapshot);
  ASSERT_EQ(list.drop_rules_size(), 1);
  EXPECT_EQ(list.drop_rules(0).name(), "dropRules/noisy");
  EXPECT_EQ(list.drop_rules(0).actor(), "tester");
  EXPECT_EQ(list.drop_rules(0).set_time().seconds(), 1'700'000'000);
}

}  // namespace
}  // namespace spillway::rpc
