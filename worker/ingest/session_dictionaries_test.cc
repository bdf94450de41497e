// A shard's session and the dictionaries of its chunks.
#include <gtest/gtest.h>

#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using buffer::StoreCall;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Options SmallDictionaries() {
  Options options;
  options.codec = buffer::Codec::kZstd;
  options.dictionary.bytes = 600;
  options.dictionary.sample_spans = 4;
  options.dictionary.sample_every = 1;
  options.dictionary.window_spans = 1;
  options.dictionary.worse = 1.01;
  return options;
}

class SessionDictionariesTest : public ::testing::Test {
 protected:
  SessionDictionariesTest() {
    h.store.SetFaults([this](StoreCall call, ShardId) {
      ++calls_[call];
      return buffer::StoreFault::kNone;
    });
  }
  void Assign(size_t worker = 0) {
    h.worker(worker).consumer.Assign({kShard});
    h.Pass(milliseconds(200));
  }
  // One span a batch, each of a trace of its own.
  void Write(int count, const std::string& name = "x") {
    for (int i = 0; i < count; ++i) {
      const char id = static_cast<char>('a' + spans_ % 6);
      h.Append(SpanText(static_cast<char>('a' + spans_++ / 6 % 6), id, 0, name));
      h.Pass(milliseconds(100));
    }
  }
  uint32_t InUse(size_t worker = 0) {
    const auto& current = h.worker(worker).dictionaries().current();
    return current == nullptr ? 0 : current->id();
  }
  // As hard to compress as text is.
  static std::string Noise(uint64_t seed) {
    test_support::SeededRandom random(seed);
    std::string text;
    for (int i = 0; i < 12; ++i) text += HexText(random.Next());
    return text;
  }
  // Makes the ratio fall until another dictionary is in use.
  void Retrain() {
    const uint32_t before = InUse();
    h.Pass(minutes(11));
    h.Flush();  // what is late would keep the gate closed
    h.Pass(seconds(2));
    for (uint64_t i = 0; i < 20 && InUse() == before; ++i) Write(1, Noise(i));
    ASSERT_NE(InUse(), before);
  }

  Harness h{1, 2, SmallDictionaries()};
  std::map<StoreCall, int> calls_;
  int spans_ = 0;
};

TEST_F(SessionDictionariesTest, TrainsOneStoresItOnceAndUsesIt) {
  Assign();
  EXPECT_TRUE(h.redis().dictionaries.empty());
  Write(10);
  ASSERT_NE(InUse(), 0u);
  EXPECT_EQ(h.redis().dictionaries.size(), 1u);
  EXPECT_TRUE(h.redis().dictionaries.contains(InUse()));
  EXPECT_EQ(calls_[StoreCall::kStoreDictionary], 1);
  const std::string& last = h.redis().lists.rbegin()->second.back();
  EXPECT_EQ(buffer::DictionaryIdOf(last), InUse());
  h.Pass(seconds(75));
  h.Flush();
  EXPECT_EQ(h.DeliveredOffsets().size(), 10u);
}

TEST_F(SessionDictionariesTest, ARestartedWorkerAdoptsWhatItFinds) {
  Assign();
  Write(10);
  const uint32_t first = InUse();
  h.worker().consumer.Revoke({kShard}, false);
  h.ReplaceWorker(0);
  Assign();
  EXPECT_EQ(InUse(), first);
  EXPECT_EQ(h.worker().dictionaries().Report().adopted, 1u);
  Write(10);
  EXPECT_EQ(InUse(), first);
  EXPECT_EQ(calls_[StoreCall::kStoreDictionary], 1);
}

TEST_F(SessionDictionariesTest, AnEmptiedRedisIsGivenTheDictionaryAgain) {
  Assign();
  Write(10);
  const uint32_t first = InUse();
  h.store.LoseEverything();
  h.Pass(seconds(5));
  Write(2);
  EXPECT_EQ(InUse(), first);
  EXPECT_TRUE(h.redis().dictionaries.contains(first));
  EXPECT_TRUE(h.redis().HasItsDictionaries());
}

TEST_F(SessionDictionariesTest, TheOldDictionaryGoesOnceNoPartCanNameIt) {
  Assign();
  Write(10);
  const uint32_t first = InUse();
  Retrain();
  Write(1);
  EXPECT_TRUE(h.redis().dictionaries.contains(first)) << "its parts are still due";
  EXPECT_TRUE(h.redis().dictionaries.contains(InUse()));
  h.Pass(seconds(75));
  EXPECT_TRUE(h.redis().dictionaries.contains(first));
  h.Flush();
  h.Pass(seconds(5));
  EXPECT_EQ(h.redis().dictionaries.size(), 1u);
  EXPECT_TRUE(h.redis().dictionaries.contains(InUse())) << "the one in use stays";

  const wire::Compression report = h.worker().dictionaries().Report();
  EXPECT_EQ(report.dictionary, buffer::DictionaryIdText(InUse()));
  EXPECT_EQ(report.trained, 2u);
  EXPECT_EQ(report.dropped, 1u);
  EXPECT_GT(report.chunks, report.dictionary_chunks);
  EXPECT_GT(report.dictionary_chunks, 0u);
  EXPECT_GT(report.body_bytes, report.stored_bytes);
}

TEST_F(SessionDictionariesTest, AnOwnerWithAnotherDictionaryLetsTheFoundOneGo) {
  Assign();
  Write(10);
  const uint32_t first = InUse();
  // Without a shard it trained its own somewhere else.
  h.store.LoseEverything();
  h.worker().consumer.Revoke({kShard}, true);
  Assign(1);
  Write(10, "another");
  const uint32_t second = InUse(1);
  ASSERT_NE(second, first);
  ASSERT_NE(second, 0u);
  h.worker(1).consumer.Revoke({kShard}, false);
  Assign(0);
  EXPECT_EQ(InUse(0), first);
  Write(1);
  EXPECT_EQ(h.redis().dictionaries.size(), 2u);
  h.Pass(seconds(75));
  h.Flush();
  h.Pass(seconds(5));
  EXPECT_EQ(h.redis().dictionaries.size(), 1u);
  EXPECT_TRUE(h.redis().dictionaries.contains(first));
}

TEST_F(SessionDictionariesTest, WithoutDictionariesThoseFoundGo) {
  Assign();
  Write(10);
  h.worker().consumer.Revoke({kShard}, false);
  h.options.dictionary.bytes = 0;
  h.ReplaceWorker(0);
  Assign();
  Write(1);
  EXPECT_EQ(InUse(), 0u);
  h.Pass(seconds(75));
  h.Flush();
  h.Pass(seconds(5));
  EXPECT_TRUE(h.redis().dictionaries.empty());
  EXPECT_EQ(h.DeliveredOffsets().size(), 11u);
}

}  // namespace
}  // namespace spillway::ingest
