// The producer and the metadata client on librdkafka's mock cluster and on a real Kafka.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kafka/metadata.h"
#include "kafka/producer.h"
#include "kafka/queued_producer.h"
#include "tests/support/kafka_broker.h"

namespace spillway::kafka {
namespace {

using test_support::KafkaBroker;
using test_support::RunUntil;
using ::testing::Each;
using ::testing::Field;

KafkaBroker* BrokerOf(const std::string& kind) {
  static const std::unique_ptr<KafkaBroker> mock = test_support::MakeMockBroker();
  if (kind == "mock") return mock.get();
  static const std::unique_ptr<KafkaBroker> real = test_support::MakeRealBroker();
  return real.get();
}

ClientConfig ClientOf(const KafkaBroker& broker,
                      std::map<std::string, std::string> properties = {}) {
  return {.brokers = broker.address(), .properties = std::move(properties), .client_id = "test"};
}

class ProducerContractTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    broker_ = BrokerOf(GetParam());
    if (broker_ == nullptr) GTEST_SKIP() << "no Java 17: no real Kafka";
    static int number = 0;
    topic_ = "output-" + std::to_string(++number);
  }
  std::unique_ptr<Producer> Make(std::map<std::string, std::string> properties = {},
                                 Duration timeout = std::chrono::seconds(20)) {
    return MakeProducer({.client = ClientOf(*broker_, std::move(properties)),
                         .compression = "lz4",
                         .delivery_timeout = timeout},
                        loop_)
        .value();
  }
  // Produces `payload`; its report is added to reports_.
  absl::Status Produce(Producer& producer, const std::string& payload) {
    OutgoingMessage message{
        .payload = payload, .key = "", .headers = {{"spillway-reason", "root"}}};
    absl::AnyInvocable<void(DeliveryReport)> done = [this](DeliveryReport report) {
      reports_.push_back(std::move(report));
    };
    const absl::Status status = producer.Produce(topic_, message, done);
    if (!status.ok()) {
      EXPECT_EQ(message.payload, payload);
      EXPECT_TRUE(static_cast<bool>(done));
    }
    return status;
  }
  bool Reported(size_t count) {
    return RunUntil(
        loop_, [&] { return reports_.size() == count; }, std::chrono::seconds(30));
  }

  KafkaBroker* broker_ = nullptr;
  Loop loop_;
  std::string topic_;
  std::vector<DeliveryReport> reports_;
};

TEST_P(ProducerContractTest, ReportsEveryDelivery) {
  broker_->CreateTopic(topic_, 1);
  const std::unique_ptr<Producer> producer = Make();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(Produce(*producer, std::to_string(i)).ok());
  EXPECT_EQ(producer->queued_messages(), 1000u);
  EXPECT_TRUE(reports_.empty());
  ASSERT_TRUE(Reported(1000));
  EXPECT_THAT(reports_, Each(Field(&DeliveryReport::delivery, Delivery::kDelivered)));
  EXPECT_EQ(producer->queued_messages(), 0u);
  EXPECT_EQ(producer->queued_bytes(), 0u);

  const auto metadata = MakeMetadataClient(ClientOf(*broker_)).value();
  const auto extent = metadata->Extent(topic_, ShardId{0}, std::chrono::seconds(10));
  ASSERT_TRUE(extent.ok()) << extent.status();
  EXPECT_EQ(extent->log_end, 1000);
}

// Having been asked about a topic, the producer knows its leader: librdkafka's own search for it,
// once a second, is not waited for. Tried again if the machine was busy.
TEST_P(ProducerContractTest, TheFirstMessageToATopicAskedAboutLeavesAtOnce) {
  broker_->CreateTopic(topic_, 1);
  const Clock& clock = SystemClock();
  constexpr Duration kAtOnce = std::chrono::milliseconds(300);
  Duration best = std::chrono::hours(1);
  for (int attempt = 0; attempt < 5 && best > kAtOnce; ++attempt) {
    reports_.clear();
    const std::unique_ptr<Producer> producer = Make();
    ASSERT_TRUE(producer->MaxMessageBytes(topic_, std::chrono::seconds(10)).ok());
    const Instant asked = clock.Now();
    ASSERT_TRUE(Produce(*producer, "first").ok());
    ASSERT_TRUE(Reported(1));
    EXPECT_EQ(reports_[0].delivery, Delivery::kDelivered);
    best = std::min(best, clock.Now() - asked);
  }
  EXPECT_LT(best, kAtOnce);
}

TEST_P(ProducerContractTest, AFullQueueLeavesTheMessageUntouched) {
  broker_->CreateTopic(topic_, 1);
  const std::unique_ptr<Producer> producer = Make({{"queue.buffering.max.messages", "2"}});
  ASSERT_TRUE(Produce(*producer, "a").ok());
  ASSERT_TRUE(Produce(*producer, "b").ok());
  EXPECT_EQ(Produce(*producer, "c").code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(Reported(2));
  EXPECT_TRUE(Produce(*producer, "c").ok());
  ASSERT_TRUE(Reported(3));
}

TEST_P(ProducerContractTest, AnUnknownTopicIsNotRefusedForGood) {
  if (!broker_->is_real()) GTEST_SKIP() << "the mock broker makes every topic";
  const std::unique_ptr<Producer> producer = Make({}, std::chrono::seconds(2));
  ASSERT_TRUE(Produce(*producer, "a").ok());
  ASSERT_TRUE(Reported(1));
  EXPECT_EQ(reports_[0].delivery, Delivery::kNotDelivered);
  EXPECT_NE(reports_[0].message, "");
}

TEST_P(ProducerContractTest, ATooLargeMessageIsRefusedAndItsNeighboursAreNot) {
  if (!broker_->is_real()) GTEST_SKIP() << "the mock broker has no limit";
  broker_->CreateTopic(topic_, 1, {{"max.message.bytes", "100000"}});
  const std::unique_ptr<Producer> producer =
      Make({{"compression.type", "none"}, {"linger.ms", "50"}});
  const absl::StatusOr<size_t> limit = producer->MaxMessageBytes(topic_, std::chrono::seconds(10));
  ASSERT_TRUE(limit.ok()) << limit.status();
  EXPECT_LE(*limit, 100'000u);
  EXPECT_GE(*limit, 99'000u);
  // Together they are far above the limit: batches must stay below it.
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(Produce(*producer, std::string(10'000, 'x')).ok());
  ASSERT_TRUE(Produce(*producer, std::string(*limit - 50, 'y')).ok());
  ASSERT_TRUE(Reported(41));
  EXPECT_THAT(reports_, Each(Field(&DeliveryReport::delivery, Delivery::kDelivered)));
  reports_.clear();
  ASSERT_TRUE(Produce(*producer, std::string(150'000, 'z')).ok());
  ASSERT_TRUE(Reported(1));
  EXPECT_EQ(reports_[0].delivery, Delivery::kRefused);
}

TEST_P(ProducerContractTest, MetadataTellsPartitionsAndMissingTopics) {
  broker_->CreateTopic(topic_, 3);
  const auto metadata = MakeMetadataClient(ClientOf(*broker_)).value();
  const auto count = metadata->PartitionCount(topic_, std::chrono::seconds(10));
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, 3);
  const auto limit = metadata->MaxMessageBytes(topic_, std::chrono::seconds(10));
  ASSERT_TRUE(limit.ok()) << limit.status();
  EXPECT_EQ(*limit, 1'048'588u);
  if (broker_->is_real()) {
    const auto missing = metadata->PartitionCount("not-there", std::chrono::seconds(10));
    EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound) << missing.status();
  }
}

TEST_P(ProducerContractTest, MetadataTellsARetentionOfTime) {
  const auto metadata = MakeMetadataClient(ClientOf(*broker_)).value();
  const auto retention = [&](const std::string& topic) {
    const auto answer = metadata->Retention(topic, std::chrono::seconds(10));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(std::nullopt);
  };
  const std::chrono::milliseconds hour = std::chrono::hours(1);
  broker_->CreateTopic(topic_, 1, {{"retention.ms", "3600000"}});
  EXPECT_EQ(retention(topic_), broker_->is_real() ? std::optional(hour) : std::nullopt);
  broker_->CreateTopic(topic_ + "-kept", 1, {{"retention.ms", "-1"}});
  EXPECT_EQ(retention(topic_ + "-kept"), std::nullopt);
  broker_->CreateTopic(topic_ + "-compacted", 1,
                       {{"cleanup.policy", "compact"}, {"retention.ms", "3600000"}});
  EXPECT_EQ(retention(topic_ + "-compacted"), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Brokers, ProducerContractTest, ::testing::Values("mock", "kafka"),
                         [](const auto& kind) { return kind.param; });

TEST(MockProducerTest, AMessageThatCannotLeaveIsReportedAtItsDeadline) {
  const std::unique_ptr<KafkaBroker> broker = test_support::MakeMockBroker();
  broker->CreateTopic("t", 1);
  broker->SetDown(true);
  Loop loop;
  const auto producer = MakeProducer({.client = ClientOf(*broker),
                                      .compression = "lz4",
                                      .delivery_timeout = std::chrono::seconds(1)},
                                     loop)
                            .value();
  std::vector<DeliveryReport> reports;
  OutgoingMessage message{.payload = "x", .key = "k", .headers = {}};
  absl::AnyInvocable<void(DeliveryReport)> done = [&](DeliveryReport report) {
    reports.push_back(report);
  };
  ASSERT_TRUE(producer->Produce("t", message, done).ok());
  ASSERT_TRUE(RunUntil(loop, [&] { return reports.size() == 1; }));
  EXPECT_EQ(reports[0].delivery, Delivery::kNotDelivered);
}

TEST(MockProducerTest, EndsWithMessagesStillQueued) {
  const std::unique_ptr<KafkaBroker> broker = test_support::MakeMockBroker();
  broker->SetDown(true);
  Loop loop;
  auto producer = MakeProducer({.client = ClientOf(*broker), .compression = "lz4"}, loop).value();
  OutgoingMessage message{.payload = std::string(10'000, 'x'), .key = "", .headers = {}};
  bool was_called = false;
  absl::AnyInvocable<void(DeliveryReport)> done = [&](const DeliveryReport&) { was_called = true; };
  ASSERT_TRUE(producer->Produce("t", message, done).ok());
  producer.reset();
  loop.Stop();
  loop.Run();
  EXPECT_FALSE(was_called);
}

TEST(MockProducerTest, MetadataOfAnUnreachableBrokerIsUnavailable) {
  const std::unique_ptr<KafkaBroker> broker = test_support::MakeMockBroker();
  broker->SetDown(true);
  const auto metadata = MakeMetadataClient(ClientOf(*broker)).value();
  EXPECT_EQ(metadata->PartitionCount("t", std::chrono::milliseconds(300)).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(metadata->MaxMessageBytes("t", std::chrono::milliseconds(300)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(ClassifyDeliveryTest, FollowsErrorAndStatus) {
  EXPECT_EQ(ClassifyDelivery(RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_MSG_STATUS_PERSISTED),
            Delivery::kDelivered);
  EXPECT_EQ(ClassifyDelivery(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_MSG_STATUS_NOT_PERSISTED),
            Delivery::kNotDelivered);
  EXPECT_EQ(
      ClassifyDelivery(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED),
      Delivery::kPossiblyPersisted);
  EXPECT_EQ(
      ClassifyDelivery(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_MSG_STATUS_NOT_PERSISTED),
      Delivery::kRefused);
  EXPECT_EQ(
      ClassifyDelivery(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_MSG_STATUS_NOT_PERSISTED),
      Delivery::kNotDelivered);
}

}  // namespace
}  // namespace spillway::kafka
