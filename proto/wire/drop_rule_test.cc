#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/wire/convert.h"
#include "proto/wire/drop_rule_proto.h"

namespace spillway::wire {
namespace {

using ::testing::HasSubstr;

v1::DropRule Valid() {
  v1::DropRule proto;
  proto.set_name("dropRules/noisy");
  proto.set_project_id(0);
  *proto.mutable_expire_time() = ToProto(WallTime{5'000'000});
  return proto;
}

TEST(DropRuleTest, RoundTrip) {
  for (const DropMatch& match : {DropMatch{.project_id = 0, .trace_id = {}},
                                 DropMatch{.project_id = {}, .trace_id = TraceId{0xa, 0xb}},
                                 DropMatch{.project_id = ~uint64_t{0}, .trace_id = TraceId{}}}) {
    const DropRule rule{"noisy", match, WallTime{5'000'001}};
    const auto read = ReadDropRule(DropRuleToProto(rule));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, rule);
  }
  const Order order{.sequence = 1,
                    .shards = {},
                    .drop_rules = {{"noisy", {.project_id = 7, .trace_id = {}}, {1}}}};
  EXPECT_EQ(*FromProto(ToProto(DownMessage(order))), DownMessage(order));
}

TEST(DropRuleTest, ATraceIdIsReadAsInASpan) {
  v1::DropRule proto = Valid();
  proto.set_trace_id("0000000A-0000-0000-0000-00000000000b");
  EXPECT_EQ(ReadDropRule(proto)->match.trace_id, (TraceId{0xaull << 32, 0xb}));
}

TEST(DropRuleTest, WhatIsWrongIsNamed) {
  const auto error = [](auto change) {
    v1::DropRule proto = Valid();
    change(proto);
    const auto read = ReadDropRule(proto);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(read.status().message());
  };
  EXPECT_THAT(error([](v1::DropRule& r) { r.set_name("noisy"); }), HasSubstr("drop_rule.name"));
  EXPECT_THAT(error([](v1::DropRule& r) { r.set_name("dropRules/a b"); }),
              HasSubstr("'dropRules/a b'"));
  EXPECT_THAT(error([](v1::DropRule& r) { r.set_name("dropRules/" + std::string(64, 'a')); }),
              HasSubstr("1 to 63"));
  EXPECT_THAT(error([](v1::DropRule& r) { r.clear_project_id(); }), HasSubstr("everything"));
  EXPECT_THAT(error([](v1::DropRule& r) { r.clear_expire_time(); }), HasSubstr("expire_time"));
  EXPECT_THAT(error([](v1::DropRule& r) { r.set_trace_id("0x" + std::string(30, 'a')); }),
              HasSubstr("32 hex digits"));
}

TEST(DropRuleTest, AnOrderWithMoreThanAreAllowedIsRefused) {
  v1::AttachResponse order;
  for (size_t i = 0; i <= kMaxDropRules; ++i) *order.mutable_order()->add_drop_rules() = Valid();
  EXPECT_EQ(FromProto(order).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace spillway::wire
