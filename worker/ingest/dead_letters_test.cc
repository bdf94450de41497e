// The outbox of dead letters, without a session around it.
#include "worker/ingest/dead_letters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "tests/support/fake_kafka.h"

namespace spillway::ingest {
namespace {

using ::testing::Each;
using ::testing::Field;
using ::testing::SizeIs;

constexpr char kTopic[] = "spans-dlq";

class DeadLetterOutboxTest : public ::testing::Test {
 protected:
  void Send(Offset offset, size_t bytes) {
    outbox_.Send({.shard = ShardId{3},
                  .offset = offset,
                  .rejection = {"not_json", "", "no"},
                  .payload = std::string(bytes, 'x'),
                  .key = "k"},
                 interest_, [this] { ++acknowledged_; });
  }
  // What the topic says to the n-th message (from 0).
  void Refuse(std::set<int> numbers) {
    producer_.set_policy([numbers, n = 0](const auto&, const auto&) mutable {
      kafka::FakeProducer::Outcome outcome;
      if (numbers.contains(n++)) outcome.report = {kafka::Delivery::kRefused, "too large"};
      return outcome;
    });
  }

  kafka::FakeKafka kafka_;
  kafka::FakeProducer producer_{kafka_};
  std::shared_ptr<int> interest_ = std::make_shared<int>(0);
  int acknowledged_ = 0;
  DeadLetterOutbox outbox_{producer_, "spans", kTopic};
};

TEST_F(DeadLetterOutboxTest, LettersRefusedInABatchAreSentAgainOneByOne) {
  Refuse({0, 1, 2});
  producer_.Hold();
  for (Offset offset = 0; offset < 3; ++offset) Send(offset, 50'000);
  EXPECT_EQ(producer_.held(), 3u);
  producer_.DeliverHeld();
  kafka_.RunPending();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(producer_.held(), 1u);
    producer_.DeliverHeld(1);
    kafka_.RunPending();
  }
  EXPECT_EQ(acknowledged_, 3);
  EXPECT_EQ(outbox_.waiting(), 0u);
  EXPECT_THAT(kafka_.Records(kTopic), SizeIs(3));
  EXPECT_THAT(kafka_.Records(kTopic), Each(Field(&kafka::FakeRecord::payload, SizeIs(50'000))));
}

TEST_F(DeadLetterOutboxTest, ALetterRefusedAloneGoesWithoutItsPayload) {
  Refuse({0, 2});  // 1 is the other letter
  Send(0, 50'000);
  Send(1, 50'000);
  kafka_.RunPending();
  EXPECT_EQ(acknowledged_, 1);
  outbox_.Retry();
  kafka_.RunPending();
  EXPECT_EQ(acknowledged_, 2);
  const auto records = kafka_.Records(kTopic);
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(records[1].payload, "");
  EXPECT_EQ(records[1].key, "");
  EXPECT_EQ(records[1].headers.back().first, "spillway-omitted-bytes");
}

TEST_F(DeadLetterOutboxTest, AFailureOfOneThatIsAloneHoldsUpNoOther) {
  Refuse({0, 1});
  producer_.Hold();
  Send(0, 50'000);
  Send(1, 50'000);
  producer_.DeliverHeld();
  kafka_.RunPending();
  ASSERT_EQ(producer_.held(), 1u);
  producer_.set_policy([](const auto&, const auto&) {
    return kafka::FakeProducer::Outcome{{kafka::Delivery::kNotDelivered, "away"}, false};
  });
  producer_.DeliverHeld(1);
  kafka_.RunPending();
  producer_.set_policy({});
  producer_.Unhold();
  kafka_.RunPending();
  EXPECT_EQ(acknowledged_, 1);
  outbox_.Retry();
  kafka_.RunPending();
  EXPECT_EQ(acknowledged_, 2);
  EXPECT_THAT(kafka_.Records(kTopic), SizeIs(2));
}

}  // namespace
}  // namespace spillway::ingest
