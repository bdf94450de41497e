// What the control plane asks Kafka: partitions, lag, limits. Blocking, for pool threads.
#ifndef SPILLWAY_KAFKA_METADATA_H_
#define SPILLWAY_KAFKA_METADATA_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "kafka/consumer.h"

namespace spillway::kafka {

// Thread-safe. Every call blocks up to its timeout. Errors: UNAVAILABLE (no broker answers),
// NOT_FOUND (no such topic).
class MetadataClient {
 public:
  virtual ~MetadataClient() = default;
  virtual absl::StatusOr<int32_t> PartitionCount(const std::string& topic, Duration timeout) = 0;
  virtual absl::StatusOr<PartitionExtent> Extent(const std::string& topic, ShardId shard,
                                                 Duration timeout) = 0;
  virtual absl::StatusOr<size_t> MaxMessageBytes(const std::string& topic, Duration timeout) = 0;
};

absl::StatusOr<std::unique_ptr<MetadataClient>> MakeMetadataClient(const ClientConfig& config);

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_METADATA_H_
