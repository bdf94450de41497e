// How the configuration's word on pools and the recorded one become one. Pure.
#ifndef SPILLWAY_SERVER_SUPERVISOR_RECORDED_POOLS_H_
#define SPILLWAY_SERVER_SUPERVISOR_RECORDED_POOLS_H_

#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "server/fleet/fleet.h"
#include "server/record/record.h"

namespace spillway::supervisor {

struct RestoredPools {
  std::vector<record::PoolWish> wishes;       // one for each configured pool, in its order
  std::map<std::string, uint64_t> revisions;  // of these, by pool
  std::vector<record::PoolRecord> created;    // through the API: only the record knows them
  record::Change change;  // what is to be recorded so that it holds the next time
};

// The recorded wish holds, but for values that differ in the configuration from those it was based
// on: somebody has changed them there since, and that is journalled. Bounds that contradict each
// other are both the configuration's; desired is kept within the bounds. Sizes of a pool that is
// scaled elsewhere are the configuration's. Pools that are not configured any more are forgotten;
// those that were created through the API stay, unless the configuration names them now: then they
// are the configuration's, but for their state.
RestoredPools RestorePools(const std::vector<config::Pool>& configured,
                           const std::vector<record::PoolRecord>& recorded, WallTime now);

// As the record has it, but for what the configuration had said.
record::PoolRecord RecordOf(const fleet::Pool& pool);
// A created pool as it was recorded.
fleet::Pool PoolOf(const record::PoolRecord& record);

record::Sizes ConfiguredSizes(const config::Pool& pool);
record::PoolWish WishOf(const fleet::Pool& pool);
fleet::PoolState StateOf(record::WishedState state);
// "desired 3, min 1, max 8, RUNNING"
std::string WishText(const record::PoolWish& wish);
std::string WishText(const fleet::Pool& pool);  // which may be DRAINING

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_RECORDED_POOLS_H_
