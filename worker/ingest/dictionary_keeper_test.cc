#include "worker/ingest/dictionary_keeper.h"

#include <gtest/gtest.h>

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_clock.h"
#include "worker/ingest/retiring_dictionaries.h"

namespace spillway::ingest {
namespace {

using std::chrono::minutes;

DictionaryLimits Limits() {
  DictionaryLimits limits;
  limits.bytes = 1024;
  limits.sample_spans = 20;
  limits.sample_every = 4;
  limits.window_spans = 100;
  return limits;
}

// ---- when to train

TEST(DictionaryPolicyTest, TrainsTheFirstOneAtOnce) {
  EXPECT_TRUE(DictionaryPolicy(Limits()).ShouldTrain(Instant()));
  EXPECT_FALSE(DictionaryPolicy(DictionaryLimits{}).ShouldTrain(Instant())) << "0 bytes: none";
}

TEST(DictionaryPolicyTest, TriesAgainAfterAWhileIfTrainingFailed) {
  DictionaryPolicy policy(Limits());
  policy.OnFailed(Instant());
  EXPECT_FALSE(policy.ShouldTrain(Instant() + minutes(9)));
  EXPECT_TRUE(policy.ShouldTrain(Instant() + minutes(10)));
}

TEST(DictionaryPolicyTest, TrainsAgainWhenAWindowIsClearlyWorseThanTheFirst) {
  DictionaryPolicy policy(Limits());
  policy.OnChanged(Instant());
  const Instant later = Instant() + minutes(11);
  policy.OnEncoded(100, 1000, 100);
  policy.OnEncoded(100, 1000, 129);
  EXPECT_FALSE(policy.ShouldTrain(later)) << "not clearly";
  policy.OnEncoded(99, 1000, 500);
  EXPECT_FALSE(policy.ShouldTrain(later)) << "no whole window";
  policy.OnEncoded(1, 10, 5);
  EXPECT_TRUE(policy.ShouldTrain(later));
  EXPECT_FALSE(policy.ShouldTrain(Instant() + minutes(9))) << "too early";
  policy.OnEncoded(100, 1000, 110);
  EXPECT_FALSE(policy.ShouldTrain(later)) << "it is good again";
}

TEST(DictionaryPolicyTest, ANewDictionaryIsMeasuredByItsOwnFirstWindow) {
  DictionaryPolicy policy(Limits());
  policy.OnChanged(Instant());
  policy.OnEncoded(100, 1000, 100);
  policy.OnEncoded(100, 1000, 200);
  policy.OnChanged(Instant() + minutes(20));
  EXPECT_FALSE(policy.ShouldTrain(Instant() + minutes(40)));
  policy.OnEncoded(100, 1000, 200);
  policy.OnEncoded(100, 1000, 210);
  EXPECT_FALSE(policy.ShouldTrain(Instant() + minutes(40)));
}

// ---- the keeper

class DictionaryKeeperTest : public ::testing::Test {
 protected:
  // `count` spans that look like `shape`.
  void Learn(int count, const std::string& shape) {
    std::vector<std::string> texts;
    for (int i = 0; i < count; ++i) texts.push_back(absl::StrCat(shape, i));
    WorkBatch batch;
    for (const std::string& text : texts) {
      ParsedMessage& message = batch.messages.emplace_back();
      message.bytes = text;
      message.is_valid = true;
    }
    keeper_.Learn(batch);
  }
  bool FinishTraining() {
    if (offloaded_.empty()) return false;
    auto [work, done] = std::move(offloaded_.front());
    offloaded_.pop_front();
    work();
    done();
    return true;
  }
  // One window that takes so many bytes of a thousand.
  void Encode(uint64_t stored) {
    totals_.body_bytes += 1000;
    totals_.stored_bytes += stored;
    keeper_.OnEncoded(100, totals_);
  }

  FakeClock clock_;
  std::deque<std::pair<DictionaryKeeper::Task, DictionaryKeeper::Task>> offloaded_;
  buffer::ChunkEncoder::Totals totals_;
  bool fails_ = false;
  DictionaryKeeper keeper_{
      Limits(),
      {.clock = clock_,
       .offload =
           [this](DictionaryKeeper::Task work, DictionaryKeeper::Task done) {
             offloaded_.emplace_back(std::move(work), std::move(done));
           },
       .train =
           [this](const DictionarySamples& samples, size_t most_bytes) {
             return buffer::Dictionary::Make(fails_ ? "" : samples.bytes.substr(0, most_bytes));
           }}};
};

TEST_F(DictionaryKeeperTest, TrainsOnceThereAreSpansEnough) {
  Learn(19, "span ");
  EXPECT_TRUE(offloaded_.empty());
  Learn(1, "span ");
  ASSERT_EQ(offloaded_.size(), 1u);
  EXPECT_EQ(keeper_.current(), nullptr);
  Learn(100, "span ");
  EXPECT_EQ(offloaded_.size(), 1u) << "one at a time";
  EXPECT_TRUE(FinishTraining());
  ASSERT_NE(keeper_.current(), nullptr);
  EXPECT_FALSE(keeper_.wants_one());
}

TEST_F(DictionaryKeeperTest, OneFoundInAShardIsUsedInsteadOfTraining) {
  const auto found = buffer::Dictionary::Make("found");
  keeper_.Adopt(found);
  EXPECT_EQ(keeper_.current(), found);
  keeper_.Adopt(buffer::Dictionary::Make("another"));
  EXPECT_EQ(keeper_.current(), found);
  Learn(1000, "span ");
  EXPECT_TRUE(offloaded_.empty());
}

TEST_F(DictionaryKeeperTest, OneFoundWhileTrainingWins) {
  Learn(20, "span ");
  const auto found = buffer::Dictionary::Make("found");
  keeper_.Adopt(found);
  EXPECT_TRUE(FinishTraining());
  EXPECT_EQ(keeper_.current(), found);
}

TEST_F(DictionaryKeeperTest, TrainsAgainFromRecentSpansWhenTheRatioFalls) {
  Learn(20, "old ");
  EXPECT_TRUE(FinishTraining());
  const auto first = keeper_.current();
  Encode(100);
  Encode(200);
  clock_.Advance(minutes(10));
  Learn(20 * 4, "new ");
  ASSERT_TRUE(FinishTraining());
  EXPECT_NE(keeper_.current(), first);
  EXPECT_EQ(keeper_.current()->content().substr(0, 3), "new");
  EXPECT_EQ(keeper_.current()->content().find("old"), std::string::npos);
}

TEST_F(DictionaryKeeperTest, FailedTrainingIsTriedAgainLater) {
  fails_ = true;
  Learn(20, "span ");
  EXPECT_TRUE(FinishTraining());
  EXPECT_EQ(keeper_.current(), nullptr);
  Learn(20, "span ");
  EXPECT_TRUE(offloaded_.empty());
  clock_.Advance(minutes(10));
  fails_ = false;
  Learn(20, "span ");
  EXPECT_TRUE(FinishTraining());
  EXPECT_NE(keeper_.current(), nullptr);
}

TEST(TrainDictionaryTest, MakesChunksSmaller) {
  DictionarySamples samples;
  std::string last;
  for (int i = 0; i < 500; ++i) {
    last = absl::StrCat(R"({"trace_id":")", i * 7919, R"(","name":"GET /orders","status":"ok",)",
                        R"("attributes":{"http.method":"GET","customer":)", i * 31, "}}");
    samples.bytes += last;
    samples.sizes.push_back(last.size());
  }
  const auto trained = TrainDictionary(samples, 4096);
  ASSERT_NE(trained, nullptr);
  EXPECT_LE(trained->content().size(), 4096u);
  std::string with, without;
  const buffer::ChunkSpan span{.id = SpanId{1}, .offset = 1, .bytes = last};
  buffer::ChunkEncoder encoder(buffer::Codec::kZstd, 1);
  encoder.Encode({}, {&span, 1}, without);
  encoder.UseDictionary(trained);
  encoder.Encode({}, {&span, 1}, with);
  EXPECT_LT(2 * with.size(), without.size());
}

TEST(TrainDictionaryTest, NothingComesOfNothing) {
  EXPECT_EQ(TrainDictionary({.bytes = "abc", .sizes = {3}}, 4096), nullptr);
}

// ---- what a shard may drop

TEST(RetiringDictionariesTest, DropsWhatNoPartCanName) {
  RetiringDictionaries retiring;
  retiring.OnTaken({5, 6}, {100});
  EXPECT_EQ(retiring.Droppable(EventTime{100}, 0), std::nullopt);
  ASSERT_NE(retiring.Droppable(EventTime{101}, 0), std::nullopt);
  EXPECT_EQ(retiring.Droppable(EventTime{101}, 0)->id, 5u);
  EXPECT_EQ(retiring.Droppable(std::nullopt, 5)->id, 6u) << "5 is about to be used";
  retiring.OnUse(6, {150});
  retiring.OnDropped(5);
  EXPECT_EQ(retiring.Droppable(std::nullopt, 6), std::nullopt);
}

TEST(RetiringDictionariesTest, ADictionaryRetiresWhenAnotherIsUsed) {
  RetiringDictionaries retiring;
  retiring.OnTaken({}, {100});
  retiring.OnUse(5, {110});
  retiring.OnUse(5, {120});
  EXPECT_EQ(retiring.Droppable(std::nullopt, 5), std::nullopt);
  retiring.OnUse(7, {200});
  ASSERT_NE(retiring.Droppable(EventTime{201}, 7), std::nullopt);
  EXPECT_EQ(retiring.Droppable(EventTime{201}, 7)->last_deadline, EventTime{200});
  EXPECT_EQ(retiring.Droppable(EventTime{200}, 7), std::nullopt);
  retiring.OnUse(5, {300});
  EXPECT_EQ(retiring.Droppable(EventTime{250}, 5), std::nullopt) << "5 is used again, 7 is recent";
  retiring.OnUse(0, {400});
  EXPECT_NE(retiring.Droppable(EventTime{401}, 0), std::nullopt);
}

}  // namespace
}  // namespace spillway::ingest
