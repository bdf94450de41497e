#include "server/kafka_discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <utility>

namespace spillway::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::milliseconds kNeeded = std::chrono::minutes(66);
using Answer = absl::StatusOr<std::optional<std::chrono::milliseconds>>;

// Answers with what it is given, in order; the last answer stays.
class ScriptedMetadata final : public kafka::MetadataClient {
 public:
  explicit ScriptedMetadata(std::deque<Answer> retentions) : retentions_(std::move(retentions)) {}
  absl::StatusOr<int32_t> PartitionCount(const std::string&, Duration) override { return 4; }
  absl::StatusOr<kafka::PartitionExtent> Extent(const std::string&, ShardId, Duration) override {
    return absl::UnimplementedError("not asked");
  }
  absl::StatusOr<size_t> MaxMessageBytes(const std::string&, Duration) override {
    return absl::UnimplementedError("not asked");
  }
  absl::StatusOr<std::vector<kafka::GroupMember>> GroupMembers(const std::string&,
                                                               Duration) override {
    return absl::UnimplementedError("not asked");
  }
  Answer Retention(const std::string&, Duration) override {
    Answer answer = retentions_.front();
    if (retentions_.size() > 1) retentions_.pop_front();
    return answer;
  }

 private:
  std::deque<Answer> retentions_;
};

// What is logged while the shards are asked for `times` times.
std::string LogOf(std::deque<Answer> retentions, int times) {
  KafkaDiscovery discovery(std::make_unique<ScriptedMetadata>(std::move(retentions)), "spans",
                           kNeeded);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < times; ++i) {
    EXPECT_EQ(discovery.ShardCount(std::chrono::seconds(1)).value_or(0), 4);
  }
  return ::testing::internal::GetCapturedStderr();
}

TEST(RetentionWarningTest, NamesBothTimes) {
  config::Segments segments;
  EXPECT_EQ(NeededRetention(segments), std::chrono::minutes(65) + std::chrono::seconds(30));
  EXPECT_EQ(RetentionWarning("spans", std::chrono::minutes(10), kNeeded),
            "input.topic: spans keeps messages for 10m (retention.ms); what is buffered is read "
            "again from there if Redis is lost: at least segments.max_age + segments.late_window + "
            "1h = 66m is advised");
}

TEST(RetentionWarningTest, EnoughIsEnough) {
  EXPECT_EQ(RetentionWarning("spans", kNeeded, kNeeded), "");
  EXPECT_EQ(RetentionWarning("spans", std::nullopt, kNeeded), "") << "kept for ever";
}

TEST(KafkaDiscoveryTest, WarnsOnceOfAShortRetention) {
  const std::string log = LogOf({std::chrono::minutes(10)}, 3);
  EXPECT_THAT(log, HasSubstr("warn  retention is short"));
  EXPECT_EQ(log.find("retention is short"), log.rfind("retention is short"));
}

TEST(KafkaDiscoveryTest, AsksAgainWhereKafkaDidNotAnswer) {
  EXPECT_THAT(LogOf({absl::UnavailableError("busy"), std::chrono::minutes(10)}, 2),
              HasSubstr("retention is short"));
}

TEST(KafkaDiscoveryTest, WhoMayNotAskIsNotWarned) {
  EXPECT_THAT(LogOf({absl::PermissionDeniedError("no"), std::chrono::minutes(10)}, 2),
              Not(HasSubstr("retention")));
}

}  // namespace
}  // namespace spillway::server
