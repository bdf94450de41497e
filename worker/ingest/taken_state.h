// What a take of the buffer told, as the index understands it.
#ifndef SPILLWAY_WORKER_INGEST_TAKEN_STATE_H_
#define SPILLWAY_WORKER_INGEST_TAKEN_STATE_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/ids.h"
#include "buffer/shard_store.h"
#include "worker/segment/shard_index.h"

namespace spillway::ingest {

// Pure. A part whose last chunk's header cannot be read is taken as one that is not open;
// `on_unreadable` is told of it.
segment::TakenState TakenStateOf(
    const buffer::TakeReply& reply,
    absl::FunctionRef<void(const PartName&, const absl::Status&)> on_unreadable);

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_TAKEN_STATE_H_
