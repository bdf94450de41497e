#include "server/supervisor/operations.h"

#include <gtest/gtest.h>

namespace spillway::supervisor {
namespace {

constexpr WallTime kNow{5};

record::Operation Stop(OperationBook& book, const std::string& pool) {
  return book.Draft({fleet::OperationKind::kStopPool, pool});
}

TEST(OperationBookTest, NumbersRiseOverRestarts) {
  OperationBook first({});
  const record::Operation one = Stop(first, "a");
  EXPECT_EQ(one.number, 1);
  OperationBook second({one});
  EXPECT_EQ(Stop(second, "b").number, 2);
}

TEST(OperationBookTest, KeepsTheNewestOfThoseThatHaveEndedAndAllThatRun) {
  OperationBook book({});
  const record::Operation running = Stop(book, "running");
  book.Put(running);
  for (int64_t i = 0; i < record::kMaxOperations + 5; ++i) {
    book.Put(Ended(Stop(book, "a"), fleet::OperationState::kSucceeded, "", kNow));
  }
  EXPECT_NE(book.Find(1), nullptr) << "it runs";
  EXPECT_EQ(book.Find(2), nullptr);
  EXPECT_EQ(book.Views()->size(), static_cast<size_t>(record::kMaxOperations) + 1);
}

TEST(OperationBookTest, WhatIsJudgedEndedOnceIsNotJudgedAgain) {
  OperationBook book({});
  book.Put(Stop(book, "gone"));
  const auto ended = book.Judge(fleet::Fleet(), kNow);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].ended, kNow);
  EXPECT_FALSE(IsRunning(ended[0]));
  EXPECT_EQ(book.View(1)->state, fleet::OperationState::kCancelled);
  EXPECT_TRUE(book.Judge(fleet::Fleet(), kNow).empty());
}

// A change ends it, and that is on its way to the disk.
TEST(OperationBookTest, WhatAChangeEndsIsNotJudgedUntilThatIsOnRecord) {
  OperationBook book({});
  book.Put(Stop(book, "gone"));
  book.Hold({*book.Find(1)});
  EXPECT_TRUE(book.Judge(fleet::Fleet(), kNow).empty());
  EXPECT_EQ(book.View(1)->state, fleet::OperationState::kRunning);
  book.Hold({});
  EXPECT_EQ(book.Judge(fleet::Fleet(), kNow).size(), 1u);
}

TEST(OperationBookTest, OnlyTheNewestEndsTellOfEachWorker) {
  fleet::Fleet fleet;
  fleet.pools.push_back({.name = "flush"});
  fleet.pools[0].state = fleet::PoolState::kStopped;
  fleet.workers[{"flush", 0}].key = {"flush", 0};
  OperationBook book({});
  const auto stops = static_cast<int64_t>(OperationBook::kMaxDetailed) + 2;
  for (int64_t i = 0; i < stops; ++i) {
    book.Put(Stop(book, "flush"));
    ASSERT_EQ(book.Judge(fleet, kNow).size(), 1u);
  }
  EXPECT_TRUE(book.View(2)->workers.empty());
  EXPECT_EQ(book.View(2)->state, fleet::OperationState::kSucceeded);
  EXPECT_EQ(book.View(3)->workers.size(), 1u);
  EXPECT_EQ(book.View(stops)->workers.size(), 1u);
}

}  // namespace
}  // namespace spillway::supervisor
