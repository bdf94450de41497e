// The shell around the sessions, on a real loop: start, group, orders, drain.
#include "worker/ingest/ingest_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/fake_kafka.h"
#include "tests/support/fake_shard_store.h"
#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class IngestWorkerTest : public ::testing::Test {
 protected:
  IngestWorkerTest() {
    options_.input_topic = kTopic;
    options_.dead_letter_topic = kLetters;
    options_.output_topic = "buffered-segments";
    options_.batch_time = std::chrono::milliseconds(5);
    kafka_.CreateTopic(kTopic, 2);
  }
  void Make() {
    worker_ = std::make_unique<IngestWorker>(
        WorkerParts{
            .loop = loop_,
            .clock = SystemClock(),
            .store = store_,
            .producer = producer_,
            .make_consumer =
                [this](kafka::ConsumerListener& listener) {
                  auto made = std::make_unique<kafka::FakeConsumer>(kafka_, kTopic, listener);
                  consumer_ = made.get();
                  return made;
                },
            .group_members = group_members_,
            .random = [this] { return random_.Next(); },
            .on_misconfigured = [this](const absl::Status& status) { misconfigured_ = status; }},
        options_);
    worker_->Start();
  }
  bool Until(const std::function<bool()>& condition) {
    const Instant deadline = SystemClock().Now() + std::chrono::seconds(10);
    bool holds = false;
    Timer look(loop_, [&] {
      holds = condition();
      if (holds || SystemClock().Now() > deadline) return loop_.Stop();
      look.Start(std::chrono::milliseconds(1));
    });
    look.Start(Duration(0));
    loop_.Run();
    return holds;
  }
  void Assign(std::vector<ShardId> shards) {
    ASSERT_TRUE(Until([&] { return consumer_ != nullptr; }));
    consumer_->Assign(shards);
    ASSERT_TRUE(Until([&] {
      const wire::WorkerReport report = worker_->Report();
      for (const wire::ShardReport& shard : report.shards) {
        if (shard.stage != wire::ShardStage::kOwned) return false;
      }
      return report.shards.size() == shards.size();
    }));
  }
  void Append(int32_t partition, const std::string& payload) {
    kafka_.Append(
        kTopic, partition,
        {.payload = payload, .key = "", .headers = {}, .timestamp = EventTimeOf(store_.now())});
    consumer_->Notify();
  }

  Loop loop_;
  Options options_;
  kafka::FakeKafka kafka_{loop_};
  kafka::FakeProducer producer_{kafka_};
  buffer::FakeShardStore store_{[this](Task task) { loop_.Post(std::move(task)); }};
  test_support::SeededRandom random_{7};
  std::function<absl::StatusOr<std::vector<kafka::GroupMember>>(const std::string&, Duration)>
      group_members_;  // null: nobody asks
  kafka::FakeConsumer* consumer_ = nullptr;
  std::unique_ptr<IngestWorker> worker_;
  std::optional<absl::Status> misconfigured_;
};

TEST_F(IngestWorkerTest, IsReadyOnceKafkaHasAnswered) {
  kafka_.is_reachable = false;
  Make();
  ASSERT_TRUE(Until([&] {
    return worker_->Report().waiting_for ==
           std::vector<std::string>{"Kafka: fake Kafka is not reachable"};
  }));
  EXPECT_FALSE(worker_->Report().is_ready);
  kafka_.is_reachable = true;
  EXPECT_TRUE(Until([&] { return worker_->Report().is_ready; }));
  EXPECT_THAT(worker_->Report().waiting_for, IsEmpty());
}

TEST_F(IngestWorkerTest, ATopicThatCannotHoldSegmentsIsAConfigurationError) {
  kafka_.max_message_bytes = 60'000;
  Make();
  ASSERT_TRUE(Until([&] { return misconfigured_.has_value(); }));
  EXPECT_THAT(std::string(misconfigured_->message()), HasSubstr("max.message.bytes"));
  EXPECT_EQ(consumer_, nullptr);
}

TEST_F(IngestWorkerTest, JoinsAGroupOnlyOnceForeignMembersHaveLeft) {
  std::atomic<bool> is_foreign_there = true;
  options_.group = "process-spans";
  options_.client_prefix = "spillway/default/";
  group_members_ = [&](const std::string& group, Duration) {
    EXPECT_EQ(group, "process-spans");
    std::vector<kafka::GroupMember> members{{"spillway/default/ingest-1", "/10.0.0.1"}};
    if (is_foreign_there) members.push_back({"rdkafka", "/10.0.0.2"});
    return members;
  };
  Make();
  ASSERT_TRUE(Until([&] {
    const std::vector<std::string> waits = worker_->Report().waiting_for;
    return waits.size() == 1 && waits[0].find("rdkafka at /10.0.0.2") != std::string::npos;
  }));
  EXPECT_EQ(consumer_, nullptr);
  EXPECT_FALSE(worker_->Report().is_ready);
  EXPECT_TRUE(worker_->Report().is_kafka_ok) << "Kafka is there; its group is not ours";
  is_foreign_there = false;
  ASSERT_TRUE(Until([&] { return consumer_ != nullptr; }));
  EXPECT_THAT(worker_->Report().waiting_for, IsEmpty());
  EXPECT_FALSE(misconfigured_.has_value());
}

TEST_F(IngestWorkerTest, AsksForTheGroupsMembersUntilKafkaAnswers) {
  std::atomic<int> asked = 0;
  group_members_ = [&](const std::string&,
                       Duration) -> absl::StatusOr<std::vector<kafka::GroupMember>> {
    if (++asked == 1) return absl::UnavailableError("no coordinator");
    return std::vector<kafka::GroupMember>{};
  };
  Make();
  ASSERT_TRUE(Until([&] { return consumer_ != nullptr; }));
  EXPECT_EQ(asked, 2);
}

TEST_F(IngestWorkerTest, JoinsWhereItMayNotAskForMembers) {
  group_members_ = [](const std::string&,
                      Duration) -> absl::StatusOr<std::vector<kafka::GroupMember>> {
    return absl::PermissionDeniedError("describe");
  };
  Make();
  EXPECT_TRUE(Until([&] { return consumer_ != nullptr; }));
}

TEST_F(IngestWorkerTest, ServesEachShardOfItsOwn) {
  Make();
  Assign({ShardId{0}, ShardId{1}});
  Append(0, SpanText('a', 'a', 0));
  Append(1, SpanText('b', 'b', 0));
  Append(1, "bad");
  ASSERT_TRUE(Until([&] {
    return store_.shard(ShardId{0})->watermark == 1 && store_.shard(ShardId{1})->watermark == 2;
  }));
  const wire::WorkerReport report = worker_->Report();
  EXPECT_EQ(report.shards[1].spans, 1u);
  EXPECT_EQ(report.shards[1].rejected, 1u);
  EXPECT_EQ(report.shards[1].input_lag, 0);
  EXPECT_TRUE(report.is_ready);
  EXPECT_TRUE(report.is_redis_ok);

  // What was counted is not forgotten with the shard.
  consumer_->Revoke({ShardId{1}}, false);
  EXPECT_EQ(worker_->Report().shards.size(), 1u);
  consumer_->Assign({ShardId{1}});
  ASSERT_TRUE(Until([&] { return worker_->Report().shards[1].stage == wire::ShardStage::kOwned; }));
  EXPECT_EQ(worker_->Report().shards[1].spans, 1u);
}

TEST_F(IngestWorkerTest, APauseOrderStopsReading) {
  Make();
  Assign({ShardId{0}});
  worker_->Obey({.sequence = 3, .shards = {}, .pause = true, .drain = false});
  worker_->Obey({.sequence = 2, .shards = {}, .pause = false, .drain = false});  // older: ignored
  EXPECT_TRUE(worker_->Report().is_paused);
  EXPECT_EQ(worker_->Report().order_sequence, 3u);
  Append(0, SpanText('a', 'a', 0));
  EXPECT_TRUE(consumer_->is_paused(ShardId{0}));
  worker_->Obey({.sequence = 4, .shards = {}, .pause = false, .drain = false});
  EXPECT_TRUE(Until([&] { return store_.shard(ShardId{0})->watermark == 1; }));
}

TEST_F(IngestWorkerTest, AnOrdersDropRulesHoldForAllShardsAndForThoseThatCome) {
  Make();
  Assign({ShardId{0}});
  const wire::DropRule rule{"noisy", {.project_id = 1, .trace_id = {}}, WallTime{INT64_MAX}};
  worker_->Obey({.sequence = 3, .shards = {}, .drop_rules = {rule}});
  consumer_->Assign({ShardId{1}});
  Append(0, SpanText('a', 'a', 0));
  Append(1, SpanText('a', 'b', 0));
  for (const ShardId shard : {ShardId{0}, ShardId{1}}) {
    EXPECT_TRUE(
        Until([&] { return store_.shard(shard) && store_.shard(shard)->ledger.filtered == 1; }));
    EXPECT_EQ(store_.shard(shard)->ledger.accepted, 0u);
  }
  worker_->Obey({.sequence = 4, .shards = {}});
  Append(0, SpanText('a', 'c', 0));
  EXPECT_TRUE(Until([&] { return store_.shard(ShardId{0})->ledger.accepted == 1; }));
}

TEST_F(IngestWorkerTest, DrainLeavesTheGroupAndSaysSoOnce) {
  Make();
  Assign({ShardId{0}, ShardId{1}});
  int calls = 0;
  absl::Status result = absl::UnknownError("not yet");
  worker_->Drain([&](const absl::Status& status) {
    ++calls;
    result = status;
  });
  ASSERT_TRUE(Until([&] { return calls > 0; }));
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_TRUE(consumer_->is_closed());
  EXPECT_TRUE(worker_->Report().is_drained);
  EXPECT_THAT(worker_->Report().shards, IsEmpty());
}

TEST_F(IngestWorkerTest, ADrainThatCannotEndIsGivenUp) {
  options_.drain_timeout = std::chrono::milliseconds(50);
  Make();
  Assign({ShardId{0}});
  store_.SetFaults([](buffer::StoreCall call, ShardId) {
    return call == buffer::StoreCall::kAdd ? buffer::StoreFault::kHold : buffer::StoreFault::kNone;
  });
  Append(0, SpanText('a', 'a', 0));
  ASSERT_TRUE(Until([&] { return store_.held_calls() == 1; }));
  std::optional<absl::Status> result;
  worker_->Drain([&](const absl::Status& status) { result = status; });
  ASSERT_TRUE(Until([&] { return result.has_value(); }));
  EXPECT_EQ(result->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(consumer_->is_closed());
}

TEST_F(IngestWorkerTest, DrainBeforeAnythingBeganIsImmediate) {
  kafka_.is_reachable = false;
  Make();
  std::optional<absl::Status> result;
  worker_->Drain([&](const absl::Status& status) { result = status; });
  ASSERT_TRUE(Until([&] { return result.has_value(); }));
  EXPECT_TRUE(result->ok());
}

}  // namespace
}  // namespace spillway::ingest
