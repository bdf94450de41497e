#include "worker/ingest/incident.h"

#include <algorithm>

#include "base/log.h"

namespace spillway::ingest {
namespace {

// Parts from below C, which had left: they leave again.
int64_t CountResurrected(const TakenShard& taken) {
  return std::ranges::count_if(taken.reply.live, [&](const buffer::LivePartRecord& part) {
    return part.name.incarnation == taken.reply.incarnation && LowestOffset(part) < taken.committed;
  });
}

}  // namespace

void TellIncidents(ShardId shard, const BeforeTaking& before, const TakenShard& taken,
                   IncidentCounts& counts) {
  const buffer::TakeReply& reply = taken.reply;
  const bool is_created = reply.is_created || before.was_created;
  if (reply.is_new_log) {
    ++counts.replaced_logs;
    Log(LogLevel::kWarning, "the input log was replaced",
        {{"shard", shard.value},
         {"incarnation", reply.incarnation},
         {"start", taken.start},
         {"live_parts_of_before", reply.live.size()}});
  } else if (is_created && std::max(before.watermark, taken.committed) > 0) {
    ++counts.redis_losses;
    Log(LogLevel::kWarning, "Redis has lost the shard: it is read again from Kafka",
        {{"shard", shard.value},
         {"start", taken.start},
         {"watermark_before", before.watermark},
         {"replayed_at_most", reply.replayed}});
  } else if (before.was_set_back || reply.watermark < before.watermark) {
    ++counts.redis_rollbacks;
    Log(LogLevel::kWarning, "Redis was set back: what it has forgotten is read again from Kafka",
        {{"shard", shard.value},
         {"start", taken.start},
         {"watermark", reply.watermark},
         {"watermark_before", before.watermark},
         {"low_watermark", taken.committed},
         {"resurrected_parts", CountResurrected(taken)},
         {"replayed_at_most", reply.replayed}});
  }
  if (reply.unreplayable == 0) return;
  counts.unreplayable += reply.unreplayable;
  Log(LogLevel::kError, "offsets are gone from the input log before they were read",
      {{"shard", shard.value}, {"start", taken.start}, {"unreplayable", reply.unreplayable}});
}

}  // namespace spillway::ingest
