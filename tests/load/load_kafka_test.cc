// spillway-load's verbs against a real Kafka.
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/load/commands.h"
#include "tests/load/ideal_output.h"
#include "tests/load/kafka_io.h"
#include "tests/load/manifest.h"
#include "tests/support/processes.h"

namespace spillway::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One broker for all tests of this binary; topics are named after their test.
class LoadKafkaTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = KafkaBroker::Start();
    if (started.ok()) broker_ = new KafkaBroker(*std::move(started));
    status_ = new absl::Status(started.status());
  }
  static void TearDownTestSuite() {
    delete broker_;
    delete status_;
  }
  void SetUp() override {
    if (absl::IsFailedPrecondition(*status_)) GTEST_SKIP() << *status_;
    ASSERT_TRUE(status_->ok()) << *status_;
  }

  static const std::string& brokers() { return broker_->brokers(); }
  static void Create(const std::string& name, int32_t partitions) {
    const absl::Status status = CreateTopics(
        brokers(), std::vector<TopicSpec>{{.name = name, .partitions = partitions, .config = {}}});
    ASSERT_TRUE(status.ok()) << status;
  }

  // The first `count` messages of a topic, in the order of their partitions.
  static std::vector<std::pair<std::string, int64_t>> Read(const std::string& topic, size_t count) {
    std::vector<std::pair<std::string, int64_t>> messages;
    auto reader = TopicReader::Open(brokers(), topic);
    EXPECT_TRUE(reader.ok()) << reader.status();
    const Instant deadline = SystemClock().Now() + seconds(60);
    while (messages.size() < count && SystemClock().Now() < deadline) {
      const auto polled = (*reader)->Poll(milliseconds(100), [&](const IncomingMessage& message) {
        messages.emplace_back(message.value, message.timestamp_ms);
      });
      EXPECT_TRUE(polled.ok()) << polled.status();
    }
    return messages;
  }

  static void Write(const std::string& topic, const std::vector<std::string>& messages) {
    auto writer = TopicWriter::Open(brokers(), topic);
    ASSERT_TRUE(writer.ok()) << writer.status();
    for (size_t i = 0; i < messages.size(); ++i) {
      OutgoingMessage message;
      message.value = messages[i];
      message.partition = static_cast<int32_t>(i) % (*writer)->partition_count();
      ASSERT_TRUE((*writer)->Send(message).ok());
    }
    ASSERT_TRUE((*writer)->Flush(seconds(60)).ok());
  }

  static std::string Path(const std::string& name) { return directory_.path() + "/" + name; }

  static inline TemporaryDirectory directory_;
  static inline KafkaBroker* broker_ = nullptr;
  static inline absl::Status* status_ = nullptr;
};

TEST_F(LoadKafkaTest, ChecksWhatWasMade) {
  Create("made", 3);
  Create("checked", 2);
  MakeOptions make{
      .brokers = brokers(), .topic = "made", .manifest_path = Path("made.json"), .traffic = {}};
  make.traffic = {.spans = 20'000, .invalid_ratio = 0.01, .duplicate_ratio = 0.01};
  ASSERT_TRUE(Make(make).ok());
  const auto manifest = ReadManifest(make.manifest_path);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->spans_sent, 20'000u);

  std::set<int64_t> marks;
  for (const TimeMark& mark : manifest->marks) marks.insert(mark.timestamp_ms);
  const auto messages = Read("made", manifest->messages_sent);
  ASSERT_EQ(messages.size(), manifest->messages_sent);
  uint64_t bytes = 0;
  for (const auto& [value, timestamp_ms] : messages) {
    bytes += value.size();
    EXPECT_TRUE(marks.count(timestamp_ms) == 1);
  }
  EXPECT_EQ(bytes, manifest->bytes_sent);

  std::vector<std::string> output;
  for (const OutputMessage& message : IdealOutput(*manifest)) output.push_back(OutputText(message));
  Write("checked", output);
  CheckCommandOptions check;
  check.brokers = brokers();
  check.topic = "checked";
  check.manifest_path = make.manifest_path;
  check.settle = milliseconds(300);
  auto is_right = Check(check);
  ASSERT_TRUE(is_right.ok()) << is_right.status();
  EXPECT_TRUE(*is_right);

  Write("checked", {output[0]});
  is_right = Check(check);
  EXPECT_TRUE(is_right.ok() && !*is_right);
  check.allow_duplicates = true;
  is_right = Check(check);
  EXPECT_TRUE(is_right.ok() && *is_right);
}

TEST_F(LoadKafkaTest, KeepsTheRate) {
  Create("paced", 1);
  MakeOptions make{
      .brokers = brokers(), .topic = "paced", .manifest_path = Path("paced.json"), .traffic = {}};
  make.traffic = {.spans = 600, .shape = Shape::kFive, .spans_per_second = 1'000};
  const Instant started = SystemClock().Now();
  ASSERT_TRUE(Make(make).ok());
  EXPECT_GE(SystemClock().Now() - started, milliseconds(590));
  const auto manifest = ReadManifest(make.manifest_path);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_GE(manifest->marks.size(), 20u);  // their timestamps tell the time of each
}

TEST_F(LoadKafkaTest, GivesUpWhenNothingNewComes) {
  Create("partial", 1);
  const Manifest manifest = SentManifest({.spans = 500});
  ASSERT_TRUE(WriteManifest(Path("partial.json"), manifest).ok());
  Write("partial", {OutputText(IdealOutput(manifest)[0])});
  CheckCommandOptions check;
  check.brokers = brokers();
  check.topic = "partial";
  check.manifest_path = Path("partial.json");
  check.idle = milliseconds(300);
  const Instant started = SystemClock().Now();
  const auto is_right = Check(check);
  EXPECT_TRUE(is_right.ok() && !*is_right);
  EXPECT_LT(SystemClock().Now() - started, seconds(30));
}

TEST_F(LoadKafkaTest, SendsTracesAsTheyAre) {
  Create("traces", 4);
  const std::vector<std::string> lines = {R"({"trace_id":"AAAA","n":1})",
                                          R"({"trace_id":"aa-aa","n":2})", R"(not a span)",
                                          R"({"trace_id":"aaaa","n":3})"};
  std::ofstream file(Path("traces.jsonl"));
  for (const std::string& line : lines) file << line << "\n";
  file.close();
  ASSERT_TRUE(
      SendTraces({.brokers = brokers(), .topic = "traces", .files = {Path("traces.jsonl")}}).ok());
  std::vector<std::string> trace;
  for (const auto& [value, timestamp_ms] : Read("traces", lines.size())) {
    if (value != lines[2]) trace.push_back(value);
  }
  EXPECT_THAT(trace, ::testing::ElementsAre(lines[0], lines[1], lines[3]));  // one partition
}

TEST_F(LoadKafkaTest, CreatesTopicsThatExistWithTheSamePartitions) {
  Create("twice", 2);
  Create("twice", 2);
  const absl::Status status = CreateTopics(
      brokers(), std::vector<TopicSpec>{{.name = "twice", .partitions = 3, .config = {}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
}

TEST_F(LoadKafkaTest, DeletesTopicsAndMissesNone) {
  Create("short-lived", 1);
  const absl::Status status = DeleteTopics(brokers(), {"short-lived", "never-there"});
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(LoadKafkaTest, NamesATopicThatIsNotThere) {
  EXPECT_EQ(TopicWriter::Open(brokers(), "nowhere").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(TopicReader::Open(brokers(), "nowhere").status().code(), absl::StatusCode::kNotFound);
}

TEST(TopicSpecTest, ReadsNamePartitionsAndConfiguration) {
  const auto spec = ParseTopicSpec("spans:8:max.message.bytes=20000000,cleanup.policy=delete");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "spans");
  EXPECT_EQ(spec->partitions, 8);
  EXPECT_EQ(spec->config.size(), 2u);
  EXPECT_EQ(spec->config.at("cleanup.policy"), "delete");
}

TEST(TopicSpecTest, RefusesWhatIsIncomplete) {
  for (const char* text :
       {"", "spans", "spans:", ":3", "spans:0", "spans:x", "spans:1:a", "spans:1:=b"}) {
    EXPECT_FALSE(ParseTopicSpec(text).ok()) << text;
  }
}

}  // namespace
}  // namespace spillway::load
