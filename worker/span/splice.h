// The two edits of a span on its way out (design section 5, rule 8).
#ifndef SPILLWAY_WORKER_SPAN_SPLICE_H_
#define SPILLWAY_WORKER_SPAN_SPLICE_H_

#include <cstddef>
#include <string>

#include "buffer/chunk/chunk.h"
#include "buffer/chunk/names.h"

namespace spillway::span {

// The most that AppendEdited adds to a span's bytes, whatever the segment is called.
inline constexpr size_t kMaxEditBytes = 512;

// Appends span.bytes with `is_segment` set to whether the span is the segment's root and with the
// segment's id as attribute where that was missing or null. All other bytes are as they came.
// REQUIRES: the edits lie inside the span and do not overlap, as SpanParser and ChunkDecoder
// assure.
void AppendEdited(const buffer::ChunkSpan& span, const SegmentId& segment, std::string& out);

}  // namespace spillway::span

#endif  // SPILLWAY_WORKER_SPAN_SPLICE_H_
