#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

// One line for a person if the table does not say it all.
std::string Findings(const v1::AuditResponse& answer) {
  if (answer.is_even()) return "";
  std::string text;
  for (const v1::ShardAudit& shard : answer.shards()) {
    if (!shard.detail().empty() && shard.outcome() != v1::AUDIT_OUTCOME_NOT_TAKEN) {
      absl::StrAppend(&text, "spillway: ", shard.name(), ": ", shard.detail(), "\n");
    }
  }
  if (answer.unknown() > 0) {
    absl::StrAppend(&text, "spillway: ", answer.unknown(), " shards could not be told\n");
  }
  return text;
}

}  // namespace

ExitCode Audit(Session& session, const std::string& shard, Duration timeout) {
  const std::string name = shard.empty() ? "" : ShardResource(shard);
  const auto answer = session.client.Audit(name, timeout);
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out).Audit(answer.value);
  session.err << Findings(answer.value);
  return answer.value.is_even() ? kExitDone : kExitFailed;
}

}  // namespace spillway::client
