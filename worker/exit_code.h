// How a worker's process ends: the number says which step failed. The control plane shows it in the
// worker's last death; 78 is never retried.
#ifndef SPILLWAY_WORKER_EXIT_CODE_H_
#define SPILLWAY_WORKER_EXIT_CODE_H_

namespace spillway::worker {

enum ExitCode : int {
  kExitOk = 0,                 // drained: nothing is held any more
  kExitDrainFailed = 10,       // something was still held at the end of flush.drain_timeout
  kExitFlushFailed = 11,       // drained, but messages to Kafka were still queued
  kExitAborted = 12,           // a second signal, or the limit of the whole end
  kExitSlotTaken = 13,         // a live process has the slot
  kExitBadConfiguration = 78,  // EX_CONFIG
};

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_EXIT_CODE_H_
