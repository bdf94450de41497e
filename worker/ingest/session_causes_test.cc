// Waiting for Kafka or Redis is not a stall: the report names who is waited for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using std::chrono::seconds;
using wire::Cause;

class SessionCausesTest : public ::testing::Test {
 protected:
  void Assign() {
    h.worker().consumer.Assign({kShard});
    h.Pass(std::chrono::milliseconds(200));
  }
  ShardSession& session() { return *h.worker().session(); }
  Harness h;
};

TEST_F(SessionCausesTest, WorkThatKafkaDoesNotHandOutIsKafkasToExplain) {
  Assign();
  EXPECT_EQ(session().Report().blocked_cause, Cause::kNone);
  h.kafka.has_leaders = false;
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(1));
  EXPECT_TRUE(session().Report().has_work);
  EXPECT_EQ(session().Report().blocked_cause, Cause::kNone) << "a moment is nothing";
  h.Pass(seconds(3));
  EXPECT_TRUE(session().Report().has_work);
  EXPECT_EQ(session().Report().blocked_cause, Cause::kKafka);
  h.kafka.has_leaders = true;
  h.Pass(seconds(2));
  EXPECT_EQ(h.redis().watermark, 1);
  EXPECT_EQ(session().Report().blocked_cause, Cause::kNone);
}

TEST_F(SessionCausesTest, AReplayThatKafkaDoesNotHandOutIsKafkasToExplain) {
  h.Append(SpanText('a', 'a', 0));
  Assign();
  ASSERT_EQ(h.redis().watermark, 1);
  h.ReplaceWorker(0);
  h.kafka.has_leaders = false;
  h.Append(SpanText('b', 'b', 0));
  Assign();
  EXPECT_FALSE(session().is_live());
  EXPECT_EQ(session().Report().blocked_cause, Cause::kNone);
  h.Pass(seconds(3));
  EXPECT_EQ(session().Report().blocked_cause, Cause::kKafka);
  h.kafka.has_leaders = true;
  h.worker().consumer.Notify();
  h.Pass(seconds(1));
  EXPECT_TRUE(session().is_live());
}

TEST_F(SessionCausesTest, ATakeThatRedisDoesNotAnswerIsRedissToExplain) {
  h.store.SetFaults([](StoreCall call, ShardId) {
    return call == StoreCall::kTake ? StoreFault::kHold : StoreFault::kNone;
  });
  Assign();
  EXPECT_EQ(session().Report().blocked_cause, Cause::kNone);
  h.Pass(seconds(3));
  EXPECT_EQ(session().Report().blocked_cause, Cause::kRedis);
}

TEST_F(SessionCausesTest, ASilentRedisIsRedissToExplain) {
  Assign();
  h.Pass(seconds(1));
  ASSERT_TRUE(session().is_live());
  EXPECT_EQ(session().Report().blocked_cause, Cause::kNone);
  h.store.SetKeepsWaiting(true);
  EXPECT_EQ(session().Report().blocked_cause, Cause::kRedis);
}

TEST_F(SessionCausesTest, LettersUnderWayAreTheDeadLetterTopicsToExplain) {
  h.worker().producer.Hold();
  Assign();
  h.Append("bad");
  h.Pass(seconds(4));
  EXPECT_FALSE(session().gate().is_closed()) << "that is for later";
  EXPECT_EQ(session().Report().blocked_cause, Cause::kDeadLetter);
  h.worker().producer.Unhold();
  h.Pass(seconds(1));
  EXPECT_EQ(session().Report().blocked_cause, Cause::kNone);
}

}  // namespace
}  // namespace spillway::ingest
