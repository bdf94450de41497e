#include "worker/flush/claim_run.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/failpoint.h"
#include "base/log.h"

namespace spillway::flush {
namespace {

using buffer::StoreCode;
using buffer::StoreResult;
using kafka::Delivery;

// Of a part whose size Redis could not tell, for the limits.
constexpr uint64_t kUnknownPartBytes = 64 << 10;
constexpr Duration kQueueFullPause = std::chrono::milliseconds(50);

uint64_t BytesOf(const buffer::ClaimedPart& part) {
  return part.part_bytes > 0 ? part.part_bytes : kUnknownPartBytes;
}

}  // namespace

ClaimRun::ClaimRun(Context context, RunClaim claim)
    : context_(std::move(context)),
      claim_(std::move(claim.claim)),
      epoch_(claim.epoch),
      store_backoff_(context_.options.backoff_initial, context_.options.backoff_max),
      delivery_backoff_(context_.options.backoff_initial, context_.options.backoff_max) {
  parts_.reserve(claim_.parts.size());
  for (const buffer::ClaimedPart& part : claim_.parts) {
    PartRun run;
    run.claimed = part;
    Piece piece;
    if (claim.to_dead_letters) {
      piece.kind = Piece::Kind::kDeadLetters;
      piece.reason = "attempts";
      run.error = "claimed again and again, and never delivered";
    }
    run.pieces.push_back(piece);
    parts_.push_back(std::move(run));
  }
  Recount();
}

ClaimRun::~ClaimRun() {
  for (PartRun& part : parts_) context_.host.Unreserve(part.reserved_bytes);
}

Instant ClaimRun::wake() const {
  if (ended_ || is_calling_) return Instant::max();
  if (not_before_ > now_) return not_before_;
  // Reports make room in the producer's queue; those of forgotten claims come to nobody.
  return queue_.empty() ? Instant::max() : now_ + kQueueFullPause;
}

void ClaimRun::Continue(Instant now) {
  now_ = now;
  if (ended_) return;
  if (std::exchange(needs_pause_, false)) {
    not_before_ = now + store_backoff_.Next(context_.random());
  }
  if (is_stopped_ || must_release_) DropQueue();
  Pump(now);
  if (is_calling_ || now < not_before_) return;
  Decide(now);
}

void ClaimRun::Pump(Instant now) {
  if (std::exchange(has_kafka_moved_, false)) kafka_wait_ = now;
  std::optional<InHand> in_hand;
  if (!queue_.empty()) in_hand.emplace(context_.note_in_hand, ClaimNow());
  while (!queue_.empty()) {
    Queued& next = queue_.front();
    const bool is_dead = next.id.origin.has_value();
    const bool is_alone = !is_dead && parts_[next.id.part].pieces[next.id.piece].is_alone;
    if (outstanding_ > 0 && (is_alone || is_sending_alone_)) break;
    const std::string& topic =
        is_dead ? context_.options.dead_letter_topic : context_.options.output_topic;
    absl::AnyInvocable<void(kafka::DeliveryReport)> done =
        [weak = weak_from_this(), id = next.id](const kafka::DeliveryReport& report) {
          if (const auto self = weak.lock()) self->OnReport(id, report);
        };
    if (!context_.producer.Produce(topic, next.message, done).ok()) break;  // its queue is full
    if (!kafka_wait_) kafka_wait_ = now;
    ++outstanding_;
    is_sending_alone_ = is_alone;
    queue_.pop_front();
    SPILLWAY_FAILPOINT("flush.produce.begun");
    if (queue_.empty()) SPILLWAY_FAILPOINT("flush.produce.queued");
  }
  if (queue_.empty() && outstanding_ == 0) kafka_wait_.reset();
  if (!queue_.empty() && !kafka_wait_) kafka_wait_ = now;
}

void ClaimRun::Set(Piece& piece, Piece::State state) {
  --state_counts_[static_cast<size_t>(piece.state)];
  piece.state = state;
  ++state_counts_[static_cast<size_t>(state)];
}

void ClaimRun::Recount() {
  state_counts_ = {};
  for (const PartRun& part : parts_) {
    for (const Piece& piece : part.pieces) ++state_counts_[static_cast<size_t>(piece.state)];
  }
}

void ClaimRun::Decide(Instant now) {
  const bool is_waiting = outstanding_ > 0 || !queue_.empty();
  if (must_release_ || is_stopped_) {
    if (is_waiting) return;
    const bool is_done = !must_release_ && NumberOf(Piece::State::kTodo) == 0 &&
                         NumberOf(Piece::State::kFailed) == 0;
    return is_done ? Acknowledge() : Release();
  }
  if (NumberOf(Piece::State::kTodo) > 0) return LoadMore();
  if (is_waiting) return;
  if (NumberOf(Piece::State::kFailed) == 0) return Acknowledge();
  if (!any_delivered_) {
    must_release_ = true;
    return Release();
  }
  for (PartRun& part : parts_) {
    for (Piece& piece : part.pieces) {
      if (piece.state == Piece::State::kFailed) Set(piece, Piece::State::kTodo);
    }
  }
  not_before_ = now + delivery_backoff_.Next(context_.random());
  context_.host.RequestPoll();
}

void ClaimRun::LoadMore() {
  SPILLWAY_FAILPOINT("flush.load.begun");
  std::vector<size_t> chosen;
  std::vector<buffer::ClaimedPart> claimed;
  uint64_t bytes = 0;
  for (size_t i = 0; i < parts_.size() && bytes < context_.options.load_bytes; ++i) {
    PartRun& part = parts_[i];
    const auto is_todo = [](const Piece& p) { return p.state == Piece::State::kTodo; };
    if (!std::any_of(part.pieces.begin(), part.pieces.end(), is_todo)) continue;
    if (part.reserved_bytes == 0) {  // else another piece of it is on its way
      const uint64_t size = BytesOf(part.claimed);
      if (!context_.host.TryReserve(size)) break;
      part.reserved_bytes = size;
    }
    bytes += part.reserved_bytes;
    chosen.push_back(i);
    claimed.push_back(part.claimed);
  }
  if (chosen.empty()) return;  // until another claim makes room
  is_calling_ = true;
  context_.store.Load(context_.shard, claimed, context_.shelf,
                      [weak = weak_from_this(), chosen = std::move(chosen)](
                          StoreResult<std::vector<buffer::LoadedPart>> result) {
                        if (const auto self = weak.lock())
                          self->OnLoaded(chosen, std::move(result));
                      });
}

bool ClaimRun::MustRepeat(StoreCode code) {
  context_.host.OnStoreCode(code);
  context_.host.RequestPoll();
  is_calling_ = false;
  if (code == StoreCode::kOk || code == StoreCode::kNoShard) {
    store_backoff_.Reset();
    return false;
  }
  cause_ = code == StoreCode::kMoving ? wire::Cause::kRedisMoving : wire::Cause::kRedis;
  needs_pause_ = true;
  return true;
}

void ClaimRun::OnLoaded(const std::vector<size_t>& parts,
                        StoreResult<std::vector<buffer::LoadedPart>> result) {
  if (MustRepeat(result.code)) {
    for (const size_t i : parts) FreeIfIdle(parts_[i]);
    return;
  }
  const auto is_whole = [](const buffer::LoadedPart& part) { return part.is_complete; };
  if (!result.ok() || result.value.size() != parts.size() ||
      !std::all_of(result.value.begin(), result.value.end(), is_whole)) {
    OnListsChanged();
    for (const size_t i : parts) FreeIfIdle(parts_[i]);
    return;
  }
  SPILLWAY_FAILPOINT("flush.load.answered");
  const Stretch working(context_.account, wire::Activity::kEncode, context_.clock);
  ++progress_;
  const InHand in_hand(context_.note_in_hand, ClaimNow());
  for (size_t i = 0; i < parts.size(); ++i) {
    Prepare(parts[i], result.value[i]);
    result.value[i] = {};  // the messages are made: at most one copy of the bytes at a time
  }
}

// What was claimed is not what is there: Redis was lost or set back, or something else writes.
void ClaimRun::OnListsChanged() {
  Log(LogLevel::kWarning, "loaded lists differ from the claim",
      {{"shard", context_.shard.value}, {"claim", claim_.id.ToString()}});
  must_release_ = true;
  has_changed_ = true;
  cause_ = wire::Cause::kOwnership;
}

// Loaded before, to be sent again, and not the same: its pieces mean nothing any more. After a loss
// of Redis another part may have the same name and as many list entries.
bool ClaimRun::HasChanged(const PartRun& part, const absl::StatusOr<Part>& decoded) {
  const Piece& piece = part.pieces[0];
  if (!piece.range) return false;  // the first time
  if (piece.kind == Piece::Kind::kRawEntries) return decoded.ok();
  return !decoded.ok() || decoded->spans.size() != part.span_count;
}

void ClaimRun::Prepare(size_t part_index, const buffer::LoadedPart& loaded) {
  PartRun& part = parts_[part_index];
  absl::StatusOr<Part> decoded = DecodePart(loaded, part.claimed.deadline, context_.decoder);
  if (HasChanged(part, decoded)) {
    OnListsChanged();
    return FreeIfIdle(part);
  }
  if (!decoded.ok()) {
    part.error = std::string(decoded.status().message());
    if (const std::optional<uint64_t> left_out = context_.log_limit.Admit(now_)) {
      Log(LogLevel::kError, "part cannot be decoded",
          {{"shard", context_.shard.value},
           {"part", part.claimed.name.ToString()},
           {"error", decoded.status()},
           {"left_out", *left_out}});
    }
    return PrepareDamaged(part_index, loaded);
  }
  part.span_count = decoded->spans.size();
  const size_t before = part.pieces.size();
  Divide(part, *decoded);
  if (part.pieces.size() != before) Recount();
  for (size_t i = 0; i < part.pieces.size(); ++i) {
    if (part.pieces[i].state == Piece::State::kTodo) PreparePiece(part_index, i, *decoded);
  }
  FreeIfIdle(part);
}

// One piece per entry, so that what fails is sent again alone.
void ClaimRun::PrepareDamaged(size_t part_index, const buffer::LoadedPart& loaded) {
  PartRun& part = parts_[part_index];
  part.quarantined_spans = CountSpans(loaded);
  if (part.pieces[0].kind != Piece::Kind::kRawEntries) {
    part.pieces.assign(loaded.own.size() + loaded.referenced.size(), Piece{});
    for (size_t i = 0; i < part.pieces.size(); ++i) {
      part.pieces[i].kind = Piece::Kind::kRawEntries;
      part.pieces[i].range = SpanRange{.from = i, .to = i + 1};  // of entries
      part.pieces[i].reason = "undecodable";
    }
    if (part.pieces.empty()) part.pieces.assign(1, {.state = Piece::State::kDone});
    Recount();
  }
  for (size_t i = 0; i < part.pieces.size(); ++i) {
    if (part.pieces[i].state != Piece::State::kTodo) continue;
    const bool is_own = i < loaded.own.size();
    const std::string& entry = is_own ? loaded.own[i] : loaded.referenced[i - loaded.own.size()];
    SendDeadLetter(part_index, i, loaded.name.offset, entry);
  }
  FreeIfIdle(part);
}

void ClaimRun::SendDeadLetter(size_t part, size_t piece, Offset offset, absl::string_view payload) {
  Piece& sent = parts_[part].pieces[piece];
  Set(sent, Piece::State::kSent);
  sent.has_failed = false;
  const DeadLetterOrigin origin{sent.reason, context_.options.input_topic, context_.shard, offset,
                                parts_[part].error};
  Queue(DeadLetter(origin, std::string(payload)),
        {.part = part, .piece = piece, .origin = origin, .payload_bytes = payload.size()});
}

// Splits a piece that was refused whole, and dead letters into single spans, so that what fails is
// sent again alone.
void ClaimRun::Divide(PartRun& part, const Part& decoded) {
  for (size_t i = 0, count = part.pieces.size(); i < count; ++i) {
    if (part.pieces[i].state != Piece::State::kTodo) continue;
    Piece piece = part.pieces[i];
    if (!piece.range) piece.range = WholeOf(decoded);
    const SpanRange range = *piece.range;
    part.pieces[i] = piece;
    if (piece.must_split) {
      piece.must_split = false;
      const auto [first, second] = Halves(decoded);
      piece.range = first;
      part.pieces[i] = piece;
      piece.range = second;
      part.pieces.push_back(piece);
    } else if (piece.kind == Piece::Kind::kDeadLetters && range.to - range.from > 1) {
      for (size_t span = range.from; span < range.to; ++span) {
        piece.range = SpanRange{.from = span, .to = span + 1};
        if (span == range.from) {
          part.pieces[i] = piece;
        } else {
          part.pieces.push_back(piece);
        }
      }
    }
  }
}

void ClaimRun::PreparePiece(size_t part_index, size_t piece_index, const Part& decoded) {
  Piece& piece = parts_[part_index].pieces[piece_index];
  if (piece.range->from == piece.range->to) {  // nothing but empty chunks
    Set(piece, Piece::State::kDone);
  } else if (piece.kind == Piece::Kind::kOutput) {
    Set(piece, Piece::State::kSent);
    piece.has_failed = false;
    Queue(Assemble(decoded, *piece.range, context_.shard, epoch_, context_.options.output),
          {.part = part_index, .piece = piece_index});
  } else {
    const buffer::ChunkSpan& span = decoded.spans[piece.range->from];
    SendDeadLetter(part_index, piece_index, span.offset, span.bytes);
  }
}

void ClaimRun::Queue(kafka::OutgoingMessage message, MessageId id) {
  ++parts_[id.part].pieces[id.piece].outstanding;
  queue_.push_back({std::move(message), std::move(id)});
}

void ClaimRun::OnReport(MessageId id, const kafka::DeliveryReport& report) {
  context_.host.OnDelivery(report.delivery);
  context_.host.RequestPoll();
  CHECK(outstanding_ > 0, "one report for each message");
  --outstanding_;
  has_kafka_moved_ = true;
  Piece& piece = parts_[id.part].pieces[id.piece];
  --piece.outstanding;
  const bool is_dead = id.origin.has_value();
  switch (report.delivery) {
    case Delivery::kDelivered:
      SPILLWAY_FAILPOINT("flush.delivery.reported");
      any_delivered_ = true;
      ++delivered_messages_;
      ++progress_;
      cause_ = wire::Cause::kNone;
      delivery_backoff_.Reset();
      break;
    case Delivery::kPossiblyPersisted:
      ++counts_.possibly_persisted;
      [[fallthrough]];
    case Delivery::kNotDelivered:
      piece.has_failed = true;
      cause_ = is_dead ? wire::Cause::kDeadLetter : wire::Cause::kKafka;
      break;
    case Delivery::kRefused:
      if (!is_dead) {
        piece.is_refused = true;
      } else if (!id.is_bare) {
        id.is_bare = true;
        Queue(BareDeadLetter(*id.origin, id.payload_bytes), id);
      } else {
        piece.has_failed = true;
        counts_attempt_ = true;
        cause_ = wire::Cause::kDeadLetter;
      }
      break;
  }
  if (report.delivery == Delivery::kRefused) NoteRefusal(id, report.message);
  Resolve(id.part, id.piece);
}

void ClaimRun::NoteRefusal(const MessageId& id, const std::string& message) {
  PartRun& part = parts_[id.part];
  const bool is_dead = id.origin.has_value();
  if (!is_dead) part.error = message;
  const std::optional<uint64_t> left_out = context_.log_limit.Admit(now_);
  if (!left_out) return;
  Log(LogLevel::kWarning, "the broker refuses a message",
      {{"shard", context_.shard.value},
       {"part", part.claimed.name.ToString()},
       {"is_dead_letter", is_dead},
       {"error", message},
       {"left_out", *left_out}});
}

void ClaimRun::Resolve(size_t part_index, size_t piece_index) {
  PartRun& part = parts_[part_index];
  Piece& piece = part.pieces[piece_index];
  if (piece.outstanding > 0) return;
  if (piece.is_refused) {
    Refused(part, piece_index);
  } else {
    Set(piece, piece.has_failed ? Piece::State::kFailed : Piece::State::kDone);
  }
  FreeIfIdle(part);
}

void ClaimRun::Refused(PartRun& part, size_t piece_index) {
  Piece& piece = part.pieces[piece_index];
  piece.is_refused = false;
  Set(piece, Piece::State::kTodo);  // it is loaded again: this is rare
  if (!piece.is_alone) {
    piece.is_alone = true;
  } else if (!piece.range->is_half && part.span_count > 1) {
    piece.must_split = true;
  } else {
    piece.kind = Piece::Kind::kDeadLetters;
    piece.reason = "refused";
  }
}

void ClaimRun::FreeIfIdle(PartRun& part) {
  const auto is_sent = [](const Piece& p) { return p.state == Piece::State::kSent; };
  if (std::any_of(part.pieces.begin(), part.pieces.end(), is_sent)) return;
  context_.host.Unreserve(std::exchange(part.reserved_bytes, 0));
}

void ClaimRun::DropQueue() {
  while (!queue_.empty()) {
    const MessageId id = queue_.back().id;
    queue_.pop_back();
    Piece& piece = parts_[id.part].pieces[id.piece];
    --piece.outstanding;
    piece.has_failed = true;
    Resolve(id.part, id.piece);
  }
}

void ClaimRun::Acknowledge() {
  buffer::AcknowledgeRequest request{
      .id = claim_.id, .lease_end = claim_.lease_end, .parts = claim_.parts};
  for (const PartRun& part : parts_) {
    request.quarantined_spans += part.quarantined_spans;
    for (const Piece& piece : part.pieces) {
      const uint64_t spans = piece.range ? piece.range->to - piece.range->from : 0;
      if (piece.kind == Piece::Kind::kOutput) request.acknowledged_spans += spans;
      if (piece.kind == Piece::Kind::kDeadLetters) request.dead_lettered_spans += spans;
    }
  }
  SPILLWAY_FAILPOINT("flush.delivery.complete");
  is_calling_ = true;
  context_.store.Acknowledge(
      context_.shard, request,
      [weak = weak_from_this(), ended = Counts{.spans = request.acknowledged_spans,
                                               .dead_lettered_spans = request.dead_lettered_spans,
                                               .quarantined_spans = request.quarantined_spans}](
          const StoreResult<buffer::AcknowledgeReply>& result) {
        const auto self = weak.lock();
        SPILLWAY_FAILPOINT("flush.acknowledge.answered");
        if (!self || self->MustRepeatEnd(result.code)) return;
        self->OnAcknowledged(ended, result);
      });
}

void ClaimRun::OnAcknowledged(const Counts& spans,
                              const StoreResult<buffer::AcknowledgeReply>& result) {
  if (!result.ok() || (!result.value.was_known && !has_repeated_end_)) {
    Log(LogLevel::kWarning, "Redis does not know a delivered claim",
        {{"shard", context_.shard.value}, {"claim", claim_.id.ToString()}});
    counts_.possibly_persisted += delivered_messages_;
    return End(ClaimEnded::How::kLost);
  }
  counts_.spans = spans.spans;
  counts_.dead_lettered_spans = spans.dead_lettered_spans;
  counts_.quarantined_spans = spans.quarantined_spans;
  const auto is_message = [](const Piece& piece) {
    return piece.kind == Piece::Kind::kOutput && piece.range && piece.range->from < piece.range->to;
  };
  for (const PartRun& part : parts_) {
    if (std::any_of(part.pieces.begin(), part.pieces.end(), is_message)) ++counts_.segments;
    if (result.value.redis_time.us == 0) continue;
    lateness_.emplace_back(result.value.redis_time.us - part.claimed.due_since.us);
  }
  End(ClaimEnded::How::kAcknowledged);
}

void ClaimRun::Release() {
  SPILLWAY_FAILPOINT("flush.release.begun");
  is_calling_ = true;
  context_.store.Release(
      context_.shard, {.id = claim_.id, .counts_attempt = counts_attempt_},
      [weak = weak_from_this()](StoreResult<bool> result) {
        const auto self = weak.lock();
        SPILLWAY_FAILPOINT("flush.release.answered");
        if (!self || self->MustRepeatEnd(result.code)) return;
        // What was delivered will be so again.
        self->counts_.possibly_persisted += self->delivered_messages_;
        self->End(result.ok() ? ClaimEnded::How::kReleased : ClaimEnded::How::kLost);
      });
}

bool ClaimRun::MustRepeatEnd(StoreCode code) {
  if (!MustRepeat(code)) return false;
  return has_repeated_end_ = true;
}

void ClaimRun::End(ClaimEnded::How how) {
  ++progress_;
  ended_ = ClaimEnded{.id = claim_.id, .how = how, .cause = cause_, .has_changed = has_changed_};
}

}  // namespace spillway::flush
