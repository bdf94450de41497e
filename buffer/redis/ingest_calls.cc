// RedisShardStore as an IngestStore.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "buffer/chunk/chunk.h"
#include "buffer/clock_marks.h"
#include "buffer/redis/due_score.h"
#include "buffer/redis/live_reading.h"
#include "buffer/redis/redis_store.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

// Those of `fields`, `last` first if it is among them.
std::vector<uint32_t> ReadDictionaryIds(absl::string_view last, const Reply& fields) {
  std::vector<uint32_t> ids;
  for (size_t i = 0; i < fields.size(); ++i) {
    const uint32_t id = DictionaryIdFromText(fields[i].text());
    if (id == 0) continue;  // not ours
    ids.push_back(id);
    if (fields[i].text() == last) std::swap(ids.front(), ids.back());
  }
  return ids;
}

// Lowest first offset of the live parts of this incarnation, and W; kNoOffset never.
Offset LowestStart(const TakeReply& reply) {
  Offset lowest = reply.watermark;
  for (const LivePartRecord& part : reply.live) {
    if (part.name.incarnation == reply.incarnation) lowest = std::min(lowest, LowestOffset(part));
  }
  return lowest;
}

// Everything below C has been delivered, so a live part from there has come back to life.
int64_t CountResurrected(const TakeReply& reply, Offset from, Offset committed) {
  return std::ranges::count_if(reply.live, [&](const LivePartRecord& part) {
    const Offset lowest = LowestOffset(part);
    return part.name.incarnation == reply.incarnation && lowest >= from && lowest < committed;
  });
}

// The parts of an add in the order its script wants them.
struct AddOrder {
  std::vector<const AddPart*>
      plain;            // with score and chunk, without references, each once; new keys first
  size_t new_keys = 0;  // among the plain ones
  std::vector<const AddPart*> rest;
  bool has_payload = false;
};

AddOrder OrderOf(const AddRequest& request) {
  AddOrder order;
  order.plain.reserve(request.parts.size());
  absl::flat_hash_set<PartName> plain;
  plain.reserve(request.parts.size());
  for (const AddPart& part : request.parts) {
    const bool is_plain = !part.is_absorbed && part.references.empty() && !part.chunk.empty() &&
                          plain.insert(part.name).second;
    (is_plain ? order.plain : order.rest).push_back(&part);
    order.has_payload |= !part.chunk.empty() || !part.references.empty();
  }
  // A part has the name of the span that opened it: what W has not passed does not exist yet.
  const auto first_old = std::stable_partition(
      order.plain.begin(), order.plain.end(),
      [&](const AddPart* part) { return part->name.offset >= request.expected_watermark; });
  order.new_keys = static_cast<size_t>(first_old - order.plain.begin());
  return order;
}

void AddScore(Command& command, const AddPart& part) {
  const auto header = DecodeHeader(part.chunk);
  command.Add(DueScore(part.deadline, header.ok() ? header->part_bytes : 0));
}

void AddRest(Command& command, const AddPart& part) {
  command.Add(part.name.ToString());
  if (part.is_absorbed) {
    command.Add("");
  } else {
    AddScore(command, part);
  }
  command.Add(part.chunk).Add(static_cast<int64_t>(part.references.size()));
  std::string entry;
  for (const PartName& reference : part.references) {
    entry.clear();
    EncodeReference(reference, entry);
    command.Add(reference.ToString()).Add(entry);
  }
}

Command MakeAdd(const ShardKeys& keys, const AddRequest& request) {
  const AddOrder order = OrderOf(request);
  size_t arguments = 15 + 3 * order.plain.size();
  for (const AddPart* part : order.rest) arguments += 4 + 2 * part->references.size();
  Command command(scripts::kAdd, 6 + request.parts.size(), arguments);
  command.AddAll({keys.meta(), keys.due(), keys.references(), keys.inflight(), keys.dictionaries(),
                  keys.journal()});
  for (const AddPart* part : order.plain) command.Add(keys.part(part->name));
  for (const AddPart* part : order.rest) command.Add(keys.part(part->name));
  command.Add(EpochText(request.epoch))
      .Add(request.expected_watermark)
      .Add(request.expected_clock.ms)
      .Add(request.new_watermark)
      .Add(request.new_clock.ms);
  const LedgerDelta& ledger = request.ledger;
  for (const uint64_t count : {ledger.messages, ledger.accepted, ledger.deduplicated,
                               ledger.rejected, ledger.filtered, ledger.resurrected}) {
    command.Add(static_cast<int64_t>(count));
  }
  command.Add(order.has_payload ? "1" : "0")
      .Add(static_cast<int64_t>(order.plain.size()))
      .Add(static_cast<int64_t>(order.new_keys))
      .Add(request.dictionary == nullptr ? "" : DictionaryIdText(request.dictionary->id()));
  for (const AddPart* part : order.plain) {
    AddScore(command, *part);
    command.Add(part->name.ToString());
  }
  for (const AddPart* part : order.plain) command.Add(part->chunk);
  for (const AddPart* part : order.rest) AddRest(command, *part);
  return command;
}

}  // namespace

StoreResult<ShardFigures> RedisShardStore::FiguresOf(ShardId shard,
                                                     const CommandResult& result) const {
  if (!result.ok()) {
    auto failed = Failed<ShardFigures>(shard, result);
    if (result.code == StoreCode::kWatermark) {
      int64_t stored = 0;
      const absl::string_view text = result.reply.text();
      if (absl::SimpleAtoi(text.substr(text.find(' ') + 1), &stored)) {
        failed.value.watermark = stored;
      }
    }
    return failed;
  }
  const Reply& reply = result.reply;
  ShardFigures figures;
  figures.watermark = reply[0].integer();
  figures.clock = {reply[1].integer()};
  figures.lowest_outstanding = OptionalTime(reply[2]);
  figures.backlog = reply[3].count();
  figures.redis_time = {reply[4].integer()};
  if (figures.lowest_outstanding.has_value() && *figures.lowest_outstanding <= figures.clock) {
    figures.lateness = ClockMarks::FromBytes(reply[5].text())
                           .Lateness(figures.lowest_outstanding, figures.clock, figures.redis_time);
  }
  figures.memory_ratio = MemoryRatioFor(shard);
  return Succeeded(figures);
}

void RedisShardStore::Take(ShardId shard, const TakeRequest& request, Done<TakeReply> done) {
  const ShardKeys keys = KeysOf(shard);
  const RedisRoute route = RouteTo(shard);
  Command command(scripts::kTake, 6, 12);
  command.AddAll({keys.meta(), keys.due(), keys.references(), keys.inflight(), keys.attempts(),
                  keys.dictionaries()});
  command.Add(kFormatVersion)
      .Add(static_cast<int64_t>(request.proposed_number))
      .Add(HexText(request.owner))
      .AddAll({request.input.cluster_id, request.input.topic, request.input.topic_id})
      .Add(request.committed)
      .Add(request.log_start)
      .Add(request.log_end)
      .Add(request.reached)
      .Add(request.reached_at_most)
      .Add(request.was_set_back ? "1" : "0");
  auto read_live = [this, shard, request, keys, route,
                    done = std::move(done)](const CommandResult& result) mutable {
    if (!result.ok()) return done(Failed<TakeReply>(shard, result));
    const Reply& r = result.reply;
    TakeReply reply;
    reply.epoch = {.number = r[0].count(), .owner = request.owner};
    reply.incarnation = static_cast<uint32_t>(r[1].integer());
    const Offset wanted = r[2].number().value_or(kNoOffset);
    reply.watermark = r[3].integer();
    reply.clock = {r[4].integer()};
    reply.redis_time = {r[5].integer()};
    reply.is_new_log = r[6].integer() == 1;
    reply.is_created = r[7].integer() == 1;
    const Offset resurrected_end = r[8].integer();
    reply.dictionaries = ReadDictionaryIds(r[9].text(), r[10]);
    reply.replayed = r[11].count();
    reply.drop_revision = r[12].count();
    reply.drop_rules = std::string(r[13].text());
    const std::string epoch = EpochText(reply.epoch);
    auto finish = [this, shard, request, reply = std::move(reply), wanted, resurrected_end,
                   done = std::move(done)](LiveParts live) mutable {
      if (live.code != StoreCode::kOk) {
        return done({.code = live.code,
                     .value = {},
                     .message = absl::StrCat("shard ", shard.value, ": ", live.message)});
      }
      reply.live = std::move(live.parts);
      FinishTake(shard, request, std::move(reply), wanted, resurrected_end, std::move(done));
    };
    std::make_shared<LiveReading>(route, keys, epoch, std::move(finish))->Run();
  };
  route.Send(std::move(command), std::move(read_live));
  // For those who look for shards to serve; refused for memory or lost, the next take says it
  // again.
  RegistryRoute().Send(Command({"SADD", RegistryKey(name_space_), absl::StrCat(shard.value)}),
                       [](const CommandResult&) {});
}

void RedisShardStore::FinishTake(ShardId shard, const TakeRequest& request, TakeReply reply,
                                 Offset wanted, Offset resurrected_end, Done<TakeReply> done) {
  if (wanted == kNoOffset) wanted = LowestStart(reply);
  reply.start = std::max(wanted, request.log_start);
  reply.unreplayable = static_cast<uint64_t>(reply.start - wanted);
  const bool has_commit = request.committed != kNoOffset && request.committed <= request.log_end;
  const Offset counted_below = has_commit ? request.committed : kNoOffset;
  const int64_t resurrected = CountResurrected(reply, resurrected_end, counted_below);
  if (resurrected == 0 && reply.unreplayable == 0) return done(Succeeded(std::move(reply)));
  Command command(scripts::kTook, 1, 5);
  command.Add(KeysOf(shard).meta())
      .Add(EpochText(reply.epoch))
      .Add(wanted)
      .Add(reply.start)
      .Add(resurrected)
      .Add(counted_below);
  RouteTo(shard).Send(std::move(command), [shard, reply = std::move(reply), done = std::move(done)](
                                              const CommandResult& result) mutable {
    if (!result.ok()) return done(Failed<TakeReply>(shard, result));
    done(Succeeded(std::move(reply)));
  });
}

void RedisShardStore::Add(ShardId shard, std::shared_ptr<const AddRequest> request,
                          Done<ShardFigures> done) {
  SendAdd(shard, std::move(request), /*may_store=*/true, std::move(done));
}

// A shard without the dictionary refuses the batch: it is given it, and the batch again. That is so
// once for each new dictionary, and after Redis was lost or set back.
void RedisShardStore::SendAdd(ShardId shard, std::shared_ptr<const AddRequest> request,
                              bool may_store, Done<ShardFigures> done) {
  Command command = MakeAdd(KeysOf(shard), *request);
  auto read = [this, shard, request = std::move(request), may_store,
               done = std::move(done)](const CommandResult& result) mutable {
    if (result.code != StoreCode::kNoDictionary) return done(FiguresOf(shard, result));
    if (!may_store) {
      return done({.code = StoreCode::kUnavailable,
                   .value = {},
                   .message = absl::StrCat("shard ", shard.value,
                                           ": the dictionary went as soon as it was stored")});
    }
    auto add_again = [this, shard, request,
                      done = std::move(done)](StoreResult<bool> stored) mutable {
      if (stored.ok()) return SendAdd(shard, std::move(request), false, std::move(done));
      done({.code = stored.code, .value = {}, .message = std::move(stored.message)});
    };
    StoreDictionary(shard, request->epoch, *request->dictionary, std::move(add_again));
  };
  RouteTo(shard).Send(std::move(command), std::move(read));
}

void RedisShardStore::Tick(ShardId shard, const TickRequest& request, Done<ShardFigures> done) {
  const ShardKeys keys = KeysOf(shard);
  Command command(scripts::kTick, 3, 4);
  command.AddAll({keys.meta(), keys.due(), keys.inflight(), EpochText(request.epoch)});
  command.Add(request.expected_watermark)
      .Add(request.expected_clock.ms)
      .Add(request.moves_clock ? "1" : "0");
  RouteTo(shard).Send(std::move(command),
                      [this, shard, done = std::move(done)](const CommandResult& result) mutable {
                        done(FiguresOf(shard, result));
                      });
}

}  // namespace spillway::buffer
