// The consumer on librdkafka's mock cluster and on a real Kafka: the same tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kafka/consumer.h"
#include "kafka/metadata.h"
#include "tests/support/kafka_broker.h"

namespace spillway::kafka {
namespace {

using test_support::Append;
using test_support::AppendNumbers;
using test_support::KafkaBroker;
using test_support::RunUntil;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// One broker of each kind for the whole program.
KafkaBroker* BrokerOf(const std::string& kind) {
  static const std::unique_ptr<KafkaBroker> mock = test_support::MakeMockBroker();
  if (kind == "mock") return mock.get();
  static const std::unique_ptr<KafkaBroker> real = test_support::MakeRealBroker();
  return real.get();
}

struct Told {
  std::vector<ShardId> assigned, revoked;
  bool lost = false;
};

// Reads whatever can be read, and remembers it by shard.
class Reader final : public ConsumerListener {
 public:
  void OnAssigned(const std::vector<ShardId>& shards) override {
    told.assigned.insert(told.assigned.end(), shards.begin(), shards.end());
    held.insert(held.end(), shards.begin(), shards.end());
  }
  void OnRevoked(const std::vector<ShardId>& shards, bool lost) override {
    told.revoked.insert(told.revoked.end(), shards.begin(), shards.end());
    told.lost |= lost;
    if (on_revoked) on_revoked(shards);
    for (const ShardId shard : shards) std::erase(held, shard);
  }
  void OnReadable(ShardId shard) override {
    while (std::unique_ptr<Batch> batch = consumer->Read(shard, max_messages, max_bytes)) {
      ++batches;
      for (const Message& message : batch->messages()) {
        offsets[shard.value].push_back(message.offset);
        payloads[shard.value].emplace_back(message.payload);
      }
    }
  }
  void OnError(const absl::Status& status, bool) override { errors.push_back(status); }

  Consumer* consumer = nullptr;
  size_t max_messages = 1000, max_bytes = 1u << 20;
  Told told;
  std::vector<ShardId> held;
  std::function<void(const std::vector<ShardId>&)> on_revoked;
  std::map<int32_t, std::vector<Offset>> offsets;
  std::map<int32_t, std::vector<std::string>> payloads;
  std::vector<absl::Status> errors;
  int batches = 0;
};

std::vector<Offset> Range(Offset from, Offset to) {
  std::vector<Offset> all;
  for (Offset offset = from; offset < to; ++offset) all.push_back(offset);
  return all;
}

class ConsumerContractTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    broker_ = BrokerOf(GetParam());
    if (broker_ == nullptr) GTEST_SKIP() << "no Java 17: no real Kafka";
    static int number = 0;
    topic_ = "input-" + std::to_string(++number);
    group_ = "group-" + std::to_string(number);
  }

  std::unique_ptr<Consumer> Join(Reader& reader,
                                 std::map<std::string, std::string> properties = {}) {
    // A rebalance takes as long as the others take to hear of it, with their next heartbeat. The
    // mock cluster always waits for all but a second of the session timeout; with heartbeats as
    // frequent it refuses a commit now and then, for a rebalance in progress.
    if (broker_->is_real()) {
      properties.insert({"heartbeat.interval.ms", "300"});
    } else {
      properties.insert({"session.timeout.ms", "6000"});
    }
    ConsumerConfig config{
        .client = {.brokers = broker_->address(), .properties = properties, .client_id = "test"},
        .topic = topic_,
        .group = group_};
    absl::StatusOr<std::unique_ptr<Consumer>> made = MakeConsumer(config, loop_, reader);
    EXPECT_TRUE(made.ok()) << made.status();
    reader.consumer = made->get();
    return *std::move(made);
  }
  bool JoinedWith(Reader& reader, size_t partitions) {
    return RunUntil(loop_, [&] { return reader.held.size() == partitions; });
  }
  absl::StatusOr<Offset> Committed(Consumer& consumer, ShardId shard) {
    std::optional<absl::StatusOr<Offset>> answer;
    consumer.Committed(shard, std::chrono::seconds(10),
                       [&](absl::StatusOr<Offset> a) { answer = a; });
    EXPECT_TRUE(RunUntil(loop_, [&] { return answer.has_value(); }));
    return *answer;
  }
  absl::Status Commit(Consumer& consumer, ShardId shard, Offset offset) {
    std::optional<absl::Status> answer;
    consumer.Commit(shard, offset, [&](absl::Status a) { answer = a; });
    EXPECT_TRUE(RunUntil(loop_, [&] { return answer.has_value(); }));
    return *answer;
  }

  KafkaBroker* broker_ = nullptr;
  Loop loop_;
  std::string topic_, group_;
};

TEST_P(ConsumerContractTest, DeliversNothingBeforeStartAtAndThenFromThere) {
  broker_->CreateTopic(topic_, 2);
  AppendNumbers(*broker_, topic_, 0, 0, 50);
  AppendNumbers(*broker_, topic_, 1, 100, 10);
  Reader reader;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 2));

  ASSERT_TRUE(consumer->StartAt(ShardId{1}, 0).ok());
  ASSERT_TRUE(RunUntil(loop_, [&] { return reader.offsets[1].size() == 10; }));
  EXPECT_THAT(reader.offsets[0], IsEmpty());
  ASSERT_TRUE(consumer->StartAt(ShardId{0}, 20).ok());
  ASSERT_TRUE(RunUntil(loop_, [&] { return consumer->IsAtEnd(ShardId{0}); }));

  EXPECT_EQ(reader.offsets[0], Range(20, 50));
  EXPECT_EQ(reader.payloads[0].front(), "20");
  EXPECT_EQ(reader.payloads[1].back(), "109");
}

TEST_P(ConsumerContractTest, MetadataTellsTheGroupsMembers) {
  broker_->CreateTopic(topic_, 2);
  const auto metadata =
      MakeMetadataClient({.brokers = broker_->address(), .properties = {}, .client_id = "asks"})
          .value();
  const auto names = [&] {
    std::vector<std::string> all;
    const auto members = metadata->GroupMembers(group_, std::chrono::seconds(10));
    EXPECT_TRUE(members.ok()) << members.status();
    if (members.ok()) {
      for (const GroupMember& member : *members) all.push_back(member.client_id);
    }
    return all;
  };
  EXPECT_THAT(names(), IsEmpty());
  Reader reader;
  std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 2));
  EXPECT_EQ(names(),
            broker_->is_real() ? std::vector<std::string>{"test"} : std::vector<std::string>{});
  consumer->Close();
  EXPECT_THAT(names(), IsEmpty());
}

TEST_P(ConsumerContractTest, AnotherStartAtBeginsAnewInBothDirections) {
  broker_->CreateTopic(topic_, 1);
  AppendNumbers(*broker_, topic_, 0, 0, 3000);
  Reader reader;
  reader.max_messages = 100;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 1));
  const std::vector<Offset> starts = {1000, 5, 2990, 0, 1, 2000};
  for (const Offset start : starts) {
    ASSERT_TRUE(consumer->StartAt(ShardId{0}, start).ok());
    // In the midst of what is being fetched, and with messages left over from a Read.
    ASSERT_TRUE(RunUntil(loop_, [&] { return !reader.offsets[0].empty() || start == 5; }));
    ASSERT_TRUE(consumer->StartAt(ShardId{0}, start).ok());
    reader.offsets.clear();
    ASSERT_TRUE(RunUntil(loop_, [&] { return consumer->IsAtEnd(ShardId{0}); }));
    EXPECT_EQ(reader.offsets[0], Range(start, 3000)) << "from " << start;
    reader.offsets.clear();
  }
  EXPECT_THAT(reader.errors, IsEmpty());
}

TEST_P(ConsumerContractTest, ReadKeepsWithinItsLimits) {
  broker_->CreateTopic(topic_, 1);
  Append(*broker_, topic_, 0, std::string(300, 'a'));
  Append(*broker_, topic_, 0, std::string(10, 'b'));
  Append(*broker_, topic_, 0, std::string(10, 'c'));
  Append(*broker_, topic_, 0, std::string(10, 'd'));
  Reader reader;
  reader.max_bytes = 25;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 1));
  ASSERT_TRUE(consumer->StartAt(ShardId{0}, 0).ok());
  ASSERT_TRUE(RunUntil(loop_, [&] { return consumer->IsAtEnd(ShardId{0}); }));

  EXPECT_EQ(reader.offsets[0], Range(0, 4));
  EXPECT_GE(reader.batches, 3);  // the one that is too large comes alone
}

TEST_P(ConsumerContractTest, TellsTimestampsAndTombstones) {
  broker_->CreateTopic(topic_, 1);
  Append(*broker_, topic_, 0, "x", 1'700'000'000'123);
  Append(*broker_, topic_, 0, std::nullopt, 1'700'000'000'124);
  Reader reader;
  reader.max_messages = 0;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 1));
  ASSERT_TRUE(consumer->StartAt(ShardId{0}, 0).ok());
  std::unique_ptr<Batch> first, second;
  ASSERT_TRUE(
      RunUntil(loop_, [&] { return (first = consumer->Read(ShardId{0}, 1, 100)) != nullptr; }));
  ASSERT_TRUE(
      RunUntil(loop_, [&] { return (second = consumer->Read(ShardId{0}, 1, 100)) != nullptr; }));

  ASSERT_EQ(first->messages().size(), 1u);
  EXPECT_EQ(first->messages()[0].timestamp, EventTime{1'700'000'000'123});
  EXPECT_FALSE(first->messages()[0].is_tombstone);
  EXPECT_TRUE(second->messages()[0].is_tombstone);
  EXPECT_EQ(second->messages()[0].payload, "");
}

TEST_P(ConsumerContractTest, TheEndIsReachedAgainAfterNewMessages) {
  broker_->CreateTopic(topic_, 1);
  Reader reader;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 1));
  EXPECT_FALSE(consumer->IsAtEnd(ShardId{0}));
  ASSERT_TRUE(consumer->StartAt(ShardId{0}, 0).ok());
  ASSERT_TRUE(RunUntil(loop_, [&] { return consumer->IsAtEnd(ShardId{0}); }));
  AppendNumbers(*broker_, topic_, 0, 0, 5);
  ASSERT_TRUE(RunUntil(loop_, [&] { return reader.offsets[0].size() == 5; }));
  EXPECT_EQ(consumer->LogEnd(ShardId{0}), 5);
  EXPECT_TRUE(RunUntil(loop_, [&] { return consumer->IsAtEnd(ShardId{0}); }));
}

TEST_P(ConsumerContractTest, APausedPartitionIsSilentAndTheOthersGoOn) {
  broker_->CreateTopic(topic_, 2);
  AppendNumbers(*broker_, topic_, 0, 0, 10);
  AppendNumbers(*broker_, topic_, 1, 0, 10);
  Reader reader;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 2));
  consumer->Pause(ShardId{0});
  ASSERT_TRUE(consumer->StartAt(ShardId{0}, 0).ok());
  ASSERT_TRUE(consumer->StartAt(ShardId{1}, 0).ok());
  ASSERT_TRUE(RunUntil(loop_, [&] { return reader.offsets[1].size() == 10; }));
  EXPECT_THAT(reader.offsets[0], IsEmpty());
  consumer->Resume(ShardId{0});
  EXPECT_TRUE(RunUntil(loop_, [&] { return reader.offsets[0].size() == 10; }));
}

TEST_P(ConsumerContractTest, TellsExtentIdentityAndCommittedOffset) {
  broker_->CreateTopic(topic_, 1);
  AppendNumbers(*broker_, topic_, 0, 0, 7);
  Reader reader;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 1));
  std::optional<absl::StatusOr<PartitionExtent>> extent;
  std::optional<absl::StatusOr<TopicIdentity>> identity;
  consumer->Extent(ShardId{0}, std::chrono::seconds(10),
                   [&](absl::StatusOr<PartitionExtent> a) { extent = a; });
  consumer->Identity(std::chrono::seconds(10),
                     [&](absl::StatusOr<TopicIdentity> a) { identity = a; });
  ASSERT_TRUE(RunUntil(loop_, [&] { return extent.has_value() && identity.has_value(); }));
  ASSERT_TRUE(extent->ok()) << extent->status();
  ASSERT_TRUE(identity->ok()) << identity->status();
  EXPECT_EQ((*extent)->log_start, 0);
  EXPECT_EQ((*extent)->log_end, 7);
  EXPECT_EQ((*identity)->topic, topic_);
  EXPECT_NE((*identity)->cluster_id, "");

  EXPECT_EQ(Committed(*consumer, ShardId{0}).value(), kNoOffset);
  EXPECT_TRUE(Commit(*consumer, ShardId{0}, 4).ok());
  EXPECT_EQ(Committed(*consumer, ShardId{0}).value(), 4);
}

TEST_P(ConsumerContractTest, ACommitForAForeignShardIsRefused) {
  broker_->CreateTopic(topic_, 1);
  Reader reader;
  const std::unique_ptr<Consumer> consumer = Join(reader);
  ASSERT_TRUE(JoinedWith(reader, 1));
  EXPECT_EQ(Commit(*consumer, ShardId{3}, 4).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(consumer->StartAt(ShardId{3}, 0).ok());
  EXPECT_EQ(consumer->Read(ShardId{3}, 1, 1), nullptr);
}

TEST_P(ConsumerContractTest, PartitionsMoveToANewMemberAndBack) {
  broker_->CreateTopic(topic_, 4);
  for (int p = 0; p < 4; ++p) AppendNumbers(*broker_, topic_, p, 0, 20);
  Reader first, second;
  const std::unique_ptr<Consumer> one = Join(first);
  ASSERT_TRUE(JoinedWith(first, 4));
  // Two of them read, two not yet started: both kinds must be able to move.
  ASSERT_TRUE(one->StartAt(ShardId{0}, 0).ok());
  ASSERT_TRUE(one->StartAt(ShardId{3}, 0).ok());
  ASSERT_TRUE(
      RunUntil(loop_, [&] { return one->IsAtEnd(ShardId{0}) && one->IsAtEnd(ShardId{3}); }));
  std::optional<absl::Status> last_commit;
  first.on_revoked = [&](const std::vector<ShardId>& shards) {
    one->Commit(shards.front(), 11, [&](absl::Status status) { last_commit = status; });
  };
  std::unique_ptr<Consumer> two = Join(second);
  ASSERT_TRUE(RunUntil(
      loop_, [&] { return first.held.size() == 2 && second.held.size() == 2; },
      std::chrono::seconds(40)));
  EXPECT_FALSE(first.told.lost);
  // What a member commits while it is told to give a shard back still counts.
  const ShardId moved = first.told.revoked.front();
  ASSERT_TRUE(RunUntil(loop_, [&] { return last_commit.has_value(); }));
  EXPECT_TRUE(last_commit->ok()) << *last_commit;
  EXPECT_EQ(Committed(*two, moved).value(), 11);
  for (const ShardId shard : second.held) ASSERT_TRUE(two->StartAt(shard, 5).ok());
  ASSERT_TRUE(RunUntil(
      loop_, [&] { return two->IsAtEnd(second.held[0]) && two->IsAtEnd(second.held[1]); }));
  EXPECT_EQ(second.offsets[second.held[0].value], Range(5, 20));

  two.reset();
  ASSERT_TRUE(RunUntil(
      loop_, [&] { return first.held.size() == 4; }, std::chrono::seconds(40)));
  first.offsets.clear();
  ASSERT_TRUE(one->StartAt(moved, 7).ok());
  ASSERT_TRUE(RunUntil(loop_, [&] { return one->IsAtEnd(moved); }));
  EXPECT_EQ(first.offsets[moved.value], Range(7, 20));
}

// A rebalance makes librdkafka pause what is read and go on: neither a gap nor a second delivery.
TEST_P(ConsumerContractTest, APartitionAtItsEndGoesOnThereAfterARebalance) {
  broker_->CreateTopic(topic_, 2);
  for (int p = 0; p < 2; ++p) AppendNumbers(*broker_, topic_, p, 0, 20);
  Reader first, second;
  const std::unique_ptr<Consumer> one = Join(first);
  ASSERT_TRUE(JoinedWith(first, 2));
  for (int p = 0; p < 2; ++p) ASSERT_TRUE(one->StartAt(ShardId{p}, 0).ok());
  ASSERT_TRUE(
      RunUntil(loop_, [&] { return one->IsAtEnd(ShardId{0}) && one->IsAtEnd(ShardId{1}); }));
  const std::unique_ptr<Consumer> two = Join(second);
  ASSERT_TRUE(RunUntil(
      loop_, [&] { return first.held.size() == 1 && second.held.size() == 1; },
      std::chrono::seconds(40)));
  const ShardId kept = first.held.front();
  AppendNumbers(*broker_, topic_, kept.value, 20, 20);
  ASSERT_TRUE(RunUntil(loop_, [&] { return first.offsets[kept.value].size() >= 40; }));
  ASSERT_TRUE(RunUntil(loop_, [&] { return one->IsAtEnd(kept); }));
  EXPECT_EQ(first.offsets[kept.value], Range(0, 40));
}

TEST_P(ConsumerContractTest, ReadsFarMoreThanItsQueueHolds) {
  broker_->CreateTopic(topic_, 1);
  AppendNumbers(*broker_, topic_, 0, 0, 40'000);
  Reader reader;
  const std::unique_ptr<Consumer> consumer = Join(reader, {{"queued.max.messages.kbytes", "16"}});
  ASSERT_TRUE(JoinedWith(reader, 1));
  ASSERT_TRUE(consumer->StartAt(ShardId{0}, 0).ok());
  ASSERT_TRUE(RunUntil(
      loop_, [&] { return consumer->IsAtEnd(ShardId{0}); }, std::chrono::seconds(60)));
  EXPECT_EQ(reader.offsets[0], Range(0, 40'000));
}

TEST_P(ConsumerContractTest, AWrongPropertyIsNamed) {
  Reader reader;
  ConsumerConfig config{.client = {.brokers = broker_->address(),
                                   .properties = {{"no.such.property", "1"}},
                                   .client_id = ""},
                        .topic = topic_,
                        .group = group_};
  const absl::StatusOr<std::unique_ptr<Consumer>> made = MakeConsumer(config, loop_, reader);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(made.status().message()), ::testing::HasSubstr("no.such.property"));
}

INSTANTIATE_TEST_SUITE_P(Brokers, ConsumerContractTest, ::testing::Values("mock", "kafka"),
                         [](const auto& kind) { return kind.param; });

// While no broker answers, the end last seen says nothing about the log.
TEST(MockConsumerTest, TheEndIsDoubtedWhileTheBrokerIsAway) {
  const std::unique_ptr<KafkaBroker> broker = test_support::MakeMockBroker();
  broker->CreateTopic("t", 1);
  AppendNumbers(*broker, "t", 0, 0, 3);
  Loop loop;
  Reader reader;
  const std::unique_ptr<Consumer> consumer =
      MakeConsumer({.client = {.brokers = broker->address(), .properties = {}, .client_id = "c"},
                    .topic = "t",
                    .group = "g"},
                   loop, reader)
          .value();
  reader.consumer = consumer.get();
  ASSERT_TRUE(RunUntil(loop, [&] { return reader.held.size() == 1; }));
  ASSERT_TRUE(consumer->StartAt(ShardId{0}, 0).ok());
  ASSERT_TRUE(RunUntil(loop, [&] { return consumer->IsAtEnd(ShardId{0}); }));
  broker->SetDown(true);
  ASSERT_TRUE(RunUntil(loop, [&] { return !consumer->IsAtEnd(ShardId{0}); }));
  broker->SetDown(false);
  EXPECT_TRUE(RunUntil(
      loop, [&] { return consumer->IsAtEnd(ShardId{0}); }, std::chrono::seconds(40)));
  EXPECT_EQ(reader.offsets[0], Range(0, 3));
}

}  // namespace
}  // namespace spillway::kafka
