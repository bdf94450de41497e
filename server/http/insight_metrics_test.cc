#include "server/http/insight_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/http/metrics.h"
#include "tests/support/sample_fleet.h"

namespace spillway::http {
namespace {

using testing::HasSubstr;
using testing::Not;

const Instant kNow = Instant(std::chrono::hours(24));

TEST(InsightMetricsTest, TellsWhereTimeGoesAndWhatComesOfIt) {
  const std::string text = MetricsText(MeasuredFleet(kNow), kNow);
  for (const char* line : {
           "spillway_worker_activity_seconds_total{pool=\"ingest\",slot=\"0\",activity=\"gate\"} "
           "45",
           "spillway_worker_activity_seconds_total{pool=\"ingest\",slot=\"0\",activity=\"idle\"} 0",
           "spillway_worker_busy_ratio{pool=\"ingest\",slot=\"0\"} 0.1",
           "spillway_pool_advised_workers{pool=\"flush\",role=\"flush\"} 1",
           "spillway_pool_advice_min_safe_workers{pool=\"flush\",role=\"flush\"} 1",
           "spillway_pool_advice_max_useful_workers{pool=\"flush\",role=\"flush\"} 1",
           "spillway_pool_advice_limit{pool=\"ingest\",role=\"ingest\",cause=\"redis\"} 1",
           "spillway_pool_advice_limit{pool=\"ingest\",role=\"ingest\",cause=\"workers\"} 0",
       }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

TEST(InsightMetricsTest, WhatIsNotKnownHasNoSample) {
  const std::string text = MetricsText(SampleFleet(kNow), kNow);
  EXPECT_THAT(text, Not(HasSubstr("spillway_pool_advised_workers")));
  EXPECT_THAT(text, Not(HasSubstr("spillway_worker_busy_ratio")));
}

}  // namespace
}  // namespace spillway::http
