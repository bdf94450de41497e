// The verbs of spillway-load. Each returns when its work is done; an error's text is for a person.
#ifndef SPILLWAY_TESTS_LOAD_COMMANDS_H_
#define SPILLWAY_TESTS_LOAD_COMMANDS_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/load/trace_plan.h"

namespace spillway::load {

struct MakeOptions {
  std::string brokers;
  std::string topic;
  std::string manifest_path;  // empty: none is written
  TrafficOptions traffic;
};

// Sends the traffic, at traffic.spans_per_second or as fast as the brokers take it, and writes the
// manifest. SIGINT or SIGTERM end it early, with a manifest of what was sent.
absl::Status Make(const MakeOptions& options);

struct CheckCommandOptions {
  std::string brokers;
  std::string topic;
  std::string manifest_path;
  std::chrono::milliseconds timeout{60'000};  // for everything to come, from the start of reading
  std::chrono::milliseconds idle{0};          // give up when nothing new came for so long; 0: never
  std::chrono::milliseconds settle{1'000};    // after everything has come: surplus would show now
  std::chrono::milliseconds root_timeout{10'000};  // not counted as lateness
  std::chrono::milliseconds idle_timeout{60'000};  // the same, segments without a segment span
  bool as_json = false;
  bool allow_duplicates = false;
  bool ignore_others = false;  // what is not in the manifest is no failure
};

// Reads the output topic from its beginning and prints the report. Whether nothing was lost, wrong
// or (unless allowed) duplicated.
absl::StatusOr<bool> Check(const CheckCommandOptions& options);

struct TracesOptions {
  std::string brokers;
  std::string topic;
  std::vector<std::string> files;  // one message a line
};

// Sends the lines as they are, partitioned by their trace ids.
absl::Status SendTraces(const TracesOptions& options);

struct RefeedOptions {
  std::string brokers;
  std::string from_topic;                 // of dead letters
  std::string to_topic;                   // empty: the topic that each letter names
  std::string group = "spillway-refeed";  // remembers how far it has come
  std::vector<std::string> reasons;       // letters with these only; empty: with any
  double letters_per_second = 0;          // 0: as fast as possible
  bool is_dry_run = false;                // only counts
  bool as_json = false;
};

// Sends what lies in a dead letter topic into the topic it came from once more: the same bytes and
// key, to the same partition, with a header that says so. Begins where the group left off and ends
// at the topic's present end; what it leaves out is passed over too. Each letter is sent once, even
// if the run is killed and repeated. SIGINT or SIGTERM end it early. Prints the report.
absl::Status RefeedLetters(const RefeedOptions& options);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_COMMANDS_H_
