// RedisShardStore as a ShardReader.
#include <memory>
#include <utility>

#include "buffer/chunk/chunk.h"
#include "buffer/clock_marks.h"
#include "buffer/redis/live_reading.h"
#include "buffer/redis/redis_store.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

struct LedgerField {
  absl::string_view name;
  uint64_t Ledger::*counter;
};
constexpr LedgerField kLedgerFields[] = {
    {"messages", &Ledger::messages},         {"accepted", &Ledger::accepted},
    {"rejected", &Ledger::rejected},         {"filtered", &Ledger::filtered},
    {"deduplicated", &Ledger::deduplicated}, {"acknowledged", &Ledger::acknowledged},
    {"dropped", &Ledger::dropped},           {"orphan", &Ledger::orphan},
    {"quarantined", &Ledger::quarantined},   {"resurrected", &Ledger::resurrected},
    {"unreplayable", &Ledger::unreplayable}, {"dead_lettered", &Ledger::dead_lettered},
    {"released", &Ledger::released},         {"stale_acknowledges", &Ledger::stale_acknowledges},
    {"carried", &Ledger::carried},           {"skipped", &Ledger::skipped},
};

void ReadMetaField(absl::string_view field, const Reply& value, ShardSummary& summary) {
  if (field == "incarnation") summary.incarnation = static_cast<uint32_t>(value.integer());
  if (field == "ingest") summary.ingest_epoch = EpochFromText(value.text());
  if (field == "flush") summary.flush_epoch = EpochFromText(value.text());
  if (field == "watermark") summary.watermark = value.integer();
  if (field == "clock") summary.clock = {value.integer()};
  for (const LedgerField& counter : kLedgerFields) {
    if (field == counter.name) summary.ledger.*counter.counter = value.count();
  }
}

int64_t Residual(const Ledger& ledger, uint64_t live) {
  return static_cast<int64_t>(ledger.carried + ledger.accepted - ledger.acknowledged -
                              ledger.deduplicated - ledger.dropped - ledger.dead_lettered -
                              ledger.quarantined - live);
}

Command MakeSummary(const ShardKeys& keys) {
  Command command(scripts::kSummary, 3, 0);
  command.AddAll({keys.meta(), keys.due(), keys.inflight()});
  return command;
}

// Walks the lists of all live parts and counts the spans in them, and reads the ledger, all of one
// instant.
class Auditing : public LiveReading {
 public:
  Auditing(RedisConnection& connection, ShardKeys keys, ShardId shard, Done<AuditReply> done)
      : LiveReading(connection, std::move(keys), "", {}), shard_(shard), done_(std::move(done)) {}

 protected:
  void Begin() override {
    reply_ = AuditReply();
    LiveReading::Begin();
  }
  void OnListed() override {
    for (const LivePartRecord& part : live_.parts) {
      WantHeads(part.name, 0);
      for (const PartName& reference : part.references) WantHeads(reference, 0);
    }
    Want(MakeSummary(keys_), [this](const Reply& reply) { reply_.summary = ReadSummary(reply); });
  }
  void End(StoreCode code, std::string message) override {
    // A shard that is not there is a finding, not an error.
    if (code == StoreCode::kNoShard) return done_(Succeeded(AuditReply()));
    reply_.residual = Residual(reply_.summary.ledger, reply_.live_spans);
    if (!message.empty()) message = absl::StrCat("shard ", shard_.value, ": ", message);
    done_({.code = code, .value = std::move(reply_), .message = std::move(message)});
  }

 private:
  static constexpr int64_t kEntriesPerPage = 100;

  void WantHeads(const PartName& name, int64_t first) {
    Command command(scripts::kHeads, 2, 3);
    command.AddAll({keys_.meta(), keys_.part(name)});
    command.Add(first).Add(first + kEntriesPerPage - 1).Add(static_cast<int64_t>(kMaxHeaderBytes));
    Want(std::move(command), [this, name, first](const Reply& reply) {
      for (size_t i = 2; i < reply.size(); ++i) {
        const auto header = DecodeHeader(reply[i].text());
        if (header.ok()) reply_.live_spans += header->span_count;
      }
      if (first + kEntriesPerPage < reply[1].integer()) WantHeads(name, first + kEntriesPerPage);
    });
  }

  const ShardId shard_;
  AuditReply reply_;
  Done<AuditReply> done_;
};

}  // namespace

ShardSummary ReadSummary(const Reply& reply) {
  ShardSummary summary;
  summary.redis_time = {reply[1].integer()};
  const Reply meta = reply[6];
  if (meta.size() == 0) return summary;
  summary.exists = true;
  summary.due_parts = reply[2].count();
  summary.backlog = reply[3].count();
  summary.inflight_claims = reply[4].count();
  ClockMarks marks;
  for (size_t i = 0; i + 1 < meta.size(); i += 2) {
    ReadMetaField(meta[i].text(), meta[i + 1], summary);
    if (meta[i].text() == "marks") marks = ClockMarks::FromBytes(meta[i + 1].text());
  }
  summary.lateness = marks.Lateness(OptionalTime(reply[5]), summary.clock, summary.redis_time);
  return summary;
}

void RedisShardStore::Summary(ShardId shard, Done<ShardSummary> done) {
  ConnectionForShard(shard).Send(
      MakeSummary(KeysOf(shard)),
      [shard, done = std::move(done)](const CommandResult& result) mutable {
        if (!result.ok()) return done(Failed<ShardSummary>(shard, result));
        done(Succeeded(ReadSummary(result.reply)));
      });
}

void RedisShardStore::Audit(ShardId shard, Done<AuditReply> done) {
  std::make_shared<Auditing>(ConnectionForShard(shard), KeysOf(shard), shard, std::move(done))
      ->Run();
}

}  // namespace spillway::buffer
