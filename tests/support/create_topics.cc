#include <librdkafka/rdkafka.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/processes.h"

namespace spillway {
namespace {

constexpr int kTimeoutMs = 30'000;

template <auto destroy>
struct Destroyer {
  template <typename Handle>
  void operator()(Handle* handle) const {
    destroy(handle);
  }
};
template <typename Handle, auto destroy>
using Owned = std::unique_ptr<Handle, Destroyer<destroy>>;

using Client = Owned<rd_kafka_t, rd_kafka_destroy>;
using Queue = Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using Options = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using Topic = Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;

absl::StatusOr<Client> MakeClient(const std::string& brokers) {
  char error[512] = "";
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), error, sizeof(error)) !=
      RD_KAFKA_CONF_OK) {
    rd_kafka_conf_destroy(conf);
    return absl::InvalidArgumentError(error);
  }
  Client client(rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error)));
  if (client == nullptr) return absl::InternalError(error);
  return client;
}

absl::StatusOr<Topic> MakeTopic(const NewTopic& topic) {
  char error[512] = "";
  Topic made(rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, 1, error, sizeof(error)));
  if (made == nullptr) return absl::InvalidArgumentError(absl::StrCat(topic.name, ": ", error));
  for (const auto& [name, value] : topic.configs) {
    if (rd_kafka_NewTopic_set_config(made.get(), name.c_str(), value.c_str()) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      return absl::InvalidArgumentError(absl::StrCat(topic.name, ": ", name));
    }
  }
  return made;
}

absl::Status StatusOf(rd_kafka_resp_err_t error, const char* text) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return absl::AlreadyExistsError(text);
  return absl::UnavailableError(text != nullptr ? text : rd_kafka_err2str(error));
}

// The first error, by topic.
absl::Status StatusOf(const rd_kafka_CreateTopics_result_t* result) {
  size_t count = 0;
  const auto* topics = rd_kafka_CreateTopics_result_topics(result, &count);
  for (size_t i = 0; i < count; ++i) {
    const absl::Status status = StatusOf(rd_kafka_topic_result_error(topics[i]),
                                         rd_kafka_topic_result_error_string(topics[i]));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CreateTopics(const std::string& brokers, const std::vector<NewTopic>& topics) {
  auto client = MakeClient(brokers);
  if (!client.ok()) return client.status();
  std::vector<Topic> owned;
  std::vector<rd_kafka_NewTopic_t*> wanted;
  for (const NewTopic& topic : topics) {
    auto made = MakeTopic(topic);
    if (!made.ok()) return made.status();
    owned.push_back(*std::move(made));
    wanted.push_back(owned.back().get());
  }
  const Options options(rd_kafka_AdminOptions_new(client->get(), RD_KAFKA_ADMIN_OP_CREATETOPICS));
  char error[512] = "";
  // The broker answers once every replica knows the topics.
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), kTimeoutMs, error, sizeof(error));
  const Queue queue(rd_kafka_queue_new(client->get()));
  rd_kafka_CreateTopics(client->get(), wanted.data(), wanted.size(), options.get(), queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), 2 * kTimeoutMs));
  if (event == nullptr) return absl::DeadlineExceededError("the broker did not answer");
  const absl::Status asked =
      StatusOf(rd_kafka_event_error(event.get()), rd_kafka_event_error_string(event.get()));
  if (!asked.ok()) return asked;
  return StatusOf(rd_kafka_event_CreateTopics_result(event.get()));
}

}  // namespace spillway
