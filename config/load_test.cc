#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace spillway::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class LoadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "spillway-config-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& yaml) {
    const std::string name = directory_ + "/config.yaml";
    std::ofstream(name) << yaml;
    return name;
  }
  std::vector<std::string> ProblemsOf(const Source& source) {
    const auto result = Load(source);
    std::vector<std::string> lines;
    if (const auto* problems = std::get_if<std::vector<Problem>>(&result)) {
      for (const Problem& problem : *problems) lines.push_back(problem.ToString());
    }
    return lines;
  }
  std::vector<std::string> ProblemsOf(const std::string& yaml) {
    return ProblemsOf(Source{File(yaml), {}});
  }
  Config Loaded(const Source& source) {
    EXPECT_THAT(ProblemsOf(source), IsEmpty());
    const auto result = Load(source);
    const Config* config = std::get_if<Config>(&result);
    return config == nullptr ? Config() : *config;
  }

  std::string directory_;
};

TEST_F(LoadTest, DefaultsAreComplete) {
  const Config config = Loaded({});
  EXPECT_EQ(config.input.dead_letter_topic, "ingest-spans-dlq");
  ASSERT_EQ(config.pools.size(), 2u);
  EXPECT_EQ(config.pools[0].role, Role::kIngest);
  EXPECT_EQ(config.pools[1].role, Role::kFlush);
  EXPECT_EQ(config.server.gateway, "unix:" + config.server.run_dir + "/gateway.sock");
  EXPECT_FALSE(config.server.state.empty());
}

TEST_F(LoadTest, ReadsEveryKindOfValue) {
  const Config config = Loaded({File(R"(
namespace: test
redis: {url: "rediss://example:6380/1", allow_eviction: true}
kafka: {properties: {linger.ms: 5}}
flush: {lease: 90s, max_inflight_bytes: 32MiB}
gate: {redis_memory: {slow: 0.5}}
ingest: {compression_level: 3}
input: {topic: spans}
server: {tls: }
pools:
  - {name: in, role: ingest, replicas: 2}
  - {name: out, role: flush, replicas: 3, max: 4, scale_owner: external}
)"),
                                {}});
  EXPECT_EQ(config.name_space, "test");
  EXPECT_TRUE(config.redis.allow_eviction);
  EXPECT_EQ(config.kafka.properties.at("linger.ms"), "5");
  EXPECT_EQ(config.flush.lease, Milliseconds(90'000));
  EXPECT_EQ(config.flush.max_inflight_bytes, 32u << 20);
  EXPECT_EQ(config.gate.redis_memory.slow, 0.5);
  EXPECT_EQ(config.ingest.compression_level, 3);
  EXPECT_EQ(config.input.dead_letter_topic, "spans-dlq");
  ASSERT_EQ(config.pools.size(), 2u);
  EXPECT_EQ(config.pools[1].name, "out");
  EXPECT_EQ(config.pools[1].replicas, 3);
  EXPECT_EQ(config.pools[1].scale_owner, ScaleOwner::kExternal);
}

TEST_F(LoadTest, OverridesWinOverTheFile) {
  const Config config = Loaded({File("flush: {lease: 90s}"),
                                {{"flush.lease", "70s"},
                                 {"pools.flush.replicas", "3"},
                                 {"kafka.properties.linger.ms", "7"},
                                 {"server.run_dir", "/tmp/here"}}});
  EXPECT_EQ(config.flush.lease, Milliseconds(70'000));
  EXPECT_EQ(config.pools[1].replicas, 3);
  EXPECT_EQ(config.kafka.properties.at("linger.ms"), "7");
  EXPECT_EQ(config.server.gateway, "unix:/tmp/here/gateway.sock");
}

TEST_F(LoadTest, NamesEveryProblemWithPathValueAndWhatWouldBeRight) {
  EXPECT_THAT(ProblemsOf("flush: {leese: 60s, lease: soon}\nouput: {topic: x}\nlog: [a]\n"
                         "redis: {allow_eviction: yes}"),
              ElementsAre("flush.leese: 60s: expected no such key; did you mean flush.lease?",
                          AllOf(StartsWith("flush.lease: soon: expected a duration such as 500ms")),
                          "ouput: {topic: x}: expected no such key; did you mean output?",
                          "log: [a]: expected a map of keys to values",
                          "redis.allow_eviction: yes: expected true or false"));
}

TEST_F(LoadTest, NamesAValueThatIsAListOrAMap) {
  EXPECT_THAT(ProblemsOf("input: {topic: [a, b]}\nkafka: {properties: 3}"),
              ElementsAre("input.topic: [a, b]: expected a topic name",
                          "kafka.properties: 3: expected a map of names to values"));
}

TEST_F(LoadTest, NamesAKeyGivenTwice) {
  EXPECT_THAT(ProblemsOf("flush: {lease: 60s}\nflush: {lease: 70s}"),
              ElementsAre(HasSubstr("flush: {lease: 70s}: expected to be given once")));
}

TEST_F(LoadTest, NamesTheLineOfBadYaml) {
  EXPECT_THAT(ProblemsOf("flush: {lease: 60s\n"), ElementsAre(HasSubstr("valid YAML; line")));
  EXPECT_THAT(ProblemsOf(Source{directory_ + "/none.yaml", {}}),
              ElementsAre(HasSubstr("expected a readable YAML file")));
}

TEST_F(LoadTest, SaysThatOtlpIsNotBuiltYet) {
  EXPECT_THAT(ProblemsOf("input: {format: otlp}"),
              ElementsAre("input.format: otlp: expected sentry-json (otlp is not built yet)"));
}

TEST_F(LoadTest, RefusesCombinationsThatCannotWork) {
  EXPECT_THAT(ProblemsOf("flush: {lease: 40s}"),
              ElementsAre(StartsWith(
                  "flush.lease: 40s: expected more than output.delivery_timeout + 10s = 40s")));
  EXPECT_THAT(ProblemsOf("gate: {lateness: {slow: 30s}}"),
              ElementsAre("gate.lateness.slow: 30s: expected less than gate.lateness.close = 30s"));
  EXPECT_THAT(ProblemsOf("output: {topic: ingest-spans}"),
              ElementsAre(StartsWith("output.topic: ingest-spans")));
  EXPECT_THAT(ProblemsOf("kafka: {properties: {group.id: x}}"),
              ElementsAre("kafka.properties.group.id: x: expected to be set by input.group"));
  EXPECT_THAT(
      ProblemsOf("server: {api: \"0.0.0.0:7400\"}"),
      ElementsAre(StartsWith("server.api: 0.0.0.0:7400: expected an address of this machine")));
  EXPECT_THAT(ProblemsOf("server: {api: \"0.0.0.0:7400\", insecure: true}"), IsEmpty());
  EXPECT_THAT(ProblemsOf("server: {gateway: \"0.0.0.0:7410\"}"),
              ElementsAre(StartsWith("server.gateway: 0.0.0.0:7410: expected an address of this")));
  EXPECT_THAT(ProblemsOf("server: {gateway: \"127.0.0.1:7410\", tls: {cert: /c, key: /k}}"),
              ElementsAre(StartsWith("server.gateway: 127.0.0.1:7410: expected unix:PATH while")));
  EXPECT_THAT(ProblemsOf("server: {on_shutdown: stay}"),
              ElementsAre("server.on_shutdown: stay: expected one of drain, leave"));
}

TEST_F(LoadTest, ChecksPools) {
  EXPECT_THAT(ProblemsOf("pools: []"), ElementsAre("pools: []: expected at least one pool"));
  EXPECT_THAT(ProblemsOf("pools: [{name: a, role: flush}, {name: a, role: flush}]"),
              ElementsAre("pools: a: expected every pool needs a name of its own"));
  EXPECT_THAT(ProblemsOf("pools: [{name: a, role: flush, replicas: 9}]"),
              ElementsAre("pools.a.replicas: 9: expected from pools.a.min = 1 to pools.a.max = 8"));
  EXPECT_THAT(ProblemsOf("pools: [{name: a, role: flush, repicas: 2}]"),
              ElementsAre("pools.a.repicas: 2: expected no such key; did you mean replicas?"));
  EXPECT_THAT(ProblemsOf("pools: [{role: flush}]"),
              ElementsAre(StartsWith("pools[0].name: (empty): expected to be given")));
  EXPECT_THAT(ProblemsOf(Source{"", {{"pools.flsh.replicas", "2"}}}),
              ElementsAre(HasSubstr("NAME one of ingest, flush")));
}

TEST_F(LoadTest, ReadsWhatAWorkerMayUse) {
  const Config config =
      Loaded({File("pools: [{name: a, role: flush, memory_max: 512MiB, cpu_max: 1.5}]"),
              {{"pools.a.cpu_max", "0.25"}}});
  EXPECT_EQ(config.pools[0].memory_max, 512u << 20);
  EXPECT_EQ(config.pools[0].cpu_max, 0.25);
  const Config again = Loaded({File(ToYaml(config)), {}});
  EXPECT_EQ(again.pools[0].memory_max, 512u << 20);
  EXPECT_EQ(again.pools[0].cpu_max, 0.25);
  EXPECT_EQ(Loaded({}).pools[0].memory_max, 0u) << "no limit unless asked for";
}

TEST_F(LoadTest, RefusesLimitsThatWouldKillWorkersAtTheirWork) {
  EXPECT_THAT(ProblemsOf("pools: [{name: a, role: ingest, memory_max: 1GiB}]"),
              ElementsAre("pools.a.memory_max: 1GiB: expected 0, or more than "
                          "ingest.max_index_bytes = 1GiB, or workers would be killed at work that "
                          "they may do"));
  EXPECT_THAT(ProblemsOf("pools: [{name: a, role: flush, memory_max: 64MiB}]"),
              ElementsAre(HasSubstr("more than flush.max_inflight_bytes = 64MiB")));
  EXPECT_THAT(ProblemsOf("pools: [{name: a, role: flush, cpu_max: 0.001}]"),
              ElementsAre("pools.a.cpu_max: 0.001: expected a number of CPU cores such as 1.5, "
                          "from 0.01 to 1024, or 0"));
  EXPECT_THAT(ProblemsOf("pools: [{name: a, role: flush, scale_owner: external, cpu_max: 1, "
                         "memory_max: 1GiB}]"),
              ElementsAre(StartsWith("pools.a.memory_max: 1GiB: expected 0: spillwayd does not"),
                          StartsWith("pools.a.cpu_max: 1: expected 0: spillwayd does not")));
}

TEST_F(LoadTest, RefusesNumbersOutOfRange) {
  EXPECT_THAT(ProblemsOf("ingest: {compression_level: 40}"),
              ElementsAre("ingest.compression_level: 40: expected a whole number from 1 to 19"));
}

TEST_F(LoadTest, ReadsBackWhatItPrints) {
  const Config config = Loaded({File("gate: {redis_memory: {slow: 0.3}}\nnamespace: \"123\"\n"
                                     "kafka: {properties: {\"a.b\": \"x: y\", c: \"\"}}\n"
                                     "segments: {max_bytes: 70}"),
                                {{"pools.flush.replicas", "2"}, {"redis.username", "null"}}});
  const std::string yaml = ToYaml(config);
  const Config again = Loaded({File(yaml), {}});
  EXPECT_EQ(ToYaml(again), yaml);
  EXPECT_EQ(again.kafka.properties, config.kafka.properties);
  EXPECT_EQ(again.redis.username, "null");
  EXPECT_EQ(again.segments.max_bytes, 70u);
}

class LoadPoolsTest : public ::testing::Test {
 protected:
  using Loaded = std::variant<std::vector<ListedPool>, std::vector<Problem>>;
  static Loaded Load(const std::string& yaml) {
    std::string path = (std::filesystem::temp_directory_path() / "pools-XXXXXX").string();
    const int fd = mkstemp(path.data());
    close(fd);
    std::ofstream(path) << yaml;
    Loaded loaded = LoadPools(path);
    std::filesystem::remove(path);
    return loaded;
  }
};

TEST_F(LoadPoolsTest, ReadsPoolsAndWhatEachOfThemGives) {
  const Loaded loaded = Load("pools:\n  - {name: flush-2, role: flush, replicas: 3}\n");
  const auto* pools = std::get_if<std::vector<ListedPool>>(&loaded);
  ASSERT_NE(pools, nullptr);
  ASSERT_EQ(pools->size(), 1u);
  EXPECT_EQ(pools->at(0).pool.name, "flush-2");
  EXPECT_EQ(pools->at(0).pool.role, Role::kFlush);
  EXPECT_EQ(pools->at(0).pool.replicas, 3);
  EXPECT_EQ(pools->at(0).given, (std::set<std::string>{"name", "role", "replicas"}));
}

TEST_F(LoadPoolsTest, ProblemsNameTheirLine) {
  const Loaded loaded = Load(
      "pools:\n"
      "  - name: flush\n"
      "    role: flsuh\n"
      "  - {name: flush, role: flush, autoscale: {enabled: true}, memory_max: 1GiB}\n"
      "redis: {}\n");
  const auto* problems = std::get_if<std::vector<Problem>>(&loaded);
  ASSERT_NE(problems, nullptr);
  std::vector<std::string> lines;
  for (const Problem& problem : *problems) {
    lines.push_back(std::to_string(problem.line) + " " + problem.key_path);
  }
  EXPECT_EQ(lines,
            (std::vector<std::string>{"5 redis", "3 pools.flush.role", "4 pools",
                                      "4 pools.flush.autoscale", "4 pools.flush.memory_max"}));
}

TEST_F(LoadPoolsTest, AFileWithoutPoolsIsAProblem) {
  for (const char* yaml : {"", "pools: []", "- flush", "{"}) {
    const Loaded loaded = Load(yaml);
    EXPECT_TRUE(std::holds_alternative<std::vector<Problem>>(loaded)) << yaml;
  }
}

}  // namespace
}  // namespace spillway::config
