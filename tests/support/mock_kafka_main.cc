// spillway-mock-kafka TOPIC:PARTITIONS…
// librdkafka's mock broker in a process of its own, where a real Kafka cannot run. It keeps only
// 5 MiB and 100,000 messages a partition. Prints its address; ends on TERM or INT.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

struct TopicArgument {
  std::string name;
  int partitions = 0;  // 0: not an argument of this form
};

TopicArgument Parse(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return {};
  return {text.substr(0, colon), std::atoi(text.c_str() + colon + 1)};
}

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int Fail(const char* what) {
  std::fprintf(stderr, "spillway-mock-kafka: %s\n", what);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const sigset_t signals = EndSignals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);  // before librdkafka starts its threads
  char error[512] = "";
  const std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> client(
      rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof(error)), rd_kafka_destroy);
  if (client == nullptr) return Fail(error);
  const std::unique_ptr<rd_kafka_mock_cluster_t, decltype(&rd_kafka_mock_cluster_destroy)> cluster(
      rd_kafka_mock_cluster_new(client.get(), 1), rd_kafka_mock_cluster_destroy);
  if (cluster == nullptr) return Fail("the mock cluster did not start");
  for (int i = 1; i < argc; ++i) {
    const TopicArgument topic = Parse(argv[i]);
    if (topic.partitions < 1) return Fail("usage: spillway-mock-kafka TOPIC:PARTITIONS...");
    if (rd_kafka_mock_topic_create(cluster.get(), topic.name.c_str(), topic.partitions, 1) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      return Fail(argv[i]);
    }
  }
  std::printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster.get()));
  std::fflush(stdout);
  int number = 0;
  sigwait(&signals, &number);
  return 0;
}
