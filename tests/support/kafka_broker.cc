#include "tests/support/kafka_broker.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"

namespace spillway::test_support {
namespace {

constexpr int kTimeoutMs = 15'000;

rd_kafka_t* NewProducer(const std::map<std::string, std::string>& settings) {
  char why[512] = "";
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  for (const auto& [key, value] : settings) {
    CHECK(rd_kafka_conf_set(conf, key.c_str(), value.c_str(), why, sizeof(why)) == RD_KAFKA_CONF_OK,
          "a setting of a test must be right");
  }
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
  CHECK(producer != nullptr, "librdkafka must give a producer");
  return producer;
}

class MockBroker final : public KafkaBroker {
 public:
  MockBroker() : owner_(NewProducer({})), cluster_(rd_kafka_mock_cluster_new(owner_, 1)) {
    CHECK(cluster_ != nullptr, "librdkafka must give a mock cluster");
    address_ = rd_kafka_mock_cluster_bootstraps(cluster_);
    // As deploy/lib/services.sh has it for the real one; the default is three seconds a group.
    rd_kafka_mock_group_initial_rebalance_delay_ms(cluster_, 0);
  }
  ~MockBroker() override {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(owner_);
  }
  const std::string& address() const override { return address_; }
  bool is_real() const override { return false; }
  void CreateTopic(const std::string& topic, int32_t partitions,
                   const std::map<std::string, std::string>&) override {
    rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1);
  }
  void SetDown(bool is_down) override {
    if (is_down) {
      rd_kafka_mock_broker_set_down(cluster_, 1);
    } else {
      rd_kafka_mock_broker_set_up(cluster_, 1);
    }
  }

 private:
  rd_kafka_t* owner_;
  rd_kafka_mock_cluster_t* cluster_;
  std::string address_;
};

// The script ends, and the broker with it, when its standard input does: so it dies with us.
class RealBroker final : public KafkaBroker {
 public:
  RealBroker(FILE* script, std::string directory, std::string address)
      : script_(script), directory_(std::move(directory)), address_(std::move(address)) {}
  ~RealBroker() override {
    ::pclose(script_);
    std::filesystem::remove_all(directory_);
  }
  const std::string& address() const override { return address_; }
  bool is_real() const override { return true; }
  void CreateTopic(const std::string& topic, int32_t partitions,
                   const std::map<std::string, std::string>& config) override;
  void SetDown(bool) override { CHECK(false, "only the mock broker can be set down"); }

 private:
  FILE* const script_;
  const std::string directory_;
  const std::string address_;
};

// The controller has made it; the broker learns of it a moment later, and says until then that
// there is no such topic.
static void AwaitTopic(rd_kafka_t* client, const std::string& name) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, name.c_str(), nullptr);
  const Instant deadline = SystemClock().Now() + std::chrono::milliseconds(kTimeoutMs);
  bool is_known = false;
  while (!is_known) {
    CHECK(SystemClock().Now() < deadline, "the broker must know a topic that was made");
    const rd_kafka_metadata_t* answer = nullptr;
    if (rd_kafka_metadata(client, 0, topic, &answer, kTimeoutMs) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      continue;
    }
    is_known = answer->topic_cnt == 1 && answer->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
               answer->topics[0].partition_cnt > 0;
    rd_kafka_metadata_destroy(answer);
  }
  rd_kafka_topic_destroy(topic);
}

void RealBroker::CreateTopic(const std::string& topic, int32_t partitions,
                             const std::map<std::string, std::string>& config) {
  rd_kafka_t* admin = NewProducer({{"bootstrap.servers", address_}});
  char why[512] = "";
  rd_kafka_NewTopic_t* wanted =
      rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, why, sizeof(why));
  for (const auto& [key, value] : config)
    rd_kafka_NewTopic_set_config(wanted, key.c_str(), value.c_str());
  rd_kafka_queue_t* queue = rd_kafka_queue_new(admin);
  rd_kafka_CreateTopics(admin, &wanted, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTimeoutMs);
  CHECK(event != nullptr && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR,
        "the broker must create a topic");
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(wanted);
  AwaitTopic(admin, topic);
  rd_kafka_destroy(admin);
}

void AppendAll(const KafkaBroker& broker, const std::string& topic, int32_t partition,
               const std::vector<std::optional<std::string>>& payloads, int64_t timestamp_ms) {
  rd_kafka_t* producer =
      NewProducer({{"bootstrap.servers", broker.address()}, {"linger.ms", "0"}, {"acks", "all"}});
  // Ahead of the first message: the search for leaders that it would wait for comes once a second.
  rd_kafka_topic_t* followed = rd_kafka_topic_new(producer, topic.c_str(), nullptr);
  const rd_kafka_metadata_t* known = nullptr;
  CHECK(rd_kafka_metadata(producer, 0, followed, &known, kTimeoutMs) == RD_KAFKA_RESP_ERR_NO_ERROR,
        "the broker must know the topic");
  rd_kafka_metadata_destroy(known);
  for (const std::optional<std::string>& payload : payloads) {
    const void* bytes = payload ? payload->data() : nullptr;
    const size_t bytes_count = payload ? payload->size() : 0;
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_VALUE(const_cast<void*>(bytes), bytes_count),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
        RD_KAFKA_V_END);
    CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR, "a message of a test must be taken");
  }
  CHECK(rd_kafka_flush(producer, kTimeoutMs) == RD_KAFKA_RESP_ERR_NO_ERROR,
        "the broker must take the messages of a test");
  rd_kafka_topic_destroy(followed);
  rd_kafka_destroy(producer);
}

}  // namespace

std::unique_ptr<KafkaBroker> MakeMockBroker() { return std::make_unique<MockBroker>(); }

std::unique_ptr<KafkaBroker> MakeRealBroker() {
  std::string directory =
      (std::filesystem::temp_directory_path() / "spillway-kafka-XXXXXX").string();
  CHECK(::mkdtemp(directory.data()) != nullptr, "a directory for the broker");
  const std::string address_file = directory + "/told-address";
  const std::string script =
      std::string("exec bash -c '. \"$0/deploy/lib/services.sh\" && has_java && ") +
      "start_kafka \"$1/kafka\" && echo \"$SERVICE_ADDRESS\" >\"$1/new\" && " +
      "mv \"$1/new\" \"$1/told-address\" && cat >/dev/null; " +
      "stop_service \"${SERVICE_PID:-0}\"' \"" + SPILLWAY_SOURCE_DIR + "\" \"" + directory + "\"";
  FILE* process = ::popen(script.c_str(), "w");
  CHECK(process != nullptr, "a shell for the broker");
  std::string address;
  Loop loop;
  const bool has_started = RunUntil(
      loop, [&] { return static_cast<bool>(std::ifstream(address_file) >> address); },
      std::chrono::seconds(90));
  if (has_started) return std::make_unique<RealBroker>(process, directory, address);
  std::fprintf(stderr, "no real Kafka here: see the lines above\n");
  ::pclose(process);
  std::filesystem::remove_all(directory);
  return nullptr;
}

void Append(const KafkaBroker& broker, const std::string& topic, int32_t partition,
            const std::optional<std::string>& payload, int64_t timestamp_ms) {
  AppendAll(broker, topic, partition, {payload}, timestamp_ms);
}

void AppendNumbers(const KafkaBroker& broker, const std::string& topic, int32_t partition,
                   int first, int count) {
  std::vector<std::optional<std::string>> payloads;
  for (int i = first; i < first + count; ++i) payloads.emplace_back(std::to_string(i));
  AppendAll(broker, topic, partition, payloads, 0);
}

bool RunUntil(Loop& loop, const std::function<bool()>& condition, Duration timeout) {
  const Instant deadline = SystemClock().Now() + timeout;
  bool holds = false;
  Timer looking(loop, [&] {
    holds = condition();
    if (holds || SystemClock().Now() > deadline) {
      loop.Stop();
    } else {
      looking.Start(std::chrono::milliseconds(2));
    }
  });
  looking.Start(Duration(0));
  loop.Run();
  return holds;
}

}  // namespace spillway::test_support
