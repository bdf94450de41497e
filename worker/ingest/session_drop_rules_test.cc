// Drop rules in a shard's session: what is left out, and that a message is judged once and for all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using std::chrono::seconds;
using ::testing::ElementsAre;

wire::DropRule RuleOf(char trace, WallTime expires) {
  const uint64_t half = 0x1111111111111111ull * static_cast<uint64_t>(trace - '0');
  return {std::string("trace-") + trace,
          {.project_id = {}, .trace_id = wire::TraceId{half, half}},
          expires};
}

class SessionDropRulesTest : public ::testing::Test {
 protected:
  SessionDropRulesTest() {
    h_.worker().consumer.Assign({kShard});
    h_.Pass(seconds(2));
  }
  void Wish(const std::string& traces, Duration lives = std::chrono::hours(1)) {
    auto rules = std::make_shared<DropRules>();
    const WallTime expires{h_.clock.Wall().us +
                           std::chrono::duration_cast<std::chrono::microseconds>(lives).count()};
    for (const char trace : traces) rules->push_back(RuleOf(trace, expires));
    h_.worker().session()->SetDropRules(rules);
    h_.Settle();
  }
  void Send(const std::string& traces) {
    for (const char trace : traces)
      h_.Append(SpanText(trace, "0123456789abcdef"[next_id_++], '\0'));
    h_.Pass(seconds(2));
  }
  void TakeAnew() {
    h_.ReplaceWorker(0);
    h_.worker().consumer.Assign({kShard});
    h_.Pass(seconds(2));
  }
  std::vector<Offset> Delivered() {
    h_.Pass(h_.options.limits.root_timeout + seconds(2));
    h_.Flush();
    std::vector<Offset> offsets;
    for (const auto& [offset, count] : h_.DeliveredOffsets()) {
      EXPECT_EQ(count, 1);
      offsets.push_back(offset);
    }
    return offsets;
  }
  void ExpectEven(uint64_t filtered) {
    buffer::AuditReply audit;
    h_.store.Audit(kShard, [&](buffer::StoreResult<buffer::AuditReply> r) { audit = r.value; });
    h_.Settle();
    EXPECT_EQ(audit.residual, 0);
    EXPECT_EQ(audit.message_residual, 0);
    EXPECT_EQ(audit.summary.ledger.filtered, filtered);
  }

  Harness h_;
  size_t next_id_ = 0;
};

TEST_F(SessionDropRulesTest, WhatComesUnderARuleIsLeftOutAndCounted) {
  Send("12");
  Wish("1");
  Send("12");
  Wish("");
  Send("12");
  EXPECT_THAT(Delivered(), ElementsAre(0, 1, 3, 4, 5));
  ExpectEven(1);
  h_.Pass(h_.options.limits.late_window + seconds(5));
  EXPECT_EQ(h_.committed(), 6);
}

TEST_F(SessionDropRulesTest, ARuleEndsAtItsTime) {
  Wish("1", seconds(10));
  Send("1");
  h_.Pass(seconds(10));
  Send("1");
  EXPECT_THAT(Delivered(), ElementsAre(1));
  ExpectEven(1);
}

// Whoever takes the shard judges what it reads again as it was judged: what was accepted under no
// rule is in Redis, what was left out is not.
TEST_F(SessionDropRulesTest, WhatIsReadAgainIsJudgedAsBefore) {
  Send("1");
  Wish("1");
  Send("1");
  Wish("");
  Send("1");
  TakeAnew();
  EXPECT_EQ(h_.worker().session()->Report().watermark, 3);
  Send("1");
  EXPECT_THAT(Delivered(), ElementsAre(0, 2, 3));
  ExpectEven(1);
}

TEST_F(SessionDropRulesTest, UntilTheControlPlaneHasSpokenTheRulesOfRedisGoOn) {
  Wish("1");
  TakeAnew();
  Send("12");
  EXPECT_THAT(Delivered(), ElementsAre(1));
  ExpectEven(1);
}

TEST_F(SessionDropRulesTest, RulesThatWaitForTheTakeAreThereBeforeTheFirstMessage) {
  h_.ReplaceWorker(0);
  Send("1");
  h_.worker().consumer.Assign({kShard});
  Wish("1");
  h_.Pass(seconds(2));
  EXPECT_THAT(Delivered(), ElementsAre());
  ExpectEven(1);
}

// Nothing is read between the question and its answer, whatever becomes of it.
TEST_F(SessionDropRulesTest, NothingIsJudgedByARuleThatRedisDoesNotHave) {
  for (const StoreFault fault : {StoreFault::kLoseRequest, StoreFault::kLoseReply,
                                 StoreFault::kDelay, StoreFault::kMoving}) {
    h_.store.SetFaults([=](StoreCall call, ShardId) {
      return call == StoreCall::kStoreDropRules ? fault : StoreFault::kNone;
    });
    const Offset read = h_.redis().watermark;
    Wish("1");
    Send("12");
    EXPECT_EQ(h_.redis().watermark, read);
    h_.store.SetFaults({});
    h_.Pass(seconds(5));
    EXPECT_EQ(h_.redis().watermark, read + 2);
    while (h_.store.delayed_calls() > 0) h_.store.RunDelayed();
    Wish("");
    h_.Pass(seconds(2));
  }
  EXPECT_THAT(Delivered(), ElementsAre(1, 3, 5, 7));
  ExpectEven(4);
}

// A Redis set back knows neither W nor the rules of later: both are made anew.
TEST_F(SessionDropRulesTest, ARollbackTakesTheRulesWithIt) {
  const auto before = h_.store.Snapshot();
  Wish("1");
  Send("21");
  h_.store.Restore(before);
  h_.Pass(seconds(5));
  EXPECT_THAT(Delivered(), ElementsAre(0));
  ExpectEven(1);
}

TEST_F(SessionDropRulesTest, WhatCannotBeReadIsNotTaken) {
  Wish("1");
  h_.redis().drop_rules = "nonsense";
  TakeAnew();
  EXPECT_FALSE(h_.worker().session()->is_live());
  EXPECT_THAT(h_.worker().session()->trouble(), ::testing::HasSubstr("'nonsense'"));
}

}  // namespace
}  // namespace spillway::ingest
