#include "tests/support/reference_model.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"

namespace spillway::test_support {
namespace {

// The graph of one (project, trace): who is whose effective parent. An id that is only named as a
// parent has no entry. Every id has at most one parent, so each connected component has exactly one
// end: an id without a parent of its own, an id that is its own parent, or a cycle.
class TraceGraph {
 public:
  // The first span of an id decides its parent.
  void Add(const std::string& id, const std::string& parent) { parents_.emplace(id, parent); }

  // The name of the component that holds `id`.
  std::string NameOf(const std::string& id) {
    std::vector<std::string> path;
    std::set<std::string> on_path;
    std::string at = id;
    std::string name;
    while (true) {
      const auto known = names_.find(at);
      if (known != names_.end()) {
        name = known->second;
        break;
      }
      if (!on_path.insert(at).second) {  // came round: the cycle is the path from `at` on
        name = *std::min_element(std::find(path.begin(), path.end(), at), path.end());
        break;
      }
      path.push_back(at);
      const auto parent = parents_.find(at);
      if (parent == parents_.end()) {
        name = at;
        break;
      }
      at = parent->second;
    }
    for (const std::string& passed : path) names_[passed] = name;
    return name;
  }

 private:
  std::map<std::string, std::string> parents_;
  std::map<std::string, std::string> names_;  // answers already worked out
};

using Trace = std::pair<uint64_t, std::string>;  // project, normal trace id

Trace TraceOf(const ReferenceSpan& span) { return {span.project_id, NormalTraceId(span.trace_id)}; }

}  // namespace

std::string NormalTraceId(absl::string_view trace_id) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(trace_id, {{"-", ""}}));
}

std::string NormalSegmentId(absl::string_view id) {
  const bool is_span_id = id.size() == 16 && std::all_of(id.begin(), id.end(), [](char c) {
                            return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                          });
  return is_span_id ? absl::AsciiStrToLower(id) : std::string(id);
}

bool IsSegmentSpan(const ReferenceSpan& span) {
  return span.parent_span_id.empty() || span.is_segment;
}

std::string EffectiveParent(const ReferenceSpan& span) {
  if (IsSegmentSpan(span)) return NormalSegmentId(span.span_id);
  if (!span.segment_id.empty()) return NormalSegmentId(span.segment_id);
  return NormalSegmentId(span.parent_span_id);
}

ReferenceResult ExpectedSegments(const std::vector<ReferenceSpan>& spans) {
  std::map<Trace, TraceGraph> graphs;
  for (const ReferenceSpan& span : spans) {
    graphs[TraceOf(span)].Add(NormalSegmentId(span.span_id), EffectiveParent(span));
  }

  ReferenceResult result;
  std::map<std::tuple<uint64_t, std::string, std::string>, ReferenceSegment> segments;
  std::set<std::tuple<Trace, std::string, std::string>> seen;  // trace, id, content
  for (size_t i = 0; i < spans.size(); ++i) {
    const Trace trace = TraceOf(spans[i]);
    const std::string id = NormalSegmentId(spans[i].span_id);
    if (!seen.emplace(trace, id, spans[i].content).second) {
      ++result.deduplicated;
      continue;
    }
    const std::string name = graphs[trace].NameOf(id);
    ReferenceSegment& segment = segments[{trace.first, trace.second, name}];
    segment.project_id = trace.first;
    segment.trace_id = trace.second;
    segment.name = name;
    segment.spans.push_back(i);
    segment.has_segment_span = segment.has_segment_span || IsSegmentSpan(spans[i]);
  }
  for (auto& [key, segment] : segments) result.segments.push_back(std::move(segment));
  return result;
}

std::vector<ReferenceSegment> InModelWords(std::vector<LeftSegment> left,
                                           const std::vector<ReferenceSpan>& spans) {
  std::vector<ReferenceSegment> segments;
  for (LeftSegment& message : left) {
    ReferenceSegment& segment = segments.emplace_back();
    std::tie(segment.project_id, segment.trace_id) = TraceOf(spans[message.spans[0]]);
    segment.name = std::move(message.name);
    segment.spans = std::move(message.spans);
    segment.has_segment_span =
        std::any_of(segment.spans.begin(), segment.spans.end(),
                    [&](size_t position) { return IsSegmentSpan(spans[position]); });
  }
  std::sort(segments.begin(), segments.end(), [](const auto& a, const auto& b) {
    return std::tie(a.project_id, a.trace_id, a.name) < std::tie(b.project_id, b.trace_id, b.name);
  });
  return segments;
}

}  // namespace spillway::test_support
