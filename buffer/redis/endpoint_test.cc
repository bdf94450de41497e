#include "buffer/redis/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::buffer {
namespace {

using ::testing::HasSubstr;

TEST(EndpointTest, ReadsHostPortUserAndDatabase) {
  const auto endpoint = ParseEndpoint("redis://spill:p%40ss@redis.example:7000/3");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->host, "redis.example");
  EXPECT_EQ(endpoint->port, 7000);
  EXPECT_EQ(endpoint->username, "spill");
  EXPECT_EQ(endpoint->password, "p@ss");
  EXPECT_EQ(endpoint->database, 3);
  EXPECT_EQ(endpoint->ToString(), "redis://redis.example:7000");
}

TEST(EndpointTest, HasTheUsualPort) {
  EXPECT_EQ(ParseEndpoint("redis://localhost")->port, 6379);
  EXPECT_TRUE(ParseEndpoint("rediss://localhost")->is_tls);
  EXPECT_EQ(ParseEndpoint("redis://[::1]:7001")->host, "::1");
  EXPECT_EQ(ParseEndpoint("redis://[::1]:7001")->port, 7001);
}

TEST(EndpointTest, ReadsAUnixSocket) {
  const auto endpoint = ParseEndpoint("redis+unix:///run/redis/redis.sock?db=2");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->unix_path, "/run/redis/redis.sock");
  EXPECT_EQ(endpoint->database, 2);
}

TEST(EndpointTest, SaysWhatIsWrong) {
  for (const char* url : {"", "http://localhost", "redis://", "redis://localhost:0",
                          "redis://localhost:port", "redis://localhost/one", "redis://[::1",
                          "redis+unix://run", "redis+cluster://localhost:7000"}) {
    const auto endpoint = ParseEndpoint(url);
    ASSERT_FALSE(endpoint.ok()) << url;
    EXPECT_THAT(std::string(endpoint.status().message()), HasSubstr("redis.url")) << url;
  }
}

TEST(DeploymentTest, AServerIsOne) {
  const auto deployment = ParseDeployment("rediss://localhost:1/2");
  ASSERT_TRUE(deployment.ok()) << deployment.status();
  EXPECT_EQ(deployment->kind, Deployment::Kind::kServer);
  ASSERT_EQ(deployment->endpoints.size(), 1u);
  EXPECT_EQ(deployment->endpoints[0].database, 2);
}

TEST(DeploymentTest, AClusterHasSeeds) {
  const auto deployment = ParseDeployment("rediss+cluster://u:p@a:7000,b,[::1]:7002");
  ASSERT_TRUE(deployment.ok()) << deployment.status();
  EXPECT_EQ(deployment->kind, Deployment::Kind::kCluster);
  ASSERT_EQ(deployment->endpoints.size(), 3u);
  EXPECT_EQ(deployment->endpoints[0].ToString(), "rediss://a:7000");
  EXPECT_EQ(deployment->endpoints[1].ToString(), "rediss://b:6379");
  EXPECT_EQ(deployment->endpoints[2].ToString(), "rediss://[::1]:7002");
  EXPECT_EQ(deployment->endpoints[2].username, "u");
  EXPECT_EQ(deployment->endpoints[2].password, "p");
}

TEST(DeploymentTest, SentinelsWatchAMaster) {
  const auto deployment = ParseDeployment("redis+sentinel://:p@a,b:1/main/3");
  ASSERT_TRUE(deployment.ok()) << deployment.status();
  EXPECT_EQ(deployment->kind, Deployment::Kind::kSentinel);
  EXPECT_EQ(deployment->master_name, "main");
  ASSERT_EQ(deployment->endpoints.size(), 2u);
  EXPECT_EQ(deployment->endpoints[0].port, 26379);
  EXPECT_EQ(deployment->endpoints[1].port, 1);
  EXPECT_EQ(deployment->endpoints[1].password, "p");
  EXPECT_EQ(deployment->endpoints[1].database, 3);
}

TEST(DeploymentTest, SaysWhatIsWrong) {
  for (const char* url :
       {"redis+cluster://", "redis+cluster://a,,b", "redis+cluster://a/1", "redis+cluster://a:0",
        "redis+sentinel://a", "redis+sentinel://a/m/x", "redis+other://a"}) {
    const auto deployment = ParseDeployment(url);
    ASSERT_FALSE(deployment.ok()) << url;
    EXPECT_THAT(std::string(deployment.status().message()), HasSubstr("redis.url")) << url;
  }
}

}  // namespace
}  // namespace spillway::buffer
