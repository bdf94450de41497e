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

}  // namespace
}  // namespace spillway::buffer
