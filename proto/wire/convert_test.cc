#include "proto/wire/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace spillway::wire {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

ShardReport AShard() {
  ShardReport shard;
  shard.shard = {7};
  shard.stage = ShardStage::kReleasing;
  shard.epoch = {3, 0xfedcba9876543210};
  shard.backlog = 11;
  shard.in_flight = 12;
  shard.lateness = milliseconds(1'234);
  shard.gate = {GateState::kSlow, Cause::kRedisMemory, WallTime{1'700'000'000'123'456}, 5};
  shard.watermark = 1'000'000'000'000;
  shard.low_watermark = 999;
  shard.input_lag = 42;
  shard.event_clock = {1'700'000'000'123};
  shard.progress = 77;
  shard.has_work = true;
  shard.blocked_cause = Cause::kKafka;
  shard.spans = 1;
  shard.segments = 2;
  shard.index_bytes = 3;
  shard.rejected = 4;
  shard.deduplicated = 5;
  shard.possibly_persisted = 6;
  shard.redis_losses = 7;
  shard.redis_rollbacks = 8;
  shard.replaced_logs = 9;
  shard.unreplayable = 10;
  shard.unwritten = 11;
  shard.is_committed = true;
  shard.claims_of_others = 12;
  shard.times[0] = std::chrono::nanoseconds(11);
  shard.times[kActivityCount - 1] = std::chrono::hours(12);
  return shard;
}

ShardReport AnEmptyShard() {
  ShardReport shard;
  shard.shard = {8};
  return shard;
}

WorkerReport AReport() {
  WorkerReport report;
  report.sequence = 9;
  report.shards = {AShard(), AnEmptyShard()};
  report.cpu_time = microseconds(12'345'678);
  report.memory_bytes = 1 << 30;
  report.is_ready = true;
  report.blocked[static_cast<size_t>(Cause::kKafka)] = milliseconds(1'500);
  report.blocked[static_cast<size_t>(Cause::kUnknown)] = milliseconds(7);
  report.waiting_for = {"Redis at 127.0.0.1:6379", "topic spans"};
  report.order_sequence = 4;
  report.is_draining = true;
  report.is_drained = true;
  report.is_paused = true;
  report.is_redis_ok = true;
  report.is_kafka_ok = true;
  report.compression = {.dictionary = "00c0ffee",
                        .dictionary_bytes = 1,
                        .trained = 2,
                        .adopted = 3,
                        .dropped = 4,
                        .chunks = 5,
                        .dictionary_chunks = 6,
                        .body_bytes = 7,
                        .stored_bytes = 8};
  report.lateness.Record(milliseconds(30));
  report.lateness.Record(std::chrono::hours(1));
  return report;
}

Hello AHello() {
  Hello hello;
  hello.uid = "u1";
  hello.pid = 4711;
  hello.start_time = {1'700'000'000'000'001};
  hello.version = "0.1.0";
  hello.role = Role::kFlush;
  hello.pool = "flush";
  hello.slot = 2;
  hello.generation = {6};
  hello.shards = {{{1}, {2, 3}}, {{4}, {5, 6}}};
  hello.is_draining = true;
  hello.is_registered = true;
  return hello;
}

struct UpRow {
  std::string name;
  UpMessage message;
};
class UpRoundTripTest : public testing::TestWithParam<UpRow> {};

TEST_P(UpRoundTripTest, GivesTheSameValueBack) {
  const absl::StatusOr<UpMessage> back = FromProto(ToProto(GetParam().message));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(*back == GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(AllMessages, UpRoundTripTest,
                         testing::Values(UpRow{"Hello", AHello()}, UpRow{"Report", AReport()},
                                         UpRow{"EmptyReport", WorkerReport{}},
                                         UpRow{"OrderDone", OrderDone{12}},
                                         UpRow{"Goodbye", Goodbye{"drained", {{{1}, {2, 3}}}}}),
                         [](const auto& row) { return row.param.name; });

TEST(TextsTest, AreCutToWhatAPersonReads) {
  WorkerReport report;
  report.waiting_for.assign(40, std::string(5'000, 'x'));
  const absl::StatusOr<UpMessage> back = FromProto(ToProto(UpMessage(report)));
  ASSERT_TRUE(back.ok()) << back.status();
  const auto& texts = std::get<WorkerReport>(*back).waiting_for;
  ASSERT_EQ(texts.size(), 16u);
  EXPECT_EQ(texts[0].size(), 2'000u);
}

TEST(DownRoundTripTest, WelcomeAndOrder) {
  const DownMessage welcome = Welcome{"pools/flush/workers/0", {3}, milliseconds(250)};
  const DownMessage order =
      Order{5, {{0}, {3}}, true, true, {{{3}, {7, ~uint64_t{0}}}}, {{3}}, {{{5}, {8, 9}}}};

  ASSERT_TRUE(FromProto(ToProto(welcome)).ok());
  EXPECT_TRUE(*FromProto(ToProto(welcome)) == welcome);
  ASSERT_TRUE(FromProto(ToProto(order)).ok());
  EXPECT_TRUE(*FromProto(ToProto(order)) == order);
}

TEST(ActivityNameTest, EveryActivityHasAName) {
  EXPECT_STREQ(ActivityName(Activity::kIdle), "idle");
  EXPECT_STREQ(ActivityName(Activity::kKafkaQueue), "kafka_queue");
  EXPECT_STREQ(ActivityName(Activity::kRoom), "room");
}

TEST(DownRoundTripTest, EveryCauseHasAName) {
  EXPECT_STREQ(CauseName(Cause::kNone), "none");
  EXPECT_STREQ(CauseName(Cause::kRedisMemory), "redis_memory");
  EXPECT_STREQ(CauseName(Cause::kDeadLetter), "dead_letter");
  EXPECT_STREQ(CauseName(Cause::kUnknown), "unknown");
}

// A message that is right but for one field, and the field that the error must name.
struct BadRow {
  std::string name;
  void (*spoil)(v1::AttachRequest&);
  std::string field;
};
class InvalidTest : public testing::TestWithParam<BadRow> {};

TEST_P(InvalidTest, NamesTheField) {
  v1::AttachRequest proto;
  GetParam().spoil(proto);

  const absl::StatusOr<UpMessage> result = FromProto(proto);

  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()), testing::HasSubstr(GetParam().field));
}

v1::Hello* GoodHello(v1::AttachRequest& proto) {
  proto = ToProto(AHello());
  return proto.mutable_hello();
}
v1::ShardReport* GoodShard(v1::AttachRequest& proto) {
  proto = ToProto(AReport());
  return proto.mutable_report()->mutable_shards(0);
}

INSTANTIATE_TEST_SUITE_P(
    EveryField, InvalidTest,
    testing::Values(
        BadRow{"NothingSet", [](v1::AttachRequest&) {}, "message"},
        BadRow{"NoUid", [](v1::AttachRequest& p) { GoodHello(p)->clear_uid(); }, "hello.uid"},
        BadRow{"BadUid", [](v1::AttachRequest& p) { GoodHello(p)->set_uid("a b"); },
               "hello.uid: expected 1 to 128 letters"},
        BadRow{"LongUid",
               [](v1::AttachRequest& p) { GoodHello(p)->set_uid(std::string(129, 'u')); },
               "hello.uid"},
        BadRow{"BadPool", [](v1::AttachRequest& p) { GoodHello(p)->set_pool("../flush"); },
               "hello.pool: expected 1 to 32 lower-case letters"},
        BadRow{"LongVersion",
               [](v1::AttachRequest& p) { GoodHello(p)->set_version(std::string(65, '1')); },
               "hello.version: expected at most 64"},
        BadRow{"NoNextGeneration",
               [](v1::AttachRequest& p) { GoodHello(p)->set_generation(~uint64_t{0}); },
               "hello.generation: expected at most"},
        BadRow{"HugeShard", [](v1::AttachRequest& p) { GoodShard(p)->set_shard(1'000'000); },
               "report.shards.shard: shard 1000000: expected 0 to 999999"},
        BadRow{"TooManyShards",
               [](v1::AttachRequest& p) {
                 v1::Hello& hello = *GoodHello(p);
                 for (int i = 0; i <= 65'536; ++i) hello.add_shards();
               },
               "hello.shards: expected at most 65536 shards, not 65539"},
        BadRow{"NoPool", [](v1::AttachRequest& p) { GoodHello(p)->clear_pool(); }, "hello.pool"},
        BadRow{"NoPid", [](v1::AttachRequest& p) { GoodHello(p)->clear_pid(); }, "hello.pid"},
        BadRow{"NegativeSlot", [](v1::AttachRequest& p) { GoodHello(p)->set_slot(-1); },
               "hello.slot"},
        BadRow{"NoRole", [](v1::AttachRequest& p) { GoodHello(p)->clear_role(); }, "hello.role"},
        BadRow{"UnknownRole",
               [](v1::AttachRequest& p) { GoodHello(p)->set_role(static_cast<v1::Role>(99)); },
               "hello.role"},
        BadRow{"HeldTwice",
               [](v1::AttachRequest& p) { GoodHello(p)->mutable_shards(0)->set_shard(4); },
               "hello.shards"},
        BadRow{"NegativeShard", [](v1::AttachRequest& p) { GoodShard(p)->set_shard(-1); },
               "report.shards.shard"},
        BadRow{"ShardTwice", [](v1::AttachRequest& p) { GoodShard(p)->set_shard(8); },
               "report.shards.shard"},
        BadRow{"NoStage", [](v1::AttachRequest& p) { GoodShard(p)->clear_stage(); },
               "report.shards.stage"},
        BadRow{"NegativeLateness",
               [](v1::AttachRequest& p) { GoodShard(p)->mutable_lateness()->set_seconds(-1); },
               "report.shards.lateness"},
        BadRow{"NoGateState",
               [](v1::AttachRequest& p) { GoodShard(p)->mutable_gate()->clear_state(); },
               "report.shards.gate.state"},
        BadRow{"WrongBuckets",
               [](v1::AttachRequest& p) {
                 p = ToProto(AReport());
                 p.mutable_report()->mutable_lateness()->add_counts(1);
               },
               "report.lateness.counts"},
        BadRow{"NegativeMemory",
               [](v1::AttachRequest& p) {
                 p = ToProto(AReport());
                 p.mutable_report()->set_memory_bytes(-1);
               },
               "report.memory_bytes"}),
    [](const auto& row) { return row.param.name; });

TEST(UnknownEnumTest, BecomesTheCarefulChoice) {
  v1::AttachRequest proto = ToProto(AReport());
  v1::ShardReport* shard = proto.mutable_report()->mutable_shards(0);
  shard->set_stage(static_cast<v1::ShardStage>(99));
  shard->mutable_gate()->set_state(static_cast<v1::GateState>(99));
  shard->mutable_gate()->set_cause(static_cast<v1::Cause>(99));
  shard->set_blocked_cause(static_cast<v1::Cause>(99));

  const absl::StatusOr<UpMessage> result = FromProto(proto);

  ASSERT_TRUE(result.ok()) << result.status();
  const ShardReport& read = std::get<WorkerReport>(*result).shards[0];
  EXPECT_EQ(read.stage, ShardStage::kOwned);
  EXPECT_EQ(read.gate.state, GateState::kClosed);
  EXPECT_EQ(read.gate.cause, Cause::kUnknown);
  EXPECT_EQ(read.blocked_cause, Cause::kUnknown);
}

TEST(OrderTest, RefusesAnIdleShardThatItDoesNotName) {
  v1::AttachResponse order;
  order.mutable_order()->add_shards(1);
  order.mutable_order()->add_idle(2);

  EXPECT_EQ(FromProto(order).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(OrderTest, RefusesADeadEpochOfAShardItDoesNotName) {
  v1::AttachResponse order;
  order.mutable_order()->add_shards(1);
  order.mutable_order()->add_dead()->set_shard(2);

  EXPECT_EQ(FromProto(order).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(OrderTest, KeepsWhatTheDeadHadInHand) {
  Order order{.sequence = 7, .shards = {{1}, {2}}};
  order.dead = {{{1}, {3, 30}, ClaimId{5, 0}}, {{2}, {4, 40}, {}}};

  const absl::StatusOr<DownMessage> result = FromProto(ToProto(order));

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(std::get<Order>(*result), order);
}

TEST(OrderTest, RefusesAShardNamedTwiceAndAZeroInterval) {
  v1::AttachResponse order;
  order.mutable_order()->add_shards(1);
  order.mutable_order()->add_shards(1);
  v1::AttachResponse welcome;
  welcome.mutable_welcome()->set_worker("w");

  EXPECT_EQ(FromProto(order).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FromProto(welcome).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(LatenessTest, CountsIntoTheBucketWhoseUpperBoundIsNotBelow) {
  Lateness lateness;

  lateness.Record(milliseconds(10));
  lateness.Record(microseconds(10'001));
  lateness.Record(milliseconds(-5));
  lateness.Record(std::chrono::minutes(10));

  EXPECT_EQ(lateness.counts[0], 2u);
  EXPECT_EQ(lateness.counts[1], 1u);
  EXPECT_EQ(lateness.counts.back(), 1u);
  EXPECT_NEAR(lateness.sum_seconds, 600.020001, 1e-9);
}

}  // namespace
}  // namespace spillway::wire
