#include "server/record/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/support/fake_clock.h"
#include "tests/support/memory_record_store.h"

namespace spillway::record {
namespace {

using testing::MemoryRecordStore;
using testing::RecordDisk;

constexpr std::chrono::seconds kLimit{20};

class RecorderTest : public ::testing::Test {
 protected:
  RecorderTest() : recorder_(std::make_unique<MemoryRecordStore>(disk_), SystemClock()) {}

  std::future<absl::Status> Commit(Change change) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    recorder_.Commit(std::move(change),
                     [promise](const absl::Status& status) { promise->set_value(status); });
    return promise->get_future();
  }
  absl::Status Await(std::future<absl::Status> answer) {
    if (answer.wait_for(kLimit) == std::future_status::ready) return answer.get();
    return absl::DeadlineExceededError("no answer");
  }
  static bool Until(const std::function<bool()>& condition) {
    const Instant deadline = SystemClock().Now() + kLimit;
    while (!condition()) {
      if (SystemClock().Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static Event Named(const std::string& action) {
    Event event;
    event.action = action;
    return event;
  }

  RecordDisk disk_;
  Recorder recorder_;
};

TEST_F(RecorderTest, AnswersOnceTheChangeIsKept) {
  EXPECT_TRUE(Await(Commit({.pools = {{{"flush", {2, 1, 8}}, {1, 1, 8}}}})).ok());
  EXPECT_EQ(disk_.state().pools.size(), 1u);
  EXPECT_TRUE(recorder_.health().last_write.ok());
}

TEST_F(RecorderTest, WritesNotesByItself) {
  recorder_.Note(Named("worker killed"));
  recorder_.Note(Death{});
  EXPECT_TRUE(Until([&] { return disk_.events().size() == 1 && disk_.deaths().size() == 1; }));
}

TEST_F(RecorderTest, NotesGoBeforeTheChangeThatFollowsThem) {
  disk_.Hang(true);
  auto first = Commit({});
  recorder_.Note(Named("note"));
  auto second = Commit({.events = {Named("change")}});
  disk_.Hang(false);
  EXPECT_TRUE(Await(std::move(first)).ok());
  EXPECT_TRUE(Await(std::move(second)).ok());
  ASSERT_EQ(disk_.events().size(), 2u);
  EXPECT_EQ(disk_.events()[0].action, "note");
}

TEST_F(RecorderTest, AFailedWriteIsToldAndItsNotesAreKept) {
  disk_.Fail(absl::ResourceExhaustedError("full"));
  recorder_.Note(Named("note"));
  EXPECT_EQ(Await(Commit({.events = {Named("refused")}})), absl::ResourceExhaustedError("full"));
  EXPECT_EQ(recorder_.health().last_write, absl::ResourceExhaustedError("full"));
  disk_.Fail(absl::OkStatus());
  // Nobody asks: it tries by itself.
  EXPECT_TRUE(Until([&] { return recorder_.health().last_write.ok(); }));
  ASSERT_EQ(disk_.events().size(), 1u);
  EXPECT_EQ(disk_.events()[0].action, "note");
}

TEST_F(RecorderTest, TellsThatAWriteIsUnderWay) {
  disk_.Hang(true);
  auto answer = Commit({});
  EXPECT_TRUE(Until([&] { return recorder_.health().writing_since.has_value(); }));
  disk_.Hang(false);
  EXPECT_TRUE(Await(std::move(answer)).ok());
  EXPECT_FALSE(recorder_.health().writing_since.has_value());
}

TEST_F(RecorderTest, ADiskThatTakesNothingCostsBoundedMemory) {
  disk_.Fail(absl::ResourceExhaustedError("full"));
  EXPECT_FALSE(Await(Commit({})).ok());
  for (size_t i = 0; i < Recorder::kMaxNotes + 7; ++i) recorder_.Note(Named(std::to_string(i)));
  EXPECT_TRUE(Until([&] { return recorder_.health().dropped >= 7; }));
  disk_.Fail(absl::OkStatus());
  EXPECT_TRUE(Until([&] { return disk_.events().size() == Recorder::kMaxNotes; }));
  EXPECT_EQ(disk_.events().front().action, "7");
}

TEST_F(RecorderTest, AnswersQuestions) {
  EXPECT_TRUE(Await(Commit({.events = {Named("one")}, .deaths = {Death{}}})).ok());
  std::promise<size_t> events, deaths;
  recorder_.ListEvents({}, [&](const auto& found) { events.set_value(found->size()); });
  recorder_.ListDeaths({}, [&](const auto& found) { deaths.set_value(found->size()); });
  EXPECT_EQ(events.get_future().get(), 1u);
  EXPECT_EQ(deaths.get_future().get(), 1u);
}

TEST(RecorderEndTest, DoesWhatIsQueuedBeforeItGoes) {
  RecordDisk disk;
  disk.Hang(true);
  int answered = 0;
  auto recorder =
      std::make_unique<Recorder>(std::make_unique<MemoryRecordStore>(disk), SystemClock());
  for (int i = 0; i < 3; ++i) {
    recorder->Commit({}, [&](const absl::Status& status) { answered += status.ok() ? 1 : 0; });
  }
  recorder->Note(Event{});
  disk.Hang(false);
  recorder.reset();
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(disk.events().size(), 1u);
}

}  // namespace
}  // namespace spillway::record
