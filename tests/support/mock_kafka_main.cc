// spillway-mock-kafka [--control] [--brokers=N] TOPIC:PARTITIONS…
// librdkafka's mock cluster in a process of its own, where a real Kafka cannot run, and for faults
// that a real one does not make on demand. It keeps only 5 MiB and 100,000 messages a partition.
// Prints its address; ends on TERM or INT, with --control also at the end of its input.
//
// With --control each line of standard input is a command, answered by a line "ok" or "error …":
//   topic NAME PARTITIONS            creates a topic
//   down BROKER | up BROKER          breaks its connections and refuses new ones | takes them again
//   rtt BROKER MS                    answers that much later from now on
//   leader TOPIC PARTITION BROKER    moves the partition (never to none: librdkafka crashes)
//   coordinator GROUP BROKER         moves the group
//   errors API_KEY ERROR COUNT       the next COUNT requests of the kind fail with that error
//   clear API_KEY                    no more of them
// Brokers are numbered from 1; API keys and errors are Kafka's numbers.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

struct TopicArgument {
  std::string name;
  int partitions = 0;  // 0: not an argument of this form
};

struct Arguments {
  bool is_controlled = false;
  int brokers = 1;
  std::vector<TopicArgument> topics;
  std::string wrong;  // the first argument of no known form
};

TopicArgument ParseTopic(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return {};
  return {text.substr(0, colon), std::atoi(text.c_str() + colon + 1)};
}

Arguments Parse(int argc, char** argv) {
  const std::string brokers = "--brokers=";
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    if (text == "--control") {
      arguments.is_controlled = true;
    } else if (text.compare(0, brokers.size(), brokers) == 0) {
      arguments.brokers = std::atoi(text.c_str() + brokers.size());
    } else {
      arguments.topics.push_back(ParseTopic(text));
    }
    const bool is_wrong = arguments.brokers < 1 ||
                          (!arguments.topics.empty() && arguments.topics.back().partitions < 1);
    if (is_wrong && arguments.wrong.empty()) arguments.wrong = text;
  }
  return arguments;
}

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int Fail(const std::string& what) {
  std::fprintf(stderr, "spillway-mock-kafka: %s\n", what.c_str());
  return 1;
}

// A cluster that is told what to do. Thread-safe, as librdkafka's calls are.
class Cluster {
 public:
  Cluster(rd_kafka_t* client, int brokers)
      : cluster_(rd_kafka_mock_cluster_new(client, brokers)), replicas_(brokers) {
    if (cluster_ == nullptr) return;
    // As deploy/lib/services.sh has it for a real broker; the default is three seconds a group.
    rd_kafka_mock_group_initial_rebalance_delay_ms(cluster_, 0);
  }
  ~Cluster() {
    if (cluster_ != nullptr) rd_kafka_mock_cluster_destroy(cluster_);
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  bool is_running() const { return cluster_ != nullptr; }
  const char* address() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }

  rd_kafka_resp_err_t CreateTopic(const TopicArgument& topic) {
    return rd_kafka_mock_topic_create(cluster_, topic.name.c_str(), topic.partitions, replicas_);
  }

  rd_kafka_resp_err_t Obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, name;
    int broker = 0, number = 0, count = 0;
    if (!(words >> verb)) return RD_KAFKA_RESP_ERR__INVALID_ARG;
    if (verb == "topic" && words >> name >> number) return CreateTopic({name, number});
    if (verb == "down" && words >> broker) return rd_kafka_mock_broker_set_down(cluster_, broker);
    if (verb == "up" && words >> broker) return rd_kafka_mock_broker_set_up(cluster_, broker);
    if (verb == "rtt" && words >> broker >> number) {
      return rd_kafka_mock_broker_set_rtt(cluster_, broker, number);
    }
    if (verb == "leader" && words >> name >> number >> broker) {
      return rd_kafka_mock_partition_set_leader(cluster_, name.c_str(), number, broker);
    }
    if (verb == "coordinator" && words >> name >> broker) {
      return rd_kafka_mock_coordinator_set(cluster_, "group", name.c_str(), broker);
    }
    if (verb == "clear" && words >> number) {
      rd_kafka_mock_clear_request_errors(cluster_, static_cast<int16_t>(number));
      return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    int error = 0;
    if (verb == "errors" && words >> number >> error >> count && count > 0) {
      const std::vector<rd_kafka_resp_err_t> errors(static_cast<size_t>(count),
                                                    static_cast<rd_kafka_resp_err_t>(error));
      rd_kafka_mock_push_request_errors_array(cluster_, static_cast<int16_t>(number), errors.size(),
                                              errors.data());
      return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return RD_KAFKA_RESP_ERR__INVALID_ARG;
  }

 private:
  rd_kafka_mock_cluster_t* const cluster_;
  const int replicas_;
};

void Control(Cluster& cluster) {
  for (std::string line; std::getline(std::cin, line);) {
    const rd_kafka_resp_err_t error = cluster.Obey(line);
    const bool is_done = error == RD_KAFKA_RESP_ERR_NO_ERROR;
    std::printf("%s%s\n", is_done ? "ok" : "error ", is_done ? "" : rd_kafka_err2str(error));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  if (!arguments.wrong.empty() || (arguments.topics.empty() && !arguments.is_controlled)) {
    return Fail("usage: spillway-mock-kafka [--control] [--brokers=N] TOPIC:PARTITIONS...");
  }
  const sigset_t signals = EndSignals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);  // before librdkafka starts its threads
  char error[512] = "";
  const std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> client(
      rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof(error)), rd_kafka_destroy);
  if (client == nullptr) return Fail(error);
  Cluster cluster(client.get(), arguments.brokers);
  if (!cluster.is_running()) return Fail("the mock cluster did not start");
  for (const TopicArgument& topic : arguments.topics) {
    if (cluster.CreateTopic(topic) != RD_KAFKA_RESP_ERR_NO_ERROR) return Fail(topic.name);
  }
  std::printf("%s\n", cluster.address());
  std::fflush(stdout);
  if (arguments.is_controlled) {
    // Waits for its input, which may never end: a signal ends the process around it.
    std::thread([&cluster] {
      Control(cluster);
      ::kill(::getpid(), SIGTERM);
    }).detach();
  }
  int number = 0;
  sigwait(&signals, &number);
  if (arguments.is_controlled) std::_Exit(0);
  return 0;
}
