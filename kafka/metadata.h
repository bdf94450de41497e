// What can be asked of Kafka: partitions, lag, limits, retention, members of groups. Blocking, for
// pool threads.
#ifndef SPILLWAY_KAFKA_METADATA_H_
#define SPILLWAY_KAFKA_METADATA_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "kafka/consumer.h"

namespace spillway::kafka {

// One member of a consumer group, as the group's coordinator knows it.
struct GroupMember {
  std::string client_id;
  std::string host;
};

// Thread-safe. Every call blocks up to its timeout. Errors: UNAVAILABLE (no broker answers),
// NOT_FOUND (no such topic), PERMISSION_DENIED.
class MetadataClient {
 public:
  virtual ~MetadataClient() = default;
  virtual absl::StatusOr<int32_t> PartitionCount(const std::string& topic, Duration timeout) = 0;
  virtual absl::StatusOr<PartitionExtent> Extent(const std::string& topic, ShardId shard,
                                                 Duration timeout) = 0;
  virtual absl::StatusOr<size_t> MaxMessageBytes(const std::string& topic, Duration timeout) = 0;
  // For how long the topic keeps a message at least, whatever its size. Empty: without a limit of
  // time, or the broker cannot say.
  virtual absl::StatusOr<std::optional<std::chrono::milliseconds>> Retention(
      const std::string& topic, Duration timeout) = 0;
  // Who is in `group`; empty also where there is no such group or the broker cannot say.
  virtual absl::StatusOr<std::vector<GroupMember>> GroupMembers(const std::string& group,
                                                                Duration timeout) = 0;
};

absl::StatusOr<std::unique_ptr<MetadataClient>> MakeMetadataClient(const ClientConfig& config);

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_METADATA_H_
