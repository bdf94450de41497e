// RedisShardStore as a FlushStore.
#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
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
  Command command(scripts::kClaim, 7 + ListCount(request.parts),
                  4 + ReferenceCounts(request.parts));
  command.AddAll({keys.meta(), keys.due(), keys.references(), keys.inflight(), keys.attempts(),
                  keys.claim(request.id), keys.journal()});
  AddLists(command, keys, request.parts);
  command.Add(EpochText(request.epoch)).Add(request.id.ToString()).Add(request.lease.count());
  command.Add(request.counts_entries ? std::string() : PeekedScores(request.parts));
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
  const auto add = [&](const PeekedPart& asked, int64_t score) {
    const EventTime deadline = DeadlineOfScore(score);
    claim.parts.push_back({.name = asked.name,
                           .deadline = deadline,
                           .due_since = marks.PassedAt(deadline, now),
                           .references = asked.references,
                           .list_lengths = {},
                           .part_bytes = PartBytesOfScore(score)});
  };
  if (is_as_asked) {
    for (const PeekedPart& asked : request.parts) add(asked, PeekedScore(asked));
    return claim;
  }
  size_t at = 5;
  while (at < r.size()) {
    const size_t index = r[at++].count();
    if (index < 1 || index > request.parts.size()) break;
    const PeekedPart& asked = request.parts[index - 1];
    add(asked, r[at++].integer());
    for (size_t i = 0; i <= asked.references.size(); ++i) {
      claim.parts.back().list_lengths.push_back(r[at++].count());
    }
  }
  return claim;
}

Command MakeAcknowledge(const ShardKeys& keys, const AcknowledgeRequest& request) {
  Command command(scripts::kAck, 6 + ListCount(request.parts), 5 + ReferenceCounts(request.parts));
  command.AddAll({keys.meta(), keys.references(), keys.inflight(), keys.attempts(),
                  keys.claim(request.id), keys.journal()});
  AddLists(command, keys, request.parts);
  command.Add(request.id.ToString()).Add(request.lease_end.us);
  for (const uint64_t spans :
       {request.acknowledged_spans, request.dead_lettered_spans, request.quarantined_spans}) {
    command.Add(static_cast<int64_t>(spans));
  }
  AddReferenceCounts(command, request.parts);
  return command;
}

// So many keys are read by one command: other clients get their turn in between.
constexpr size_t kKeysPerLoad = 100;

// The parts of one Load while their entries come in. A part's entries are a string while there is
// one, else a list: all are asked for as strings, and what is none then as a list.
class Loading : public std::enable_shared_from_this<Loading> {
 public:
  using Loaded = std::vector<LoadedPart>;
  Loading(const RedisRoute& route, ShardId shard, const std::vector<ClaimedPart>& parts,
          std::shared_ptr<DictionaryShelf> shelf, Done<Loaded> done)
      : route_(route),
        shard_(shard),
        parts_(parts),
        shelf_(std::move(shelf)),
        done_(std::move(done)) {}

  void Run(const ShardKeys& keys) {
    dictionaries_ = keys.dictionaries();
    for (size_t i = 0; i < parts_.size(); ++i) {
      lists_.push_back({.part = i, .key = keys.part(parts_[i].name), .entries = {}});
      for (const PartName& reference : parts_[i].references) {
        lists_.push_back({.part = i, .key = keys.part(reference), .entries = {}});
      }
    }
    for (size_t first = 0; first < lists_.size(); first += kKeysPerLoad) {
      ReadStrings(first, std::min(first + kKeysPerLoad, lists_.size()));
    }
  }

 private:
  struct List {
    size_t part;
    std::string key;
    std::vector<std::string> entries;
  };

  void ReadStrings(size_t first, size_t last) {
    Command command("MGET", last - first);
    for (size_t i = first; i < last; ++i) command.Add(lists_[i].key);
    Send(std::move(command), [this, first, last](const Reply& reply) {
      for (size_t i = first; i < last; ++i) {
        const Reply entry = reply[i - first];
        if (entry.is_nil()) {
          ReadList(lists_[i]);
        } else {
          lists_[i].entries.emplace_back(entry.text());
        }
      }
    });
  }
  void ReadList(List& list) {
    Send(Command({"LRANGE", list.key, "0", "-1"}), [&list](const Reply& reply) {
      list.entries.reserve(reply.size());
      for (size_t i = 0; i < reply.size(); ++i) list.entries.emplace_back(reply[i].text());
    });
  }
  template <typename OnReply>
  void Send(Command command, OnReply on_reply) {
    ++outstanding_;
    route_.Send(std::move(command),
                [self = shared_from_this(), on_reply](const CommandResult& result) {
                  self->OnResult(result, on_reply);
                });
  }
  template <typename OnReply>
  void OnResult(const CommandResult& result, const OnReply& on_reply) {
    --outstanding_;
    if (has_failed_) return;
    // A key of another type has no entries, as a claim that counts says.
    const bool is_wrong_type =
        result.reply.is_error() && ErrorWord(result.reply.text()) == "WRONGTYPE";
    if (!result.ok() && !is_wrong_type) {
      has_failed_ = true;
      return done_(Failed<Loaded>(shard_, result));
    }
    if (!is_wrong_type) on_reply(result.reply);
    if (outstanding_ > 0) return;
    if (std::exchange(has_entries_, true) || !WantDictionaries()) Finish();
  }
  // Those that entries name and nobody here knows. False: there are none.
  bool WantDictionaries() {
    absl::flat_hash_map<uint32_t, std::vector<std::string>> unknown;  // and keys that name them
    for (const List& list : lists_) {
      for (const std::string& entry : list.entries) {
        const uint32_t id = DictionaryIdOf(entry);
        if (id != 0 && shelf_->Find(id) == nullptr) unknown[id].push_back(list.key);
      }
    }
    for (auto& [id, keys] : unknown) {
      Send(Command({"HGET", dictionaries_, DictionaryIdText(id)}),
           [this, id = id, keys = std::move(keys)](const Reply& reply) {
             const absl::Status status = shelf_->Put(id, std::string(reply.text()));
             if (status.ok()) return;
             Log(LogLevel::kWarning, "dictionary cannot be had",
                 {{"shard", shard_.value}, {"error", status}});
             WantStill(keys);
           });
    }
    return !unknown.empty();
  }
  // A dictionary may go as soon as the last chunk that names it has: then these keys are gone too,
  // acknowledged by somebody else.
  void WantStill(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      Send(Command({"EXISTS", key}), [this, key](const Reply& reply) {
        if (reply.integer() == 0) gone_.insert(key);
      });
    }
  }
  void Finish() {
    Loaded loaded(parts_.size());
    std::vector<std::vector<uint64_t>> lengths(parts_.size());
    for (List& list : lists_) {
      LoadedPart& part = loaded[list.part];
      lengths[list.part].push_back(list.entries.size());
      if (lengths[list.part].size() == 1) {
        part.own = std::move(list.entries);
      } else {
        std::ranges::move(list.entries, std::back_inserter(part.referenced));
      }
    }
    for (size_t i = 0; i < parts_.size(); ++i) {
      loaded[i].name = parts_[i].name;
      loaded[i].is_complete = IsWhole(parts_[i], loaded[i], lengths[i]);
    }
    for (const List& list : lists_) {
      if (gone_.contains(list.key)) loaded[list.part].is_complete = false;
    }
    done_(Succeeded(std::move(loaded)));
  }

  const RedisRoute route_;
  const ShardId shard_;
  const std::vector<ClaimedPart> parts_;
  const std::shared_ptr<DictionaryShelf> shelf_;
  Done<Loaded> done_;
  std::string dictionaries_;  // key
  absl::flat_hash_set<std::string> gone_;
  bool has_entries_ = false;
  std::vector<List> lists_;
  size_t outstanding_ = 0;
  bool has_failed_ = false;
};

}  // namespace

void RedisShardStore::Acquire(ShardId shard, const AcquireRequest& request, Done<Epoch> done) {
  Command command(scripts::kAcquire, 1, 3);
  command.Add(KeysOf(shard).meta())
      .Add(kFormatVersion)
      .Add(static_cast<int64_t>(request.proposed_number))
      .Add(HexText(request.owner));
  RouteTo(shard).Send(std::move(command), [shard, owner = request.owner, done = std::move(done)](
                                              const CommandResult& result) mutable {
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
  RouteTo(shard).Send(std::move(command),
                      [shard, done = std::move(done)](const CommandResult& result) mutable {
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
  RouteTo(shard).Send(std::move(command), std::move(read));
}

void RedisShardStore::Load(ShardId shard, const std::vector<ClaimedPart>& parts,
                           std::shared_ptr<DictionaryShelf> shelf,
                           Done<std::vector<LoadedPart>> done) {
  const RedisRoute route = RouteTo(shard);
  if (parts.empty()) {
    // Also an answer to nothing comes later.
    route.Send(Command({"PING"}), [done = std::move(done)](const CommandResult&) mutable {
      done(Succeeded(std::vector<LoadedPart>()));
    });
    return;
  }
  std::make_shared<Loading>(route, shard, parts, std::move(shelf), std::move(done))
      ->Run(KeysOf(shard));
}

void RedisShardStore::Acknowledge(ShardId shard, const AcknowledgeRequest& request,
                                  Done<AcknowledgeReply> done) {
  RouteTo(shard).Send(
      MakeAcknowledge(KeysOf(shard), request),
      [shard, done = std::move(done)](const CommandResult& result) mutable {
        if (!result.ok()) return done(Failed<AcknowledgeReply>(shard, result));
        done(Succeeded(AcknowledgeReply{.was_known = result.reply[0].integer() == 1,
                                        .redis_time = {result.reply[1].integer()}}));
      });
}

void RedisShardStore::Release(ShardId shard, const ReleaseRequest& request, Done<bool> done) {
  const ShardKeys keys = KeysOf(shard);
  Command command(scripts::kRelease, 6, 2);
  command.AddAll({keys.meta(), keys.due(), keys.inflight(), keys.attempts(), keys.claim(request.id),
                  keys.journal(), request.id.ToString()});
  command.Add(request.counts_attempt ? "1" : "0");
  RouteTo(shard).Send(std::move(command),
                      [shard, done = std::move(done)](const CommandResult& result) mutable {
                        if (!result.ok()) return done(Failed<bool>(shard, result));
                        done(Succeeded(result.reply.integer() == 1));
                      });
}

}  // namespace spillway::buffer
