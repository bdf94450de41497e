#include "worker/flush/flush_worker.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"

namespace spillway::flush {
namespace {

constexpr Duration kProbeTimeout = std::chrono::seconds(5);
constexpr Duration kProbePause = std::chrono::seconds(1);

}  // namespace

struct FlushWorker::Probe {
  Mutex mutex;
  CondVar ended;
  bool is_cancelled ABSL_GUARDED_BY(mutex) = false;  // the worker is gone
  bool is_running ABSL_GUARDED_BY(mutex) = false;    // on a thread of the pool
  absl::Status answer ABSL_GUARDED_BY(mutex);
};

FlushWorker::FlushWorker(Loop& loop, const Clock& clock, buffer::FlushStore& store,
                         kafka::Producer& producer, const FlushOptions& options,
                         RandomSource random, NoteInHand note_in_hand)
    : loop_(loop),
      clock_(clock),
      producer_(producer),
      output_topic_(options.output_topic),
      engine_({.clock = clock,
               .store = store,
               .producer = producer,
               .random = std::move(random),
               .note_in_hand = std::move(note_in_hand)},
              options,
              [this](Instant when) {
                poll_timer_.Start(std::max<Duration>(when - clock_.Now(), Duration::zero()));
              }),
      poll_timer_(loop, [this] { engine_.Poll(); }),
      probe_timer_(loop, [this] { ProbeKafka(); }),
      probe_(std::make_shared<Probe>()) {}

FlushWorker::~FlushWorker() {
  MutexLock lock(&probe_->mutex);
  probe_->is_cancelled = true;
  while (probe_->is_running) probe_->ended.Wait(&probe_->mutex);
}

void FlushWorker::Start() {
  probe_timer_.Start(Duration::zero());
  poll_timer_.Start(Duration::zero());
}

void FlushWorker::ProbeKafka() {
  const auto ask = [this, probe = probe_] {
    {
      MutexLock lock(&probe->mutex);
      if (probe->is_cancelled) return;
      probe->is_running = true;
    }
    absl::Status answer = producer_.MaxMessageBytes(output_topic_, kProbeTimeout).status();
    MutexLock lock(&probe->mutex);
    probe->answer = std::move(answer);
    probe->is_running = false;
    probe->ended.NotifyAll();
  };
  loop_.Offload(ask, [this, probe = probe_] {
    absl::Status answer;
    {
      MutexLock lock(&probe->mutex);
      if (probe->is_cancelled) return;
      answer = probe->answer;
    }
    engine_.SetKafkaOk(answer.ok());
    if (answer.ok()) return;
    Log(LogLevel::kWarning, "waiting for Kafka", {{"topic", output_topic_}, {"error", answer}});
    probe_timer_.Start(kProbePause);
  });
}

}  // namespace spillway::flush
