// The span buffer in memory, for tests and simulations: the semantics of buffer/redis without a
// server (both pass tests/unit/shard_store_contract.h), with faults on demand. Deterministic: Redis
// time stands still unless a test moves it, and callbacks run only where the poster puts them.
//
// One FakeShardStore is one Redis: several workers share it. One thread. Callbacks that have not
// run when the store is destroyed never run.
#ifndef SPILLWAY_TESTS_SUPPORT_FAKE_SHARD_STORE_H_
#define SPILLWAY_TESTS_SUPPORT_FAKE_SHARD_STORE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "buffer/shard_store.h"
#include "tests/support/fake_shard.h"

namespace spillway::buffer {

enum class StoreCall {
  kTake,
  kAdd,
  kTick,
  kAcquire,
  kPeek,
  kClaim,
  kLoad,
  kAcknowledge,
  kRelease,
  kSummary,
  kAudit,
  kListShards,  // of no shard: asked about as shard 0
  kReadDictionary,
  kStoreDictionary,
  kDropDictionary,
  kStoreDropRules,
};

enum class StoreFault {
  kNone,
  kLoseRequest,   // not executed, answered kUnavailable
  kLoseReply,     // executed, answered kUnavailable
  kDelay,         // answered kUnavailable now, executed by a later RunDelayed
  kHold,          // neither executed nor answered before ReleaseHeld
  kRefuseMemory,  // kMemory (of an add that writes something)
  kMoving,        // not executed, answered kMoving
};

class FakeShardStore : public IngestStore, public FlushStore, public ShardReader {
 public:
  using Task = absl::AnyInvocable<void()>;
  using Poster = std::function<void(Task)>;
  using FaultHook = std::function<StoreFault(StoreCall, ShardId)>;
  using Shards = std::map<ShardId, FakeShard>;

  FakeShardStore();                        // callbacks wait for RunCallbacks
  explicit FakeShardStore(Poster poster);  // callbacks go to, say, Loop::Post
  ~FakeShardStore() override;

  void Take(ShardId shard, const TakeRequest& request, Done<TakeReply> done) override;
  void Add(ShardId shard, std::shared_ptr<const AddRequest> request,
           Done<ShardFigures> done) override;
  void Tick(ShardId shard, const TickRequest& request, Done<ShardFigures> done) override;
  void ReadDictionary(ShardId shard, uint32_t id,
                      Done<std::shared_ptr<const Dictionary>> done) override;
  void DropDictionary(ShardId shard, const DropDictionaryRequest& request,
                      Done<bool> done) override;
  void StoreDropRules(ShardId shard, const StoreDropRulesRequest& request,
                      Done<bool> done) override;
  bool KeepsWaiting(ShardId) const override { return keeps_waiting_; }
  void Acquire(ShardId shard, const AcquireRequest& request, Done<Epoch> done) override;
  void Peek(ShardId shard, Epoch epoch, uint32_t limit, Done<PeekReply> done) override;
  void ClaimParts(ShardId shard, ClaimRequest request, Done<Claim> done) override;
  void Load(ShardId shard, const std::vector<ClaimedPart>& parts,
            std::shared_ptr<DictionaryShelf> shelf, Done<std::vector<LoadedPart>> done) override;
  void Acknowledge(ShardId shard, const AcknowledgeRequest& request,
                   Done<AcknowledgeReply> done) override;
  void Release(ShardId shard, const ReleaseRequest& request, Done<bool> done) override;
  void Summary(ShardId shard, Done<ShardSummary> done) override;
  void Audit(ShardId shard, Done<AuditReply> done) override;
  void ListShards(Done<std::vector<ShardId>> done) override;

  // Runs the waiting callbacks, and those they cause, until none waits. Returns how many ran.
  size_t RunCallbacks();
  bool RunOneCallback();  // the oldest; false: none waits

  // Asked before each call; empty: no faults.
  void SetFaults(FaultHook hook) { faults_ = std::move(hook); }
  size_t delayed_calls() const { return delayed_.size(); }
  void RunDelayed(size_t index = 0);  // executes one; its reply goes nowhere
  size_t held_calls() const { return held_.size(); }
  void ReleaseHeld();  // executes and answers all, in order

  // Redis TIME. Starts at 2024-01-01 UTC.
  WallTime now() const { return now_; }
  void SetTime(WallTime now) { now_ = now; }
  void Advance(std::chrono::microseconds by) { now_.us += by.count(); }
  void SetMemoryRatio(double ratio) { memory_ratio_ = ratio; }
  // While set, adds that write something answer kMemory. Everything else goes on.
  void SetMemoryFull(bool is_full) { is_memory_full_ = is_full; }

  void SetKeepsWaiting(bool keeps_waiting) { keeps_waiting_ = keeps_waiting; }

  // Runs during the next Load, once: entries have been read, their dictionaries have not.
  void InterruptLoad(std::function<void()> meanwhile) { interrupt_load_ = std::move(meanwhile); }

  Shards Snapshot() const { return shards_; }
  void Restore(Shards snapshot) { shards_ = std::move(snapshot); }
  void LoseEverything() { shards_.clear(); }
  uint64_t dictionaries_dropped() const { return dictionaries_dropped_; }
  // Null: the shard has no `meta`.
  FakeShard* shard(ShardId id);
  Shards& shards() { return shards_; }
  // What an accepted add should never have done; empty: nothing. Redis would let it.
  const std::string& misuse() const { return misuse_; }

 private:
  template <typename T>
  void Perform(StoreCall call, ShardId shard, Done<T> done,
               absl::AnyInvocable<StoreResult<T>()> execute);
  template <typename T>
  void Answer(Done<T> done, StoreResult<T> result);

  void SendAdd(ShardId shard, std::shared_ptr<const AddRequest> request, bool may_store,
               Done<ShardFigures> done);
  StoreResult<bool> StoreDictionary(ShardId id, const AddRequest& request);
  StoreResult<bool> DoDropDictionary(ShardId id, const DropDictionaryRequest& request);
  StoreResult<bool> DoStoreDropRules(ShardId id, const StoreDropRulesRequest& request);
  StoreResult<TakeReply> DoTake(ShardId id, const TakeRequest& request);
  StoreResult<ShardFigures> DoAdd(ShardId id, const AddRequest& request);
  StoreResult<ShardFigures> DoTick(ShardId id, const TickRequest& request);
  StoreResult<PeekReply> DoPeek(ShardId id, Epoch epoch, uint32_t limit);
  StoreResult<Claim> DoClaim(ShardId id, const ClaimRequest& request);
  StoreResult<AcknowledgeReply> DoAcknowledge(ShardId id, const AcknowledgeRequest& request);
  StoreResult<bool> DoRelease(ShardId id, const ReleaseRequest& request);
  StoreResult<ShardSummary> DoSummary(ShardId id);
  StoreResult<AuditReply> DoAudit(ShardId id);
  ShardFigures FiguresOf(const FakeShard& shard) const;

  Shards shards_;
  WallTime now_{1'704'067'200'000'000};
  double memory_ratio_ = 0;
  bool is_memory_full_ = false;
  bool keeps_waiting_ = false;
  uint64_t dictionaries_dropped_ = 0;
  std::string misuse_;
  FaultHook faults_;
  std::function<void()> interrupt_load_;
  Poster poster_;
  std::deque<Task> callbacks_;  // if there is no poster
  std::vector<Task> delayed_;
  std::vector<Task> held_;
  std::shared_ptr<bool> is_alive_;  // read by posted callbacks
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_TESTS_SUPPORT_FAKE_SHARD_STORE_H_
