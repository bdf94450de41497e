#include "tests/load/trace_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spillway::load {
namespace {

using test_support::SeededRandom;

constexpr size_t kMaxTraceSpans = 500;
constexpr double kSizeExponent = 1.5;  // of the Zipf-like sizes: mean about 17 spans

constexpr std::array<Service, 8> kServices = {{
    {"storefront", "10.0.1.11", 4501},
    {"api-gateway", "10.0.1.12", 4502},
    {"checkout", "10.0.2.21", 4503},
    {"payments", "10.0.2.22", 4503},
    {"inventory", "10.0.3.31", 4504},
    {"recommendations", "10.0.3.32", 4505},
    {"search", "10.0.4.41", 4505},
    {"notifications", "10.0.4.42", 4506},
}};

// How many positions back a span's parent may be: narrow and deep trees, as call trees are.
constexpr uint64_t kParentReach = 8;

// A trace whose segments are not all complete, drawn by rootless_ratio.
enum class Flaw : uint8_t { kNone, kForeignRoot, kUnmarkedBoundary, kOpaqueNames };

Flaw DrawFlaw(SeededRandom& random, double ratio) {
  if (!random.Chance(ratio)) return Flaw::kNone;
  constexpr std::array<Flaw, 3> kFlaws = {Flaw::kForeignRoot, Flaw::kUnmarkedBoundary,
                                          Flaw::kOpaqueNames};
  return kFlaws[random.Below(kFlaws.size())];
}

IsSegmentForm DrawPlainForm(SeededRandom& random) {
  const uint64_t draw = random.Below(20);
  if (draw == 0) return IsSegmentForm::kNull;
  return draw < 6 ? IsSegmentForm::kMissing : IsSegmentForm::kFalse;
}

// A span that never was in a segment of its own carries its segment's id in about a fifth of all
// cases.
void DrawAttributes(SeededRandom& random, uint64_t segment_id, PlannedSpan& span) {
  const uint64_t draw = random.Below(100);
  span.attributes = AttributesForm::kWithoutId;
  span.is_empty = draw < 2;
  if (draw >= 2 && draw < 4) span.attributes = AttributesForm::kMissing;
  if (draw >= 4 && draw < 6) span.attributes = AttributesForm::kNull;
  if (draw >= 6 && draw < 8) span.attributes = AttributesForm::kIdNull;
  if (draw >= 80) {
    span.attributes = AttributesForm::kWithId;
    span.segment_id = segment_id;
  }
}

// Makes one realistic trace, span after span; a parent always comes before its children.
class RealisticTrace {
 public:
  RealisticTrace(SeededRandom& random, Flaw flaw, Trace& trace)
      : random_(random), flaw_(flaw), trace_(trace) {}

  void AddSpans(size_t count) {
    AddRoot();
    while (trace_.spans.size() < count) AddChild();
  }

 private:
  void AddRoot() {
    PlannedSpan root;
    root.id = random_.Next();
    root.service = static_cast<uint8_t>(random_.Below(2));
    root.is_segment = random_.Chance(0.8) ? IsSegmentForm::kTrue : DrawPlainForm(random_);
    if (flaw_ == Flaw::kForeignRoot) {
      root.has_parent = true;
      root.parent_id = random_.Next();
      root.is_segment = IsSegmentForm::kFalse;
    }
    DrawAttributes(random_, root.id, root);
    if (flaw_ == Flaw::kForeignRoot && root.attributes == AttributesForm::kWithId) {
      root.attributes = AttributesForm::kIdNull;
    }
    Push(root, 0);
  }

  void AddChild() {
    const size_t count = trace_.spans.size();
    const size_t parent_index = count - 1 - random_.Below(std::min<uint64_t>(count, kParentReach));
    const PlannedSpan parent = trace_.spans[parent_index];
    PlannedSpan span;
    span.id = random_.Next();
    span.parent_id = parent.id;
    span.has_parent = true;
    span.service = parent.service;
    if (random_.Chance(0.12)) return AddBoundary(span);
    span.is_segment = DrawPlainForm(random_);
    const size_t local_root = local_roots_[parent_index];
    DrawAttributes(random_, trace_.spans[local_root].id, span);
    span.is_opaque = flaw_ == Flaw::kOpaqueNames && span.attributes == AttributesForm::kWithId;
    if (random_.Chance(0.003)) ShareId(parent, span);
    Push(span, local_root);
  }

  // The first span of a call into another service.
  void AddBoundary(PlannedSpan span) {
    span.service = static_cast<uint8_t>((span.service + 1 + random_.Below(kServices.size() - 1)) %
                                        kServices.size());
    const bool is_marked = flaw_ != Flaw::kUnmarkedBoundary || random_.Chance(0.5);
    span.is_segment = is_marked ? IsSegmentForm::kTrue : DrawPlainForm(random_);
    DrawAttributes(random_, span.id, span);
    if (!is_marked && span.attributes == AttributesForm::kWithId) {
      span.attributes = AttributesForm::kWithoutId;
    }
    Push(span, trace_.spans.size());
  }

  // Client and server side of one call under one id.
  static void ShareId(const PlannedSpan& client, PlannedSpan& server) {
    server.id = client.id;
    server.parent_id = client.parent_id;
    server.has_parent = client.has_parent;
  }

  void Push(PlannedSpan span, size_t local_root) {
    span.index = static_cast<uint32_t>(trace_.spans.size());
    trace_.spans.push_back(span);
    local_roots_.push_back(local_root);
  }

  SeededRandom& random_;
  const Flaw flaw_;
  Trace& trace_;
  std::vector<size_t> local_roots_;
};

size_t FixedSize(Shape shape) {
  switch (shape) {
    case Shape::kOne:
      return 1;
    case Shape::kFive:
      return 5;
    case Shape::kTwenty:
    case Shape::kSpread:
    case Shape::kRealistic:
      break;
  }
  return 20;
}

}  // namespace

const Service& ServiceOf(const PlannedSpan& span) { return kServices[span.service]; }

std::string OpaqueSegmentId(const PlannedSpan& span) {
  return absl::StrCat("checkout/", span.segment_id % 3);
}

TracePlanner::TracePlanner(const TrafficOptions& options) : options_(options) {
  double sum = 0;
  for (size_t size = 1; size <= kMaxTraceSpans; ++size) {
    sum += std::pow(static_cast<double>(size), -kSizeExponent);
    size_distribution_.push_back(sum);
  }
  for (double& value : size_distribution_) value /= sum;
}

void TracePlanner::Plan(SeededRandom& random, uint64_t max_spans, Trace& trace) const {
  trace.spans.clear();
  trace.order.clear();
  trace.sent.clear();
  trace.next = 0;
  trace.high = random.Next();
  trace.low = random.Next();
  trace.seed = random.Next();
  const size_t count = std::min<uint64_t>(max_spans, TraceSize(random));
  if (options_.shape == Shape::kRealistic) {
    PlanRealistic(random, count, trace);
  } else {
    PlanFixed(random, count, trace);
  }
  trace.sent.assign(count, false);
  PlanOrder(random, trace);
}

size_t TracePlanner::TraceSize(SeededRandom& random) const {
  if (options_.shape != Shape::kRealistic) return FixedSize(options_.shape);
  const double draw = static_cast<double>(random.Next() >> 11) * 0x1.0p-53;
  const auto at = std::lower_bound(size_distribution_.begin(), size_distribution_.end(), draw);
  return std::min<size_t>(static_cast<size_t>(at - size_distribution_.begin()) + 1, kMaxTraceSpans);
}

void TracePlanner::PlanRealistic(SeededRandom& random, size_t count, Trace& trace) const {
  const uint64_t form = random.Below(100);
  trace.id_form = form == 0   ? TraceIdForm::kDashes
                  : form == 1 ? TraceIdForm::kUpperCase
                              : TraceIdForm::kPlain;
  RealisticTrace(random, DrawFlaw(random, options_.rootless_ratio), trace).AddSpans(count);
}

// One segment: a segment span and spans below it.
void TracePlanner::PlanFixed(SeededRandom& random, size_t count, Trace& trace) const {
  trace.id_form = TraceIdForm::kPlain;
  const uint8_t service = static_cast<uint8_t>(random.Below(kServices.size()));
  for (size_t i = 0; i < count; ++i) {
    PlannedSpan span;
    span.id = random.Next();
    span.index = static_cast<uint32_t>(i);
    span.service = service;
    span.has_parent = i > 0;
    if (i > 0) span.parent_id = trace.spans[random.Below(i)].id;
    span.is_segment = i == 0 ? IsSegmentForm::kTrue : IsSegmentForm::kFalse;
    trace.spans.push_back(span);
  }
}

// Spans are sent when they end, so children mostly come before their parents.
void TracePlanner::PlanOrder(SeededRandom& random, Trace& trace) const {
  const size_t count = trace.spans.size();
  for (size_t i = count; i > 0; --i) trace.order.push_back(static_cast<uint32_t>(i - 1));
  for (size_t i = 0; i < count; ++i) {
    if (random.Chance(0.3)) std::swap(trace.order[i], trace.order[random.Below(count)]);
  }
  if (options_.duplicate_ratio <= 0) return;
  for (size_t i = 0; i < count; ++i) {
    if (!random.Chance(options_.duplicate_ratio)) continue;
    const size_t size = trace.order.size();
    const size_t first = random.Below(size);
    const size_t second = first + 1 + random.Below(size - first);
    trace.order.insert(trace.order.begin() + static_cast<std::ptrdiff_t>(second),
                       trace.order[first]);
  }
}

}  // namespace spillway::load
