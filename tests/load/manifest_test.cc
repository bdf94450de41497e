#include "tests/load/manifest.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "tests/load/expectation.h"
#include "tests/load/ideal_output.h"

namespace spillway::load {
namespace {

Manifest SomeManifest() {
  Manifest manifest = SentManifest({.seed = 9,
                                    .spans = 300,
                                    .shape = Shape::kFive,
                                    .spans_per_second = 1234.5,
                                    .spread_seconds = 0.1,
                                    .duplicate_ratio = 0.03,
                                    .base_time_ms = 1'700'000'000'000});
  manifest.marks.push_back({.first_message = 120, .timestamp_ms = 1'000'250});
  return manifest;
}

TEST(ManifestTest, ReadsWhatItWrote) {
  const Manifest manifest = SomeManifest();
  const auto read = ParseManifest(ManifestJson(manifest));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, manifest);
}

TEST(ManifestTest, NamesTheKeyThatIsWrong) {
  const std::string json =
      absl::StrReplaceAll(ManifestJson(SomeManifest()), {{"\"seed\":9", "\"seed\":\"x\""}});
  const auto read = ParseManifest(json);
  EXPECT_TRUE(absl::StrContains(read.status().message(), "seed")) << read.status();
  EXPECT_FALSE(ParseManifest("[]").ok());
  EXPECT_FALSE(ParseManifest("").ok());
}

TEST(ManifestTest, KnowsItsShapes) {
  for (const char* name : {"realistic", "k1", "k5", "k20", "spread"}) {
    EXPECT_EQ(ShapeName(*ParseShape(name)), name);
  }
  EXPECT_FALSE(ParseShape("round").ok());
}

TEST(ManifestTest, SaysWhichFileCannotBeRead) {
  const auto status = ReadManifest("/nonexistent/manifest.json").status();
  EXPECT_TRUE(absl::StrContains(status.message(), "/nonexistent/manifest.json"));
}

TEST(ExpectationTest, GivesMessagesTheTimestampOfTheirMark) {
  const auto expectation = ExpectationOf(SomeManifest());
  ASSERT_TRUE(expectation.ok()) << expectation.status();
  for (const ExpectedSpan& span : expectation->spans) {
    EXPECT_EQ(span.timestamp_ms, span.arrival < 120 ? 1'000'000 : 1'000'250);
  }
}

TEST(ExpectationTest, CoversExactlyTheMessagesSent) {
  Manifest manifest = SentManifest({.spans = 2'000});
  const auto whole = ExpectationOf(manifest);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->spans.size(), 2'000u);

  // Interrupted after 500 messages.
  Traffic traffic(manifest.traffic);
  Message message;
  manifest.content_hash = 0;
  for (int i = 0; i < 500 && traffic.Next(message); ++i) {
    manifest.content_hash = ContentHash(manifest.content_hash, message.bytes);
  }
  manifest.messages_sent = 500;
  const auto half = ExpectationOf(manifest);
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_EQ(half->spans.size(), 500u);
}

TEST(ExpectationTest, RefusesAManifestOfOtherMessages) {
  Manifest manifest = SomeManifest();
  manifest.traffic.seed += 1;
  EXPECT_EQ(ExpectationOf(manifest).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace spillway::load
