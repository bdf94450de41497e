#include "kafka/queries.h"

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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

absl::StatusOr<size_t> LimitOf(const rd_kafka_ConfigResource_t* resource, const std::string& what) {
  const rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(resource);
  if (error == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) return kDefaultTopicMessageBytes;
  if (absl::Status status = StatusOf(error, what); !status.ok()) return status;
  size_t count = 0;
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(resource, &count);
  for (size_t i = 0; i < count; ++i) {
    if (absl::string_view(rd_kafka_ConfigEntry_name(entries[i])) != "max.message.bytes") continue;
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    uint64_t bytes = 0;
    if (value != nullptr && absl::SimpleAtoi(value, &bytes) && bytes > 0)
      return static_cast<size_t>(bytes);
  }
  return kDefaultTopicMessageBytes;
}

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
  if (IsMockBroker(handle, timeout_ms)) return kDefaultTopicMessageBytes;
  const QueuePtr queue(rd_kafka_queue_new(handle));
  const std::unique_ptr<rd_kafka_AdminOptions_t, Deleter<rd_kafka_AdminOptions_destroy>> options(
      rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  char why[256] = "";
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, why, sizeof(why));
  const std::unique_ptr<rd_kafka_ConfigResource_t, Deleter<rd_kafka_ConfigResource_destroy>>
      resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  rd_kafka_ConfigResource_t* asked = resource.get();
  rd_kafka_DescribeConfigs(handle, &asked, 1, options.get(), queue.get());
  const EventPtr event(rd_kafka_queue_poll(queue.get(), timeout_ms));
  if (event == nullptr) return absl::UnavailableError(absl::StrCat(what, ": no answer"));
  if (rd_kafka_event_error(event.get()) == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
    return kDefaultTopicMessageBytes;
  }
  if (absl::Status status = StatusOf(rd_kafka_event_error(event.get()), what); !status.ok())
    return status;
  const rd_kafka_DescribeConfigs_result_t* result =
      rd_kafka_event_DescribeConfigs_result(event.get());
  size_t count = 0;
  const rd_kafka_ConfigResource_t** resources =
      result == nullptr ? nullptr : rd_kafka_DescribeConfigs_result_resources(result, &count);
  if (count != 1) return absl::UnavailableError(absl::StrCat(what, ": an empty answer"));
  return LimitOf(resources[0], what);
}

}  // namespace spillway::kafka
