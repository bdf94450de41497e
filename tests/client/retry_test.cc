// A server that is not there for a moment.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <set>

#include "client/control_client.h"

namespace spillway::client {
namespace {

// Refuses the first calls, as one that is starting or ending.
class AwayAtFirst final : public v1::FleetService::Service {
 public:
  grpc::Status ListPools(grpc::ServerContext*, const v1::ListPoolsRequest*,
                         v1::ListPoolsResponse* answer) override {
    if (++questions <= away) return {grpc::StatusCode::UNAVAILABLE, "not now"};
    answer->add_pools()->set_name("pools/flush");
    return grpc::Status::OK;
  }
  grpc::Status StartPool(grpc::ServerContext*, const v1::StartPoolRequest* request,
                         v1::Operation*) override {
    request_ids.insert(request->request_id());
    return ++changes <= away ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now")
                             : grpc::Status::OK;
  }

  int away = 0, questions = 0, changes = 0;
  std::set<std::string> request_ids;
};

class RetryTest : public ::testing::Test {
 protected:
  RetryTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~RetryTest() override {
    server_->Shutdown();
    std::filesystem::remove_all(directory_);
  }
  std::string address() const { return "unix:" + directory_ + "/api.sock"; }

  std::string directory_;
  AwayAtFirst service_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(RetryTest, AQuestionIsAskedAgain) {
  service_.away = 3;
  ControlClient client(address());
  const auto answer = client.ListPools();
  EXPECT_TRUE(answer.ok()) << answer.error.message;
  EXPECT_EQ(answer.value.pools_size(), 1);
  EXPECT_EQ(service_.questions, 4);
}

TEST_F(RetryTest, ButNotForEver) {
  service_.away = 100;
  ControlClient client(address());
  EXPECT_EQ(client.ListPools().error.exit_code, kExitUnreachable);
  EXPECT_EQ(service_.questions, 4);
}

TEST_F(RetryTest, AChangeIsSentOnceMoreUnderItsId) {
  service_.away = 1;
  ControlClient client(address());
  EXPECT_TRUE(client.StartPool("pools/flush", false).ok());
  EXPECT_EQ(service_.changes, 2);
  EXPECT_EQ(service_.request_ids.size(), 1u);
}

}  // namespace
}  // namespace spillway::client
