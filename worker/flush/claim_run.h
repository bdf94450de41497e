// One claim from its reply to its end: load, assemble, produce, acknowledge or release.
#ifndef SPILLWAY_WORKER_FLUSH_CLAIM_RUN_H_
#define SPILLWAY_WORKER_FLUSH_CLAIM_RUN_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/log_limiter.h"
#include "buffer/chunk/chunk.h"
#include "buffer/shard_store.h"
#include "kafka/producer.h"
#include "proto/wire/worker_report.h"
#include "worker/flush/assemble.h"
#include "worker/flush/backoff.h"
#include "worker/flush/dead_letter.h"
#include "worker/flush/flush_options.h"
#include "worker/flush/in_hand.h"
#include "worker/flush/shard_flusher.h"

namespace spillway::flush {

// What a claim needs from its worker.
class ClaimHost {
 public:
  virtual ~ClaimHost() = default;
  // Span bytes about to be loaded. Refused while the worker has too many; never if it has none.
  virtual bool TryReserve(uint64_t bytes) = 0;
  virtual void Unreserve(uint64_t bytes) = 0;
  virtual void RequestPoll() = 0;  // something happened: call Continue soon
  virtual void OnStoreCode(buffer::StoreCode code) = 0;
  virtual void OnDelivery(kafka::Delivery delivery) = 0;
};

// Rules (design sections 4 and 5):
//  * A claim ends only when every message's report has come. All delivered: acknowledge. None
//    delivered: release. Some: only the others are produced again, after a pause, because a release
//    would send the delivered ones twice.
//  * A broker refuses batches: a message it refuses is sent again alone. If it is refused then, it
//  is
//    split once; a half or a single span that is refused goes to the dead letter topic, span by
//    span; what that refuses goes there without its payload.
//  * A part that cannot be decoded goes there entry by entry (undecodable).
//  * What is loaded must be what was claimed, else release.
//  * Calls whose reply was lost are repeated.
// Not thread-safe. Held by a shared_ptr, because delivery reports and replies may come after the
// worker has given the claim up: they find out through a weak_ptr.
class ClaimRun : public std::enable_shared_from_this<ClaimRun> {
 public:
  struct Context {  // borrowed but for the ids and the shelf
    buffer::FlushStore& store;
    kafka::Producer& producer;
    ClaimHost& host;
    buffer::ChunkDecoder& decoder;
    std::shared_ptr<buffer::DictionaryShelf> shelf;  // the decoder's
    LogLimiter& log_limit;                           // of lines about single messages and parts
    const NoteInHand& note_in_hand;
    const FlushOptions& options;
    ShardId shard;
    RandomSource random;
    wire::ActivityAccount& account;  // the shard's; outlives the run
    const Clock& clock;
  };
  struct Counts {
    uint64_t spans = 0;     // in messages delivered
    uint64_t segments = 0;  // parts delivered, whole or in halves
    uint64_t dead_lettered_spans = 0;
    uint64_t quarantined_spans = 0;
    uint64_t possibly_persisted = 0;  // reports that could not tell, and messages a release repeats
  };

  ClaimRun(Context context, RunClaim claim);
  ~ClaimRun();
  ClaimRun(const ClaimRun&) = delete;
  ClaimRun& operator=(const ClaimRun&) = delete;

  // Does what can be done now. Cheap if nothing can.
  void Continue(Instant now);
  void Stop() { is_stopped_ = true; }  // release as soon as nothing is with Kafka

  // Set when the claim has ended; nothing happens after.
  const std::optional<ClaimEnded>& ended() const { return ended_; }
  const Counts& counts() const { return counts_; }
  // Of an acknowledged claim, by part.
  const std::vector<std::chrono::microseconds>& lateness() const { return lateness_; }
  uint64_t progress() const { return progress_; }
  Instant wake() const;
  // Kafka keeps this claim waiting: since when.
  std::optional<Instant> waits_for_kafka_since() const { return kafka_wait_; }
  wire::Cause cause() const { return cause_; }
  wire::Activity activity() const;  // what it waits for

 private:
  // A piece of a part that is sent, and if need be sent again, by itself: one output message, or
  // one dead letter.
  struct Piece {
    enum class Kind { kOutput, kDeadLetters, kRawEntries };
    enum class State { kTodo, kSent, kDone, kFailed };
    Kind kind = Kind::kOutput;
    State state = State::kTodo;
    std::optional<SpanRange> range{};  // empty until first loaded: all of the part. Raw: of entries
    const char* reason = "";           // of dead letters
    uint32_t outstanding = 0;          // messages without a report, the queued included
    bool has_failed = false;
    bool is_refused = false;
    bool must_split = false;  // when the part has been loaded again
    bool is_alone = false;    // refused once: sent while nothing else of this claim is
  };
  struct PartRun {
    buffer::ClaimedPart claimed;
    std::vector<Piece> pieces;
    uint64_t span_count = 0;
    uint64_t quarantined_spans = 0;
    uint64_t reserved_bytes = 0;
    std::string error;  // why it goes to the dead letter topic, or some of it
  };
  struct MessageId {
    size_t part = 0;
    size_t piece = 0;
    std::optional<DeadLetterOrigin> origin{};  // of a dead letter
    size_t payload_bytes = 0;
    bool is_bare = false;
  };
  struct Queued {
    kafka::OutgoingMessage message;
    MessageId id;
  };

  void Pump(Instant now);
  void LoadMore();
  void OnLoaded(const std::vector<size_t>& parts,
                buffer::StoreResult<std::vector<buffer::LoadedPart>> result);
  void OnListsChanged();
  static bool HasChanged(const PartRun& part, const absl::StatusOr<Part>& decoded);
  void Prepare(size_t part, const buffer::LoadedPart& loaded);
  void PrepareDamaged(size_t part, const buffer::LoadedPart& loaded);
  void SendDeadLetter(size_t part, size_t piece, Offset offset, absl::string_view payload);
  void Divide(PartRun& part, const Part& decoded);
  void PreparePiece(size_t part, size_t piece, const Part& decoded);
  void Queue(kafka::OutgoingMessage message, MessageId id);
  void OnReport(MessageId id, const kafka::DeliveryReport& report);
  void NoteRefusal(const MessageId& id, const std::string& message);
  void Resolve(size_t part, size_t piece);
  void Refused(PartRun& part, size_t piece);
  void DropQueue();
  void Decide(Instant now);
  void Acknowledge();
  void OnAcknowledged(const Counts& spans,
                      const buffer::StoreResult<buffer::AcknowledgeReply>& result);
  void Release();
  void End(ClaimEnded::How how);
  void Set(Piece& piece, Piece::State state);
  ClaimInHand ClaimNow() const { return {context_.shard, epoch_, claim_.id}; }
  void Recount();  // after pieces have been made or divided
  uint64_t NumberOf(Piece::State state) const { return state_counts_[static_cast<size_t>(state)]; }
  void FreeIfIdle(PartRun& part);
  // Notes the code; true if the call has to be made again later.
  bool MustRepeat(buffer::StoreCode code);
  bool MustRepeatEnd(buffer::StoreCode code);

  Context context_;
  const buffer::Claim claim_;
  const Epoch epoch_;
  std::vector<PartRun> parts_;
  std::array<uint64_t, 4> state_counts_{};  // of pieces, by state: a claim has hundreds
  std::deque<Queued> queue_;                // for the producer
  uint64_t outstanding_ = 0;                // reports to come, the queue not included
  bool is_sending_alone_ = false;           // the message that was sent last
  bool is_calling_ = false;                 // the store
  bool is_stopped_ = false;
  bool must_release_ = false;
  bool has_changed_ = false;  // what was loaded is not what was claimed
  bool counts_attempt_ = false;
  bool any_delivered_ = false;
  uint64_t delivered_messages_ = 0;
  bool has_repeated_end_ = false;  // an acknowledge or release was sent more than once
  Instant now_{};
  Instant not_before_{};
  Backoff store_backoff_;
  Backoff delivery_backoff_;
  bool needs_pause_ = false;      // before the next store call
  bool has_kafka_moved_ = false;  // a report has come
  wire::Cause cause_ = wire::Cause::kNone;
  std::optional<Instant> kafka_wait_;
  Counts counts_;
  std::vector<std::chrono::microseconds> lateness_;
  uint64_t progress_ = 0;
  std::optional<ClaimEnded> ended_;
};

inline wire::Activity ClaimRun::activity() const {
  using wire::Activity;
  if (!queue_.empty() && !is_sending_alone_) return Activity::kKafkaQueue;  // it is full
  if (!queue_.empty() || outstanding_ > 0) return Activity::kBroker;
  if (is_calling_) return Activity::kRedis;
  if (not_before_ > now_) return any_delivered_ ? Activity::kBroker : Activity::kRedis;
  return NumberOf(Piece::State::kTodo) > 0 ? Activity::kRoom : Activity::kRedis;
}

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_CLAIM_RUN_H_
