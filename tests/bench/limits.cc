// What Kafka alone costs: the floor under any figure of the ingest and the flush worker. A bare
// consumer reads the same bytes an ingest worker reads, a bare producer (idempotent, acks=all, lz4)
// writes messages of the size a flush worker writes. CPU time is this process's, all threads.
//
// Prints one JSON object a line and shape:
//   {"shape", "spans", "consume_us", "produce_us" (CPU µs per span), "consume_spans_per_s",
//    "produce_spans_per_s" (wall)}
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "tests/load/kafka_io.h"
#include "tests/load/manifest.h"
#include "tests/load/traffic.h"

namespace spillway::load {
namespace {

constexpr std::chrono::milliseconds kPollWait(100);
constexpr std::chrono::seconds kFlushTimeout(120);
constexpr std::chrono::seconds kStallLimit(30);
constexpr uint64_t kPreparedSpans = 50'000;  // the producer sends these again and again

struct Options {
  std::string brokers;
  std::vector<std::string> shapes = {"k1", "k5", "k20"};
  uint64_t spans = 300'000;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Cost {
  double cpu_us_per_span = 0;
  double spans_per_s = 0;
};

// CPU and wall time from its making on.
class Meter {
 public:
  Meter() : cpu_(CpuSeconds()), wall_(SystemClock().Now()) {}

  Cost Stop(uint64_t spans) const {
    const double count = static_cast<double>(spans);
    const double seconds = std::chrono::duration<double>(SystemClock().Now() - wall_).count();
    return {.cpu_us_per_span = (CpuSeconds() - cpu_) * 1e6 / count, .spans_per_s = count / seconds};
  }

 private:
  const double cpu_;
  const Instant wall_;
};

// A topic of one partition that is gone afterwards.
class ScratchTopic {
 public:
  static absl::StatusOr<ScratchTopic> Create(const std::string& brokers, absl::string_view role) {
    TopicSpec spec;
    spec.name = absl::StrCat("bench-limits-", role, "-", getpid());
    spec.partitions = 1;
    spec.config["max.message.bytes"] = "20000000";
    RETURN_IF_ERROR(CreateTopics(brokers, {spec}));
    return ScratchTopic(brokers, spec.name);
  }
  ScratchTopic(ScratchTopic&& other) noexcept
      : brokers_(std::move(other.brokers_)), name_(std::exchange(other.name_, "")) {}
  ScratchTopic& operator=(ScratchTopic&&) = delete;
  ~ScratchTopic() {
    if (!name_.empty()) DeleteTopics(brokers_, {name_}).IgnoreError();
  }

  const std::string& name() const { return name_; }

 private:
  ScratchTopic(std::string brokers, std::string name)
      : brokers_(std::move(brokers)), name_(std::move(name)) {}

  std::string brokers_;
  std::string name_;
};

TrafficOptions OptionsFor(Shape shape, uint64_t spans) {
  TrafficOptions options;
  options.spans = spans;
  options.shape = shape;
  options.base_time_ms = SystemClock().Wall().us / 1000;
  return options;
}

absl::Status Fill(const std::string& brokers, const std::string& topic,
                  const TrafficOptions& options) {
  ASSIGN_OR_RETURN(const auto writer, TopicWriter::Open(brokers, topic));
  Traffic traffic(options);
  for (Message message; traffic.Next(message);) {
    OutgoingMessage out;
    out.value = message.bytes;
    RETURN_IF_ERROR(writer->Send(out));
  }
  return writer->Flush(kFlushTimeout);
}

absl::StatusOr<Cost> MeasureConsume(const Options& options, Shape shape) {
  ASSIGN_OR_RETURN(const ScratchTopic topic, ScratchTopic::Create(options.brokers, "in"));
  RETURN_IF_ERROR(Fill(options.brokers, topic.name(), OptionsFor(shape, options.spans)));
  const Meter meter;
  ASSIGN_OR_RETURN(const auto reader, TopicReader::Open(options.brokers, topic.name()));
  uint64_t seen = 0;
  uint64_t bytes = 0;
  Instant last_news = SystemClock().Now();
  while (seen < options.spans) {
    ASSIGN_OR_RETURN(const size_t count,
                     reader->Poll(kPollWait, [&](const IncomingMessage& message) {
                       bytes += message.value.size();
                     }));
    seen += count;
    const Instant now = SystemClock().Now();
    if (count > 0) last_news = now;
    if (now - last_news > kStallLimit) return absl::DeadlineExceededError("the topic went silent");
  }
  if (bytes == 0) return absl::InternalError("messages without bytes");
  return meter.Stop(seen);
}

struct PreparedMessage {
  std::string text;
  uint64_t spans = 0;
};

// Messages as a flush worker writes them, one per segment.
std::vector<PreparedMessage> PrepareSegments(Shape shape) {
  std::vector<PreparedMessage> prepared;
  std::vector<std::vector<std::string>> open;  // by trace slot
  Traffic traffic(OptionsFor(shape, kPreparedSpans));
  for (Message message; traffic.Next(message);) {
    if (message.trace_slot >= open.size()) open.resize(message.trace_slot + 1);
    std::vector<std::string>& spans = open[message.trace_slot];
    spans.push_back(message.bytes);
    if (!message.ends_trace) continue;
    prepared.push_back({.text = absl::StrCat(R"({"spans":[)", absl::StrJoin(spans, ","),
                                             R"(],"flush_id":"0123456789abcdef0123456789abcdef"})"),
                        .spans = spans.size()});
    spans.clear();
  }
  return prepared;
}

absl::StatusOr<Cost> MeasureProduce(const Options& options, Shape shape) {
  ASSIGN_OR_RETURN(const ScratchTopic topic, ScratchTopic::Create(options.brokers, "out"));
  const std::vector<PreparedMessage> prepared = PrepareSegments(shape);
  const Meter meter;
  ASSIGN_OR_RETURN(const auto writer, TopicWriter::Open(options.brokers, topic.name(),
                                                        {{"message.max.bytes", "20000000"}}));
  uint64_t sent = 0;
  for (size_t i = 0; sent < options.spans; i = (i + 1) % prepared.size()) {
    OutgoingMessage out;
    out.value = prepared[i].text;
    RETURN_IF_ERROR(writer->Send(out));
    writer->Poll(std::chrono::milliseconds(0));
    sent += prepared[i].spans;
  }
  RETURN_IF_ERROR(writer->Flush(kFlushTimeout));
  return meter.Stop(sent);
}

absl::Status Run(const Options& options) {
  for (const std::string& name : options.shapes) {
    ASSIGN_OR_RETURN(const Shape shape, ParseShape(name));
    ASSIGN_OR_RETURN(const Cost consume, MeasureConsume(options, shape));
    ASSIGN_OR_RETURN(const Cost produce, MeasureProduce(options, shape));
    std::printf(R"({"shape":"%s","spans":%llu,"consume_us":%.3f,"produce_us":%.3f,)"
                R"("consume_spans_per_s":%.0f,"produce_spans_per_s":%.0f})"
                "\n",
                name.c_str(), static_cast<unsigned long long>(options.spans),
                consume.cpu_us_per_span, produce.cpu_us_per_span, consume.spans_per_s,
                produce.spans_per_s);
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace spillway::load

int main(int argc, char** argv) {
  CLI::App app("Measures what reading and writing the same bytes costs with Kafka's client alone.");
  spillway::load::Options options;
  app.add_option("--brokers", options.brokers, "Kafka's bootstrap servers")->required();
  app.add_option("--shape", options.shapes,
                 "realistic, k1, k5, k20 or spread; repeatable [k1 k5 k20]");
  app.add_option("--spans", options.spans, "Spans a shape [300000]")->check(CLI::PositiveNumber);
  bool as_json = true;
  app.add_flag("--json", as_json, "The only format: one object a line and shape");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = spillway::load::Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_limits: %s\n", std::string(status.message()).c_str());
  return 1;
}
