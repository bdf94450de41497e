// Builds metric families a sample at a time.
#ifndef SPILLWAY_SERVER_HTTP_FAMILY_BUILDER_H_
#define SPILLWAY_SERVER_HTTP_FAMILY_BUILDER_H_

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "proto/wire/worker_report.h"

namespace spillway::http {

using Labels = std::vector<prometheus::ClientMetric::Label>;

class Family {
 public:
  Family(std::string name, std::string help, prometheus::MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  template <typename Number>
  void Add(Labels labels, Number value) {
    prometheus::ClientMetric& metric = AddMetric(std::move(labels));
    metric.gauge.value = static_cast<double>(value);
    metric.counter.value = static_cast<double>(value);  // which one counts, the type says
  }

  void Add(Labels labels, const wire::Lateness& lateness) {
    prometheus::ClientMetric::Histogram& histogram = AddMetric(std::move(labels)).histogram;
    for (size_t i = 0; i < lateness.counts.size(); ++i) {
      histogram.sample_count += lateness.counts[i];
      if (i < wire::kLatenessBounds.size()) {
        histogram.bucket.push_back({histogram.sample_count, wire::kLatenessBounds[i]});
      }
    }
    histogram.sample_sum = lateness.sum_seconds;
  }

  // Gives it to `families` unless it is empty.
  void MoveTo(std::vector<prometheus::MetricFamily>& families) && {
    if (!family_.metric.empty()) families.push_back(std::move(family_));
  }

 private:
  prometheus::ClientMetric& AddMetric(Labels labels) {
    family_.metric.emplace_back().label = std::move(labels);
    return family_.metric.back();
  }

  prometheus::MetricFamily family_;
};

inline Family Gauge(std::string name, std::string help) {
  return {std::move(name), std::move(help), prometheus::MetricType::Gauge};
}
inline Family Counter(std::string name, std::string help) {
  return {std::move(name), std::move(help), prometheus::MetricType::Counter};
}
inline Family Histogram(std::string name, std::string help) {
  return {std::move(name), std::move(help), prometheus::MetricType::Histogram};
}

// Label values are lower case, whatever the vocabulary's text elsewhere is.
inline std::string LabelValue(const char* name) { return absl::AsciiStrToLower(name); }

}  // namespace spillway::http

#endif  // SPILLWAY_SERVER_HTTP_FAMILY_BUILDER_H_
