// The worker on a real loop with the machine's clock, over the fakes.
#include "worker/flush/flush_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/fake_kafka.h"
#include "tests/support/fake_shard_store.h"
#include "tests/support/seeded_random.h"
#include "worker/flush/test_parts.h"

namespace spillway::flush {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ShardId kShard{0};

class FlushWorkerTest : public testing::Test {
 protected:
  FlushWorkerTest()
      : kafka_(loop_),
        store_([this](Task task) { loop_.Post(std::move(task)); }),
        producer_(kafka_),
        worker_(std::make_unique<FlushWorker>(loop_, SystemClock(), store_, producer_,
                                              FlushOptions{}, [this] { return random_.Next(); })) {
    store_.Take(kShard, {.owner = 1, .input = {}}, [this](const auto& taken) {
      buffer::AddRequest request;
      request.epoch = taken.value.epoch;
      request.new_watermark = 1;
      request.new_clock = EventTime{1};
      request.parts.push_back(
          {.name = {1, 0},
           .references = {},
           .chunk = EncodeChunk({.segment = Segment('b')}, {{0, SpanJson('b')}}),
           .deadline = EventTime{1}});
      store_.Add(kShard, std::make_shared<const buffer::AddRequest>(request), [](const auto&) {});
    });
  }

  // Runs the loop until `condition` holds; false: not within ten seconds.
  bool RunUntil(std::function<bool()> condition) {
    const Instant deadline = SystemClock().Now() + seconds(10);
    Task check;
    Timer timer(loop_, [&] { check(); });
    check = [&] {
      if (condition() || SystemClock().Now() > deadline) return loop_.Stop();
      timer.Start(milliseconds(1));
    };
    timer.Start(Duration::zero());
    loop_.Run();
    return condition();
  }

  Loop loop_;
  test_support::SeededRandom random_{1};
  kafka::FakeKafka kafka_;
  buffer::FakeShardStore store_;
  kafka::FakeProducer producer_;
  std::unique_ptr<FlushWorker> worker_;
};

TEST_F(FlushWorkerTest, WorksOnALoopUntilItIsDrained) {
  worker_->Start();
  worker_->Obey({.sequence = 1, .shards = {kShard}});
  EXPECT_TRUE(RunUntil([&] { return kafka_.Records("buffered-segments").size() == 1; }));
  EXPECT_TRUE(RunUntil([&] { return worker_->Report().is_ready; }));
  std::optional<absl::Status> drained;
  worker_->Drain([&](const absl::Status& status) { drained = status; });
  EXPECT_TRUE(RunUntil([&] { return drained.has_value(); }));
  EXPECT_TRUE(drained->ok()) << *drained;
}

TEST_F(FlushWorkerTest, SaysWhatItWaitsForUntilKafkaAnswers) {
  kafka_.is_reachable = false;
  worker_->Start();
  EXPECT_TRUE(RunUntil([&] { return worker_->Report().is_redis_ok; }));
  EXPECT_FALSE(worker_->Report().is_ready);
  EXPECT_THAT(worker_->Report().waiting_for, testing::SizeIs(1));
}

TEST_F(FlushWorkerTest, CanBeDestroyedInTheMiddleOfItsWork) {
  producer_.Hold();
  worker_->Start();
  worker_->Obey({.sequence = 1, .shards = {kShard}});
  EXPECT_TRUE(RunUntil([&] { return producer_.held() == 1; }));
  worker_.reset();
  producer_.Unhold();
  EXPECT_TRUE(RunUntil([&] { return kafka_.Records("buffered-segments").size() == 1; }));
}

}  // namespace
}  // namespace spillway::flush
