// What the two roles of a worker look like to its main loop and to the control link.
#ifndef SPILLWAY_WORKER_CONTROL_WORKER_ROLE_H_
#define SPILLWAY_WORKER_CONTROL_WORKER_ROLE_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "proto/wire/worker_report.h"

namespace spillway::worker {

// Implemented by ingest::IngestWorker and flush::FlushWorker. Loop thread only.
class WorkerRole {
 public:
  virtual ~WorkerRole() = default;
  // Begins to connect and to work; never blocks, never fails: what is missing is in the report.
  virtual void Start() = 0;
  // The whole wish; the newest counts. Without a control plane a worker never gets one.
  virtual void Obey(const wire::Order& order) = 0;
  virtual wire::WorkerReport Report() const = 0;
  // Takes nothing new, finishes or releases what is held within flush.drain_timeout, then calls
  // `drained` once with OK or with the first step that failed. Idempotent.
  virtual void Drain(absl::AnyInvocable<void(absl::Status)> drained) = 0;
};

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_CONTROL_WORKER_ROLE_H_
