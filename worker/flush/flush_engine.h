// All of a flush worker but the loop: performs what each shard's ShardFlusher decides and takes
// claims through. Runs on whatever calls Poll, so a simulation drives it with a fake clock.
#ifndef SPILLWAY_WORKER_FLUSH_FLUSH_ENGINE_H_
#define SPILLWAY_WORKER_FLUSH_FLUSH_ENGINE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/log_limiter.h"
#include "buffer/shard_store.h"
#include "kafka/producer.h"
#include "proto/wire/worker_report.h"
#include "worker/flush/claim_run.h"
#include "worker/flush/flush_options.h"
#include "worker/flush/shard_flusher.h"

namespace spillway::flush {

// One thread. Store and producer are borrowed and outlive the engine; their callbacks do nothing
// once it is gone.
class FlushEngine final : private ClaimHost {
 public:
  struct Parts {  // borrowed, but for the functions
    const Clock& clock;
    buffer::FlushStore& store;
    kafka::Producer& producer;
    RandomSource random;
    NoteInHand note_in_hand{};
  };

  // `wake_at(t)` asks that Poll be called at `t` or soon after (past: as soon as the stack has
  // unwound); a later call replaces an earlier one. May be called from inside Poll.
  FlushEngine(Parts parts, const FlushOptions& options, std::function<void(Instant)> wake_at);
  ~FlushEngine();
  FlushEngine(const FlushEngine&) = delete;
  FlushEngine& operator=(const FlushEngine&) = delete;

  void Poll();
  void Obey(const wire::Order& order);
  void Drain(absl::AnyInvocable<void(absl::Status)> drained);
  wire::WorkerReport Report() const;
  void SetKafkaOk(bool is_ok);

  uint64_t bytes_in_flight() const { return bytes_in_flight_; }

 private:
  struct Shard;
  using Shards = std::map<ShardId, std::unique_ptr<Shard>>;

  // ClaimHost
  bool TryReserve(uint64_t bytes) override;
  void Unreserve(uint64_t bytes) override;
  void RequestPoll() override;
  void OnStoreCode(buffer::StoreCode code) override;
  void OnDelivery(kafka::Delivery delivery) override;

  void PollShard(ShardId id, Shard& shard, Instant now);
  void Step(ShardId id, Shard& shard, FlusherEvent event);
  void Perform(ShardId id, Shard& shard, FlusherAction action);
  void CountClaim(Shard& shard, const ClaimRun& run);
  // Turns a store's answer into an event, if the shard is still the same when it comes.
  template <typename Event, typename Value>
  buffer::Done<Value> ToEvent(ShardId id, const Shard& shard);
  bool MayClaim(ShardId id) const;  // as told
  FlusherRoom Room(ShardId id) const;
  void ProbeRedis(Instant now);
  void AccountBlocked(Instant now);
  void FinishDrain();
  wire::Cause BlockedCause(ShardId id, const Shard& shard, Instant now) const;
  wire::Activity PresentActivity(ShardId id, const Shard& shard, Instant now) const;

  const Parts parts_;
  const FlushOptions options_;
  const std::function<void(Instant)> wake_at_;
  std::shared_ptr<bool> is_alive_;

  LogLimiter log_limit_;  // shared by the claims
  const std::shared_ptr<buffer::DictionaryShelf> shelf_ =
      std::make_shared<buffer::DictionaryShelf>();
  buffer::ChunkDecoder decoder_{shelf_};
  uint64_t next_serial_ = 1;  // of shards: one given back and got again is another
  Shards shards_;
  ShardId polled_first_;  // turn by turn, so that no shard has the room to itself
  wire::Order order_;
  bool is_draining_ = false;
  std::vector<absl::AnyInvocable<void(absl::Status)>> drained_;
  uint64_t forgotten_claims_ = 0;
  uint64_t bytes_in_flight_ = 0;
  std::optional<Instant> wake_;  // what was last asked for
  bool is_polling_ = false;
  bool is_poll_requested_ = false;

  std::optional<bool> is_redis_ok_, is_kafka_ok_;  // empty: no answer yet
  bool was_redis_ok_ = false, was_kafka_ok_ = false;
  bool is_probing_redis_ = false;
  Instant next_probe_{};
  wire::Lateness lateness_;
  std::array<std::optional<Instant>, wire::kCauseCount> blocked_since_{};
  std::array<Duration, wire::kCauseCount> blocked_{};
};

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_FLUSH_ENGINE_H_
