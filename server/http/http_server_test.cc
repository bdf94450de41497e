// The HTTP side on a real socket, over a fake fleet.
#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "spillway/v1/fleet.pb.h"
#include "tests/support/fake_fleet.h"
#include "tests/support/memory_record_store.h"
#include "tests/support/sample_fleet.h"

namespace spillway::http {
namespace {

using ::testing::HasSubstr;

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.http = "127.0.0.1:0";
    fleet_.Publish(SampleFleet(SystemClock().Now()));
    auto server = HttpServer::Start(config_, fleet_, SystemClock());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  httplib::Response Get(const std::string& path) {
    httplib::Client client("http://" + server_->address());
    auto result = client.Get(path);
    return result ? *result : httplib::Response();
  }

  config::Server config_;
  FakeFleet fleet_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ServesTheJournalAndTheDeaths) {
  testing::RecordDisk disk;
  record::Change change;
  change.events.resize(2);
  change.events[1].action = "ResizePool";
  change.deaths.resize(1);
  change.deaths[0].pool = "flush";
  ASSERT_TRUE(disk.Commit(change).ok());
  record::Recorder recorder(std::make_unique<testing::MemoryRecordStore>(disk), SystemClock());
  auto server = HttpServer::Start(config_, fleet_, SystemClock(), &recorder);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);

  const httplib::Response events = Get("/api/v1/events?page_size=1");
  EXPECT_EQ(events.status, 200);
  EXPECT_THAT(events.body, HasSubstr("ResizePool"));
  EXPECT_THAT(events.body, HasSubstr("\"nextPageToken\": \"2\""));
  EXPECT_THAT(Get("/api/v1/deaths?pool=flush").body, HasSubstr("pools/flush/workers/0"));
  EXPECT_THAT(Get("/api/v1/deaths?pool=ingest").body,
              ::testing::Not(HasSubstr("pools/flush/workers/0")));
  EXPECT_EQ(Get("/api/v1/events?page_size=some").status, 400);
  EXPECT_EQ(Get("/api/v1/events?page_token=x").status, 400);
  server_.reset();
}

TEST_F(HttpServerTest, AnswersProbes) {
  EXPECT_EQ(Get("/livez").status, 200);
  const httplib::Response waiting = Get("/readyz?verbose");
  EXPECT_EQ(waiting.status, 503);
  EXPECT_THAT(waiting.body, HasSubstr("[+]redis ok"));

  fleet_.Publish(HealthyFleet(SystemClock().Now()));
  EXPECT_EQ(Get("/readyz").status, 200);
}

TEST_F(HttpServerTest, ServesMetricsAndThePage) {
  const httplib::Response metrics = Get("/metrics");
  EXPECT_THAT(metrics.get_header_value("Content-Type"), HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics.body, HasSubstr("spillway_ready 0"));
  EXPECT_THAT(Get("/").body, HasSubstr("<title>Spillway</title>"));
  EXPECT_EQ(Get("/nothing").status, 404);
}

TEST_F(HttpServerTest, ServesTheSameMessagesAsTheApi) {
  v1::ListWorkersResponse workers;
  v1::ListPoolsResponse pools;
  v1::ListShardsResponse shards;

  const httplib::Response flush = Get("/api/v1/workers?pool=flush");
  EXPECT_EQ(flush.get_header_value("Content-Type"), "application/json");
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(flush.body, &workers).ok());
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(Get("/api/v1/pools").body, &pools).ok());
  EXPECT_TRUE(
      google::protobuf::util::JsonStringToMessage(Get("/api/v1/shards").body, &shards).ok());

  EXPECT_EQ(workers.workers_size(), 2);
  EXPECT_EQ(pools.pools_size(), 2);
  EXPECT_EQ(shards.shards_size(), 2);
}

TEST_F(HttpServerTest, OperationsAreAnsweredPageByPage) {
  fleet_.Publish(HealthyFleet(SystemClock().Now()));
  v1::ListOperationsResponse newest, rest;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(
                  Get("/api/v1/operations?page_size=1").body, &newest)
                  .ok());
  ASSERT_EQ(newest.operations_size(), 1);
  EXPECT_EQ(newest.operations(0).name(), "operations/4");
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(
                  Get("/api/v1/operations?page_token=" + newest.next_page_token()).body, &rest)
                  .ok());
  ASSERT_EQ(rest.operations_size(), 1);
  EXPECT_EQ(rest.operations(0).name(), "operations/3");
  EXPECT_EQ(Get("/api/v1/operations?page_size=some").status, 400);
}

TEST_F(HttpServerTest, RefusesTheNetworkATakenPortAndNonsense) {
  config::Server open = config_;
  open.http = "0.0.0.0:0";
  config::Server taken = config_;
  taken.http = server_->address();
  config::Server nonsense = config_;
  nonsense.http = "7480";

  EXPECT_EQ(HttpServer::Start(open, fleet_, SystemClock()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(HttpServer::Start(taken, fleet_, SystemClock()).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(HttpServer::Start(nonsense, fleet_, SystemClock()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace spillway::http
