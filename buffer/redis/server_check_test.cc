#include "buffer/redis/server_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::buffer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kInfo[] =
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# "
    "Memory\r\nused_memory:500\r\nused_memory_human:500B\r\n"
    "maxmemory:1000\r\nmaxmemory_policy:noeviction\r\n";

ServerCheck Parsed(absl::string_view info) {
  ServerCheck check;
  check.name = "redis://a:1";
  ParseServerInfo(info, check);
  return check;
}

ServerCheck OfVersion(const char* version) {
  ServerCheck check;
  check.version = version;
  return check;
}

TEST(ServerCheckTest, ReadsInfo) {
  const ServerCheck check = Parsed(kInfo);
  EXPECT_EQ(check.version, "7.0.15");
  EXPECT_EQ(check.memory.policy, "noeviction");
  EXPECT_DOUBLE_EQ(check.memory.ratio(), 0.5);
  EXPECT_TRUE(CheckUsable(check, {}).ok());
  EXPECT_TRUE(WarningsFor(check).empty());
}

TEST(ServerCheckTest, HasNoRatioWithoutALimit) {
  EXPECT_EQ(ParseMemoryInfo("used_memory:500\r\nmaxmemory:0\r\n").ratio(), 0);
}

TEST(ServerCheckTest, RefusesAnOldServer) {
  for (const char* version : {"5.0.7", "6.0.16", "", "six"}) {
    const absl::Status status = CheckUsable(OfVersion(version), {});
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << version;
    EXPECT_THAT(std::string(status.message()), HasSubstr("6.2"));
  }
  for (const char* version : {"6.2.0", "7.0.15", "10.1.0"}) {
    EXPECT_TRUE(CheckUsable(OfVersion(version), {}).ok()) << version;
  }
}

TEST(ServerCheckTest, RefusesWhatIsNotWhatTheUrlSays) {
  const ServerCheck node = Parsed("redis_version:7.0.15\r\nredis_mode:cluster\r\n");
  EXPECT_THAT(std::string(CheckUsable(node, {}).message()),
              AllOf(HasSubstr("redis://a:1"), HasSubstr("redis+cluster://")));
  EXPECT_TRUE(CheckUsable(node, {.allows_eviction = false, .is_cluster = true}).ok());
  const ServerCheck sentinel = Parsed("redis_version:7.0.15\r\nredis_mode:sentinel\r\n");
  EXPECT_THAT(std::string(CheckUsable(sentinel, {}).message()), HasSubstr("redis+sentinel://"));
  EXPECT_EQ(Parsed("server_mode:cluster\r\n").mode, "cluster") << "as Valkey says it";
}

TEST(ServerCheckTest, WarnsOfAClusterThatStopsAsAWhole) {
  ServerCheck check = Parsed(kInfo);
  check.requires_full_coverage = true;
  EXPECT_THAT(WarningsFor(check), ::testing::ElementsAre(HasSubstr("full-coverage")));
}

}  // namespace
}  // namespace spillway::buffer
