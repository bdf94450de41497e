#include "tests/support/fake_shard_store.h"

#include <algorithm>

#include "buffer/chunk/chunk.h"
#include "buffer/ledger.h"
#include "tests/support/shard_misuse.h"

namespace spillway::buffer {
namespace {

template <typename T>
StoreResult<T> Refuse(StoreCode code, std::string message) {
  return {.code = code, .value = {}, .message = std::move(message)};
}
template <typename T>
StoreResult<T> Accept(T value) {
  return {.code = StoreCode::kOk, .value = std::move(value), .message = ""};
}
template <typename T>
StoreResult<T> NoShard() {
  return Refuse<T>(StoreCode::kNoShard, "NO_SHARD");
}

// Why a write of an ingest owner is refused (AddRequest and TickRequest prove themselves alike);
// empty: it is not.
template <typename Request>
std::optional<StoreResult<ShardFigures>> RefusalOf(const FakeShard* shard, const Request& request) {
  if (shard == nullptr) return NoShard<ShardFigures>();
  if (shard->ingest_epoch != request.epoch)
    return Refuse<ShardFigures>(StoreCode::kFenced, "FENCED");
  if (shard->watermark != request.expected_watermark) {
    auto refused = Refuse<ShardFigures>(StoreCode::kWatermark, "WATERMARK");
    refused.value.watermark = shard->watermark;
    return refused;
  }
  if (shard->clock != request.expected_clock)
    return Refuse<ShardFigures>(StoreCode::kClock, "CLOCK");
  return std::nullopt;
}

}  // namespace

FakeShardStore::FakeShardStore() : is_alive_(std::make_shared<bool>(true)) {}
FakeShardStore::FakeShardStore(Poster poster)
    : poster_(std::move(poster)), is_alive_(std::make_shared<bool>(true)) {}
FakeShardStore::~FakeShardStore() { *is_alive_ = false; }

FakeShard* FakeShardStore::shard(ShardId id) {
  const auto it = shards_.find(id);
  return it == shards_.end() ? nullptr : &it->second;
}

template <typename T>
void FakeShardStore::Answer(Done<T> done, StoreResult<T> result) {
  Task task = [alive = is_alive_, done = std::move(done), result = std::move(result)]() mutable {
    if (*alive) done(std::move(result));
  };
  if (poster_) {
    poster_(std::move(task));
  } else {
    callbacks_.push_back(std::move(task));
  }
}

template <typename T>
void FakeShardStore::Perform(StoreCall call, ShardId shard, Done<T> done,
                             absl::AnyInvocable<StoreResult<T>()> execute) {
  const auto lost = [] { return Refuse<T>(StoreCode::kUnavailable, "connection lost"); };
  const FaultHook faults = faults_;  // which may set another
  switch (faults ? faults(call, shard) : StoreFault::kNone) {
    case StoreFault::kNone:
      return Answer<T>(std::move(done), execute());
    case StoreFault::kLoseRequest:
      return Answer<T>(std::move(done), lost());
    case StoreFault::kLoseReply:
      execute();
      return Answer<T>(std::move(done), lost());
    case StoreFault::kDelay:
      delayed_.push_back([execute = std::move(execute)]() mutable { execute(); });
      return Answer<T>(std::move(done), lost());
    case StoreFault::kHold:
      held_.push_back([this, execute = std::move(execute), done = std::move(done)]() mutable {
        Answer<T>(std::move(done), execute());
      });
      return;
    case StoreFault::kRefuseMemory: {
      const bool was_full = std::exchange(is_memory_full_, true);
      Answer<T>(std::move(done), execute());
      is_memory_full_ = was_full;
      return;
    }
    case StoreFault::kMoving:
      return Answer<T>(std::move(done), Refuse<T>(StoreCode::kMoving, "TRYAGAIN"));
  }
}

size_t FakeShardStore::RunCallbacks() {
  size_t ran = 0;
  while (RunOneCallback()) ++ran;
  return ran;
}

bool FakeShardStore::RunOneCallback() {
  if (callbacks_.empty()) return false;
  Task task = std::move(callbacks_.front());
  callbacks_.pop_front();
  task();
  return true;
}

void FakeShardStore::RunDelayed(size_t index) {
  Task task = std::move(delayed_[index]);
  delayed_.erase(delayed_.begin() + static_cast<std::ptrdiff_t>(index));
  task();
}

void FakeShardStore::ReleaseHeld() {
  std::vector<Task> held;
  held.swap(held_);
  for (Task& task : held) task();
}

void FakeShardStore::Take(ShardId shard, const TakeRequest& request, Done<TakeReply> done) {
  Perform<TakeReply>(StoreCall::kTake, shard, std::move(done),
                     [this, shard, request] { return DoTake(shard, request); });
}
void FakeShardStore::Add(ShardId shard, std::shared_ptr<const AddRequest> request,
                         Done<ShardFigures> done) {
  SendAdd(shard, std::move(request), /*may_store=*/true, std::move(done));
}
void FakeShardStore::SendAdd(ShardId shard, std::shared_ptr<const AddRequest> request,
                             bool may_store, Done<ShardFigures> done) {
  auto read = [this, shard, request, may_store,
               done = std::move(done)](StoreResult<ShardFigures> result) mutable {
    if (result.code != StoreCode::kNoDictionary) return done(std::move(result));
    if (!may_store) return done(Refuse<ShardFigures>(StoreCode::kUnavailable, "DICTIONARY"));
    auto add_again = [this, shard, request,
                      done = std::move(done)](const StoreResult<bool>& stored) mutable {
      if (stored.ok()) return SendAdd(shard, request, false, std::move(done));
      done(Refuse<ShardFigures>(stored.code, stored.message));
    };
    Perform<bool>(StoreCall::kStoreDictionary, shard, std::move(add_again),
                  [this, shard, request] { return StoreDictionary(shard, *request); });
  };
  Perform<ShardFigures>(StoreCall::kAdd, shard, std::move(read),
                        [this, shard, request] { return DoAdd(shard, *request); });
}
StoreResult<bool> FakeShardStore::StoreDictionary(ShardId id, const AddRequest& request) {
  FakeShard* shard = this->shard(id);
  if (shard == nullptr) return NoShard<bool>();
  if (shard->ingest_epoch != request.epoch) return Refuse<bool>(StoreCode::kFenced, "FENCED");
  if (is_memory_full_) return Refuse<bool>(StoreCode::kMemory, "OOM");
  shard->last_dictionary = request.dictionary->id();
  shard->dictionaries[shard->last_dictionary] = request.dictionary;
  return Accept(true);
}
void FakeShardStore::ReadDictionary(ShardId shard, uint32_t id,
                                    Done<std::shared_ptr<const Dictionary>> done) {
  using Found = std::shared_ptr<const Dictionary>;
  Perform<Found>(StoreCall::kReadDictionary, shard, std::move(done), [this, shard, id] {
    const FakeShard* state = this->shard(shard);
    if (state == nullptr || !state->dictionaries.contains(id)) {
      return Refuse<Found>(StoreCode::kNoDictionary, "not there");
    }
    return Accept(state->dictionaries.at(id));
  });
}
void FakeShardStore::DropDictionary(ShardId shard, const DropDictionaryRequest& request,
                                    Done<bool> done) {
  Perform<bool>(StoreCall::kDropDictionary, shard, std::move(done),
                [this, shard, request] { return DoDropDictionary(shard, request); });
}
StoreResult<bool> FakeShardStore::DoDropDictionary(ShardId id,
                                                   const DropDictionaryRequest& request) {
  FakeShard* shard = this->shard(id);
  if (shard == nullptr) return NoShard<bool>();
  if (shard->ingest_epoch != request.epoch) return Refuse<bool>(StoreCode::kFenced, "FENCED");
  if (shard->watermark != request.expected_watermark) {
    return Refuse<bool>(StoreCode::kWatermark, "WATERMARK");
  }
  const auto lowest = shard->LowestOutstanding();
  if (lowest.has_value() && *lowest <= request.last_deadline) return Accept(false);
  dictionaries_dropped_ += shard->dictionaries.erase(request.id);
  return Accept(true);
}
void FakeShardStore::StoreDropRules(ShardId shard, const StoreDropRulesRequest& request,
                                    Done<bool> done) {
  Perform<bool>(StoreCall::kStoreDropRules, shard, std::move(done),
                [this, shard, request] { return DoStoreDropRules(shard, request); });
}
StoreResult<bool> FakeShardStore::DoStoreDropRules(ShardId id,
                                                   const StoreDropRulesRequest& request) {
  FakeShard* shard = this->shard(id);
  if (shard == nullptr) return NoShard<bool>();
  if (shard->ingest_epoch != request.epoch) return Refuse<bool>(StoreCode::kFenced, "FENCED");
  if (shard->drop_revision == request.revision) return Accept(true);
  if (shard->drop_revision + 1 != request.revision) {
    return Refuse<bool>(StoreCode::kDropRevision, "DROP_REVISION");
  }
  shard->drop_revision = request.revision;
  shard->drop_rules = request.rules;
  return Accept(true);
}
void FakeShardStore::Tick(ShardId shard, const TickRequest& request, Done<ShardFigures> done) {
  Perform<ShardFigures>(StoreCall::kTick, shard, std::move(done),
                        [this, shard, request] { return DoTick(shard, request); });
}
void FakeShardStore::Acquire(ShardId shard, const AcquireRequest& request, Done<Epoch> done) {
  Perform<Epoch>(StoreCall::kAcquire, shard, std::move(done), [this, shard, request] {
    FakeShard* state = this->shard(shard);
    if (state == nullptr) return NoShard<Epoch>();
    state->flush_epoch = {std::max(state->flush_epoch.number, request.proposed_number) + 1,
                          request.owner};
    return Accept(state->flush_epoch);
  });
}
void FakeShardStore::Peek(ShardId shard, Epoch epoch, uint32_t limit, Done<PeekReply> done) {
  Perform<PeekReply>(StoreCall::kPeek, shard, std::move(done),
                     [this, shard, epoch, limit] { return DoPeek(shard, epoch, limit); });
}
void FakeShardStore::ClaimParts(ShardId shard, ClaimRequest request, Done<Claim> done) {
  Perform<Claim>(StoreCall::kClaim, shard, std::move(done),
                 [this, shard, request = std::move(request)] { return DoClaim(shard, request); });
}
void FakeShardStore::Load(ShardId shard, const std::vector<ClaimedPart>& parts,
                          std::shared_ptr<DictionaryShelf> shelf,
                          Done<std::vector<LoadedPart>> done) {
  using Loaded = std::vector<LoadedPart>;
  Perform<Loaded>(StoreCall::kLoad, shard, std::move(done), [this, shard, parts, shelf] {
    static const FakeShard kNothing;
    const FakeShard* state = this->shard(shard);
    if (state == nullptr) state = &kNothing;
    Loaded loaded;
    for (const ClaimedPart& part : parts) {
      LoadedPart& out = loaded.emplace_back();
      out.name = part.name;
      std::vector<uint64_t> lengths = {LengthOf(*state, part.name)};
      if (lengths[0] > 0) out.own = state->lists.at(part.name);
      for (const PartName& reference : part.references) {
        lengths.push_back(LengthOf(*state, reference));
        if (lengths.back() == 0) continue;
        const auto& list = state->lists.at(reference);
        out.referenced.insert(out.referenced.end(), list.begin(), list.end());
      }
      out.is_complete = IsWhole(part, out, lengths);
    }
    if (interrupt_load_) {
      std::exchange(interrupt_load_, nullptr)();
      state = this->shard(shard);
      if (state == nullptr) state = &kNothing;
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      FetchDictionaries(parts[i], *state, loaded[i], *shelf);
    }
    return Accept(std::move(loaded));
  });
}
void FakeShardStore::Acknowledge(ShardId shard, const AcknowledgeRequest& request,
                                 Done<AcknowledgeReply> done) {
  Perform<AcknowledgeReply>(StoreCall::kAcknowledge, shard, std::move(done),
                            [this, shard, request] { return DoAcknowledge(shard, request); });
}
void FakeShardStore::Release(ShardId shard, const ReleaseRequest& request, Done<bool> done) {
  Perform<bool>(StoreCall::kRelease, shard, std::move(done),
                [this, shard, request] { return DoRelease(shard, request); });
}
void FakeShardStore::Summary(ShardId shard, Done<ShardSummary> done) {
  Perform<ShardSummary>(StoreCall::kSummary, shard, std::move(done),
                        [this, shard] { return DoSummary(shard); });
}
void FakeShardStore::ListShards(Done<std::vector<ShardId>> done) {
  Perform<std::vector<ShardId>>(StoreCall::kListShards, ShardId{0}, std::move(done), [this] {
    std::vector<ShardId> ids;
    for (const auto& [id, shard] : shards_) ids.push_back(id);
    return Accept(std::move(ids));
  });
}
void FakeShardStore::Audit(ShardId shard, Done<AuditReply> done) {
  Perform<AuditReply>(StoreCall::kAudit, shard, std::move(done),
                      [this, shard] { return DoAudit(shard); });
}

ShardFigures FakeShardStore::FiguresOf(const FakeShard& shard) const {
  const auto lowest = shard.LowestOutstanding();
  return {.watermark = shard.watermark,
          .clock = shard.clock,
          .lowest_outstanding = lowest,
          .backlog = shard.Backlog(),
          .lateness = shard.marks.Lateness(lowest, shard.clock, now_),
          .memory_ratio = memory_ratio_,
          .redis_time = now_};
}

StoreResult<TakeReply> FakeShardStore::DoTake(ShardId id, const TakeRequest& request) {
  TakeReply reply;
  reply.is_created = !shards_.contains(id);
  FakeShard& shard = shards_[id];
  const bool has_commit = request.committed != kNoOffset && request.committed <= request.log_end;
  reply.is_new_log = !reply.is_created &&
                     (Differs(shard.input, request.input) || request.log_end < shard.watermark ||
                      (request.committed != kNoOffset && !has_commit));
  const bool has_forgotten =
      request.was_set_back || request.reached > shard.watermark ||
      (has_commit && (reply.is_created || shard.watermark < request.committed));
  Offset wanted = has_commit ? request.committed : request.log_start;
  if (has_forgotten && !reply.is_new_log && request.reached_at_most > wanted) {
    reply.replayed = static_cast<uint64_t>(request.reached_at_most - wanted);
    shard.ledger.replayed += reply.replayed;
  }
  if (reply.is_created || reply.is_new_log) {
    if (reply.is_new_log) StartNewIncarnation(shard);
    shard.input = request.input;
    shard.watermark = wanted;
  } else {
    FillIn(shard.input, request.input);
    if (has_commit && shard.watermark < request.committed) {
      shard.ledger.skipped += static_cast<uint64_t>(request.committed - shard.watermark);
      shard.watermark = request.committed;
    }
    if (!has_commit) {
      const Offset live = shard.LowestLiveOffset();
      wanted = live == kNoOffset ? shard.watermark : std::min(live, shard.watermark);
    }
  }
  reply.start = std::max(wanted, request.log_start);
  shard.watermark = std::max(shard.watermark, request.log_start);
  reply.unreplayable = static_cast<uint64_t>(reply.start - wanted);
  const Offset counted_from = std::max(wanted, shard.gap_end);
  if (counted_from < reply.start) {
    shard.ledger.unreplayable += static_cast<uint64_t>(reply.start - counted_from);
    shard.gap_end = reply.start;
  }
  shard.ingest_epoch = {std::max(shard.ingest_epoch.number, request.proposed_number) + 1,
                        request.owner};
  VisitLive(shard, [&](const PartName& name, EventTime deadline, bool is_in_due) {
    LivePartRecord record{.name = name,
                          .deadline = deadline,
                          .is_in_due = is_in_due,
                          .references = ReferencesOf(shard, name),
                          .last_chunk_prefix = {}};
    if (is_in_due && deadline > shard.clock) record.last_chunk_prefix = HeaderPrefix(shard, name);
    const Offset lowest = LowestOffset(shard, name);
    if (has_commit && name.incarnation == shard.incarnation && lowest < request.committed &&
        lowest >= shard.resurrected_end) {
      ++shard.ledger.resurrected;
    }
    reply.live.push_back(std::move(record));
  });
  if (has_commit) shard.resurrected_end = std::max(shard.resurrected_end, request.committed);
  for (const auto& [dictionary, content] : shard.dictionaries) {
    reply.dictionaries.push_back(dictionary);
    if (dictionary == shard.last_dictionary) {
      std::swap(reply.dictionaries.front(), reply.dictionaries.back());
    }
  }
  reply.drop_revision = shard.drop_revision;
  reply.drop_rules = shard.drop_rules;
  reply.epoch = shard.ingest_epoch;
  reply.incarnation = shard.incarnation;
  reply.watermark = shard.watermark;
  reply.clock = shard.clock;
  reply.redis_time = now_;
  return Accept(std::move(reply));
}

StoreResult<ShardFigures> FakeShardStore::DoAdd(ShardId id, const AddRequest& request) {
  FakeShard* shard = this->shard(id);
  if (auto refused = RefusalOf(shard, request)) return *std::move(refused);
  if (request.dictionary != nullptr && !shard->dictionaries.contains(request.dictionary->id())) {
    return Refuse<ShardFigures>(StoreCode::kNoDictionary, "DICTIONARY");
  }
  if (is_memory_full_ && Writes(request)) return Refuse<ShardFigures>(StoreCode::kMemory, "OOM");
  for (const AddPart& part : request.parts) {
    if (misuse_.empty()) misuse_ = MisuseBy(*shard, part);
    AppendPart(*shard, part);
  }
  Ledger& ledger = shard->ledger;
  ledger.messages += request.ledger.messages;
  ledger.accepted += request.ledger.accepted;
  ledger.deduplicated += request.ledger.deduplicated;
  ledger.rejected += request.ledger.rejected;
  ledger.filtered += request.ledger.filtered;
  ledger.resurrected += request.ledger.resurrected;
  shard->watermark = request.new_watermark;
  shard->clock = request.new_clock;
  shard->marks.Add({.clock = shard->clock, .passed_at = now_}, shard->LowestOutstanding());
  return Accept(FiguresOf(*shard));
}

StoreResult<ShardFigures> FakeShardStore::DoTick(ShardId id, const TickRequest& request) {
  FakeShard* shard = this->shard(id);
  if (auto refused = RefusalOf(shard, request)) return *std::move(refused);
  if (request.moves_clock && shard->clock < EventTimeOf(now_)) {
    shard->clock = EventTimeOf(now_);
    shard->marks.Add({.clock = shard->clock, .passed_at = now_}, shard->LowestOutstanding());
  }
  return Accept(FiguresOf(*shard));
}

StoreResult<PeekReply> FakeShardStore::DoPeek(ShardId id, Epoch epoch, uint32_t limit) {
  const FakeShard* shard = this->shard(id);
  if (shard == nullptr) return NoShard<PeekReply>();
  if (shard->flush_epoch != epoch) return Refuse<PeekReply>(StoreCode::kFenced, "FENCED");
  PeekReply reply{
      .clock = shard->clock,
      .redis_time = now_,
      .due = {},
      .due_count = 0,
      .next_deadline = {},
      .inflight = {},
      .lateness = shard->marks.Lateness(shard->LowestOutstanding(), shard->clock, now_)};
  for (const auto& [name, deadline] : shard->due) {
    if (deadline > shard->clock) {
      reply.next_deadline = std::min(reply.next_deadline.value_or(deadline), deadline);
      continue;
    }
    const auto attempts = shard->attempts.find(name);
    reply.due.push_back({.name = name,
                         .deadline = deadline,
                         .references = ReferencesOf(*shard, name),
                         .attempts = attempts == shard->attempts.end() ? 0 : attempts->second});
  }
  reply.due_count = reply.due.size();
  std::ranges::sort(reply.due, {}, [](const PeekedPart& part) {
    return std::pair(part.deadline, part.name.ToString());
  });
  if (reply.due.size() > limit) reply.due.resize(limit);
  for (const auto& [claim_id, claim] : shard->claims) {
    reply.inflight.push_back({.id = claim_id, .epoch = claim.epoch, .lease_end = claim.lease_end});
  }
  return Accept(std::move(reply));
}

StoreResult<Claim> FakeShardStore::DoClaim(ShardId id, const ClaimRequest& request) {
  FakeShard* shard = this->shard(id);
  if (shard == nullptr) return NoShard<Claim>();
  if (shard->flush_epoch != request.epoch) return Refuse<Claim>(StoreCode::kFenced, "FENCED");
  if (shard->claims.contains(request.id))
    return Accept(DescribeClaim(*shard, request.id, request.counts_entries, now_));
  FakeShard::ClaimState claim{
      .epoch = request.epoch, .lease_end = {now_.us + request.lease.count() * 1000}, .parts = {}};
  for (const PeekedPart& part : request.parts) {
    const auto it = shard->due.find(part.name);
    if (it == shard->due.end() || it->second > shard->clock) continue;
    if (ReferencesOf(*shard, part.name) != part.references) continue;
    if (LengthOf(*shard, part.name) == 0) {
      OrphanPart(*shard, part);
    } else {
      for (const PartName& r : part.references) shard->ledger.orphan += LengthOf(*shard, r) == 0;
      claim.parts.emplace_back(it->first, it->second);
    }
    shard->due.erase(it);
  }
  if (claim.parts.empty()) return Accept(Claim{.id = request.id, .lease_end = {}, .parts = {}});
  shard->claims[request.id] = std::move(claim);
  return Accept(DescribeClaim(*shard, request.id, request.counts_entries, now_));
}

StoreResult<AcknowledgeReply> FakeShardStore::DoAcknowledge(ShardId id,
                                                            const AcknowledgeRequest& request) {
  FakeShard* shard = this->shard(id);
  if (shard == nullptr) return NoShard<AcknowledgeReply>();
  const auto it = shard->claims.find(request.id);
  if (it == shard->claims.end() || !IsWhole(*shard, it->second, request)) {
    ++shard->ledger.stale_acknowledges;
    return Accept(AcknowledgeReply{.was_known = false, .redis_time = now_});
  }
  for (const ClaimedPart& part : request.parts) {
    for (const PartName& reference : part.references) {
      shard->lists.erase(reference);
      shard->attempts.erase(reference);
    }
    shard->lists.erase(part.name);
    shard->references.erase(part.name);
    shard->attempts.erase(part.name);
  }
  shard->ledger.acknowledged += request.acknowledged_spans;
  shard->ledger.dead_lettered += request.dead_lettered_spans;
  shard->ledger.quarantined += request.quarantined_spans;
  shard->claims.erase(it);
  return Accept(AcknowledgeReply{.was_known = true, .redis_time = now_});
}

StoreResult<bool> FakeShardStore::DoRelease(ShardId id, const ReleaseRequest& request) {
  FakeShard* shard = this->shard(id);
  if (shard == nullptr) return NoShard<bool>();
  const auto it = shard->claims.find(request.id);
  if (it == shard->claims.end()) return Accept(false);
  for (const auto& [name, deadline] : it->second.parts) {
    shard->due[name] = deadline;
    if (request.counts_attempt) ++shard->attempts[name];
  }
  shard->ledger.released += it->second.parts.size();
  shard->claims.erase(it);
  return Accept(true);
}

StoreResult<ShardSummary> FakeShardStore::DoSummary(ShardId id) {
  ShardSummary summary;
  summary.redis_time = now_;
  const FakeShard* shard = this->shard(id);
  if (shard == nullptr) return Accept(summary);
  summary.exists = true;
  summary.incarnation = shard->incarnation;
  summary.ingest_epoch = shard->ingest_epoch;
  summary.flush_epoch = shard->flush_epoch;
  summary.watermark = shard->watermark;
  summary.clock = shard->clock;
  summary.due_parts = shard->due.size();
  for (const auto& [name, deadline] : shard->due) summary.backlog += deadline <= shard->clock;
  summary.inflight_claims = shard->claims.size();
  for (const auto& [claim, state] : shard->claims) summary.claimed_parts += state.parts.size();
  summary.lateness = shard->marks.Lateness(shard->LowestOutstanding(), shard->clock, now_);
  summary.ledger = shard->ledger;
  return Accept(summary);
}

StoreResult<AuditReply> FakeShardStore::DoAudit(ShardId id) {
  AuditReply reply;
  reply.summary = DoSummary(id).value;
  reply.is_exact = true;
  const FakeShard* shard = this->shard(id);
  if (shard == nullptr) return Accept(reply);
  const auto count = [&](const PartName& name) {
    reply.live_spans += SpansIn(*shard, name);
    reply.missing_lists += shard->lists.contains(name) ? 0u : 1u;
  };
  VisitLive(*shard, [&](const PartName& name, EventTime, bool is_in_due) {
    ++(is_in_due ? reply.due_parts : reply.in_flight_parts);
    count(name);
    for (const PartName& r : ReferencesOf(*shard, name)) count(r);
  });
  return Accept(Compared(std::move(reply)));
}

}  // namespace spillway::buffer
