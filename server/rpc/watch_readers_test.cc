// WatchFleet with many readers, on real sockets.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "server/rpc/rpc_server.h"
#include "spillway/v1/fleet.grpc.pb.h"
#include "tests/support/fake_fleet.h"
#include "tests/support/sample_fleet.h"

namespace spillway::rpc {
namespace {

using Stream = grpc::ClientReader<v1::WatchFleetResponse>;

constexpr int kReaders = 100;  // of each kind
constexpr int32_t kChanges = 30;

class WatchReadersTest : public testing::Test {
 protected:
  void SetUp() override {
    config::Server config;
    config.api = "127.0.0.1:0";
    config.gateway = "127.0.0.1:0";
    fleet_.Publish(Fleet(0));
    auto server = RpcServer::Start(config, {"test", ""}, {fleet_, fleet_, SystemClock()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Every worker differs from change to change: some 40 kB an answer.
  static supervisor::FleetSnapshot Fleet(int32_t change) {
    supervisor::FleetSnapshot fleet = HealthyFleet(SystemClock().Now());
    const supervisor::WorkerView worker = fleet.workers[0];
    fleet.workers.clear();
    for (int32_t slot = 0; slot < 50; ++slot) {
      fleet.workers.push_back(worker);
      fleet.workers.back().key = {"flush", slot};
      fleet.workers.back().version = std::string(700, static_cast<char>('A' + change % 26));
    }
    fleet.pools[0].desired = change;
    return fleet;
  }

  // A connection of its own, with HTTP/2's first window for each stream: 64 kB.
  std::unique_ptr<v1::FleetService::Stub> Dial() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return v1::FleetService::NewStub(grpc::CreateCustomChannel(
        server_->api_address(), grpc::InsecureChannelCredentials(), arguments));
  }

  // The change that the answer tells of; -1: none.
  static int32_t ChangeOf(const v1::WatchFleetResponse& response) {
    for (const v1::Pool& pool : response.pools()) {
      if (pool.name() == "pools/ingest") return pool.desired();
    }
    return -1;
  }

  // Reads until the last change; how many answers that took. 0: the stream ended before.
  static int ReadToTheEnd(Stream& stream, std::atomic<int32_t>& seen) {
    v1::WatchFleetResponse response;
    for (int answers = 1; stream.Read(&response); ++answers) {
      seen = std::max(seen.load(), ChangeOf(response));
      if (seen == kChanges) return answers;
    }
    return 0;
  }

  static bool Reaches(const std::atomic<int32_t>& value, int32_t wanted) {
    const Instant deadline = SystemClock().Now() + std::chrono::minutes(1);
    while (value < wanted) {
      if (SystemClock().Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  FakeFleet fleet_;
  std::unique_ptr<RpcServer> server_;
};

struct Reader {
  grpc::ClientContext context;
  std::unique_ptr<Stream> stream;
  std::atomic<int32_t> seen{-1};
  int answers = 0;
};

TEST_F(WatchReadersTest, AHundredSlowReadersCostNobodyAnythingAndSkipStates) {
  const auto slow_stub = Dial(), fast_stub = Dial();
  std::vector<Reader> slow(kReaders), fast(kReaders);
  v1::WatchFleetResponse response;
  for (Reader& reader : slow) {
    reader.stream = slow_stub->WatchFleet(&reader.context, {});
    ASSERT_TRUE(reader.stream->Read(&response));
    EXPECT_EQ(response.workers_size(), 50);
  }
  std::vector<std::thread> threads;
  for (Reader& reader : fast) {
    reader.stream = fast_stub->WatchFleet(&reader.context, {});
    threads.emplace_back([&reader] { reader.answers = ReadToTheEnd(*reader.stream, reader.seen); });
  }
  bool goes_on = Reaches(fast[0].seen, 0);
  for (int32_t change = 1; change <= kChanges; ++change) {
    fleet_.Publish(Fleet(change));
    goes_on = goes_on && Reaches(fast[0].seen, change);  // while nobody reads the slow ones
  }
  EXPECT_TRUE(goes_on) << "a fast reader was told every change";
  for (std::thread& thread : threads) thread.join();
  for (const Reader& reader : fast) EXPECT_GT(reader.answers, 0);

  int most = 0;
  for (Reader& reader : slow) {
    reader.answers = ReadToTheEnd(*reader.stream, reader.seen);
    EXPECT_GT(reader.answers, 0) << "each ends with how it is";
    most = std::max(most, reader.answers);
  }
  EXPECT_LE(most, kChanges / 2) << "what waits for a reader is one answer, not all of them";
  for (Reader& reader : slow) reader.context.TryCancel();
  for (Reader& reader : fast) reader.context.TryCancel();
}

TEST_F(WatchReadersTest, AReaderThatComesBackIsToldOnlyWhatItMissed) {
  const auto stub = Dial();
  v1::WatchFleetResponse all, missed;
  {
    grpc::ClientContext context;
    const auto stream = stub->WatchFleet(&context, {});
    ASSERT_TRUE(stream->Read(&all));
    context.TryCancel();
  }
  supervisor::FleetSnapshot next = Fleet(0);
  next.pools[1].desired = 7;
  fleet_.Publish(next);
  v1::WatchFleetRequest request;
  request.set_resume_after(all.sequence());
  grpc::ClientContext context;
  const auto stream = stub->WatchFleet(&context, request);
  ASSERT_TRUE(stream->Read(&missed));
  EXPECT_TRUE(all.is_full());
  EXPECT_FALSE(missed.is_full());
  EXPECT_EQ(missed.workers_size(), 0);
  ASSERT_EQ(missed.pools_size(), 1);
  EXPECT_EQ(missed.pools(0).desired(), 7);
  context.TryCancel();
}

}  // namespace
}  // namespace spillway::rpc
