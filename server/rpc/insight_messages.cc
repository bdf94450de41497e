#include "server/rpc/insight_messages.h"

#include "proto/wire/convert.h"
#include "server/rpc/resource_messages.h"

namespace spillway::rpc {
namespace {

v1::Limit ToProto(fleet::ScaleLimit limit) {
  switch (limit) {
    case fleet::ScaleLimit::kWorkers:
      return v1::LIMIT_WORKERS;
    case fleet::ScaleLimit::kKafka:
      return v1::LIMIT_KAFKA;
    case fleet::ScaleLimit::kRedis:
      return v1::LIMIT_REDIS;
    case fleet::ScaleLimit::kInput:
      return v1::LIMIT_INPUT;
    case fleet::ScaleLimit::kFlush:
      return v1::LIMIT_FLUSH;
  }
  return v1::LIMIT_UNSPECIFIED;
}

// The messages' numbers are one higher.
v1::Activity ToProto(wire::Activity activity) {
  return static_cast<v1::Activity>(static_cast<int>(activity) + 1);
}
static_assert(v1::Activity_MAX == wire::kActivityCount);

v1::ShardSide SideMessage(const supervisor::SideExplanation& side) {
  v1::ShardSide message;
  message.set_worker(side.worker);
  message.set_is_known(side.is_known);
  message.set_summary(side.summary);
  if (!side.is_known) return message;
  *message.mutable_window() = wire::ToProto(side.window);
  *message.mutable_age() = wire::ToProto(side.age);
  for (const supervisor::ActivityShare& share : side.shares) {
    v1::ActivityShare& out = *message.add_shares();
    out.set_activity(ToProto(share.activity));
    *out.mutable_time() = wire::ToProto(share.time);
    out.set_share(share.part);
  }
  message.set_limit(ToProto(side.limit));
  return message;
}

}  // namespace

v1::ShardExplanation ToMessage(const supervisor::ShardExplanation& explanation, Instant now) {
  v1::ShardExplanation message;
  *message.mutable_shard() = ToMessage(explanation.shard, now);
  *message.mutable_ingest() = SideMessage(explanation.ingest);
  *message.mutable_flush() = SideMessage(explanation.flush);
  for (const std::string& finding : explanation.findings) message.add_findings(finding);
  return message;
}

v1::ScaleAdvice ToMessage(absl::string_view pool, const fleet::ScaleAdvice& advice) {
  v1::ScaleAdvice message;
  message.set_pool(fleet::PoolName(pool));
  message.set_desired(advice.desired);
  message.set_min_safe(advice.min_safe);
  message.set_max_useful(advice.max_useful);
  message.set_limit(ToProto(advice.limit));
  for (const std::string& sentence : advice.evidence) message.add_evidence(sentence);
  return message;
}

}  // namespace spillway::rpc
