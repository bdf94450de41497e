// The whole gRPC side on real sockets, over a fake fleet.
#include "server/rpc/rpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <limits>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "proto/wire/convert.h"
#include "spillway/v1/fleet.grpc.pb.h"
#include "spillway/v1/gateway.grpc.pb.h"
#include "tests/support/fake_fleet.h"
#include "tests/support/sample_fleet.h"

namespace spillway::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using std::chrono::seconds;
using testing::HasSubstr;

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details_size() != 1) return "";
  if (!details.details(0).UnpackTo(&info) || info.domain() != "spillway") return "";
  return info.reason();
}

class RpcServerTest : public testing::Test {
 protected:
  RpcServerTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    config_.api = "127.0.0.1:0";
    config_.health = "127.0.0.1:0";
    config_.gateway = "unix:" + directory_ + "/run/gateway.sock";
    fleet_.Publish(SampleFleet(SystemClock().Now()));
  }
  ~RpcServerTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Start() {
    auto server =
        RpcServer::Start(config_, {"test", "127.0.0.1:7480"}, {fleet_, fleet_, SystemClock()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    api_ = grpc::CreateChannel(server_->api_address(), grpc::InsecureChannelCredentials());
    fleet_stub_ = v1::FleetService::NewStub(api_);
    gateway_stub_ = v1::GatewayService::NewStub(
        grpc::CreateChannel(config_.gateway, grpc::InsecureChannelCredentials()));
  }

  std::string directory_;
  config::Server config_;
  FakeFleet fleet_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> api_;
  std::unique_ptr<v1::FleetService::Stub> fleet_stub_;
  std::unique_ptr<v1::GatewayService::Stub> gateway_stub_;
};

TEST_F(RpcServerTest, ReadsTheFleet) {
  Start();
  v1::Pool pool;
  v1::Worker worker;
  v1::ListWorkersResponse workers;
  v1::ListShardsResponse shards;
  v1::GetPoolRequest get_pool;
  get_pool.set_name("pools/flush");
  v1::GetWorkerRequest get_worker;
  get_worker.set_name("pools/flush/workers/1");
  v1::ListWorkersRequest list_workers;
  list_workers.set_parent("pools/-");
  grpc::ClientContext contexts[4];

  ASSERT_TRUE(fleet_stub_->GetPool(&contexts[0], get_pool, &pool).ok());
  ASSERT_TRUE(fleet_stub_->GetWorker(&contexts[1], get_worker, &worker).ok());
  ASSERT_TRUE(fleet_stub_->ListWorkers(&contexts[2], list_workers, &workers).ok());
  ASSERT_TRUE(fleet_stub_->ListShards(&contexts[3], {}, &shards).ok());

  EXPECT_EQ(pool.desired(), 2);
  EXPECT_EQ(worker.state(), v1::WORKER_STATE_CRASH_LOOP);
  EXPECT_EQ(workers.workers_size(), 3);
  EXPECT_EQ(shards.shards_size(), 2);
}

TEST_F(RpcServerTest, TellsOneShard) {
  Start();
  v1::GetShardRequest request;
  request.set_name("shards/0");
  v1::Shard shard;
  grpc::ClientContext contexts[3];
  ASSERT_TRUE(fleet_stub_->GetShard(&contexts[0], request, &shard).ok());
  EXPECT_EQ(shard.name(), "shards/0");
  EXPECT_EQ(shard.backlog(), 240u);
  request.set_name("shards/99");
  EXPECT_EQ(ReasonOf(fleet_stub_->GetShard(&contexts[1], request, &shard)), "SHARD_NOT_FOUND");
  request.set_name("shard 0");
  EXPECT_EQ(ReasonOf(fleet_stub_->GetShard(&contexts[2], request, &shard)), "INVALID_NAME");
}

TEST_F(RpcServerTest, AnswersAnAuditOfTheShardThatIsNamed) {
  std::optional<ShardId> asked;
  fleet_.OnAudit([&](std::optional<ShardId> shard) {
    asked = shard;
    return std::vector{SampleAudit(7)};
  });
  Start();
  v1::AuditRequest request;
  request.set_name("shards/7");
  v1::AuditResponse answer;
  grpc::ClientContext first, second;
  ASSERT_TRUE(fleet_stub_->Audit(&first, request, &answer).ok());
  EXPECT_EQ(asked, ShardId{7});
  EXPECT_TRUE(answer.is_even());
  EXPECT_EQ(answer.shards(0).figures().live_spans(), 19'990u);
  request.set_name("shards/x");
  EXPECT_EQ(ReasonOf(fleet_stub_->Audit(&second, request, &answer)), "INVALID_NAME");
}

TEST_F(RpcServerTest, PoolsAreMadeChangedAndDeletedAsOperations) {
  Start();
  grpc::ClientContext contexts[5];
  v1::CreatePoolRequest create;
  create.set_pool_id("flush-2");
  v1::Operation answer;
  EXPECT_EQ(ReasonOf(fleet_stub_->CreatePool(&contexts[0], create, &answer)), "OUT_OF_RANGE");
  create.mutable_pool()->set_role(v1::ROLE_FLUSH);
  ASSERT_TRUE(fleet_stub_->CreatePool(&contexts[1], create, &answer).ok());
  EXPECT_EQ(answer.kind(), v1::OPERATION_KIND_CREATE_POOL);
  EXPECT_EQ(answer.pool().origin(), v1::POOL_ORIGIN_API);
  v1::UpdatePoolRequest update;
  update.mutable_pool()->set_name("pools/flush");
  update.mutable_pool()->set_desired(4);
  update.mutable_update_mask()->add_paths("desired");
  update.set_validate_only(true);
  ASSERT_TRUE(fleet_stub_->UpdatePool(&contexts[2], update, &answer).ok());
  EXPECT_EQ(answer.pool().desired(), 4);
  EXPECT_EQ(answer.name(), "") << "nothing was begun";
  v1::DeletePoolRequest remove;
  remove.set_name("flush");
  EXPECT_EQ(ReasonOf(fleet_stub_->DeletePool(&contexts[3], remove, &answer)), "INVALID_NAME");
  remove.set_name("pools/flush");
  ASSERT_TRUE(fleet_stub_->DeletePool(&contexts[4], remove, &answer).ok());
  EXPECT_EQ(answer.kind(), v1::OPERATION_KIND_DELETE_POOL);
  EXPECT_EQ(fleet_.verbs(),
            (std::vector<std::string>{"create flush-2", "would update flush", "delete flush"}));
}

TEST_F(RpcServerTest, DrainsWithinTheTimeThatIsGivenOrTwoMinutes) {
  Start();
  v1::DrainPoolRequest request;
  request.set_name("pools/flush");
  v1::Operation answer;
  grpc::ClientContext contexts[4];
  ASSERT_TRUE(fleet_stub_->DrainPool(&contexts[0], request, &answer).ok());
  request.mutable_timeout()->set_seconds(90);
  ASSERT_TRUE(fleet_stub_->DrainPool(&contexts[1], request, &answer).ok());
  EXPECT_EQ(answer.target(), "pools/flush");
  request.mutable_timeout()->set_seconds(std::numeric_limits<int64_t>::max());
  ASSERT_TRUE(fleet_stub_->DrainPool(&contexts[2], request, &answer).ok());
  EXPECT_THAT(fleet_.verbs(),
              testing::ElementsAre("drain flush 120 s", "drain flush 90 s", "drain flush 86400 s"));
  request.set_name("flush");
  EXPECT_EQ(ReasonOf(fleet_stub_->DrainPool(&contexts[3], request, &answer)), "INVALID_NAME");
}

TEST_F(RpcServerTest, TellsAWorkersStacks) {
  fleet_.OnCaptureStacks([](const fleet::WorkerKey& worker) {
    return supervisor::StackReport{"", "poll <- main", "thread 1 of " + worker.pool + "\xff", "/f"};
  });
  Start();
  v1::CaptureStacksRequest request;
  request.set_name("pools/flush/workers/0");
  v1::CaptureStacksResponse answer;
  grpc::ClientContext contexts[3];
  ASSERT_TRUE(fleet_stub_->CaptureStacks(&contexts[0], request, &answer).ok());
  EXPECT_EQ(answer.summary(), "poll <- main");
  EXPECT_EQ(answer.text(), "thread 1 of flush?") << "valid UTF-8";
  EXPECT_EQ(answer.name(), request.name());
  fleet_.OnCaptureStacks(nullptr);
  EXPECT_EQ(ReasonOf(fleet_stub_->CaptureStacks(&contexts[1], request, &answer)),
            "WORKER_NOT_FOUND");
  request.set_name("pools/flush");
  EXPECT_EQ(ReasonOf(fleet_stub_->CaptureStacks(&contexts[2], request, &answer)), "INVALID_NAME");
}

TEST_F(RpcServerTest, AFollowedLogComesPageByPageUntilTheReaderGoes) {
  std::atomic<int> asked = 0;
  fleet_.OnReadLog([&](const supervisor::LogQuery& query) {
    EXPECT_EQ(query.after.value_or(-1), asked == 0 ? -1 : asked.load());
    EXPECT_TRUE(query.is_followed);
    ++asked;
    return supervisor::LogPage{{"line " + std::to_string(asked)}, asked};
  });
  Start();
  v1::GetWorkerLogsRequest request;
  request.set_name("pools/flush/workers/0");
  request.set_follow(true);
  grpc::ClientContext context;
  const auto stream = fleet_stub_->GetWorkerLogs(&context, request);
  v1::GetWorkerLogsResponse page;
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(stream->Read(&page));
    ASSERT_EQ(page.lines_size(), 1);
    EXPECT_EQ(page.lines(0), "line " + std::to_string(i));
  }
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  server_.reset();  // its side of the call may still be asking
}

TEST_F(RpcServerTest, ALogThatIsNotFollowedEnds) {
  fleet_.OnReadLog([&](const supervisor::LogQuery& query) {
    EXPECT_EQ(query.lines, 7);
    return supervisor::LogPage{{"a", "b"}, 9};
  });
  Start();
  v1::GetWorkerLogsRequest request;
  request.set_name("pools/flush/workers/0");
  request.set_lines(7);
  v1::GetWorkerLogsResponse page;
  grpc::ClientContext contexts[2];
  const auto stream = fleet_stub_->GetWorkerLogs(&contexts[0], request);
  ASSERT_TRUE(stream->Read(&page));
  EXPECT_EQ(page.lines_size(), 2);
  EXPECT_FALSE(stream->Read(&page));
  EXPECT_TRUE(stream->Finish().ok());
  request.set_lines(10'001);
  const auto refused = fleet_stub_->GetWorkerLogs(&contexts[1], request);
  EXPECT_EQ(ReasonOf(refused->Finish()), "OUT_OF_RANGE");
}

TEST_F(RpcServerTest, AnAuditThatNobodyWaitsForDoesNotKeepTheServer) {
  fleet_.HoldAudits();
  Start();
  v1::AuditResponse answer;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::time_point(
      std::chrono::microseconds(SystemClock().Wall().us + 200'000)));
  EXPECT_EQ(fleet_stub_->Audit(&context, {}, &answer).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  server_->Shutdown(seconds(0));
  fleet_.AnswerHeldAudits();  // into the void
}

TEST_F(RpcServerTest, RefusalsCarryAStableReason) {
  fleet_.OnResize([](const supervisor::ResizeRequest&) -> FakeFleet::ChangeResult {
    return supervisor::Refusal(absl::StatusCode::kFailedPrecondition, "EXTERNALLY_SCALED",
                               "ask Kubernetes");
  });
  Start();
  v1::Pool pool;
  v1::Operation operation;
  v1::GetPoolRequest unknown;
  unknown.set_name("pools/none");
  v1::ResizePoolRequest resize;
  resize.set_name("pools/flush");
  grpc::ClientContext first, second, third;

  const grpc::Status not_found = fleet_stub_->GetPool(&first, unknown, &pool);
  const grpc::Status refused = fleet_stub_->ResizePool(&second, resize, &operation);
  const grpc::Status malformed = fleet_stub_->GetPool(&third, {}, &pool);

  EXPECT_EQ(not_found.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(not_found), "POOL_NOT_FOUND");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(refused), "EXTERNALLY_SCALED");
  EXPECT_EQ(ReasonOf(malformed), "INVALID_NAME");
}

TEST_F(RpcServerTest, PassesAResizeOnOncePerRequestId) {
  supervisor::ResizeRequest seen;
  fleet_.OnResize([&](const supervisor::ResizeRequest& request) -> FakeFleet::ChangeResult {
    seen = request;
    supervisor::PoolView pool;
    pool.name = request.pool;
    pool.desired = request.desired;
    return pool;
  });
  Start();
  v1::ResizePoolRequest request;
  request.set_name("pools/flush");
  request.set_desired(3);
  request.set_max(9);
  request.set_etag("7");
  request.set_request_id("r1");
  v1::Operation first, second;
  grpc::ClientContext contexts[2];

  ASSERT_TRUE(fleet_stub_->ResizePool(&contexts[0], request, &first).ok());
  ASSERT_TRUE(fleet_stub_->ResizePool(&contexts[1], request, &second).ok());

  EXPECT_EQ(fleet_.changes(), 1);
  EXPECT_EQ(seen.desired, 3);
  EXPECT_EQ(seen.max, 9);
  EXPECT_EQ(seen.min, std::nullopt);
  EXPECT_EQ(second.pool().desired(), 3);
  EXPECT_EQ(second.name(), first.name());
}

TEST_F(RpcServerTest, AQuestionIsNotRememberedUnderItsRequestId) {
  Start();
  v1::ResizePoolRequest request;
  request.set_name("pools/flush");
  request.set_desired(3);
  request.set_request_id("r1");
  request.set_validate_only(true);
  v1::Operation asked, begun;
  grpc::ClientContext contexts[2];
  ASSERT_TRUE(fleet_stub_->ResizePool(&contexts[0], request, &asked).ok());
  request.set_validate_only(false);
  ASSERT_TRUE(fleet_stub_->ResizePool(&contexts[1], request, &begun).ok());

  EXPECT_EQ(asked.name(), "");
  EXPECT_EQ(asked.pool().name(), "pools/flush");
  EXPECT_EQ(begun.name(), "operations/1");
  EXPECT_EQ(fleet_.questions(), 1);
}

TEST_F(RpcServerTest, WatchTellsChangesAndEndsWithItsReader) {
  Start();
  {
    grpc::ClientContext context;
    const auto stream = fleet_stub_->WatchFleet(&context, {});
    v1::WatchFleetResponse all, changed;
    ASSERT_TRUE(stream->Read(&all));
    supervisor::FleetSnapshot next = SampleFleet(SystemClock().Now());
    next.pools[0].desired = 4;
    fleet_.Publish(next);
    ASSERT_TRUE(stream->Read(&changed));

    EXPECT_EQ(all.workers_size(), 3);
    ASSERT_EQ(changed.pools_size(), 1);
    EXPECT_EQ(changed.pools(0).desired(), 4);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  server_->Shutdown(seconds(10));

  EXPECT_EQ(fleet_.subscriptions(), 0u);
}

TEST_F(RpcServerTest, ShutdownEndsOpenStreamsAtItsDeadline) {
  Start();
  grpc::ClientContext watch_context, attach_context;
  const auto watch = fleet_stub_->WatchFleet(&watch_context, {});
  v1::WatchFleetResponse response;
  ASSERT_TRUE(watch->Read(&response));
  const auto attach = gateway_stub_->Attach(&attach_context);

  server_->Shutdown(std::chrono::milliseconds(50));

  EXPECT_FALSE(watch->Read(&response));
  EXPECT_FALSE(watch->Finish().ok());
  EXPECT_FALSE(attach->Finish().ok());
}

TEST_F(RpcServerTest, HealthChecksListsAndWatches) {
  Start();
  for (const std::string& address :
       {server_->api_address(), server_->health_address(), config_.gateway}) {
    const auto stub = grpc::health::v1::Health::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    HealthCheckRequest unknown;
    unknown.set_service("pool/none");
    HealthCheckResponse response;
    grpc::health::v1::HealthListResponse list;
    grpc::ClientContext contexts[3];

    ASSERT_TRUE(stub->Check(&contexts[0], {}, &response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
    EXPECT_EQ(stub->Check(&contexts[1], unknown, &response).error_code(),
              grpc::StatusCode::NOT_FOUND);
    ASSERT_TRUE(stub->List(&contexts[2], {}, &list).ok());
    EXPECT_EQ(list.statuses().at("pool/ingest").status(), HealthCheckResponse::SERVING);
  }
  const auto stub = grpc::health::v1::Health::NewStub(api_);
  grpc::ClientContext context;
  const auto stream = stub->Watch(&context, {});
  HealthCheckResponse before, after;
  ASSERT_TRUE(stream->Read(&before));
  fleet_.Publish(HealthyFleet(SystemClock().Now()));
  ASSERT_TRUE(stream->Read(&after));
  context.TryCancel();
  EXPECT_EQ(before.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(after.status(), HealthCheckResponse::SERVING);
}

TEST_F(RpcServerTest, WatchingAnUnknownServiceSaysSoAndGoesOn) {
  Start();
  const auto stub = grpc::health::v1::Health::NewStub(api_);
  HealthCheckRequest request;
  request.set_service("pool/later");
  grpc::ClientContext context;
  const auto stream = stub->Watch(&context, request);
  HealthCheckResponse before, after;
  ASSERT_TRUE(stream->Read(&before));
  supervisor::FleetSnapshot fleet = HealthyFleet(SystemClock().Now());
  fleet.pools.push_back(fleet.pools[0]);
  fleet.pools.back().name = "later";
  fleet_.Publish(fleet);
  ASSERT_TRUE(stream->Read(&after));
  context.TryCancel();

  EXPECT_EQ(before.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  EXPECT_EQ(after.status(), HealthCheckResponse::SERVING);
}

TEST_F(RpcServerTest, ServerInfoTellsWhatIsWaitedFor) {
  Start();
  const auto stub = v1::ServerService::NewStub(api_);
  v1::ServerInfo info;
  grpc::ClientContext context;

  ASSERT_TRUE(stub->GetServerInfo(&context, {}, &info).ok());

  EXPECT_EQ(info.name_space(), "test");
  EXPECT_EQ(info.http_address(), "127.0.0.1:7480");
  ASSERT_EQ(info.checks_size(), 2);
  EXPECT_FALSE(info.checks(1).ok());
  EXPECT_THAT(info.checks(1).detail(), HasSubstr("waiting for a broker"));
}

// One request and its answer of ServerReflectionInfo, as bytes: Debian has no headers for it.
std::string AskReflection(const std::shared_ptr<grpc::Channel>& channel,
                          const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto stream = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  stream->StartCall(nullptr);
  if (!wait()) return "";
  const grpc::Slice bytes(request);
  stream->Write(grpc::ByteBuffer(&bytes, 1), nullptr);
  if (!wait()) return "";
  grpc::ByteBuffer answer;
  stream->Read(&answer, nullptr);
  if (!wait()) return "";
  grpc::Status status;
  context.TryCancel();
  stream->Finish(&status, nullptr);
  wait();
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!answer.Dump(&slices).ok()) return "";
  for (const grpc::Slice& slice : slices) text.append(slice.begin(), slice.end());
  return text;
}

TEST_F(RpcServerTest, ReflectionListsTheServices) {
  Start();

  const std::string services = AskReflection(api_, "\x3a\x01*");  // list_services: "*"

  EXPECT_THAT(services, HasSubstr("spillway.v1.FleetService"));
  EXPECT_THAT(services, HasSubstr("spillway.v1.ServerService"));
  EXPECT_THAT(services, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(RpcServerTest, TheGatewaySocketIsForThisUserOnly) {
  Start();
  struct stat status {};
  ASSERT_EQ(stat((directory_ + "/run/gateway.sock").c_str(), &status), 0);

  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(RpcServerTest, RefusesTheNetworkWithoutTlsAndATakenPort) {
  Start();
  config::Server open = config_;
  open.api = "0.0.0.0:0";
  config::Server taken = config_;
  taken.api = server_->api_address();
  const RpcParts parts{fleet_, fleet_, SystemClock()};

  const auto refused = RpcServer::Start(open, {}, parts);
  const auto in_use = RpcServer::Start(taken, {}, parts);

  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("server.api: 0.0.0.0:0"));
  EXPECT_EQ(in_use.status().code(), absl::StatusCode::kUnavailable);
  open.insecure = true;
  open.gateway = "unix:" + directory_ + "/other.sock";
  EXPECT_TRUE(RpcServer::Start(open, {}, parts).ok());
}

wire::Hello AHello() {
  wire::Hello hello;
  hello.uid = "uid-1";
  hello.pid = 42;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  return hello;
}

TEST_F(RpcServerTest, AttachWelcomesPassesReportsUpAndOrdersDown) {
  Start();
  grpc::ClientContext context;
  const auto stream = gateway_stub_->Attach(&context);
  v1::AttachResponse response;
  ASSERT_TRUE(stream->Write(wire::ToProto(AHello())));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.welcome().report_interval().seconds(), 10);

  wire::WorkerReport report;
  report.sequence = 1;
  report.memory_bytes = 77;
  ASSERT_TRUE(stream->Write(wire::ToProto(report)));
  wire::Order order;
  order.sequence = 5;
  order.shards = {{0}, {1}};
  fleet_.link(0)->SendOrder(order);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.order().shards_size(), 2);

  ASSERT_TRUE(stream->Write(wire::ToProto(wire::OrderDone{5})));
  ASSERT_TRUE(stream->Write(wire::ToProto(wire::Goodbye{"SIGTERM", {}})));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(fleet_.WaitForStreams([](const auto& streams) {
    return streams.size() == 1 && streams[0].is_detached && streams[0].goodbye &&
           streams[0].reports.size() == 1 && streams[0].reports[0].memory_bytes == 77;
  }));
  fleet_.link(0)->SendOrder(order);  // after the end: no effect
}

TEST_F(RpcServerTest, AStreamThatBreaksIsDetached) {
  Start();
  {
    grpc::ClientContext context;
    const auto stream = gateway_stub_->Attach(&context);
    v1::AttachResponse response;
    ASSERT_TRUE(stream->Write(wire::ToProto(AHello())));
    ASSERT_TRUE(stream->Read(&response));
    context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
  }

  EXPECT_TRUE(fleet_.WaitForStreams([](const auto& streams) { return streams[0].is_detached; }));
}

TEST_F(RpcServerTest, AttachRefusesWhatTheSupervisorRefuses) {
  fleet_.OnAttach([](const wire::Hello&) -> absl::StatusOr<wire::Welcome> {
    return supervisor::Refusal(absl::StatusCode::kPermissionDenied, "STALE_GENERATION",
                               "generation 2 runs");
  });
  Start();
  grpc::ClientContext context;
  const auto stream = gateway_stub_->Attach(&context);
  ASSERT_TRUE(stream->Write(wire::ToProto(AHello())));

  const grpc::Status status = stream->Finish();

  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonOf(status), "STALE_GENERATION");
}

TEST_F(RpcServerTest, AttachEndsForMessagesOutOfOrderAndWithTheLink) {
  Start();
  grpc::ClientContext contexts[3];
  const auto no_hello = gateway_stub_->Attach(&contexts[0]);
  const auto nonsense = gateway_stub_->Attach(&contexts[1]);
  const auto closed = gateway_stub_->Attach(&contexts[2]);

  no_hello->Write(wire::ToProto(wire::WorkerReport{}));
  EXPECT_EQ(ReasonOf(no_hello->Finish()), "HELLO_EXPECTED");
  nonsense->Write(v1::AttachRequest{});
  EXPECT_EQ(ReasonOf(nonsense->Finish()), "INVALID_MESSAGE");
  v1::AttachResponse response;
  closed->Write(wire::ToProto(AHello()));
  ASSERT_TRUE(closed->Read(&response));
  fleet_.link(0)->Close(
      supervisor::Refusal(absl::StatusCode::kPermissionDenied, "STALE_GENERATION", "replaced"));
  EXPECT_EQ(ReasonOf(closed->Finish()), "STALE_GENERATION");
  EXPECT_TRUE(fleet_.WaitForStreams([](const auto& streams) { return streams[0].is_detached; }));
}

}  // namespace
}  // namespace spillway::rpc
