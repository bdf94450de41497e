// Metrics of what workers do with their time, and of the advice that comes of it.
#ifndef SPILLWAY_SERVER_HTTP_INSIGHT_METRICS_H_
#define SPILLWAY_SERVER_HTTP_INSIGHT_METRICS_H_

#include <prometheus/metric_family.h>

#include <vector>

#include "base/clock.h"
#include "server/supervisor/snapshot.h"

namespace spillway::http {

// What is not known has no sample.
void CollectInsight(const supervisor::FleetSnapshot& snapshot, Instant now,
                    std::vector<prometheus::MetricFamily>& families);

}  // namespace spillway::http

#endif  // SPILLWAY_SERVER_HTTP_INSIGHT_METRICS_H_
