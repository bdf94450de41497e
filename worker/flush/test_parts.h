// Parts for the tests of this directory: spans as JSON, encoded as ingest would.
#ifndef SPILLWAY_WORKER_FLUSH_TEST_PARTS_H_
#define SPILLWAY_WORKER_FLUSH_TEST_PARTS_H_

#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "base/check.h"
#include "buffer/chunk/chunk.h"
#include "worker/span/span.h"

namespace spillway::flush {

// A valid span called by one letter, 16 times: SpanJson('b', 'a') is a child of a.
inline std::string SpanJson(char id, char parent = ' ', const std::string& extra = "") {
  std::string json =
      R"({"organization_id":1,"project_id":1,"trace_id":"0123456789abcdef0123456789abcdef",)"
      R"("span_id":")" +
      std::string(16, id) +
      R"(","start_timestamp":1,"end_timestamp":2,"received":3,"retention_days":90,"status":"ok")";
  if (parent != ' ') json += R"(,"parent_span_id":")" + std::string(16, parent) + '"';
  return json + extra + "}";
}

inline SegmentId Segment(char id) { return SegmentId::FromText(std::string(16, id)); }

struct TestSpan {
  Offset offset;
  std::string json;
};

// The chunk that holds `spans`. header.part_bytes is filled in.
inline std::string EncodeChunk(buffer::ChunkHeader header, const std::vector<TestSpan>& spans) {
  // Kept, as making them costs more than using them.
  static span::SpanParser parser;
  static buffer::ChunkEncoder encoder(buffer::Codec::kZstd, 1);
  std::vector<buffer::ChunkSpan> encoded;
  for (const TestSpan& span : spans) {
    const auto result = parser.Parse(span.json);
    CHECK(std::holds_alternative<span::Span>(result), "test spans are valid");
    const auto& parsed = std::get<span::Span>(result);
    encoded.push_back({.id = parsed.id,
                       .offset = span.offset,
                       .is_segment = parsed.is_segment,
                       .segment_id = parsed.segment_id,
                       .bytes = span.json});
    header.part_bytes += span.json.size();
  }
  std::string entry;
  encoder.Encode(header, encoded, entry);
  return entry;
}

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_TEST_PARTS_H_
