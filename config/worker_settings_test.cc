#include "config/worker_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/keys.h"
#include "config/load.h"

namespace spillway::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Config Loaded(std::vector<std::pair<std::string, std::string>> overrides) {
  auto loaded = Load({"", std::move(overrides)});
  if (const auto* problems = std::get_if<std::vector<Problem>>(&loaded)) {
    ADD_FAILURE() << problems->front().ToString();
    return {};
  }
  return std::get<Config>(std::move(loaded));
}
uint64_t DigestOf(const Config& config) { return SettingsDigest(WorkerSettings(config)); }

TEST(WorkerSettingsTest, AreWhatWorkersWorkBy) {
  const std::string text = WorkerSettings(Loaded({}));
  EXPECT_THAT(text, HasSubstr("topic: \"ingest-spans\""));
  EXPECT_THAT(text, HasSubstr("level: info"));
  EXPECT_THAT(text, Not(HasSubstr("run_dir")));
  EXPECT_THAT(text, Not(HasSubstr("startup_timeout")));
  EXPECT_THAT(text, Not(HasSubstr("replicas")));
  EXPECT_THAT(text, Not(HasSubstr("namespace")));
}

TEST(WorkerSettingsTest, WhatIsTheServersIsNoChange) {
  const uint64_t digest = DigestOf(Loaded({}));
  EXPECT_EQ(DigestOf(Loaded({{"health.stall_timeout", "90s"},
                             {"restart.max_restarts", "9"},
                             {"server.run_dir", "/elsewhere"},
                             {"pools.flush.replicas", "4"}})),
            digest);
  EXPECT_NE(DigestOf(Loaded({{"flush.lease", "90s"}})), digest);
  EXPECT_NE(DigestOf(Loaded({{"kafka.properties.linger.ms", "7"}})), digest);
}

// Every setting comes back: one that With forgets would leave what was taken back in force.
TEST(WorkerSettingsTest, EverySettingIsPutBack) {
  const Config other = Loaded({{"redis.url", "rediss://10.0.0.1:6379"},
                               {"redis.tls.ca", "/ca.pem"},
                               {"kafka.brokers", "10.0.0.2:9092"},
                               {"kafka.properties.linger.ms", "7"},
                               {"input.topic", "in"},
                               {"output.topic", "out"},
                               {"segments.root_timeout", "11s"},
                               {"ingest.batch_time", "51ms"},
                               {"flush.drain_timeout", "21s"},
                               {"gate.backlog.close", "300000"},
                               {"log.level", "debug"},
                               {"server.run_dir", "/elsewhere"}});
  const Config mine = Loaded({{"server.run_dir", "/here"}, {"health.stall_timeout", "90s"}});
  const auto mixed = WithWorkerSettings(mine, WorkerSettings(other));
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  EXPECT_EQ(WorkerSettings(*mixed), WorkerSettings(other));
  EXPECT_EQ(mixed->server.run_dir, "/here");
  EXPECT_EQ(mixed->health.stall_timeout, Milliseconds(90'000));
  EXPECT_EQ(mixed->pools.size(), mine.pools.size());
}

TEST(WorkerSettingsTest, AChangeOfAnySectionIsAChange) {
  std::set<std::string> sections;
  for (const Key<Config>& key : Keys()) {
    if (IsWorkerSetting(key.path)) sections.insert(key.path.substr(0, key.path.find('.')));
  }
  EXPECT_EQ(sections, (std::set<std::string>{"redis", "kafka", "input", "output", "segments",
                                             "ingest", "flush", "gate", "log"}))
      << "a new section: WithWorkerSettings must put it back, or it is the server's";
}

// A limit that is made smaller together with what needs it must not refuse what is gone back to.
TEST(WorkerSettingsTest, FormerSettingsNeedNotFitTheLimitsOfPools) {
  const Config former = Loaded({});
  const Config now =
      Loaded({{"ingest.max_index_bytes", "64MiB"}, {"pools.ingest.memory_max", "640MiB"}});
  const auto mixed = WithWorkerSettings(now, WorkerSettings(former));
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  EXPECT_TRUE(std::holds_alternative<std::vector<Problem>>(LoadText(ToYaml(*mixed))));
  EXPECT_TRUE(std::holds_alternative<Config>(LoadText(WorkerYaml(*mixed))));
}

TEST(WorkerSettingsTest, DifferencesAreNamed) {
  const Config from = Loaded({{"redis.username", "me"}});
  const Config to = Loaded({{"flush.lease", "90s"},
                            {"kafka.properties.linger.ms", "7"},
                            {"server.run_dir", "/elsewhere"}});
  EXPECT_EQ(SettingsDifference(from, to),
            "redis.username me → (empty); kafka.properties {} → {linger.ms: 7}; flush.lease 1m → "
            "90s");
  EXPECT_EQ(SettingsDifference(to, to), "");
}

TEST(WorkerSettingsTest, WhatThisReleaseDoesNotTakeIsRefused) {
  const auto status = WithWorkerSettings(Loaded({}), "flush: {leese: 60s}\n").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("flush.leese"));
  EXPECT_FALSE(WithWorkerSettings(Loaded({}), "{").ok());
}

}  // namespace
}  // namespace spillway::config
