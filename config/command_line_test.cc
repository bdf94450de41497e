#include "config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(CommandLineTest, ReadsTheServersOptions) {
  const auto line = ParseServerCommandLine(
      {"--config", "a.yaml", "--check", "--flush.lease=90s", "--namespace", "x"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->source.file, "a.yaml");
  EXPECT_TRUE(line->check_only);
  EXPECT_THAT(line->source.overrides,
              ElementsAre(Pair("flush.lease", "90s"), Pair("namespace", "x")));
}

TEST(CommandLineTest, FlusherProcessesIsThePoolsSize) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"--flusher-processes", "4"},
                                                                     {"--flusher-processes=4"}}) {
    const auto line = ParseServerCommandLine(arguments);
    ASSERT_TRUE(line.ok()) << line.status();
    EXPECT_THAT(line->source.overrides, ElementsAre(Pair("pools.flush.replicas", "4")));
  }
}

TEST(CommandLineTest, ReadsTheWorkersOptions) {
  const auto line =
      ParseWorkerCommandLine({"--role=flush", "--pool=out", "--slot=2", "--generation=7",
                              "--config=c.yaml", "--gateway=unix:/run/g.sock", "--uid=node-7:31"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->role, Role::kFlush);
  EXPECT_EQ(line->pool, "out");
  EXPECT_EQ(line->slot, 2);
  EXPECT_EQ(line->generation.value, 7u);
  EXPECT_EQ(line->source.file, "c.yaml");
  EXPECT_EQ(line->gateway, "unix:/run/g.sock");
  EXPECT_EQ(line->uid, "node-7:31");
}

TEST(CommandLineTest, SaysWhatIsWrong) {
  EXPECT_THAT(ParseWorkerCommandLine({}).status().message(), HasSubstr("--role: expected"));
  EXPECT_THAT(ParseWorkerCommandLine({"--role=x"}).status().message(),
              HasSubstr("ingest or flush"));
  EXPECT_THAT(ParseWorkerCommandLine({"--role=flush", "--slot=-1"}).status().message(),
              HasSubstr("--slot: -1"));
  EXPECT_THAT(ParseWorkerCommandLine({"--role=flush", "--uid=two words"}).status().message(),
              HasSubstr("--uid: two words: expected 1 to 128 letters"));
  EXPECT_THAT(ParseWorkerCommandLine({"--role=flush", "--pool=Flush"}).status().message(),
              HasSubstr("--pool: Flush: expected 1 to 32 lower-case letters"));
  EXPECT_THAT(ParseServerCommandLine({"file"}).status().message(), HasSubstr("expected an option"));
  EXPECT_THAT(ParseServerCommandLine({"--check=1"}).status().message(),
              HasSubstr("takes no value"));
  EXPECT_THAT(ParseServerCommandLine({"--bogus"}).status().message(), HasSubstr("--bogus"));
}

}  // namespace
}  // namespace spillway::config
