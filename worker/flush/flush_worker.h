// The flush role of a worker: owns shards, claims due parts, assembles, produces, acknowledges.
#ifndef SPILLWAY_WORKER_FLUSH_FLUSH_WORKER_H_
#define SPILLWAY_WORKER_FLUSH_FLUSH_WORKER_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/loop.h"
#include "buffer/shard_store.h"
#include "kafka/producer.h"
#include "worker/control/worker_role.h"
#include "worker/flush/flush_engine.h"
#include "worker/flush/flush_options.h"

namespace spillway::flush {

// Puts a FlushEngine on a loop. Loop thread only. Loop, clock, store and producer are borrowed and
// outlive it. Destruction waits for a question to Kafka that is under way, at most five seconds.
class FlushWorker final : public worker::WorkerRole {
 public:
  // `random` gives 64 random bits a call: owner ids, claim ids, jitter.
  FlushWorker(Loop& loop, const Clock& clock, buffer::FlushStore& store, kafka::Producer& producer,
              const FlushOptions& options, RandomSource random, NoteInHand note_in_hand = {});
  ~FlushWorker() override;

  void Start() override;
  void Obey(const wire::Order& order) override { engine_.Obey(order); }
  wire::WorkerReport Report() const override { return engine_.Report(); }
  void Drain(absl::AnyInvocable<void(absl::Status)> drained) override {
    engine_.Drain(std::move(drained));
  }

 private:
  // Asks for the output topic until a broker answers, on libuv's pool.
  void ProbeKafka();

  Loop& loop_;
  const Clock& clock_;
  kafka::Producer& producer_;
  const std::string output_topic_;
  FlushEngine engine_;
  Timer poll_timer_;
  Timer probe_timer_;
  struct Probe;
  std::shared_ptr<Probe> probe_;  // shared with the pool's thread, which may come to it late
};

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_FLUSH_WORKER_H_
