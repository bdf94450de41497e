#include "server/kafka_discovery.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "config/values.h"

namespace spillway::server {

std::chrono::milliseconds NeededRetention(const config::Segments& segments) {
  return segments.max_age + segments.late_window + std::chrono::hours(1);
}

std::string RetentionWarning(const std::string& topic,
                             std::optional<std::chrono::milliseconds> retention,
                             std::chrono::milliseconds needed) {
  if (!retention.has_value() || *retention >= needed) return "";
  return absl::StrCat(
      "input.topic: ", topic, " keeps messages for ", config::PrintDuration(*retention),
      " (retention.ms); what is buffered is read again from there if Redis is lost: "
      "at least segments.max_age + segments.late_window + 1h = ",
      config::PrintDuration(needed), " is advised");
}

KafkaDiscovery::KafkaDiscovery(std::unique_ptr<kafka::MetadataClient> client, std::string topic,
                               std::chrono::milliseconds needed_retention)
    : client_(std::move(client)), topic_(std::move(topic)), needed_retention_(needed_retention) {}

absl::StatusOr<int32_t> KafkaDiscovery::ShardCount(Duration timeout) {
  absl::StatusOr<int32_t> count = client_->PartitionCount(topic_, timeout);
  if (count.ok() && !is_retention_checked_) CheckRetention(timeout);
  return count;
}

void KafkaDiscovery::CheckRetention(Duration timeout) {
  const auto retention = client_->Retention(topic_, timeout);
  // Who may not ask will not be told; anything else may pass.
  is_retention_checked_ = retention.ok() || absl::IsPermissionDenied(retention.status());
  if (!retention.ok()) return;
  const std::string warning = RetentionWarning(topic_, *retention, needed_retention_);
  if (!warning.empty()) Log(LogLevel::kWarning, "retention is short", {{"problem", warning}});
}

}  // namespace spillway::server
