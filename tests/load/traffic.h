// Seeded realistic traffic: an endless-looking but reproducible stream of span messages. The same
// options give the same messages in the same order, byte for byte, so that a checker can make them
// again instead of being told.
#ifndef SPILLWAY_TESTS_LOAD_TRAFFIC_H_
#define SPILLWAY_TESTS_LOAD_TRAFFIC_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/load/trace_plan.h"
#include "tests/support/seeded_random.h"

namespace spillway::load {

enum class MessageKind {
  kSpan,       // a span seen for the first time
  kDuplicate,  // the same bytes as an earlier message of the same trace
  kInvalid,    // must go to the dead letter topic
};

// One message of the stream. Reused: valid until the next call of Next().
struct Message {
  MessageKind kind = MessageKind::kSpan;
  std::string bytes;
  bool is_tombstone = false;    // invalid: a null payload (bytes is empty)
  uint64_t partition_hash = 0;  // of the trace id: partition = partition_hash % partitions
  // Not for invalid ones:
  const Trace* trace = nullptr;
  const PlannedSpan* span = nullptr;
  uint32_t trace_slot = 0;  // identifies the trace among those open now
  bool ends_trace = false;  // nothing more of this trace will come; its slot is free again
};

// Not thread-safe. Holds the open traces only: memory does not grow with the length of the stream.
class Traffic {
 public:
  explicit Traffic(const TrafficOptions& options);

  // Makes the next message; false at the end of the stream: `options.spans` spans have been made
  // (duplicates and invalid messages come on top).
  bool Next(Message& message);

 private:
  void OpenTraces();
  size_t PickOpen();
  void PutBack(size_t picked, bool ended);
  void MakeInvalid(Message& message);

  TrafficOptions options_;
  test_support::SeededRandom trace_random_;
  test_support::SeededRandom order_random_;
  test_support::SeededRandom invalid_random_;
  TracePlanner planner_;
  uint64_t planned_spans_ = 0;
  size_t wanted_open_;
  std::vector<Trace> traces_;           // by slot; grows to the number of traces open at once
  std::vector<uint32_t> free_slots_;    // of traces_
  std::deque<uint32_t> open_;           // slots of the open traces
  std::optional<uint32_t> ended_slot_;  // freed at the next call: the last message points into it
};

// How many traces the stream keeps open at once: what spreads a trace's spans over time.
size_t OpenTraceCount(const TrafficOptions& options);

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_TRAFFIC_H_
