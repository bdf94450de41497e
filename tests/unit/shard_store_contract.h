// What every IngestStore, FlushStore and ShardReader must do (design section 4), run on the fake
// and on a real Redis: include this header, link shard_store_contract, and
//   INSTANTIATE_TEST_SUITE_P(Fake, ShardStoreContract, ::testing::Values(StoreFactory{…}));
#ifndef SPILLWAY_TESTS_UNIT_SHARD_STORE_CONTRACT_H_
#define SPILLWAY_TESTS_UNIT_SHARD_STORE_CONTRACT_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "buffer/chunk/chunk.h"
#include "buffer/shard_store.h"

namespace spillway::buffer {

// One store with the levers a test needs.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual IngestStore& ingest() = 0;
  virtual FlushStore& flush() = 0;
  virtual ShardReader& reader() = 0;
  // Lets callbacks run until `is_done`; gives up, failing the test, after some seconds.
  virtual void RunUntil(const std::function<bool()>& is_done) = 0;
  virtual void SetMemoryFull(bool is_full) = 0;
  virtual void LoseEverything() = 0;
  virtual void Snapshot() = 0;
  virtual void Restore() = 0;
  virtual size_t KeysBesidesMeta(ShardId shard) = 0;
  virtual void DeleteList(ShardId shard, const PartName& name) = 0;
  virtual void DeleteDictionary(ShardId shard, uint32_t id) = 0;
  // Runs `meanwhile` during the next Load, once: its entries have been read, and the dictionaries
  // that they name have not.
  virtual void InterruptLoad(std::function<void()> meanwhile) = 0;
  virtual void PassTime() = 0;  // at least two milliseconds of Redis TIME
};

struct StoreFactory {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};
inline void PrintTo(const StoreFactory& factory, std::ostream* out) { *out << factory.name; }

// One span list entry of `segment`, as an ingest worker would write it.
std::string TestChunk(uint64_t segment, const std::vector<Offset>& offsets, uint64_t part_bytes);

class ShardStoreContract : public ::testing::TestWithParam<StoreFactory> {
 protected:
  ShardStoreContract() : store_(GetParam().make()) {}

  // Calls and waits for the answer.
  template <typename T>
  StoreResult<T> Call(const std::function<void(Done<T>)>& call) {
    std::optional<StoreResult<T>> answer;
    call([&answer](StoreResult<T> result) { answer = std::move(result); });
    EXPECT_FALSE(answer.has_value()) << "answered from inside the call";
    store_->RunUntil([&answer] { return answer.has_value(); });
    return answer.value_or(StoreResult<T>{});
  }

  StoreResult<TakeReply> Take(TakeRequest request);
  // Takes with nothing committed and becomes the writer that Add uses.
  TakeReply TakeAsWriter(Offset committed = kNoOffset);
  StoreResult<ShardFigures> Add(const AddRequest& request);
  StoreResult<ShardFigures> Tick(const TickRequest& request);
  StoreResult<bool> StoreDropRules(const StoreDropRulesRequest& request);
  StoreResult<Epoch> Acquire(uint64_t proposed = 0, uint64_t owner = 0xf1);
  StoreResult<PeekReply> Peek(Epoch epoch, uint32_t limit = 10'000);
  StoreResult<Claim> ClaimParts(const ClaimRequest& request);
  StoreResult<std::vector<LoadedPart>> Load(const std::vector<ClaimedPart>& parts);
  StoreResult<AcknowledgeReply> Acknowledge(const AcknowledgeRequest& request);
  StoreResult<bool> Release(const ReleaseRequest& request);
  ShardSummary Summary();
  AuditReply Audit();

  // The next batch of the writer: `parts`, `spans` accepted, the clock at `clock_ms`. Remembers
  // what the answer says.
  AddRequest NextAdd(std::vector<AddPart> parts, uint64_t spans, int64_t clock_ms);
  StoreResult<ShardFigures> AddNext(std::vector<AddPart> parts, uint64_t spans, int64_t clock_ms);
  AddPart NewPart(Offset offset, int64_t deadline_ms, uint32_t spans = 1) const;
  PartName Name(Offset offset) const { return {.incarnation = incarnation_, .offset = offset}; }

  // Acquires, peeks and claims all that is due.
  Claim ClaimAll(ClaimId id = {1, 2});
  AcknowledgeRequest AcknowledgeOf(const Claim& claim, uint64_t spans) const;
  // Claims and acknowledges all that is due, then expects that nothing but meta is left.
  void DrainAndExpectNothingLeft(uint64_t spans);

  static constexpr ShardId kShard{7};
  std::unique_ptr<StoreUnderTest> store_;
  InputIdentity input_{.cluster_id = "cluster", .topic = "ingest-spans", .topic_id = "t1"};
  Offset log_start_ = 0, log_end_ = 1'000'000;
  Epoch ingest_epoch_, flush_epoch_;
  std::shared_ptr<DictionaryShelf> shelf_ = std::make_shared<DictionaryShelf>();
  uint32_t incarnation_ = 1;
  Offset watermark_ = 0;
  EventTime clock_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_TESTS_UNIT_SHARD_STORE_CONTRACT_H_
