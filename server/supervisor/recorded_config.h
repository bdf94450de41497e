// How the configuration's word on what workers run with and the recorded one become one (design
// section 6, "Configuration generations"). Pure.
#ifndef SPILLWAY_SERVER_SUPERVISOR_RECORDED_CONFIG_H_
#define SPILLWAY_SERVER_SUPERVISOR_RECORDED_CONFIG_H_

#include <cstdint>
#include <map>
#include <vector>

#include "config/config.h"
#include "server/fleet/config_rollout.h"
#include "server/record/record.h"

namespace spillway::supervisor {

struct RestoredConfig {
  fleet::ConfigRollout rollout;                // what the fleet begins with
  std::vector<record::ConfigRecord> records;   // what stands behind it, by generation
  std::map<uint64_t, config::Config> configs;  // whole ones, of those that workers may be given
  record::Change change;                       // to be recorded, so that it holds the next time
};

// Settings that are not those recorded last are a new generation, with the newest proven one to go
// back to. Settings that were taken back stay so, and the former ones hold, unless `retries`. What
// this release cannot read any more is forgotten.
RestoredConfig RestoreConfig(const config::Config& config,
                             const std::vector<record::ConfigRecord>& recorded, bool retries,
                             WallTime now);

// `records` after the fleet has judged what is tried: its standing, and only what is still worth
// keeping.
std::vector<record::ConfigRecord> Judged(std::vector<record::ConfigRecord> records,
                                         const fleet::ConfigRollout& rollout);

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_RECORDED_CONFIG_H_
