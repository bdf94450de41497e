// The pure parts of the cluster's client: slots, the slot map, redirections.
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "buffer/redis/redirect.h"
#include "buffer/redis/slot.h"
#include "buffer/redis/slot_map.h"

namespace spillway::buffer {
namespace {

using Kind = Refusal::Kind;
using std::chrono::milliseconds;

struct SlotRow {
  const char* key;
  Slot slot;
};
void PrintTo(const SlotRow& row, std::ostream* out) { *out << row.key; }

class SlotTest : public ::testing::TestWithParam<SlotRow> {};

TEST_P(SlotTest, IsRedisOwn) { EXPECT_EQ(SlotOfKey(GetParam().key), GetParam().slot); }

// Numbers as CLUSTER KEYSLOT gives them.
INSTANTIATE_TEST_SUITE_P(
    Keys, SlotTest,
    ::testing::Values(SlotRow{"", 0}, SlotRow{"123456789", 12739}, SlotRow{"foo", 12182},
                      SlotRow{"{foo}bar", 12182}, SlotRow{"{user1000}.following", 3443},
                      SlotRow{"foo{}{bar}", 8363}, SlotRow{"foo{{bar}}zap", 4015},
                      SlotRow{"foo{bar}{zap}", 5061}, SlotRow{"{default/7}m", 5598},
                      SlotRow{"{default}shards", 5718}, SlotRow{"{open", 7674}));

// The reply a server would send.
class WireReply {
 public:
  explicit WireReply(const std::string& wire) {
    redisReader* reader = redisReaderCreate();
    redisReaderFeed(reader, wire.data(), wire.size());
    void* reply = nullptr;
    redisReaderGetReply(reader, &reply);
    redisReaderFree(reader);
    reply_.reset(static_cast<redisReply*>(reply));
  }
  Reply get() const { return Reply(reply_.get()); }

 private:
  struct Free {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  std::unique_ptr<redisReply, Free> reply_;
};

std::string Node(const std::string& host, int port) {
  return absl::StrCat("*3\r\n$", host.size(), "\r\n", host, "\r\n:", port, "\r\n$2\r\nid\r\n");
}

TEST(SlotMapTest, ReadsWhatANodeTells) {
  const WireReply reply(absl::StrCat("*2\r\n*4\r\n:0\r\n:5460\r\n", Node("10.0.0.1", 7000),
                                     Node("10.0.0.4", 7003), "*3\r\n:5461\r\n:16383\r\n",
                                     Node("", 7001)));
  const auto ranges = ReadSlotRanges(reply.get(), "10.0.0.9");
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0], (SlotRange{0, 5460, {"10.0.0.1", 7000}, {{"10.0.0.4", 7003}}}));
  EXPECT_EQ(ranges[1], (SlotRange{5461, 16383, {"10.0.0.9", 7001}, {}})) << "its own host";
}

TEST(SlotMapTest, LeavesOutWhatCannotBeRead) {
  const WireReply reply(absl::StrCat("*4\r\n*3\r\n:0\r\n:16384\r\n", Node("h", 1),
                                     "*3\r\n:5\r\n:4\r\n", Node("h", 1), "*3\r\n:0\r\n:9\r\n",
                                     Node("?", 7000), "*3\r\n:0\r\n:9\r\n", Node("h", 0)));
  EXPECT_TRUE(ReadSlotRanges(reply.get(), "asked").empty());
  EXPECT_TRUE(ReadSlotRanges(Reply(), "asked").empty());
}

TEST(SlotMapTest, KnowsTheMasterOfEachSlot) {
  const NodeAddress one{"a", 1}, two{"b", 2};
  SlotMap map({{0, 9, one, {two}}, {20, 20, two, {}}, {30, 39, one, {}}});
  EXPECT_EQ(*map.MasterOf(0), one);
  EXPECT_EQ(*map.MasterOf(9), one);
  EXPECT_EQ(map.MasterOf(10), nullptr);
  EXPECT_EQ(*map.MasterOf(20), two);
  EXPECT_EQ(*map.MasterOf(39), one);
  EXPECT_EQ(map.MasterOf(kSlotCount - 1), nullptr);
  EXPECT_EQ(map.masters(), (std::vector<NodeAddress>{one, two}));
  EXPECT_EQ(map.replicas(), (std::vector<NodeAddress>{two}));
}

TEST(SlotMapTest, ARedirectionMovesOneSlot) {
  const NodeAddress one{"a", 1}, three{"c", 3};
  SlotMap map({{0, 9, one, {}}});
  map.Assign(5, three);
  EXPECT_EQ(*map.MasterOf(4), one);
  EXPECT_EQ(*map.MasterOf(5), three);
  EXPECT_EQ(*map.MasterOf(6), one);
}

struct RefusalRow {
  const char* error;
  Refusal refusal;
};
void PrintTo(const RefusalRow& row, std::ostream* out) { *out << row.error; }

class RefusalTest : public ::testing::TestWithParam<RefusalRow> {};

TEST_P(RefusalTest, IsRead) {
  EXPECT_EQ(ParseRefusal(GetParam().error, "asked"), GetParam().refusal);
}

INSTANTIATE_TEST_SUITE_P(
    Errors, RefusalTest,
    ::testing::Values(
        RefusalRow{"MOVED 3999 127.0.0.1:6381", {Kind::kMoved, 3999, {"127.0.0.1", 6381}}},
        RefusalRow{"MOVED 3999 :6381", {Kind::kMoved, 3999, {"asked", 6381}}},
        RefusalRow{"ASK 0 ::1:6381", {Kind::kAsk, 0, {"::1", 6381}}},
        RefusalRow{"ASK 0 node-1.example:6381", {Kind::kAsk, 0, {"node-1.example", 6381}}},
        RefusalRow{"TRYAGAIN Multiple keys request during rehashing of slot",
                   {Kind::kTryAgain, 0, {}}},
        RefusalRow{"CLUSTERDOWN Hash slot not served", {Kind::kClusterDown, 0, {}}},
        RefusalRow{"MOVED 3999 ?:6381", {Kind::kClusterDown, 0, {}}},
        RefusalRow{"MOVED 16384 h:6381", {Kind::kClusterDown, 0, {}}},
        RefusalRow{"MOVED 1", {Kind::kClusterDown, 0, {}}}, RefusalRow{"FENCED 4:ab", {}},
        RefusalRow{"OOM command not allowed", {}}));

class RoutingTest : public ::testing::Test {
 protected:
  Routing Next(Kind kind) {
    Routing routing = Decide({kind, 7, {"b", 2}}, attempts_, now_, limits_);
    attempts_ = routing.attempts;
    return routing;
  }
  RoutingLimits limits_;
  Attempts attempts_;
  Instant now_ = Instant() + std::chrono::hours(1);
};

TEST_F(RoutingTest, AMovedCallGoesWhereItIsSentAndTheMapIsStale) {
  const Routing routing = Next(Kind::kMoved);
  EXPECT_EQ(routing.step, NextStep::kResend);
  EXPECT_EQ(routing.to, (NodeAddress{"b", 2}));
  EXPECT_TRUE(routing.is_map_stale);
}

TEST_F(RoutingTest, AnAskedCallGoesThereOnceAndTheMapStays) {
  const Routing routing = Next(Kind::kAsk);
  EXPECT_EQ(routing.step, NextStep::kResendAsking);
  EXPECT_FALSE(routing.is_map_stale);
}

TEST_F(RoutingTest, NodesThatDisagreeAreGivenTime) {
  for (int i = 0; i < limits_.redirections; ++i) {
    EXPECT_EQ(Next(Kind::kMoved).step, NextStep::kResend);
  }
  EXPECT_EQ(Next(Kind::kMoved).step, NextStep::kPause);
  EXPECT_EQ(Next(Kind::kMoved).step, NextStep::kResend) << "counted anew after a pause";
}

TEST_F(RoutingTest, PausesGrowUntilTheCallerHearsOfIt) {
  EXPECT_EQ(Next(Kind::kTryAgain).pause, limits_.pause_initial);
  EXPECT_EQ(Next(Kind::kTryAgain).pause, 2 * limits_.pause_initial);
  for (int i = 0; i < 20; ++i) EXPECT_LE(Next(Kind::kClusterDown).pause, limits_.pause_max);
  now_ += limits_.give_up_after - milliseconds(1);
  EXPECT_EQ(Next(Kind::kTryAgain).step, NextStep::kPause);
  now_ += milliseconds(1);
  EXPECT_EQ(Next(Kind::kTryAgain).step, NextStep::kAnswer);
}

TEST_F(RoutingTest, OnlyAWordOfTheClusterIsFollowed) {
  EXPECT_EQ(Next(Kind::kNone).step, NextStep::kAnswer);
  EXPECT_FALSE(Next(Kind::kNone).is_map_stale);
  EXPECT_TRUE(Next(Kind::kClusterDown).is_map_stale);
  EXPECT_FALSE(Next(Kind::kConnecting).is_map_stale);
}

}  // namespace
}  // namespace spillway::buffer
