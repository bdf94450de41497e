#include "server/rpc/list_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/supervisor/fleet_control.h"
#include "tests/support/sample_fleet.h"

namespace spillway::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Instant kNow = Instant(std::chrono::hours(24));

// Workers flush/0 … flush/4 and shards 0 … 4.
supervisor::FleetSnapshot FiveOfEach() {
  supervisor::FleetSnapshot fleet = HealthyFleet(kNow);
  const supervisor::WorkerView worker = fleet.workers[0];
  const supervisor::ShardView shard = fleet.shards[0];
  fleet.workers.clear();
  fleet.shards.clear();
  for (int32_t i = 0; i < 5; ++i) {
    fleet.workers.push_back(worker);
    fleet.workers.back().key = {"flush", i};
    fleet.shards.push_back(shard);
    fleet.shards.back().id = ShardId{i};
  }
  return fleet;
}

template <typename Messages>
std::vector<std::string> Names(const Messages& messages) {
  std::vector<std::string> names;
  for (const auto& message : messages) names.push_back(message.name());
  return names;
}

TEST(ListPagesTest, PagesGoOnWhereTheLastEnded) {
  const supervisor::FleetSnapshot fleet = FiveOfEach();
  const auto first = ShardsPage(fleet, {2, ""}, kNow);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(Names(first->shards()), ElementsAre("shards/0", "shards/1"));
  const auto second = ShardsPage(fleet, {2, first->next_page_token()}, kNow);
  EXPECT_THAT(Names(second->shards()), ElementsAre("shards/2", "shards/3"));
  const auto last = ShardsPage(fleet, {2, second->next_page_token()}, kNow);
  EXPECT_THAT(Names(last->shards()), ElementsAre("shards/4"));
  EXPECT_EQ(last->next_page_token(), "");
}

TEST(ListPagesTest, AFullPageThatIsTheLastSaysSo) {
  EXPECT_EQ(ShardsPage(FiveOfEach(), {5, ""}, kNow)->next_page_token(), "");
  EXPECT_EQ(WorkersPage(FiveOfEach(), "flush", {5, ""}, kNow)->next_page_token(), "");
  EXPECT_EQ(PoolsPage(FiveOfEach(), {0, ""}, kNow)->pools_size(), 2);
}

TEST(ListPagesTest, WhatIsGoneMeanwhileNeitherEndsNorRepeatsTheList) {
  supervisor::FleetSnapshot fleet = FiveOfEach();
  const auto first = WorkersPage(fleet, "", {2, ""}, kNow);
  EXPECT_EQ(first->next_page_token(), "pools/flush/workers/1");
  fleet.workers.erase(fleet.workers.begin(), fleet.workers.begin() + 2);
  EXPECT_THAT(Names(WorkersPage(fleet, "", {2, first->next_page_token()}, kNow)->workers()),
              ElementsAre("pools/flush/workers/2", "pools/flush/workers/3"));
  fleet.shards.erase(fleet.shards.begin() + 1);
  EXPECT_THAT(Names(ShardsPage(fleet, {1, "shards/1"}, kNow)->shards()), ElementsAre("shards/2"));
  EXPECT_THAT(ShardsPage(fleet, {1, "shards/9"}, kNow)->shards(), IsEmpty());
}

TEST(ListPagesTest, OnePoolsWorkersOnly) {
  supervisor::FleetSnapshot fleet = FiveOfEach();
  fleet.workers.push_back(fleet.workers[0]);
  fleet.workers.back().key = {"ingest", 0};
  const auto page = WorkersPage(fleet, "ingest", {}, kNow);
  EXPECT_THAT(Names(page->workers()), ElementsAre("pools/ingest/workers/0"));
}

TEST(ListPagesTest, NoPageHasMoreThanAThousand) {
  supervisor::FleetSnapshot fleet = FiveOfEach();
  for (int32_t i = 5; i < kMaxListed + 7; ++i) {
    fleet.shards.push_back(fleet.shards[0]);
    fleet.shards.back().id = ShardId{i};
  }
  for (const int32_t size : {0, kMaxListed, 5 * kMaxListed}) {
    const auto page = ShardsPage(fleet, {size, ""}, kNow);
    EXPECT_EQ(page->shards_size(), kMaxListed);
    EXPECT_EQ(ShardsPage(fleet, {size, page->next_page_token()}, kNow)->shards_size(), 7);
  }
}

TEST(ListPagesTest, RefusesNonsense) {
  const supervisor::FleetSnapshot fleet = FiveOfEach();
  EXPECT_EQ(supervisor::RefusalReason(PoolsPage(fleet, {-1, ""}, kNow).status()), "OUT_OF_RANGE");
  for (const char* token : {"7", "pools/none", "shards/x"}) {
    EXPECT_EQ(supervisor::RefusalReason(PoolsPage(fleet, {1, token}, kNow).status()),
              "INVALID_PAGE_TOKEN");
    EXPECT_EQ(supervisor::RefusalReason(WorkersPage(fleet, "", {1, token}, kNow).status()),
              "INVALID_PAGE_TOKEN");
    EXPECT_EQ(supervisor::RefusalReason(ShardsPage(fleet, {1, token}, kNow).status()),
              "INVALID_PAGE_TOKEN");
  }
}

}  // namespace
}  // namespace spillway::rpc
