// Reads the live parts of a shard, due and in flight, as of one instant.
#ifndef SPILLWAY_BUFFER_REDIS_LIVE_READING_H_
#define SPILLWAY_BUFFER_REDIS_LIVE_READING_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "buffer/redis/keys.h"
#include "buffer/redis/paged_read.h"

namespace spillway::buffer {

struct LiveParts {
  StoreCode code = StoreCode::kUnavailable;
  std::string message;
  EventTime clock;
  std::vector<LivePartRecord> parts;
};

// Make it with make_shared, then Run.
class LiveReading : public PagedRead {
 public:
  using OnDone = absl::AnyInvocable<void(LiveParts)>;

  // `epoch`: the ingest owner's, compared by every call; empty: anybody's.
  LiveReading(RedisRoute route, ShardKeys keys, std::string epoch, OnDone done)
      : PagedRead(route),
        keys_(std::move(keys)),
        epoch_(std::move(epoch)),
        done_(std::move(done)) {}

 protected:
  void Begin() override;
  void End(StoreCode code, std::string message) override;
  // All parts are known: asks for the headers of the open ones.
  virtual void OnListed();

  const ShardKeys keys_;
  LiveParts live_;

 private:
  void WantPage(uint64_t rank);
  void WantClaim(const ClaimId& id);
  void WantHeaders(size_t first, size_t last);
  void AddParts(const Reply& rows, bool is_in_due);

  const std::string epoch_;
  OnDone done_;
  std::vector<size_t> open_;  // indexes of parts whose header is wanted
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_LIVE_READING_H_
