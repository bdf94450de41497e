// The link against a real gRPC server on a unix socket that the test scripts.
#include "worker/control/control_link.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <deque>
#include <filesystem>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "spillway/v1/gateway.grpc.pb.h"

namespace spillway::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr seconds kLimit{20};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Keeps every message that came, per stream and in order; the test says what each stream answers.
class ScriptedGateway final : public v1::GatewayService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::AttachResponse, v1::AttachRequest>;
  using Script = std::function<grpc::Status(Stream&)>;

  // The next stream without a script is held open silently until its end.
  void Expect(Script script) {
    MutexLock lock(&mutex_);
    scripts_.push_back(std::move(script));
  }

  grpc::Status Attach(grpc::ServerContext*, Stream* stream) override {
    Script script;
    {
      MutexLock lock(&mutex_);
      ++streams_;
      changed_.NotifyAll();
      if (!scripts_.empty()) {
        script = std::move(scripts_.front());
        scripts_.pop_front();
      }
    }
    if (script) return script(*stream);
    v1::AttachRequest request;
    while (stream->Read(&request)) {
    }
    return grpc::Status::OK;
  }

  int streams() {
    MutexLock lock(&mutex_);
    return streams_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<Script> scripts_ ABSL_GUARDED_BY(mutex_);
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Obeys at once.
class FakeRole final : public WorkerRole {
 public:
  void Start() override {}
  void Obey(const wire::Order& order) override {
    orders.push_back(order);
    report.order_sequence = order.sequence;
    report.is_paused = order.pause;
  }
  wire::WorkerReport Report() const override { return report; }
  void Drain(absl::AnyInvocable<void(absl::Status)>) override {}

  wire::WorkerReport report;
  std::vector<wire::Order> orders;
};

v1::AttachResponse WelcomeMessage(milliseconds interval) {
  return wire::ToProto(wire::Welcome{"pools/flush/workers/0", {1}, interval});
}

v1::AttachResponse OrderMessage(uint64_t sequence, bool drain = false) {
  wire::Order order;
  order.sequence = sequence;
  order.shards = {{3}};
  order.drain = drain;
  return wire::ToProto(order);
}

class ControlLinkTest : public testing::Test {
 protected:
  ControlLinkTest() {
    config_.gateway = "unix:" + directory_.path() + "/gateway.sock";
    config_.hello.uid = "uid-1";
    config_.hello.pid = 42;
    config_.hello.role = wire::Role::kFlush;
    config_.hello.pool = "flush";
    config_.redial = {milliseconds(1), milliseconds(5)};
    role_.report.is_ready = true;
  }

  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(config_.gateway, grpc::InsecureServerCredentials());
    builder.RegisterService(&gateway_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }

  ~ControlLinkTest() override {
    link_.reset();
    if (server_) server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
  }

  void StartLink() {
    LinkEvents events;
    events.drain_ordered = [this] {
      ++drains_;
      loop_.Stop();
    };
    events.dismissed = [this](absl::Status status) {
      dismissed_ = std::move(status);
      loop_.Stop();
    };
    link_ = std::make_unique<ControlLink>(config_, loop_, role_, std::move(events));
    link_->Start();
  }

  // Runs the loop until something stops it; false at the limit.
  bool RunLoop() {
    bool in_time = true;
    Timer limit(loop_, [&] {
      in_time = false;
      loop_.Stop();
    });
    limit.Start(kLimit);
    loop_.Run();
    return in_time;
  }

  TemporaryDirectory directory_;
  Loop loop_;
  ScriptedGateway gateway_;
  std::unique_ptr<grpc::Server> server_;
  FakeRole role_;
  LinkConfig config_;
  std::unique_ptr<ControlLink> link_;
  int drains_ = 0;
  absl::Status dismissed_;
};

TEST_F(ControlLinkTest, SaysHelloThenReportsWhatTheRoleReports) {
  v1::AttachRequest hello, report;
  wire::ShardReport shard;
  shard.shard = {3};
  shard.stage = wire::ShardStage::kOwned;
  shard.epoch = {7, 8};
  role_.report.shards = {shard};
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    stream.Read(&hello);
    stream.Write(WelcomeMessage(seconds(60)));
    stream.Read(&report);
    loop_.Stop();
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  EXPECT_EQ(hello.hello().uid(), "uid-1");
  ASSERT_EQ(hello.hello().shards_size(), 1);
  EXPECT_EQ(hello.hello().shards(0).epoch_number(), 7u);
  EXPECT_EQ(report.report().sequence(), 1u);
  EXPECT_GT(report.report().memory_bytes(), 1'000'000);
  EXPECT_GT(report.report().cpu_time().nanos() + report.report().cpu_time().seconds(), 0);
  EXPECT_EQ(report.report().shards(0).shard(), 3);
}

TEST_F(ControlLinkTest, ReportsEveryIntervalWithoutGaps) {
  std::vector<uint64_t> sequences;
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    v1::AttachRequest request;
    stream.Read(&request);
    stream.Write(WelcomeMessage(milliseconds(2)));
    while (sequences.size() < 4 && stream.Read(&request))
      sequences.push_back(request.report().sequence());
    loop_.Stop();
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  EXPECT_THAT(sequences, testing::ElementsAre(1, 2, 3, 4));
}

TEST_F(ControlLinkTest, ObeysTheNewestOrderOnlyAndSaysWhenItIsDone) {
  v1::AttachRequest request;
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    stream.Read(&request);
    stream.Write(WelcomeMessage(seconds(60)));
    stream.Write(OrderMessage(2));
    stream.Write(OrderMessage(1));
    while (stream.Read(&request) && !request.has_order_done()) {
      // The role owns the shard only after its first answer to the order.
      if (request.report().order_sequence() == 2 && request.report().shards().empty()) {
        loop_.Post([this] {
          wire::ShardReport shard;
          shard.shard = {3};
          shard.stage = wire::ShardStage::kOwned;
          role_.report.shards = {shard};
        });
      }
    }
    loop_.Stop();
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  EXPECT_EQ(request.order_done().sequence(), 2u);
  ASSERT_EQ(role_.orders.size(), 1u);
  EXPECT_EQ(role_.orders[0].sequence, 2u);
}

TEST_F(ControlLinkTest, PassesADrainOrderToTheProcess) {
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    v1::AttachRequest request;
    stream.Read(&request);
    stream.Write(WelcomeMessage(seconds(60)));
    stream.Write(OrderMessage(1, /*drain=*/true));
    while (stream.Read(&request)) {
    }
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  EXPECT_EQ(drains_, 1);
}

TEST_F(ControlLinkTest, DialsUntilThereIsAServerAndAgainWhenTheStreamBreaks) {
  StartLink();
  Timer start(loop_, [this] { StartServer(); });
  start.Start(milliseconds(20));
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    v1::AttachRequest request;
    stream.Read(&request);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going away");
  });
  v1::AttachRequest second;
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    stream.Read(&second);
    loop_.Stop();
    return grpc::Status::OK;
  });

  ASSERT_TRUE(RunLoop());

  EXPECT_EQ(second.hello().uid(), "uid-1");
  EXPECT_EQ(gateway_.streams(), 2);
}

TEST_F(ControlLinkTest, GivesUpAServerThatNeverWelcomes) {
  config_.welcome_timeout = milliseconds(20);
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    v1::AttachRequest request;
    while (stream.Read(&request)) {
    }
    return grpc::Status::OK;
  });
  gateway_.Expect([&](ScriptedGateway::Stream&) {
    loop_.Stop();
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();

  EXPECT_TRUE(RunLoop());
}

grpc::Status RefusedFor(const std::string& reason, grpc::StatusCode code) {
  google::rpc::ErrorInfo info;
  info.set_domain("spillway");
  info.set_reason(reason);
  google::rpc::Status details;
  details.set_code(code);
  details.add_details()->PackFrom(info);
  return {code, "generation 2 runs", details.SerializeAsString()};
}

grpc::Status StaleGeneration() {
  return RefusedFor("STALE_GENERATION", grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(ControlLinkTest, ARegisteredWorkerKeepsThePlaceItIsGiven) {
  config_.hello.is_registered = true;
  v1::AttachRequest first, second;
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    stream.Read(&first);
    v1::AttachResponse welcome = WelcomeMessage(seconds(60));
    welcome.mutable_welcome()->set_worker("pools/flush/workers/3");
    welcome.mutable_welcome()->set_generation(9);
    stream.Write(welcome);
    v1::AttachRequest report;
    stream.Read(&report);
    return grpc::Status::CANCELLED;
  });
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    stream.Read(&second);
    loop_.Stop();
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  EXPECT_TRUE(first.hello().is_registered());
  EXPECT_EQ(first.hello().generation(), 0u);
  EXPECT_EQ(second.hello().slot(), 3);
  EXPECT_EQ(second.hello().generation(), 9u);
}

TEST_F(ControlLinkTest, ARegisteredWorkerWithoutAPlaceGivesItsShardsUpAndDialsOn) {
  config_.hello.is_registered = true;
  role_.report.order_sequence = 7;
  gateway_.Expect([&](ScriptedGateway::Stream&) {
    return RefusedFor("POOL_FULL", grpc::StatusCode::RESOURCE_EXHAUSTED);
  });
  gateway_.Expect([&](ScriptedGateway::Stream&) {
    loop_.Stop();
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  ASSERT_EQ(role_.orders.size(), 1u);
  EXPECT_EQ(role_.orders[0].sequence, 7u) << "an older one would be ignored";
  EXPECT_TRUE(role_.orders[0].shards.empty());
}

TEST_F(ControlLinkTest, IsDismissedByStaleGeneration) {
  gateway_.Expect([&](ScriptedGateway::Stream&) { return StaleGeneration(); });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  EXPECT_EQ(dismissed_.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(dismissed_.message()), HasSubstr("generation 2 runs"));
}

TEST_F(ControlLinkTest, SaysGoodbyeAfterALastReport) {
  std::vector<v1::AttachRequest> received;
  bool was_half_closed = false;
  gateway_.Expect([&](ScriptedGateway::Stream& stream) {
    v1::AttachRequest request;
    stream.Read(&request);
    stream.Write(WelcomeMessage(seconds(60)));
    stream.Read(&request);
    loop_.Post([this] {
      role_.report.is_drained = true;
      link_->SayGoodbye("SIGTERM", seconds(10), [this] { loop_.Stop(); });
    });
    while (stream.Read(&request)) received.push_back(request);
    was_half_closed = true;
    return grpc::Status::OK;
  });
  StartServer();

  StartLink();
  ASSERT_TRUE(RunLoop());

  EXPECT_TRUE(was_half_closed);
  ASSERT_EQ(received.size(), 2u);
  EXPECT_TRUE(received[0].report().is_drained());
  EXPECT_EQ(received[1].goodbye().reason(), "SIGTERM");
}

TEST_F(ControlLinkTest, SayingGoodbyeWithoutAServerEndsAtOnce) {
  StartLink();
  bool is_done = false;

  link_->SayGoodbye("SIGTERM", kLimit, [&] { is_done = true; });

  EXPECT_TRUE(is_done);
}

}  // namespace
}  // namespace spillway::worker
