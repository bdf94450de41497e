// A fleet with one of everything worth showing, the same in every run.
#ifndef SPILLWAY_TESTS_SUPPORT_SAMPLE_FLEET_H_
#define SPILLWAY_TESTS_SUPPORT_SAMPLE_FLEET_H_

#include "base/clock.h"
#include "server/supervisor/snapshot.h"

namespace spillway {

// Pools ingest (1 worker, healthy) and flush (2 of 2 wanted exist: one ready, one in CRASH_LOOP);
// shard 0 with figures of both owners and a closed gate, shard 1 without any; Redis is fine, Kafka
// waited for. What has an age was seen 2 s before `now`.
supervisor::FleetSnapshot SampleFleet(Instant now);

// The same, everything healthy and ready: flush has two ready workers.
supervisor::FleetSnapshot HealthyFleet(Instant now);

// As SampleFleet, with shard 0 alone and where its time went: ingest 90 % at its gate, 10 % of
// work; flush 95 % idle, 5 % of work; both over 50 s that ended 2 s before `now`.
supervisor::FleetSnapshot MeasuredFleet(Instant now);

// An audit that found a shard in order.
supervisor::ShardAudit SampleAudit(int32_t shard);

}  // namespace spillway

#endif  // SPILLWAY_TESTS_SUPPORT_SAMPLE_FLEET_H_
