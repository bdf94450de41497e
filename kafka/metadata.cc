#include "kafka/metadata.h"

#include <utility>

#include "kafka/client.h"
#include "kafka/queries.h"

namespace spillway::kafka {
namespace {

class MetadataClientImpl final : public MetadataClient {
 public:
  explicit MetadataClientImpl(std::shared_ptr<Client> client) : client_(std::move(client)) {}

  absl::StatusOr<int32_t> PartitionCount(const std::string& topic, Duration timeout) override {
    return AskPartitionCount(client_->get(), topic, TimeoutMs(timeout));
  }
  absl::StatusOr<PartitionExtent> Extent(const std::string& topic, ShardId shard,
                                         Duration timeout) override {
    return AskExtent(client_->get(), topic, shard, TimeoutMs(timeout));
  }
  absl::StatusOr<size_t> MaxMessageBytes(const std::string& topic, Duration timeout) override {
    return AskMaxMessageBytes(client_->get(), topic, TimeoutMs(timeout));
  }
  absl::StatusOr<std::optional<std::chrono::milliseconds>> Retention(const std::string& topic,
                                                                     Duration timeout) override {
    return AskRetention(client_->get(), topic, TimeoutMs(timeout));
  }
  absl::StatusOr<std::vector<GroupMember>> GroupMembers(const std::string& group,
                                                        Duration timeout) override {
    return AskGroupMembers(client_->get(), group, TimeoutMs(timeout));
  }

 private:
  const std::shared_ptr<Client> client_;  // librdkafka's handle is thread-safe
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetadataClient>> MakeMetadataClient(const ClientConfig& config) {
  Settings settings(config);
  // Asking for a topic must not make it.
  settings.Require("allow.auto.create.topics", "false");
  absl::StatusOr<std::shared_ptr<Client>> client =
      Client::Create(RD_KAFKA_PRODUCER, std::move(settings));
  if (!client.ok()) return client.status();
  return std::make_unique<MetadataClientImpl>(*std::move(client));
}

}  // namespace spillway::kafka
