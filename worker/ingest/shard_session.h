// One shard of the input topic, from its assignment to its revocation (design section 4).
#ifndef SPILLWAY_WORKER_INGEST_SHARD_SESSION_H_
#define SPILLWAY_WORKER_INGEST_SHARD_SESSION_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "buffer/chunk/chunk.h"
#include "buffer/shard_store.h"
#include "kafka/consumer.h"
#include "proto/wire/worker_report.h"
#include "worker/ingest/dead_letters.h"
#include "worker/ingest/dictionary_keeper.h"
#include "worker/ingest/drop_history.h"
#include "worker/ingest/gate.h"
#include "worker/ingest/incident.h"
#include "worker/ingest/options.h"
#include "worker/ingest/retiring_dictionaries.h"
#include "worker/ingest/shard_taking.h"
#include "worker/ingest/work_batch.h"
#include "worker/segment/shard_index.h"
#include "worker/span/span.h"

namespace spillway::ingest {

// What a session asks of the worker around it. Called on the loop thread, never destroys a session.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // Calls Pump at `when`; replaces an earlier wish. Instant::max(): no wish.
  virtual void WakeAt(ShardId shard, Instant when) = 0;
  // Calls Pump soon, after the loop has looked at its sockets.
  virtual void RequestTurn(ShardId shard) = 0;
  virtual uint64_t RandomNumber() = 0;
  // Whether the newest call was answered.
  virtual void OnRedisAnswer(bool is_answered) = 0;
  virtual void OnKafkaAnswer(bool is_answered) = 0;
};

// Counted since the worker's start, over all times a shard was ours.
struct ShardTotals {
  uint64_t spans = 0, rejected = 0, deduplicated = 0;
  uint64_t progress = 0;
  IncidentCounts incidents;
};

using DropRules = std::vector<wire::DropRule>;

// Borrowed; all outlive the session. Parser, encoder and dictionary are shared by the sessions of a
// loop.
struct SessionParts {
  const Options& options;
  const Clock& clock;
  buffer::IngestStore& store;
  kafka::Consumer& consumer;
  DeadLetterOutbox& letters;
  span::SpanParser& parser;
  buffer::ChunkEncoder& encoder;
  DictionaryKeeper& dictionaries;
  SessionHost& host;
  ShardTotals& totals;
  uint64_t& highest_epoch;  // number that this process has seen, of any shard
};

// waiting → taking → replaying → live; from anywhere back to waiting, with nothing kept but the
// highest epoch: after any doubt the shard is taken from nothing.
//
// Live: one batch (`collecting_`) is read and parsed while another (`current_`) waits for its dead
// letters or for Redis. At most one call to Redis is under way. Memory: two batches with the
// fetched messages they lie in, one encoded request, the index.
//
// Loop thread only. Destroying it forgets everything under way; the epoch in Redis keeps that safe.
class ShardSession {
 public:
  ShardSession(ShardId shard, const SessionParts& parts);
  ~ShardSession();
  ShardSession(const ShardSession&) = delete;
  ShardSession& operator=(const ShardSession&) = delete;

  // Does what can be done now: after assignment, when readable, when woken.
  void Pump();
  // The shard is about to be given back: commits what is proven.
  void OnRevoked(bool lost);
  void SetPaused(bool is_paused);  // reads nothing while paused
  // Gives the shard up and takes it from nothing, if it is held under this very epoch.
  void Retake(const Epoch& epoch);
  // What the control plane wants left out; the session sees to it before it reads on. Null: it has
  // not said anything yet, so what Redis says goes on.
  void SetDropRules(std::shared_ptr<const DropRules> rules);
  // Reads nothing more, waits for the call under way, commits C; then `drained`, once, maybe
  // inside.
  void Drain(absl::AnyInvocable<void()> drained);
  void set_index_limit(uint64_t bytes) { index_limit_ = bytes; }

  uint64_t index_bytes() const { return index_ == nullptr ? 0 : index_->memory_bytes(); }
  const Gate& gate() const { return gate_; }
  bool is_live() const { return phase_ == Phase::kLive; }
  // Why it is not live or cannot go on, a sentence; empty: it goes on.
  const std::string& trouble() const { return trouble_; }
  wire::ShardReport Report() const;

 private:
  enum class Phase { kWaiting, kProving, kTaking, kReplaying, kLive };
  // The one call to Redis that may be under way. Lost: not answered, to be sent again as it was.
  enum class Call { kNone, kAdd, kAddLost, kTick, kTickLost, kRules, kRulesLost };

  // Taking (shard_session.cc).
  void TryAgain();
  void Take();
  void OnTaken(TakenShard taken);
  void OnTakeFailed(const TakeFailure& failure);
  void Replay();
  void FinishReplay();
  // `cause`: what the next take has to wait for; kNone: nothing but its turn.
  void GiveUp(absl::string_view why, Duration backoff, wire::Cause cause = wire::Cause::kNone);
  void OnFenced();
  Duration NextBackoff();
  void Schedule();

  // Reading (session_reading.cc).
  void Collect();
  void CollectFrom(std::unique_ptr<kafka::Batch> source, size_t first);
  void Reject(const kafka::Message& message, span::Rejection rejection, WorkBatch& batch);
  // Whether the message has to be left out, by the rules that were in force when it was first read.
  bool IsFiltered(Offset offset, const TraceKey& trace) const;
  bool IsFull(const WorkBatch& batch) const;
  bool HasOffsetsFallen(Offset offset);
  bool IsAtEnd() const;

  // Writing (session_writing.cc).
  void Work(Instant now);
  void StartBatch(Instant now);
  void SendAdd();
  void SendTick(Instant now);
  void SendAgain();
  // What the history has to become before anything more is read; nullopt: nothing.
  std::optional<DropHistory> NextRules() const;
  void MaybeChangeRules(Instant now);
  void SendRules();
  void OnRulesStored(const buffer::StoreResult<bool>& result);
  void OnAdded(buffer::StoreResult<buffer::ShardFigures> result);
  void OnTicked(buffer::StoreResult<buffer::ShardFigures> result);
  bool IsCallLost() const {
    return call_ == Call::kAddLost || call_ == Call::kTickLost || call_ == Call::kRulesLost;
  }
  bool IsCallUnderWay() const { return call_ != Call::kNone && !IsCallLost(); }
  // Handles every code but kOk, and kWatermark and kMemory of an add. `lost`: what Call becomes
  // then.
  void OnRefused(const buffer::StoreResult<buffer::ShardFigures>& result, Call lost);
  void BatchApplied();
  void Observe(const buffer::ShardFigures& figures);
  void MaybeCommit();
  void TakeDictionaries(const buffer::TakeReply& reply);
  uint32_t CurrentDictionary() const;
  EventTime LastDeadlineOfNow() const;
  void MaybeDropDictionary(std::optional<EventTime> lowest_outstanding);
  void UpdateGate(Instant now);
  void ApplyReading();
  void FinishDrain();

  EventTime RedisNow() const;
  // Messages are in Kafka, and nothing is in our hands: the next step is Kafka's.
  bool IsHungry() const;
  int64_t InputLag() const;  // -1: not known
  bool HasAllOfLog() const;
  // What it does from now on, as far as anybody can tell before the next turn.
  wire::Activity PresentActivity(Instant now) const;
  // What the shard has waited for, for longer than a healthy answer takes; kNone: it does not.
  wire::Cause BlockedCause() const;

  const ShardId shard_;
  const SessionParts parts_;
  Gate gate_;
  wire::ActivityAccount activity_;
  GateInputs inputs_;
  uint64_t index_limit_ = 0;

  Phase phase_ = Phase::kWaiting;
  // Since when the next step has been another's: from a question to its answer; while replaying
  // from one batch to the next; while live from when we began to be hungry.
  std::optional<Instant> others_turn_;
  Instant retry_at_;              // while waiting
  Duration backoff_;              // the next one
  bool must_prove_ = false;       // fenced: a commit must succeed before the next take
  Offset committed_ = kNoOffset;  // C, as far as we know
  BeforeTaking before_;
  std::unique_ptr<ShardTaking> taking_;
  // Whatever is under way belongs to this try; a new one forgets it.
  std::shared_ptr<bool> attempt_ = std::make_shared<bool>(true);
  std::string trouble_;
  wire::Cause take_cause_ = wire::Cause::kNone;

  // From take to GiveUp:
  Epoch epoch_;
  Offset position_ = 0;    // lowest offset that may be read next
  WallTime redis_time_;    // as the last answer told,
  Instant redis_time_at_;  // when that came
  std::unique_ptr<segment::ShardIndex> index_;
  WorkBatch collecting_, current_;
  RetiringDictionaries retiring_;
  DropHistory history_;  // as Redis has it
  uint64_t drop_revision_ = 0;
  Instant next_rules_check_;
  DropHistory next_history_;       // while the call that stores it is under way
  EventTime last_taken_deadline_;  // of the parts that were live at take
  bool is_adopting_ = false;
  bool is_dropping_ = false;
  Call call_ = Call::kNone;
  std::shared_ptr<const buffer::AddRequest> sent_add_;  // null: the last was applied or given up
  buffer::TickRequest sent_tick_;
  Instant send_again_at_;
  Instant live_since_;
  Instant next_tick_;
  Instant next_batch_;  // not before: SLOW
  Instant next_commit_;
  Instant memory_refused_at_;
  bool is_committing_ = false;
  Offset highest_asked_ = kNoOffset;  // to be committed, of this log

  std::shared_ptr<const DropRules> rules_;
  bool is_paused_ = false;
  bool is_reading_ = true;  // as the consumer was told last
  bool is_draining_ = false;
  absl::AnyInvocable<void()> drained_;
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_SHARD_SESSION_H_
