// RedisShardStore as a FlushStore.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "buffer/clock_marks.h"
#include "buffer/redis/due_score.h"
#include "buffer/redis/redis_store.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

PeekReply ReadPeek(const Reply& r) {
  PeekReply peek;
  peek.clock = {r[0].integer()};
  peek.redis_time = {r[1].integer()};
  peek.due_count = r[2].count();
  if (const auto next = r[3].number()) peek.next_deadline = DeadlineOfScore(*next);
  peek.lateness =
      ClockMarks::FromBytes(r[5].text()).Lateness(OptionalTime(r[4]), peek.clock, peek.redis_time);
  const Reply rows = r[6];
  for (size_t i = 0; i + 1 < rows.size(); i += 2) {
    const auto name = PartName::FromText(rows[i].text());
    const int64_t score = rows[i + 1].integer();
    peek.due.push_back({.name = name.value_or(PartName()),
                        .deadline = DeadlineOfScore(score),
                        .references = {},
                        .attempts = 0,
                        .part_bytes = PartBytesOfScore(score)});
  }
  const Reply references = r[8];
  for (size_t i = 0; i + 1 < references.size(); i += 2) {
    const size_t place = references[i].count();
    if (place < 1 || place > peek.due.size()) continue;
    peek.due[place - 1].references = PartNamesFromText(references[i + 1].text());
  }
  const Reply attempts = r[9];
  for (size_t i = 0; i + 1 < attempts.size(); i += 2) {
    const size_t place = attempts[i].count();
    if (place < 1 || place > peek.due.size()) continue;
    peek.due[place - 1].attempts = static_cast<uint32_t>(attempts[i + 1].integer());
  }
  // A member that is no part's name is not ours to claim.
  std::erase_if(peek.due, [](const PeekedPart& part) { return part.name.offset == kNoOffset; });
  for (size_t i = 0; i < r[7].size(); ++i) {
    InflightClaim claim;
    if (ParseInflight(r[7][i].text(), claim)) peek.inflight.push_back(claim);
  }
  return peek;
}

template <typename Part>
size_t ListCount(const std::vector<Part>& parts) {
  size_t lists = parts.size();
  for (const Part& part : parts) lists += part.references.size();
  return lists;
}
template <typename Part>
void AddLists(Command& command, const ShardKeys& keys, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    command.Add(keys.part(part.name));
    for (const PartName& reference : part.references) command.Add(keys.part(reference));
  }
}
// Per part the number of its references; nothing if none has any, as is usual.
template <typename Part>
size_t ReferenceCounts(const std::vector<Part>& parts) {
  return ListCount(parts) == parts.size() ? 0 : parts.size();
}
template <typename Part>
void AddReferenceCounts(Command& command, const std::vector<Part>& parts) {
  if (ReferenceCounts(parts) == 0) return;
  for (const Part& part : parts) command.Add(static_cast<int64_t>(part.references.size()));
}

int64_t PeekedScore(const PeekedPart& part) { return DueScore(part.deadline, part.part_bytes); }

std::string PeekedScores(const std::vector<PeekedPart>& parts) {
  return absl::StrJoin(parts, " ", [](std::string* out, const PeekedPart& part) {
    absl::StrAppend(out, PeekedScore(part));
  });
}

Command MakeClaim(const ShardKeys& keys, const ClaimRequest& request) {
  Command command(scripts::kClaim, 6 + ListCount(request.parts),
                  4 + ReferenceCounts(request.parts));
  command.AddAll({keys.meta(), keys.due(), keys.references(), keys.inflight(), keys.attempts(),
                  keys.claim(request.id)});
  AddLists(command, keys, request.parts);
  command.Add(EpochText(request.epoch)).Add(request.id.ToString()).Add(request.lease.count());
  command.Add(PeekedScores(request.parts));
  AddReferenceCounts(command, request.parts);
  return command;
}

Claim ReadClaim(const Reply& r, const ClaimRequest& request) {
  Claim claim;
  claim.id = request.id;
  claim.lease_end = {r[0].integer()};
  const WallTime now{r[1].integer()};
  const ClockMarks marks = ClockMarks::FromBytes(r[2].text());
  const bool is_as_asked = r[4].integer() == 1;
  size_t at = 5;
  while (at < r.size()) {
    const size_t index = is_as_asked ? at - 4 : r[at++].count();
    if (index < 1 || index > request.parts.size()) break;
    const PeekedPart& asked = request.parts[index - 1];
    const int64_t score = is_as_asked ? PeekedScore(asked) : r[at++].integer();
    ClaimedPart part;
    part.name = asked.name;
    part.deadline = DeadlineOfScore(score);
    part.due_since = marks.PassedAt(part.deadline, now);
    part.references = asked.references;
    part.part_bytes = PartBytesOfScore(score);
    for (size_t i = 0; i <= asked.references.size(); ++i) {
      part.list_lengths.push_back(r[at++].count());
    }
    claim.parts.push_back(std::move(part));
  }
  return claim;
}

Command MakeAcknowledge(const ShardKeys& keys, const AcknowledgeRequest& request) {
  Command command(scripts::kAck, 5 + ListCount(request.parts), 5 + ReferenceCounts(request.parts));
  command.AddAll(
      {keys.meta(), keys.references(), keys.inflight(), keys.attempts(), keys.claim(request.id)});
  AddLists(command, keys, request.parts);
  command.Add(request.id.ToString()).Add(request.lease_end.us);
  for (const uint64_t spans :
       {request.acknowledged_spans, request.dead_lettered_spans, request.quarantined_spans}) {
    command.Add(static_cast<int64_t>(spans));
  }
  AddReferenceCounts(command, request.parts);
  return command;
}

// The lists of one Load while their replies come in.
struct Loading {
  std::vector<LoadedPart> parts;
  size_t outstanding = 0;
  bool has_failed = false;
  Done<std::vector<LoadedPart>> done;
};

void LoadList(const RedisRoute& connection, ShardId shard, const std::string& key, size_t part,
              bool is_own, uint64_t expected, const std::shared_ptr<Loading>& loading) {
  ++loading->outstanding;
  auto done = [shard, part, is_own, expected, loading](const CommandResult& result) {
    --loading->outstanding;
    // A key of another type has no entries, as the claim has counted.
    const bool is_wrong_type =
        result.reply.is_error() && ErrorWord(result.reply.text()) == "WRONGTYPE";
    if (loading->has_failed) return;
    if (!result.ok() && !is_wrong_type) {
      loading->has_failed = true;
      return loading->done(Failed<std::vector<LoadedPart>>(shard, result));
    }
    LoadedPart& loaded = loading->parts[part];
    std::vector<std::string>& entries = is_own ? loaded.own : loaded.referenced;
    entries.reserve(entries.size() + result.reply.size());
    for (size_t i = 0; i < result.reply.size(); ++i) {
      entries.emplace_back(result.reply[i].text());
    }
    if (result.reply.size() != expected) loaded.is_complete = false;
    if (loading->outstanding == 0) loading->done(Succeeded(std::move(loading->parts)));
  };
  connection.Send(Command({"LRANGE", key, "0", "-1"}), std::move(done));
}

}  // namespace

void RedisShardStore::Acquire(ShardId shard, const AcquireRequest& request, Done<Epoch> done) {
  Command command(scripts::kAcquire, 1, 3);
  command.Add(KeysOf(shard).meta())
      .Add(kFormatVersion)
      .Add(static_cast<int64_t>(request.proposed_number))
      .Add(HexText(request.owner));
  ConnectionForShard(shard).Send(
      std::move(command),
      [shard, owner = request.owner, done = std::move(done)](const CommandResult& result) mutable {
        if (!result.ok()) return done(Failed<Epoch>(shard, result));
        done(Succeeded(Epoch{.number = result.reply.count(), .owner = owner}));
      });
}

void RedisShardStore::Peek(ShardId shard, Epoch epoch, uint32_t limit, Done<PeekReply> done) {
  const ShardKeys keys = KeysOf(shard);
  Command command(scripts::kPeek, 5, 2);
  command.AddAll({keys.meta(), keys.due(), keys.references(), keys.inflight(), keys.attempts(),
                  EpochText(epoch)});
  command.Add(static_cast<int64_t>(limit));
  ConnectionForShard(shard).Send(
      std::move(command), [shard, done = std::move(done)](const CommandResult& result) mutable {
        if (!result.ok()) return done(Failed<PeekReply>(shard, result));
        done(Succeeded(ReadPeek(result.reply)));
      });
}

void RedisShardStore::ClaimParts(ShardId shard, ClaimRequest request, Done<Claim> done) {
  Command command = MakeClaim(KeysOf(shard), request);
  auto read = [shard, request = std::move(request),
               done = std::move(done)](const CommandResult& result) mutable {
    if (!result.ok()) return done(Failed<Claim>(shard, result));
    for (size_t i = 0; i < result.reply[3].size(); ++i) {
      Log(LogLevel::kError, "list is gone, its spans are lost",
          {{"shard", shard.value}, {"part", result.reply[3][i].text()}});
    }
    done(Succeeded(ReadClaim(result.reply, request)));
  };
  ConnectionForShard(shard).Send(std::move(command), std::move(read));
}

void RedisShardStore::Load(ShardId shard, const std::vector<ClaimedPart>& parts,
                           Done<std::vector<LoadedPart>> done) {
  const ShardKeys keys = KeysOf(shard);
  const RedisRoute connection = ConnectionForShard(shard);
  auto loading = std::make_shared<Loading>();
  loading->done = std::move(done);
  if (parts.empty()) {
    // Also an answer to nothing comes later.
    connection.Send(Command({"PING"}), [loading](const CommandResult&) {
      loading->done(Succeeded(std::vector<LoadedPart>()));
    });
    return;
  }
  for (const ClaimedPart& part : parts) {
    loading->parts.push_back({.name = part.name, .own = {}, .referenced = {}, .is_complete = true});
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const ClaimedPart& part = parts[i];
    const auto expected = [&](size_t list) {
      return list < part.list_lengths.size() ? part.list_lengths[list] : UINT64_MAX;
    };
    LoadList(connection, shard, keys.part(part.name), i, true, expected(0), loading);
    for (size_t r = 0; r < part.references.size(); ++r) {
      LoadList(connection, shard, keys.part(part.references[r]), i, false, expected(r + 1),
               loading);
    }
  }
}

void RedisShardStore::Acknowledge(ShardId shard, const AcknowledgeRequest& request,
                                  Done<AcknowledgeReply> done) {
  ConnectionForShard(shard).Send(
      MakeAcknowledge(KeysOf(shard), request),
      [shard, done = std::move(done)](const CommandResult& result) mutable {
        if (!result.ok()) return done(Failed<AcknowledgeReply>(shard, result));
        done(Succeeded(AcknowledgeReply{.was_known = result.reply[0].integer() == 1,
                                        .redis_time = {result.reply[1].integer()}}));
      });
}

void RedisShardStore::Release(ShardId shard, const ReleaseRequest& request, Done<bool> done) {
  const ShardKeys keys = KeysOf(shard);
  Command command(scripts::kRelease, 5, 2);
  command.AddAll({keys.meta(), keys.due(), keys.inflight(), keys.attempts(), keys.claim(request.id),
                  request.id.ToString()});
  command.Add(request.counts_attempt ? "1" : "0");
  ConnectionForShard(shard).Send(
      std::move(command), [shard, done = std::move(done)](const CommandResult& result) mutable {
        if (!result.ok()) return done(Failed<bool>(shard, result));
        done(Succeeded(result.reply.integer() == 1));
      });
}

}  // namespace spillway::buffer
