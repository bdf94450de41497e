// Metrics and probes of a snapshot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "buffer/ledger.h"
#include "server/http/metrics.h"
#include "server/http/probes.h"
#include "tests/support/sample_fleet.h"

namespace spillway::http {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const Instant kNow = Instant(std::chrono::hours(24));

TEST(MetricsTest, TellsFleetShardsAndWorkers) {
  const std::string text = MetricsText(SampleFleet(kNow), kNow);

  for (const char* line : {
           "spillway_build_info{version=\"0.1.0\"} 1",
           "spillway_ready 0",
           "spillway_pool_desired_workers{pool=\"flush\",role=\"flush\"} 2",
           "spillway_pool_state{pool=\"flush\",role=\"flush\",state=\"running\"} 1",
           "spillway_worker_state{pool=\"flush\",slot=\"1\",role=\"flush\",state=\"crash_loop\"} 1",
           "spillway_worker_state{pool=\"flush\",slot=\"1\",role=\"flush\",state=\"ready\"} 0",
           "spillway_worker_unhealthy{pool=\"flush\",slot=\"1\",reason=\"dead\"} 1",
           "spillway_worker_restarts{pool=\"flush\",slot=\"1\"} 5",
           "spillway_worker_cpu_seconds_total{pool=\"ingest\",slot=\"0\"} 12.5",
           "spillway_worker_blocked_seconds_total{pool=\"ingest\",slot=\"0\",cause=\"redis_"
           "memory\"} 0.75",
           "spillway_worker_lateness_seconds_bucket{pool=\"flush\",slot=\"0\",le=\"0.05\"} 1",
           "spillway_worker_lateness_seconds_bucket{pool=\"flush\",slot=\"0\",le=\"+Inf\"} 2",
           "spillway_ingest_spans_total{pool=\"ingest\",slot=\"0\",shard=\"0\"} 120000",
           "spillway_ingest_dictionary_bytes{pool=\"ingest\",slot=\"0\"} 16384",
           "spillway_ingest_dictionaries_dropped_total{pool=\"ingest\",slot=\"0\"} 3",
           "spillway_ingest_dictionary_chunks_total{pool=\"ingest\",slot=\"0\"} 29000",
           "spillway_ingest_chunk_stored_bytes_total{pool=\"ingest\",slot=\"0\"} 15000000",
           "spillway_flush_segments_total{pool=\"flush\",slot=\"0\",shard=\"0\"} 20000",
           "spillway_shard_backlog_parts{shard=\"0\"} 240",
           "spillway_shard_in_flight_parts{shard=\"0\"} 10",
           "spillway_shard_lateness_seconds{shard=\"0\"} 2.5",
           "spillway_shard_gate_state{shard=\"0\",state=\"closed\"} 1",
           "spillway_shard_gate_cause{shard=\"0\",cause=\"redis_memory\"} 1",
           "spillway_shard_watermark{shard=\"0\"} 120000",
           "spillway_ingest_lag{shard=\"0\"} 42",
           "spillway_ledger_accepted_total{shard=\"0\"} 120000",
           "spillway_ledger_age_seconds{shard=\"0\"} 1",
           "spillway_ledger_incarnation{shard=\"0\"} 1",
           "spillway_audit_residual_spans{shard=\"0\"} -2",
           "spillway_audit_age_seconds{shard=\"0\"} 60",
       }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

TEST(MetricsTest, TellEveryCounterOfTheLedger) {
  const supervisor::FleetSnapshot fleet = SampleFleet(kNow);
  const std::string text = MetricsText(fleet, kNow);
  for (const buffer::LedgerCounter& counter : buffer::kLedgerCounters) {
    const std::string name = std::string("spillway_ledger_") + counter.name + "_total";
    EXPECT_THAT(text,
                HasSubstr("# TYPE " + name + " counter\n" + name + "{shard=\"0\"} " +
                          std::to_string(fleet.shards[0].ledger->ledger.*counter.value) + "\n"));
  }
}

TEST(MetricsTest, UnknownIsAbsentAndNotZero) {
  const std::string text = MetricsText(SampleFleet(kNow), kNow);

  EXPECT_THAT(text, Not(HasSubstr("shard=\"1\"")));
  EXPECT_THAT(text, Not(HasSubstr("spillway_worker_memory_bytes{pool=\"flush\",slot=\"1\"}")));
}

TEST(MetricsTest, UsesOnlyTheVocabularyOfLabelsAndUniqueNames) {
  const std::set<std::string> vocabulary = {"pool",     "slot",   "shard", "cause",
                                            "activity", "reason", "role",  "state"};
  std::set<std::string> names;
  for (const auto& family : Collect(SampleFleet(kNow), kNow)) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_TRUE(std::regex_match(family.name, std::regex("spillway_[a-z_]+"))) << family.name;
    EXPECT_EQ(family.type == prometheus::MetricType::Counter, family.name.ends_with("_total"))
        << family.name;
    EXPECT_FALSE(family.help.empty());
    for (const auto& metric : family.metric) {
      for (const auto& label : metric.label) {
        EXPECT_TRUE(vocabulary.contains(label.name) ||
                    (family.name == "spillway_build_info" && label.name == "version"))
            << family.name << " " << label.name;
      }
    }
  }
}

TEST(ReadinessTest, NamesWhatIsWaitedFor) {
  const ProbeAnswer brief = Readiness(SampleFleet(kNow), kNow, false);
  const ProbeAnswer verbose = Readiness(SampleFleet(kNow), kNow, true);

  EXPECT_FALSE(brief.ok);
  EXPECT_EQ(
      brief.text,
      "[-]kafka not ready: waiting for a broker at 127.0.0.1:9092 (seen 2.0 s ago)\nnot ready\n");
  EXPECT_EQ(verbose.text, "[+]redis ok (seen 2.0 s ago)\n" + brief.text);
}

TEST(ReadinessTest, IsReadyUntilTheServerStops) {
  supervisor::FleetSnapshot fleet = HealthyFleet(kNow);
  const ProbeAnswer ready = Readiness(fleet, kNow, false);
  fleet.is_stopping = true;
  const ProbeAnswer stopping = Readiness(fleet, kNow, false);

  EXPECT_TRUE(ready.ok);
  EXPECT_EQ(ready.text, "ready\n");
  EXPECT_FALSE(stopping.ok);
  EXPECT_THAT(stopping.text, HasSubstr("stopping"));
}

}  // namespace
}  // namespace spillway::http
