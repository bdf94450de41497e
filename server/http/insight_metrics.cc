#include "server/http/insight_metrics.h"

#include <string>
#include <utility>

#include "server/http/family_builder.h"
#include "server/supervisor/insight.h"

namespace spillway::http {
namespace {

void CollectActivity(const supervisor::FleetSnapshot& snapshot,
                     std::vector<prometheus::MetricFamily>& families) {
  Family time = Counter("spillway_worker_activity_seconds_total",
                        "What the shards that the worker holds did or waited for, added up.");
  Family busy = Gauge("spillway_worker_busy_ratio",
                      "Part of the last minute that the worker's loop worked; 1: it is full.");
  for (const supervisor::WorkerView& worker : snapshot.workers) {
    const Labels labels = {{"pool", worker.key.pool}, {"slot", std::to_string(worker.key.slot)}};
    if (worker.use) busy.Add(labels, worker.use->busy);
    if (worker.report == nullptr) continue;
    wire::ActivityTimes sums{};
    for (const wire::ShardReport& shard : worker.report->shards) {
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += shard.times[i];
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      Labels each = labels;
      each.push_back({"activity", wire::ActivityName(static_cast<wire::Activity>(i))});
      time.Add(std::move(each), std::chrono::duration<double>(sums[i]).count());
    }
  }
  std::move(time).MoveTo(families);
  std::move(busy).MoveTo(families);
}

void CollectAdvice(const supervisor::FleetSnapshot& snapshot, Instant now,
                   std::vector<prometheus::MetricFamily>& families) {
  Family desired = Gauge("spillway_pool_advised_workers", "Workers that the pool should have.");
  Family safe = Gauge("spillway_pool_advice_min_safe_workers",
                      "With fewer workers than this the pool falls behind.");
  Family useful = Gauge("spillway_pool_advice_max_useful_workers",
                        "More workers than this find nothing to do.");
  Family limit = Gauge("spillway_pool_advice_limit", "1 for what keeps the pool from doing more.");
  for (const supervisor::PoolView& pool : snapshot.pools) {
    const auto advice = supervisor::AdviseOn(snapshot, pool.name, now);
    if (!advice.ok()) continue;
    const Labels labels = {{"pool", pool.name}, {"role", wire::RoleName(pool.role)}};
    desired.Add(labels, advice->desired);
    safe.Add(labels, advice->min_safe);
    useful.Add(labels, advice->max_useful);
    using enum fleet::ScaleLimit;
    for (const auto each : {kWorkers, kKafka, kRedis, kInput, kFlush}) {
      Labels with = labels;
      with.push_back({"cause", fleet::LimitName(each)});
      limit.Add(std::move(with), advice->limit == each ? 1 : 0);
    }
  }
  for (Family* family : {&desired, &safe, &useful, &limit}) std::move(*family).MoveTo(families);
}

}  // namespace

void CollectInsight(const supervisor::FleetSnapshot& snapshot, Instant now,
                    std::vector<prometheus::MetricFamily>& families) {
  CollectActivity(snapshot, families);
  CollectAdvice(snapshot, now, families);
}

}  // namespace spillway::http
