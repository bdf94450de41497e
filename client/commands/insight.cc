#include "client/commands/commands.h"
#include "client/output/description.h"

namespace spillway::client {
ExitCode ExplainShard(Session& session, const std::string& shard) {
  const auto answer = session.client.ExplainShard(ShardResource(shard));
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out).TextOr(answer.value, ExplanationText(answer.value));
  return kExitDone;
}

ExitCode Advice(Session& session, const std::string& pool) {
  const auto answer = session.client.GetScaleAdvice(PoolResource(pool));
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out).TextOr(answer.value, AdviceText(answer.value));
  return kExitDone;
}

}  // namespace spillway::client
