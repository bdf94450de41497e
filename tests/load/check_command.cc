#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/clock.h"
#include "base/status_macros.h"
#include "tests/load/checker.h"
#include "tests/load/commands.h"
#include "tests/load/interrupt.h"
#include "tests/load/kafka_io.h"
#include "tests/load/progress.h"

namespace spillway::load {
namespace {

constexpr std::chrono::milliseconds kPollWait(100);

// Decides when enough has been read.
class Patience {
 public:
  Patience(const CheckCommandOptions& options, Instant now)
      : options_(options), deadline_(now + options.timeout), last_news_(now) {}

  bool IsOver(bool has_news, bool has_everything, Instant now) {
    if (has_news) {
      last_news_ = now;
      has_any_ = true;
    }
    if (has_everything) return now - last_news_ >= options_.settle;
    if (has_any_ && options_.idle.count() > 0 && now - last_news_ >= options_.idle) return true;
    return now >= deadline_;
  }

 private:
  const CheckCommandOptions& options_;
  const Instant deadline_;
  Instant last_news_;
  bool has_any_ = false;
};

absl::Status ReadOutput(const CheckCommandOptions& options, Checker& checker) {
  const InterruptGuard interrupt;
  ASSIGN_OR_RETURN(const std::unique_ptr<TopicReader> reader,
                   TopicReader::Open(options.brokers, options.topic));
  Progress progress("checked", checker.spans_expected());
  Patience patience(options, SystemClock().Now());
  while (true) {
    ASSIGN_OR_RETURN(const size_t count,
                     reader->Poll(kPollWait, [&](const IncomingMessage& message) {
                       checker.Observe(message.value, message.timestamp_ms);
                     }));
    const Instant now = SystemClock().Now();
    progress.Update(checker.spans_seen(), now);
    if (patience.IsOver(count > 0, checker.HasEverything(), now)) return absl::OkStatus();
    if (interrupt.IsInterrupted()) return absl::OkStatus();
  }
}

}  // namespace

absl::StatusOr<bool> Check(const CheckCommandOptions& options) {
  ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(options.manifest_path));
  ASSIGN_OR_RETURN(Expectation expectation, ExpectationOf(manifest));
  Checker checker(std::move(expectation), {.root_timeout_ms = options.root_timeout.count(),
                                           .idle_timeout_ms = options.idle_timeout.count(),
                                           .ignores_others = options.ignore_others});
  RETURN_IF_ERROR(ReadOutput(options, checker));
  CheckReport report = checker.Finish();
  if (options.as_json) {
    std::printf("%s\n", ReportJson(report).c_str());
    for (const std::string& sample : report.samples) std::fprintf(stderr, "%s\n", sample.c_str());
  } else {
    std::printf("%s", ReportText(report).c_str());
  }
  return report.lost == 0 && report.wrong == 0 &&
         (options.allow_duplicates || report.duplicated == 0);
}

}  // namespace spillway::load
