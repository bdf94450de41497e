#include "kafka/queries.h"

#include <map>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kafka/client.h"

namespace spillway::kafka {
namespace {

template <auto Destroy>
struct Deleter {
  template <typename T>
  void operator()(T* owned) const {
    Destroy(owned);
  }
};

using EventPtr = std::unique_ptr<rd_kafka_event_t, Deleter<rd_kafka_event_destroy>>;

// librdkafka's mock broker never answers a request that it does not know. It is told by its
// cluster's id.
bool IsMockBroker(rd_kafka_t* handle, int timeout_ms) {
  char* cluster = rd_kafka_clusterid(handle, timeout_ms);
  if (cluster == nullptr) return false;
  const bool is_mock = absl::StartsWith(cluster, "mockCluster");
  rd_kafka_mem_free(handle, cluster);
  return is_mock;
}

using Configuration = std::map<std::string, std::string>;
using OptionsPtr = std::unique_ptr<rd_kafka_AdminOptions_t, Deleter<rd_kafka_AdminOptions_destroy>>;

OptionsPtr OptionsFor(rd_kafka_t* handle, rd_kafka_admin_op_t operation, int timeout_ms) {
  OptionsPtr options(rd_kafka_AdminOptions_new(handle, operation));
  char why[256] = "";
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, why, sizeof(why));
  return options;
}

// The answer on `queue`. UNIMPLEMENTED: the broker is too old for the question.
absl::StatusOr<EventPtr> Answer(const QueuePtr& queue, const std::string& what, int timeout_ms) {
  EventPtr event(rd_kafka_queue_poll(queue.get(), timeout_ms));
  if (event == nullptr) return absl::UnavailableError(absl::StrCat(what, ": no answer"));
  RETURN_IF_ERROR(StatusOf(rd_kafka_event_error(event.get()), what));
  return event;
}

absl::StatusOr<Configuration> ConfigurationIn(const rd_kafka_ConfigResource_t* resource,
                                              const std::string& what) {
  RETURN_IF_ERROR(StatusOf(rd_kafka_ConfigResource_error(resource), what));
  Configuration configuration;
  size_t count = 0;
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(resource, &count);
  for (size_t i = 0; i < count; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value != nullptr) configuration.emplace(rd_kafka_ConfigEntry_name(entries[i]), value);
  }
  return configuration;
}

// A topic's configuration, defaults included. UNIMPLEMENTED: the broker cannot describe it.
absl::StatusOr<Configuration> AskConfiguration(rd_kafka_t* handle, const std::string& topic,
                                               const std::string& what, int timeout_ms) {
  if (IsMockBroker(handle, timeout_ms)) return absl::UnimplementedError(what);
  const QueuePtr queue(rd_kafka_queue_new(handle));
  const OptionsPtr options = OptionsFor(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
  const std::unique_ptr<rd_kafka_ConfigResource_t, Deleter<rd_kafka_ConfigResource_destroy>>
      resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  rd_kafka_ConfigResource_t* asked = resource.get();
  rd_kafka_DescribeConfigs(handle, &asked, 1, options.get(), queue.get());
  ASSIGN_OR_RETURN(const EventPtr event, Answer(queue, what, timeout_ms));
  const rd_kafka_DescribeConfigs_result_t* result =
      rd_kafka_event_DescribeConfigs_result(event.get());
  size_t count = 0;
  const rd_kafka_ConfigResource_t** resources =
      result == nullptr ? nullptr : rd_kafka_DescribeConfigs_result_resources(result, &count);
  if (count != 1) return absl::UnavailableError(absl::StrCat(what, ": an empty answer"));
  return ConfigurationIn(resources[0], what);
}

// The number that is `key`'s value, else `otherwise`.
int64_t NumberIn(const Configuration& configuration, const std::string& key, int64_t otherwise) {
  const auto found = configuration.find(key);
  int64_t value = 0;
  return found != configuration.end() && absl::SimpleAtoi(found->second, &value) ? value
                                                                                 : otherwise;
}

std::string TextOf(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

absl::StatusOr<PartitionExtent> AskExtent(rd_kafka_t* handle, const std::string& topic,
                                          ShardId shard, int timeout_ms) {
  PartitionExtent extent;
  const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
      handle, topic.c_str(), shard.value, &extent.log_start, &extent.log_end, timeout_ms);
  if (absl::Status status =
          StatusOf(error, absl::StrCat("ask the extent of ", topic, " ", shard.value));
      !status.ok()) {
    return status;
  }
  return extent;
}

absl::StatusOr<int32_t> AskPartitionCount(rd_kafka_t* handle, const std::string& topic,
                                          int timeout_ms) {
  const std::unique_ptr<rd_kafka_topic_t, Deleter<rd_kafka_topic_destroy>> local(
      rd_kafka_topic_new(handle, topic.c_str(), nullptr));
  if (local == nullptr) return StatusOf(rd_kafka_last_error(), absl::StrCat("topic ", topic));
  const rd_kafka_metadata_t* answer = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(handle, 0, local.get(), &answer, timeout_ms);
  const std::string what = absl::StrCat("ask the partitions of ", topic);
  if (absl::Status status = StatusOf(error, what); !status.ok()) return status;
  const std::unique_ptr<const rd_kafka_metadata_t, Deleter<rd_kafka_metadata_destroy>> metadata(
      answer);
  if (metadata->topic_cnt != 1) return absl::NotFoundError(what);
  if (absl::Status status = StatusOf(metadata->topics[0].err, what); !status.ok()) return status;
  if (metadata->topics[0].partition_cnt == 0) return absl::NotFoundError(what);
  return metadata->topics[0].partition_cnt;
}

absl::StatusOr<size_t> AskMaxMessageBytes(rd_kafka_t* handle, const std::string& topic,
                                          int timeout_ms) {
  const std::string what = absl::StrCat("ask max.message.bytes of ", topic);
  const absl::StatusOr<Configuration> configuration =
      AskConfiguration(handle, topic, what, timeout_ms);
  if (absl::IsUnimplemented(configuration.status())) return kDefaultTopicMessageBytes;
  if (!configuration.ok()) return configuration.status();
  const int64_t bytes = NumberIn(*configuration, "max.message.bytes", 0);
  return bytes > 0 ? static_cast<size_t>(bytes) : kDefaultTopicMessageBytes;
}

absl::StatusOr<std::optional<std::chrono::milliseconds>> AskRetention(rd_kafka_t* handle,
                                                                      const std::string& topic,
                                                                      int timeout_ms) {
  const std::string what = absl::StrCat("ask the retention of ", topic);
  const absl::StatusOr<Configuration> configuration =
      AskConfiguration(handle, topic, what, timeout_ms);
  if (absl::IsUnimplemented(configuration.status())) return std::nullopt;
  if (!configuration.ok()) return configuration.status();
  const auto policy = configuration->find("cleanup.policy");
  if (policy != configuration->end() && !absl::StrContains(policy->second, "delete")) {
    return std::nullopt;
  }
  const int64_t retention_ms = NumberIn(*configuration, "retention.ms", -1);
  if (retention_ms < 0) return std::nullopt;
  return std::chrono::milliseconds(retention_ms);
}

absl::StatusOr<std::vector<GroupMember>> AskGroupMembers(rd_kafka_t* handle,
                                                         const std::string& group, int timeout_ms) {
  const std::string what = absl::StrCat("ask the members of group ", group);
  std::vector<GroupMember> members;
  if (IsMockBroker(handle, timeout_ms)) return members;
  const QueuePtr queue(rd_kafka_queue_new(handle));
  const OptionsPtr options =
      OptionsFor(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout_ms);
  const char* asked = group.c_str();
  rd_kafka_DescribeConsumerGroups(handle, &asked, 1, options.get(), queue.get());
  const absl::StatusOr<EventPtr> event = Answer(queue, what, timeout_ms);
  if (absl::IsUnimplemented(event.status())) return members;
  if (!event.ok()) return event.status();
  const rd_kafka_DescribeConsumerGroups_result_t* result =
      rd_kafka_event_DescribeConsumerGroups_result(event->get());
  size_t count = 0;
  const rd_kafka_ConsumerGroupDescription_t** groups =
      result == nullptr ? nullptr : rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
  if (count != 1) return absl::UnavailableError(absl::StrCat(what, ": an empty answer"));
  const rd_kafka_error_t* error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
  const rd_kafka_resp_err_t code =
      error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
  if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) return members;
  RETURN_IF_ERROR(StatusOf(code, what));
  for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(groups[0]); ++i) {
    const rd_kafka_MemberDescription_t* member =
        rd_kafka_ConsumerGroupDescription_member(groups[0], i);
    members.push_back({TextOf(rd_kafka_MemberDescription_client_id(member)),
                       TextOf(rd_kafka_MemberDescription_host(member))});
  }
  return members;
}

}  // namespace spillway::kafka
