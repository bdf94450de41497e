#include "buffer/redis/server_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::buffer {
namespace {

using ::testing::HasSubstr;

constexpr char kInfo[] =
    "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nused_memory:500\r\nused_memory_human:500B\r\n"
    "maxmemory:1000\r\nmaxmemory_policy:noeviction\r\n";

TEST(ServerCheckTest, ReadsInfo) {
  const ServerCheck check = ParseServerInfo(kInfo);
  EXPECT_EQ(check.version, "7.0.15");
  EXPECT_EQ(check.memory.policy, "noeviction");
  EXPECT_DOUBLE_EQ(check.memory.ratio(), 0.5);
  EXPECT_TRUE(CheckUsable(check, false).ok());
  EXPECT_TRUE(WarningsFor(check).empty());
}

TEST(ServerCheckTest, HasNoRatioWithoutALimit) {
  EXPECT_EQ(ParseMemoryInfo("used_memory:500\r\nmaxmemory:0\r\n").ratio(), 0);
}

TEST(ServerCheckTest, RefusesAnOldServer) {
  for (const char* version : {"5.0.7", "6.0.16", "", "six"}) {
    const absl::Status status = CheckUsable({.version = version, .memory = {}}, false);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << version;
    EXPECT_THAT(std::string(status.message()), HasSubstr("6.2"));
  }
  for (const char* version : {"6.2.0", "7.0.15", "10.1.0"}) {
    EXPECT_TRUE(CheckUsable({.version = version, .memory = {}}, false).ok()) << version;
  }
}

}  // namespace
}  // namespace spillway::buffer
