#include "worker/ingest/taken_state.h"

#include <utility>

#include "absl/status/statusor.h"
#include "buffer/chunk/chunk.h"

namespace spillway::ingest {

segment::TakenState TakenStateOf(
    const buffer::TakeReply& reply,
    absl::FunctionRef<void(const PartName&, const absl::Status&)> on_unreadable) {
  segment::TakenState state{.incarnation = reply.incarnation,
                            .watermark = reply.watermark,
                            .clock = reply.clock,
                            .live = {}};
  for (const buffer::LivePartRecord& record : reply.live) {
    segment::LivePart& part = state.live.emplace_back();
    part = {record.name, record.deadline, record.is_in_due, record.references, std::nullopt};
    if (record.last_chunk_prefix.empty()) continue;
    absl::StatusOr<buffer::ChunkHeader> header = buffer::DecodeHeader(record.last_chunk_prefix);
    if (header.ok()) {
      part.last_header = *std::move(header);
    } else {
      on_unreadable(record.name, header.status());
    }
  }
  return state;
}

}  // namespace spillway::ingest
