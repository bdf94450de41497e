// Topic management of kafka_io.h.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "tests/load/kafka_io.h"

namespace spillway::load {
namespace {

constexpr int kAdminTimeoutMs = 30'000;
constexpr std::chrono::seconds kLeaderTimeout(30);
constexpr int kLeaderPollMs = 50;
constexpr int kBrokersChoice = -1;  // replication factor

using Queue = OwnedHandle<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Event = OwnedHandle<rd_kafka_event_t, rd_kafka_event_destroy>;
using AdminOptions = OwnedHandle<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using NewTopic = OwnedHandle<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;
using DeleteTopic = OwnedHandle<rd_kafka_DeleteTopic_t, rd_kafka_DeleteTopic_destroy>;

absl::StatusOr<KafkaHandle> MakeAdmin(const std::string& brokers) {
  return MakeHandle(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers}});
}

AdminOptions MakeAdminOptions(rd_kafka_t* handle, rd_kafka_admin_op_t operation) {
  AdminOptions options(rd_kafka_AdminOptions_new(handle, operation));
  std::array<char, 256> error{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), kAdminTimeoutMs, error.data(),
                                            error.size());
  return options;
}

absl::StatusOr<Event> WaitForEvent(const Queue& queue) {
  Event event(rd_kafka_queue_poll(queue.get(), kAdminTimeoutMs + 1'000));
  if (event == nullptr) return absl::DeadlineExceededError("the cluster did not answer");
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::UnavailableError(rd_kafka_event_error_string(event.get()));
  }
  return event;
}

// The first error of a topic, other than the one to be tolerated.
absl::Status FirstError(const rd_kafka_topic_result_t** results, size_t count,
                        rd_kafka_resp_err_t tolerated) {
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == tolerated) continue;
    return absl::UnavailableError(
        absl::StrCat(rd_kafka_topic_result_name(results[i]), ": ", rd_kafka_err2str(error)));
  }
  return absl::OkStatus();
}

absl::StatusOr<NewTopic> MakeNewTopic(const TopicSpec& spec) {
  std::array<char, 256> error{};
  NewTopic topic(rd_kafka_NewTopic_new(spec.name.c_str(), spec.partitions, kBrokersChoice,
                                       error.data(), error.size()));
  if (topic == nullptr)
    return absl::InvalidArgumentError(absl::StrCat(spec.name, ": ", error.data()));
  for (const auto& [key, value] : spec.config) {
    rd_kafka_NewTopic_set_config(topic.get(), key.c_str(), value.c_str());
  }
  return topic;
}

// A topic just created is not at once known to every part of the cluster.
absl::Status WaitForLeaders(rd_kafka_t* handle, const TopicSpec& spec) {
  const Instant deadline = SystemClock().Now() + kLeaderTimeout;
  while (true) {
    const absl::StatusOr<int32_t> count = PartitionCount(handle, spec.name);
    if (count.ok() && *count == spec.partitions) return absl::OkStatus();
    if (count.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(
          spec.name, ": exists with ", *count, " partitions instead of ", spec.partitions));
    }
    if (SystemClock().Now() > deadline) return count.status();
    rd_kafka_poll(handle, kLeaderPollMs);
  }
}

}  // namespace

absl::StatusOr<TopicSpec> ParseTopicSpec(const std::string& text) {
  const absl::Status wrong = absl::InvalidArgumentError(
      absl::StrCat("topic: \"", text, "\" is not NAME:PARTITIONS[:key=value,…]"));
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 2));
  TopicSpec spec;
  if (parts.size() < 2 || parts[0].empty() || !absl::SimpleAtoi(parts[1], &spec.partitions) ||
      spec.partitions < 1) {
    return wrong;
  }
  spec.name = parts[0];
  if (parts.size() < 3) return spec;
  for (const absl::string_view pair : absl::StrSplit(parts[2], ',', absl::SkipEmpty())) {
    const std::vector<std::string> sides = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    if (sides.size() != 2 || sides[0].empty()) return wrong;
    spec.config[sides[0]] = sides[1];
  }
  return spec;
}

absl::Status CreateTopics(const std::string& brokers, const std::vector<TopicSpec>& topics) {
  ASSIGN_OR_RETURN(const KafkaHandle handle, MakeAdmin(brokers));
  std::vector<NewTopic> owned;
  std::vector<rd_kafka_NewTopic_t*> wanted;
  for (const TopicSpec& spec : topics) {
    ASSIGN_OR_RETURN(NewTopic topic, MakeNewTopic(spec));
    wanted.push_back(topic.get());
    owned.push_back(std::move(topic));
  }
  const Queue queue(rd_kafka_queue_new(handle.get()));
  const AdminOptions options = MakeAdminOptions(handle.get(), RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_CreateTopics(handle.get(), wanted.data(), wanted.size(), options.get(), queue.get());
  ASSIGN_OR_RETURN(const Event event, WaitForEvent(queue));
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  RETURN_IF_ERROR(FirstError(results, count, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS));
  for (const TopicSpec& spec : topics) RETURN_IF_ERROR(WaitForLeaders(handle.get(), spec));
  return absl::OkStatus();
}

absl::Status DeleteTopics(const std::string& brokers, const std::vector<std::string>& names) {
  ASSIGN_OR_RETURN(const KafkaHandle handle, MakeAdmin(brokers));
  std::vector<DeleteTopic> owned;
  std::vector<rd_kafka_DeleteTopic_t*> wanted;
  for (const std::string& name : names) {
    owned.emplace_back(rd_kafka_DeleteTopic_new(name.c_str()));
    wanted.push_back(owned.back().get());
  }
  const Queue queue(rd_kafka_queue_new(handle.get()));
  const AdminOptions options = MakeAdminOptions(handle.get(), RD_KAFKA_ADMIN_OP_DELETETOPICS);
  rd_kafka_DeleteTopics(handle.get(), wanted.data(), wanted.size(), options.get(), queue.get());
  ASSIGN_OR_RETURN(const Event event, WaitForEvent(queue));
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  return FirstError(results, count, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

}  // namespace spillway::load
