// Compares output messages with what was expected: every span once, in the right segment,
// unchanged.
#ifndef SPILLWAY_TESTS_LOAD_CHECKER_H_
#define SPILLWAY_TESTS_LOAD_CHECKER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tests/load/expectation.h"
#include "tests/load/span_scan.h"

namespace spillway::load {

struct CheckOptions {
  int64_t root_timeout_ms = 10'000;  // what lateness does not count: the time a segment had to wait
  int64_t idle_timeout_ms = 60'000;  // the same for segments without a segment span
  bool ignores_others = false;       // spans that were not sent belong to other traffic
  size_t max_samples = 10;           // of lost, of duplicated and of wrong spans in the report
};

struct Quantiles {
  int64_t p50 = 0;
  int64_t p99 = 0;
  int64_t p999 = 0;
};

struct CheckReport {
  uint64_t spans_in = 0;        // distinct spans sent
  uint64_t segments_in = 0;     // that these must form
  uint64_t spans_seen = 0;      // of spans_in
  uint64_t segments_out = 0;    // of segments_in, those of which at least one span came
  uint64_t segments_split = 0;  // of segments_out, those that came in several messages
  uint64_t messages_out = 0;
  uint64_t lost = 0;                      // spans that never came
  uint64_t duplicated = 0;                // further copies of spans
  uint64_t duplicated_same_flush_id = 0;  // of these, in a message with the first one's flush id
  uint64_t duplicated_elsewhere = 0;      // of these, in a copy under another segment id
  uint64_t wrong = 0;                     // spans or messages that break a rule
  Quantiles age_ms;        // output timestamp − timestamp of the message's last span
  Quantiles lateness_ms;   // the same less the segment's timeout
  double spans_per_s = 0;  // from the first input timestamp to the last output timestamp
  std::vector<std::string> samples;

  bool IsClean() const { return lost == 0 && duplicated == 0 && wrong == 0; }
};

// Observe() every message of the output topic, then Finish() once. Not thread-safe.
class Checker {
 public:
  Checker(Expectation expectation, CheckOptions options);

  // REQUIRES: fewer than 2^32 - 1 messages.
  void Observe(absl::string_view message, int64_t timestamp_ms);

  // Whether every expected span has come: nothing but surplus can follow.
  bool HasEverything() const { return report_.spans_seen == expectation_.spans.size(); }
  uint64_t spans_seen() const { return report_.spans_seen; }
  uint64_t spans_expected() const { return expectation_.spans.size(); }

  CheckReport Finish();

 private:
  struct SegmentState {
    uint32_t seen = 0;
    uint32_t messages = 0;
    uint32_t messages_without_skip = 0;
    bool has_duplicates = false;
  };
  // What the spans of one message have in common.
  struct MessageState {
    uint32_t segment = kNone;
    uint32_t last_arrival = 0;
    bool has_known_span = false;
    bool has_new_span = false;
    int64_t last_timestamp_ms = 0;
  };

  void ObserveSpan(const ScannedSpan& span, MessageState& state);
  void Accept(ExpectedSpan& expected, const ScannedSpan& span, MessageState& state);
  uint32_t PlaceOf(ExpectedSpan& expected, const MessageState& state);
  absl::Status CheckEdits(const ExpectedSpan& expected, const ScannedSpan& span) const;
  void CloseMessage(const MessageState& state, bool is_skipping, int64_t timestamp_ms);
  void JudgeCopies();
  void JudgeGroups();
  void CountLost();
  void Wrong(const std::string& what);
  void Sample(const std::string& what);

  Expectation expectation_;
  const CheckOptions options_;
  CheckReport report_;
  std::vector<SegmentState> segments_;  // by index into expectation_.segments
  std::vector<uint64_t> flush_ids_;     // hash, by output message
  std::vector<int64_t> ages_ms_;
  std::vector<int64_t> latenesses_ms_;
  int64_t last_output_ms_ = 0;
  ScannedMessage scanned_;  // reused
  std::string original_;    // reused
  // Copies with edits of another segment, and what is wrong about them.
  std::vector<std::pair<const ExpectedSpan*, std::string>> misplaced_;
  // Those of which a copy stands where they were repeated.
  std::vector<const ExpectedSpan*> repeated_;
  std::map<std::string, size_t> samples_;  // in the report, by kind
};

// {"spans_in", "segments_out", "lost", "duplicated", "wrong", "lateness_ms": {"p50", "p99",
// "p999"}, "spans_per_s", …} on one line.
std::string ReportJson(const CheckReport& report);
// A table for people.
std::string ReportText(const CheckReport& report);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_CHECKER_H_
