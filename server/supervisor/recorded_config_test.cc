#include "server/supervisor/recorded_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/worker_settings.h"

namespace spillway::supervisor {
namespace {

using config::Milliseconds;
using record::ConfigRecord;
using record::ConfigStanding;
using State = fleet::ConfigRollout::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr WallTime kNow{1'700'000'000'000'000};

config::Config Leased(int seconds) {
  config::Config config;
  config.input.dead_letter_topic = "ingest-spans-dlq";  // as the loader fills it in
  config.flush.lease = Milliseconds(1000 * seconds);
  return config;
}
ConfigRecord Recorded(uint64_t generation, int lease, ConfigStanding standing) {
  return {generation, config::WorkerSettings(Leased(lease)), standing, {5}, "it died"};
}
uint64_t DigestOf(int lease) {
  return config::SettingsDigest(config::WorkerSettings(Leased(lease)));
}
RestoredConfig Restore(int lease, std::vector<ConfigRecord> recorded, bool retries = false) {
  return RestoreConfig(Leased(lease), recorded, retries, kNow);
}

TEST(RecordedConfigTest, TheFirstOneIsTriedWithNothingToGoBackTo) {
  const RestoredConfig restored = Restore(60, {});
  EXPECT_EQ(restored.rollout.state, State::kTrying);
  EXPECT_EQ(restored.rollout.wanted, (fleet::ConfigGeneration{1, DigestOf(60)}));
  EXPECT_EQ(restored.rollout.former, std::nullopt);
  ASSERT_EQ(restored.change.configs.size(), 1u);
  EXPECT_EQ(restored.change.configs[0].standing, ConfigStanding::kTried);
  EXPECT_EQ(restored.change.configs[0].begun, kNow);
  EXPECT_THAT(restored.change.events, IsEmpty());
  EXPECT_EQ(restored.configs.at(1).flush.lease, Milliseconds(60'000));
}

TEST(RecordedConfigTest, WhatHasNotChangedGoesOn) {
  const ConfigRecord proven = Recorded(4, 60, ConfigStanding::kProven);
  const RestoredConfig restored = Restore(60, {proven});
  EXPECT_EQ(restored.rollout.state, State::kProven);
  EXPECT_EQ(restored.rollout.wanted.number, 4u);
  EXPECT_THAT(restored.change.events, IsEmpty());
  EXPECT_THAT(restored.records, ElementsAre(proven));
}

TEST(RecordedConfigTest, AChangeIsTriedWithTheProvenOneBehindIt) {
  const ConfigRecord proven = Recorded(4, 60, ConfigStanding::kProven);
  const RestoredConfig restored = Restore(90, {proven});
  EXPECT_EQ(restored.rollout.state, State::kTrying);
  EXPECT_EQ(restored.rollout.wanted, (fleet::ConfigGeneration{5, DigestOf(90)}));
  EXPECT_EQ(restored.rollout.former, (fleet::ConfigGeneration{4, DigestOf(60)}));
  EXPECT_EQ(restored.configs.at(4).flush.lease, Milliseconds(60'000));
  EXPECT_EQ(restored.configs.at(5).flush.lease, Milliseconds(90'000));
  ASSERT_EQ(restored.change.events.size(), 1u);
  EXPECT_EQ(restored.change.events[0].before, "generation 4");
  EXPECT_EQ(restored.change.events[0].after, "generation 5");
  EXPECT_THAT(restored.change.events[0].detail, HasSubstr("flush.lease 1m → 90s"));
}

TEST(RecordedConfigTest, ATrialGoesOnWithTheNextServer) {
  const RestoredConfig restored = Restore(
      90, {Recorded(4, 60, ConfigStanding::kProven), Recorded(5, 90, ConfigStanding::kTried)});
  EXPECT_EQ(restored.rollout.state, State::kTrying);
  EXPECT_EQ(restored.rollout.wanted.number, 5u);
  EXPECT_EQ(restored.rollout.former->number, 4u);
  EXPECT_THAT(restored.change.events, IsEmpty());
}

TEST(RecordedConfigTest, AChangeDuringATrialGoesBackToWhatIsProven) {
  const RestoredConfig restored = Restore(
      120, {Recorded(4, 60, ConfigStanding::kProven), Recorded(5, 90, ConfigStanding::kTried)});
  EXPECT_EQ(restored.rollout.wanted.number, 6u);
  EXPECT_EQ(restored.rollout.former->number, 4u);
  EXPECT_EQ(restored.records.size(), 2u);
}

TEST(RecordedConfigTest, APersonWhoGoesBackByHandHasAProvenOne) {
  const RestoredConfig restored = Restore(
      60, {Recorded(4, 60, ConfigStanding::kProven), Recorded(5, 90, ConfigStanding::kTried)});
  EXPECT_EQ(restored.rollout.state, State::kProven);
  EXPECT_EQ(restored.rollout.wanted, (fleet::ConfigGeneration{6, DigestOf(60)}));
  EXPECT_EQ(restored.rollout.former, std::nullopt);
}

TEST(RecordedConfigTest, WhatWasTakenBackStaysSo) {
  const std::vector<ConfigRecord> recorded = {Recorded(4, 60, ConfigStanding::kProven),
                                              Recorded(5, 90, ConfigStanding::kRejected)};
  const RestoredConfig restored = Restore(90, recorded);
  EXPECT_EQ(restored.rollout.state, State::kTakenBack);
  EXPECT_EQ(restored.rollout.wanted.number, 4u);
  EXPECT_EQ(restored.rollout.rejected->number, 5u);
  EXPECT_EQ(restored.rollout.detail, "it died");
  EXPECT_EQ(restored.configs.at(4).flush.lease, Milliseconds(60'000));
  EXPECT_EQ(restored.records, recorded);

  const RestoredConfig again = Restore(90, recorded, /*retries=*/true);
  EXPECT_EQ(again.rollout.state, State::kTrying);
  EXPECT_EQ(again.rollout.wanted.number, 6u);
  EXPECT_EQ(again.rollout.former->number, 4u);

  const RestoredConfig mended = Restore(95, recorded);
  EXPECT_EQ(mended.rollout.wanted.number, 6u);
  EXPECT_EQ(mended.rollout.rejected, std::nullopt);

  const RestoredConfig back = Restore(60, recorded);
  EXPECT_EQ(back.rollout.state, State::kProven);
  EXPECT_EQ(back.rollout.wanted.number, 4u);
}

TEST(RecordedConfigTest, WhatCannotBeReadAnyMoreIsForgottenButItsNumber) {
  const ConfigRecord old{7, "flush: {leese: 60s}\n", ConfigStanding::kProven, {5}, ""};
  const RestoredConfig restored = Restore(60, {old});
  EXPECT_EQ(restored.rollout.wanted.number, 8u);
  EXPECT_EQ(restored.rollout.former, std::nullopt);
}

TEST(RecordedConfigTest, AJudgementIsTheStanding) {
  const std::vector<ConfigRecord> tried = {Recorded(4, 60, ConfigStanding::kProven),
                                           Recorded(5, 90, ConfigStanding::kTried)};
  fleet::ConfigRollout rollout;
  rollout.wanted = {5, DigestOf(90)};
  std::vector<ConfigRecord> proven = Judged(tried, rollout);
  ASSERT_EQ(proven.size(), 1u) << "what is proven needs nothing behind it";
  EXPECT_EQ(proven[0].generation, 5u);
  EXPECT_EQ(proven[0].standing, ConfigStanding::kProven);

  rollout.state = State::kTakenBack;
  rollout.wanted = {4, DigestOf(60)};
  rollout.rejected = {5, DigestOf(90)};
  rollout.detail = "3 in a row";
  const std::vector<ConfigRecord> back = Judged(tried, rollout);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].standing, ConfigStanding::kProven);
  EXPECT_EQ(back[1].standing, ConfigStanding::kRejected);
  EXPECT_EQ(back[1].detail, "3 in a row");
}

}  // namespace
}  // namespace spillway::supervisor
