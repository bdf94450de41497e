// The fleet's snapshot in Prometheus' text format. Made from nothing at each scrape, so that what
// is gone from the fleet is gone from the metrics.
//
// Labels: pool, slot, shard, cause, reason, role, state (and version, of spillway_build_info
// alone). A figure that is not known is left out, never zero.
#ifndef SPILLWAY_SERVER_HTTP_METRICS_H_
#define SPILLWAY_SERVER_HTTP_METRICS_H_

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "server/supervisor/snapshot.h"

namespace spillway::http {

std::vector<prometheus::MetricFamily> Collect(const supervisor::FleetSnapshot& snapshot,
                                              Instant now);

std::string MetricsText(const supervisor::FleetSnapshot& snapshot, Instant now);

}  // namespace spillway::http

#endif  // SPILLWAY_SERVER_HTTP_METRICS_H_
