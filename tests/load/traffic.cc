#include "tests/load/traffic.h"

#include <algorithm>
#include <array>

#include "tests/load/span_text.h"

namespace spillway::load {
namespace {

// Without a rate, the spread is scaled as if the stream ran at this one.
constexpr double kAssumedSpansPerSecond = 50'000;
constexpr double kTypicalTraceSpans = 20;
// Shape kSpread: no two spans of a segment closer together than this per second of spread, more
// messages than a consumer's batch holds.
constexpr double kSpreadDistance = 10'000;

uint64_t Mix(uint64_t value) { return test_support::SeededRandom(value).Next(); }

constexpr std::array<absl::string_view, 9> kInvalidMessages = {
    "",  // a tombstone
    "not a span",
    R"({"organization_id":1,"project_id":4501,"trace_id":"0123456789abcdef0123)",
    R"({"organization_id":1,"project_id":4501})",
    R"({"organization_id":1,"project_id":-1,"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","start_timestamp":1.5,"end_timestamp":2.5,"received":3,"retention_days":90,"status":"ok"})",
    R"({"organization_id":1,"project_id":4501,"trace_id":"0123456789abcdef","span_id":"0123456789abcdef","start_timestamp":1.5,"end_timestamp":2.5,"received":3,"retention_days":90,"status":"ok"})",
    R"({"organization_id":1,"project_id":4501,"trace_id":"0123456789abcdef0123456789abcdef","span_id":null,"start_timestamp":1.5,"end_timestamp":2.5,"received":3,"retention_days":90,"status":"ok"})",
    R"({"organization_id":1,"project_id":4501,"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","start_timestamp":"yesterday","end_timestamp":2.5,"received":3,"retention_days":90,"status":"ok"})",
    R"([{"organization_id":1,"project_id":4501}])",
};

}  // namespace

size_t OpenTraceCount(const TrafficOptions& options) {
  const double rate =
      options.spans_per_second > 0 ? options.spans_per_second : kAssumedSpansPerSecond;
  double open = 1;
  if (options.shape == Shape::kRealistic) open = rate * options.spread_seconds / kTypicalTraceSpans;
  if (options.shape == Shape::kSpread) open = kSpreadDistance * options.spread_seconds;
  return static_cast<size_t>(std::clamp(open, 1.0, 1'000'000.0));
}

Traffic::Traffic(const TrafficOptions& options)
    : options_(options),
      trace_random_(Mix(options.seed)),
      order_random_(Mix(options.seed + 1) ^ 1),
      invalid_random_(Mix(options.seed + 2) ^ 2),
      planner_(options),
      wanted_open_(OpenTraceCount(options)) {}

bool Traffic::Next(Message& message) {
  if (ended_slot_.has_value()) {
    free_slots_.push_back(*ended_slot_);
    ended_slot_.reset();
  }
  OpenTraces();
  if (open_.empty()) return false;
  if (options_.invalid_ratio > 0 && invalid_random_.Chance(options_.invalid_ratio)) {
    MakeInvalid(message);
    return true;
  }
  const size_t picked = PickOpen();
  const uint32_t slot = open_[picked];
  Trace& trace = traces_[slot];
  const uint32_t index = trace.order[trace.next++];
  message.kind = trace.sent[index] ? MessageKind::kDuplicate : MessageKind::kSpan;
  trace.sent[index] = true;
  message.is_tombstone = false;
  message.partition_hash = Mix(trace.high ^ trace.low);
  message.trace = &trace;
  message.span = &trace.spans[index];
  message.trace_slot = slot;
  message.ends_trace = trace.next == trace.order.size();
  WriteSpan(options_.shape, trace, trace.spans[index], message.bytes);
  PutBack(picked, message.ends_trace);
  return true;
}

void Traffic::OpenTraces() {
  while (open_.size() < wanted_open_ && planned_spans_ < options_.spans) {
    if (free_slots_.empty()) {
      free_slots_.push_back(static_cast<uint32_t>(traces_.size()));
      traces_.emplace_back();
    }
    const uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    Trace& trace = traces_[slot];
    planner_.Plan(trace_random_, options_.spans - planned_spans_, trace);
    const double rate =
        options_.spans_per_second > 0 ? options_.spans_per_second : kAssumedSpansPerSecond;
    trace.start_us = options_.base_time_ms * 1000 +
                     static_cast<int64_t>(static_cast<double>(planned_spans_) / rate * 1e6);
    planned_spans_ += trace.spans.size();
    open_.push_back(slot);
  }
}

// A random one, so that traces interleave; shape kSpread keeps its distance by taking turns.
size_t Traffic::PickOpen() {
  return options_.shape == Shape::kSpread ? 0 : order_random_.Below(open_.size());
}

void Traffic::PutBack(size_t picked, bool ended) {
  const uint32_t slot = open_[picked];
  if (ended) ended_slot_ = slot;
  if (options_.shape == Shape::kSpread) {
    open_.pop_front();
    if (!ended) open_.push_back(slot);
  } else if (ended) {
    open_[picked] = open_.back();
    open_.pop_back();
  }
}

void Traffic::MakeInvalid(Message& message) {
  const absl::string_view text = kInvalidMessages[invalid_random_.Below(kInvalidMessages.size())];
  message.kind = MessageKind::kInvalid;
  message.bytes.assign(text.data(), text.size());
  message.is_tombstone = text.empty();
  message.partition_hash = invalid_random_.Next();
  message.trace = nullptr;
  message.span = nullptr;
  message.ends_trace = false;
}

}  // namespace spillway::load
