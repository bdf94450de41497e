// RedisShardStore as a ShardReader.
#include <memory>
#include <utility>

#include "buffer/clock_marks.h"
#include "buffer/ledger.h"
#include "buffer/redis/auditing.h"
#include "buffer/redis/redis_store.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

void ReadMetaField(absl::string_view field, const Reply& value, ShardSummary& summary) {
  if (field == "incarnation") summary.incarnation = static_cast<uint32_t>(value.integer());
  if (field == "ingest") summary.ingest_epoch = EpochFromText(value.text());
  if (field == "flush") summary.flush_epoch = EpochFromText(value.text());
  if (field == "watermark") summary.watermark = value.integer();
  if (field == "clock") summary.clock = {value.integer()};
  if (field == "claimed") summary.claimed_parts = value.count();
  for (const LedgerCounter& counter : kLedgerCounters) {
    if (field == counter.name) summary.ledger.*counter.value = value.count();
  }
}

}  // namespace

Command MakeSummary(const ShardKeys& keys) {
  Command command(scripts::kSummary, 3, 0);
  command.AddAll({keys.meta(), keys.due(), keys.inflight()});
  return command;
}

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
  RouteTo(shard).Send(MakeSummary(KeysOf(shard)),
                      [shard, done = std::move(done)](const CommandResult& result) mutable {
                        if (!result.ok()) return done(Failed<ShardSummary>(shard, result));
                        done(Succeeded(ReadSummary(result.reply)));
                      });
}

void RedisShardStore::Audit(ShardId shard, Done<AuditReply> done) {
  const uint64_t number = ++last_audit_;
  auto end = [this, number, done = std::move(done)](StoreResult<AuditReply> result) mutable {
    audits_.erase(number);
    done(std::move(result));
  };
  const auto& auditing = audits_[number] =
      std::make_shared<Auditing>(loop_, RouteTo(shard), KeysOf(shard), shard, std::move(end));
  auditing->Run();
}

}  // namespace spillway::buffer
