#include "server/rpc/history_messages.h"

#include <gtest/gtest.h>

#include "server/rpc/request_log.h"
#include "server/supervisor/fleet_control.h"
#include "tests/support/fake_clock.h"
#include "tests/support/sample_fleet.h"

namespace spillway::rpc {
namespace {

TEST(HistoryMessagesTest, PageSizesHaveADefaultAndALimit) {
  EXPECT_EQ(ParsePage(0, "")->limit, kDefaultPageSize);
  EXPECT_EQ(ParsePage(7, "")->limit, 7);
  EXPECT_EQ(ParsePage(1'000'000, "")->limit, kMaxPageSize);
  EXPECT_EQ(supervisor::RefusalReason(ParsePage(-1, "").status()), "OUT_OF_RANGE");
}

TEST(HistoryMessagesTest, ATokenLeadsToTheNextPage) {
  std::vector<record::Event> page(2);
  page[0].sequence = 9;
  page[1].sequence = 8;
  EXPECT_EQ(ToMessage(page, {.limit = 2}).next_page_token(), "8");
  EXPECT_EQ(ParsePage(2, "8")->before, 8);
  EXPECT_EQ(ToMessage(page, {.limit = 3}).next_page_token(), "") << "the last page";
  EXPECT_EQ(supervisor::RefusalReason(ParsePage(2, "x").status()), "INVALID_PAGE_TOKEN");
}

TEST(HistoryMessagesTest, ADeathSaysHowItEndedIfAnybodyKnows) {
  std::vector<record::Death> deaths(3);
  deaths[0].kind = record::EndKind::kExited;
  deaths[1].kind = record::EndKind::kSignaled;
  deaths[1].value = 9;
  const v1::ListDeathsResponse response = ToMessage(deaths, {});
  EXPECT_EQ(response.deaths(0).end_case(), v1::Death::kExitCode);
  EXPECT_EQ(response.deaths(1).signal(), 9);
  EXPECT_EQ(response.deaths(2).end_case(), v1::Death::END_NOT_SET);
}

TEST(RequestLogTest, AnswersWhatAnEarlierServerHasDone) {
  const FakeClock clock;
  const supervisor::FleetSnapshot snapshot = SampleFleet(clock.Now());
  const record::AnsweredRequest earlier{
      "id-1", "all of it", {1}, {"flush", {5, 1, 8}, record::WishedState::kStopped}, "3-4"};
  RequestLog log({earlier}, [&](const record::AnsweredRequest& request) {
    return AsAnswered(request, snapshot);
  });
  absl::StatusOr<supervisor::PoolView> answer;
  const auto done = [&](absl::StatusOr<supervisor::PoolView> view) { answer = std::move(view); };

  log.Run(
      "id-1", "all of it", [](const supervisor::PoolDone&) { FAIL() << "again"; }, done);

  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->desired, 5);
  EXPECT_EQ(answer->state, fleet::PoolState::kStopped);
  EXPECT_EQ(answer->etag, "3-4");
  EXPECT_EQ(answer->ready, supervisor::FindPool(snapshot, "flush")->ready) << "as it is now";

  log.Run(
      "id-1", "another", [](const supervisor::PoolDone&) { FAIL() << "again"; }, done);
  EXPECT_EQ(supervisor::RefusalReason(answer.status()), "REQUEST_ID_REUSED");
}

}  // namespace
}  // namespace spillway::rpc
