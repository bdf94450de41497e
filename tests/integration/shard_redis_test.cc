// Rows of the conformance table that are a story of their own: deadlines by a real clock, growth,
// claims in flight, replay. On a real Redis, from JSON to output messages (redis_shard.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/redis_shard.h"
#include "tests/support/seeded_random.h"

namespace spillway::integration {
namespace {

using buffer::Codec;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ShardRedisTest : public RedisAssembly, public ::testing::Test {
 protected:
  // Segment i: spans 10·i+2 and 10·i+3 below 10·i+1. Then each 10·i+1 joins the one before it.
  void JoinAThousand(Codec codec, size_t joins_per_batch) {
    RedisShard shard = NewShard(RowLimits(), codec);
    std::vector<std::string> segments, joins;
    for (uint64_t i = 0; i < 1000; ++i) {
      segments.push_back(NumberedSpan(10 * i + 2, 10 * i + 1));
      segments.push_back(NumberedSpan(10 * i + 3, 10 * i + 1));
      joins.push_back(NumberedSpan(10 * i + 1, i == 0 ? 1 : 10 * i - 9));
    }
    test_support::SeededRandom(18).Shuffle(joins);
    shard.Add(segments, 0);
    for (size_t at = 0; at < joins.size(); at += joins_per_batch) {
      const auto from = joins.begin() + static_cast<std::ptrdiff_t>(at);
      shard.Add({from, from + static_cast<std::ptrdiff_t>(joins_per_batch)}, 0);
    }
    EXPECT_LE(shard.due_parts(), 4u);
    shard.MoveClock(10);
    size_t spans = 0;
    for (const LeftMessage& message : shard.Leave()) {
      EXPECT_EQ(message.segment.ToString(), "0000000000000001");
      spans += message.offsets.size();
    }
    EXPECT_EQ(spans, 3000u);
    shard.ExpectAllLeft();
  }

  // A message every 5, in all 1,200, and no part older than 600. Returns the parts' sizes.
  std::vector<size_t> SizesOfAgedParts(RedisShard& shard) {
    std::vector<size_t> sizes;
    for (int64_t t = 0; t < 1200; t += 5) {
      shard.Add({NumberedSpan(static_cast<uint64_t>(t) + 10, 1)}, t);
      for (const LeftMessage& message : shard.Leave()) {
        EXPECT_EQ(t, 600);
        EXPECT_EQ(message.reason, "age");
        sizes.push_back(message.offsets.size());
      }
    }
    shard.MoveClock(1300);
    for (const LeftMessage& message : shard.Leave()) {
      EXPECT_EQ(message.part_number, "1");
      sizes.push_back(message.offsets.size());
    }
    return sizes;
  }
};

TEST_F(ShardRedisTest, A18AThousandSegmentsJoinedIntoOne) {
  ForBothCodecs([this](Codec codec) {
    JoinAThousand(codec, 1);
    JoinAThousand(codec, 1000);
  });
  ExpectOnlyMeta();
}

TEST_F(ShardRedisTest, D2APartLeavesAtItsMaximalAge) {
  segment::Limits limits = RowLimits();
  limits.max_age = milliseconds(600);
  ForBothCodecs([&](Codec codec) {
    RedisShard shard = NewShard(limits, codec);
    EXPECT_THAT(SizesOfAgedParts(shard), ::testing::ElementsAre(120u, 120u));
    shard.ExpectAllLeft();
  });
  ExpectOnlyMeta();
}

TEST_F(ShardRedisTest, D4WithoutInputTicksMakeEverythingDue) {
  ForBothCodecs([this](Codec codec) {
    RedisShard shard = NewShard(RowLimits(), codec);
    shard.Add({MessageOf("a>b"), MessageOf("c*")}, std::nullopt);
    const EventTime idle_deadline = shard.clock() + milliseconds(60);
    std::vector<std::string> left;
    // Each tick is a round trip and moves the clock to Redis TIME: some hundred of them.
    for (int tick = 0; tick < 1'000'000 && shard.clock() < idle_deadline; ++tick) {
      shard.Tick();
      for (const LeftMessage& message : shard.Leave()) left.push_back(message.text);
    }
    EXPECT_THAT(left, ::testing::ElementsAre("1/c:{c}", "1/b:{a}"));
    shard.ExpectAllLeft();
  });
  ExpectOnlyMeta();
}

TEST_F(ShardRedisTest, D4cAnOddTimestampMovesNobodysDeadline) {
  constexpr int64_t kYearMs = 365LL * 24 * 3'600'000;
  segment::Limits limits;  // as configured by default: root 10 s, idle 60 s
  ForBothCodecs([&](Codec codec) {
    RedisShard shard = NewShard(limits, codec);
    const EventTime now = shard.redis_now();
    shard.Add({MessageOf("a>b")}, now.ms);
    EXPECT_EQ(shard.clock(), now);
    shard.Add({MessageOf("c>d")}, now.ms + kYearMs);
    shard.Add({MessageOf("e>f")}, std::nullopt);
    EXPECT_LE(shard.clock(), shard.redis_now());
    const EventTime clock = shard.clock();
    shard.Add({MessageOf("0>1")}, now.ms - kYearMs);
    EXPECT_EQ(shard.clock(), clock);
    EXPECT_EQ(shard.LeaveAt((now + seconds(60)).ms - 1), "none");
    EXPECT_EQ(shard.LeaveAt((clock + seconds(60)).ms), "1/1:{0} 1/b:{a} 1/d:{c} 1/f:{e}");
    shard.ExpectAllLeft();
  });
  ExpectOnlyMeta();
}

TEST_F(ShardRedisTest, K2ASpanThatArrivesDuringAClaimLeavesAsTheNextPart) {
  ForBothCodecs([this](Codec codec) {
    RedisShard shard = NewShard(RowLimits(), codec);
    shard.Add({MessageOf("a>b")}, 0);
    shard.MoveClock(60);
    const auto claim = shard.ClaimDue();
    ASSERT_TRUE(claim.has_value());
    shard.Add({MessageOf("c>b")}, 61);
    EXPECT_EQ(shard.Audit().live_spans, 2u);
    const std::vector<LeftMessage> first = shard.Assemble(*claim);
    shard.Add({MessageOf("d>b")}, 62);
    shard.Acknowledge(*claim, first);
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].text, "1/b:{a}");
    EXPECT_EQ(shard.LeaveAt(121), "none");
    EXPECT_EQ(shard.LeaveAt(122), "1/b:{c,d}#1!");
    shard.ExpectAllLeft();
  });
  ExpectOnlyMeta();
}

TEST_F(ShardRedisTest, K7WhatIsCommittedIsNotWrittenAgain) {
  const char* const words[] = {"a>b", "c>d", "!", "b>c", "a>b", "d*", "e>b", "e>f", "!", "f*"};
  std::vector<std::string> messages;
  for (const std::string word : words) messages.push_back(word == "!" ? "{}" : MessageOf(word));
  ForBothCodecs([&](Codec codec) {
    RedisShard shard = NewShard(RowLimits(), codec);
    shard.Add({messages.begin(), messages.begin() + 4}, 0);
    shard.Add({messages.begin() + 4, messages.end()}, 0);
    const buffer::AuditReply before = shard.Audit();
    for (size_t count = 1; count <= messages.size(); ++count) {
      EXPECT_EQ(shard.WriteAgain(count), buffer::StoreCode::kWatermark);
    }
    shard.HandOver(0);  // another owner, who reads everything again
    const buffer::AuditReply after = shard.Audit();
    EXPECT_EQ(after.summary.ledger, before.summary.ledger);
    EXPECT_EQ(after.summary.due_parts, before.summary.due_parts);
    EXPECT_EQ(after.live_spans, before.live_spans);
    EXPECT_EQ(shard.LeaveAt(100), "1/d:{a,b,c,d,e,e} 1/f:{f}");
    shard.ExpectAllLeft(1);
  });
  ExpectOnlyMeta();
}

}  // namespace
}  // namespace spillway::integration
