// Counts the live spans of a shard as of one instant while the shard is at work.
//
// Only the names and sizes of the lists have to be of one instant, together with the counters:
// entries are written once and lists only grow, so what a list held at that instant can be read
// later, a page at a time. If a part has left meanwhile, a new instant is chosen; what was counted
// before is remembered, so that the next round reads only what is new.
#ifndef SPILLWAY_BUFFER_REDIS_AUDITING_H_
#define SPILLWAY_BUFFER_REDIS_AUDITING_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "buffer/chunk/chunk.h"
#include "buffer/redis/live_reading.h"

namespace spillway::buffer {

// Make it with make_shared, then Run. Gives up after kAuditTimeLimit or kMaxRounds.
class Auditing : public LiveReading {
 public:
  Auditing(RedisRoute route, ShardKeys keys, ShardId shard, Done<AuditReply> done);

 protected:
  void Begin() override;
  void OnListed() override;
  bool MayBeginAgain(int attempts) override;
  void End(StoreCode code, std::string message) override;

 private:
  static constexpr int kMaxRounds = 2'000;
  static constexpr size_t kSizesPerPage = 500;
  static constexpr int64_t kEntriesPerPage = 100;

  // What is known of the first `entries` entries of a list.
  struct Counted {
    int64_t entries = 0;
    uint64_t spans = 0;
    uint64_t undecodable = 0;
  };
  struct List {
    PartName name;
    int64_t size = 0;  // entries, at the instant
  };

  void WantSizes(size_t first, size_t last);
  void OnMeasured();
  void WantEntries(const List& list, int64_t first);
  void Count(const Reply& reply, Counted& counted);
  void OnCounted();

  const ShardId shard_;
  const Instant deadline_;
  ChunkDecoder decoder_;
  std::map<PartName, Counted> counted_;  // of all rounds
  std::vector<List> lists_;              // of this round
  ShardSummary summary_;
  bool has_given_up_ = false;
  AuditReply reply_;
  Done<AuditReply> done_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_AUDITING_H_
