#include "proto/wire/shard_parts.h"

#include <algorithm>

namespace spillway::wire {

v1::ShardStage StageToProto(ShardStage stage) {
  switch (stage) {
    case ShardStage::kAcquiring:
      return v1::SHARD_STAGE_ACQUIRING;
    case ShardStage::kOwned:
      return v1::SHARD_STAGE_OWNED;
    case ShardStage::kReleasing:
      return v1::SHARD_STAGE_RELEASING;
  }
  return v1::SHARD_STAGE_OWNED;
}

absl::Status ReadActivity(const ActivityField& nanoseconds, ActivityTimes& times) {
  const int known = std::min<int>(nanoseconds.size(), kActivityCount);
  for (int i = 0; i < known; ++i) {
    if (nanoseconds[i] < 0) {
      return absl::InvalidArgumentError("report.shards.activity_ns: negative");
    }
    times[static_cast<size_t>(i)] = Duration(nanoseconds[i]);
  }
  return absl::OkStatus();
}

void WriteActivity(const ActivityTimes& times, ActivityField& nanoseconds) {
  for (const Duration time : times) nanoseconds.Add(time.count());
}

}  // namespace spillway::wire
