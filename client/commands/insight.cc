#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/commands.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

std::string SideText(const char* side, const v1::ShardSide& message) {
  std::string text = absl::StrCat(side, message.worker().empty() ? "" : " by ",
                                  ShortName(message.worker()), ": ", message.summary(), "\n");
  if (!message.is_known()) return text;
  for (const v1::ActivityShare& share : message.shares()) {
    absl::StrAppend(
        &text, absl::StrFormat("  %-12s %5.1f %%\n", Text(share.activity()), 100 * share.share()));
  }
  absl::StrAppend(&text, "  of ", Text(message.window()), ", ", Text(message.age()), " ago\n");
  return text;
}

}  // namespace

ExitCode ExplainShard(Session& session, const std::string& shard) {
  const auto answer = session.client.ExplainShard(ShardResource(shard));
  if (!answer.ok()) return Fail(session, answer.error);
  std::string text = SideText("ingest", answer.value.ingest());
  absl::StrAppend(&text, SideText("flush", answer.value.flush()));
  for (const std::string& finding : answer.value.findings()) {
    absl::StrAppend(&text, "- ", finding, "\n");
  }
  Printer(session.format, session.out).TextOr(answer.value, text);
  return kExitDone;
}

ExitCode Advice(Session& session, const std::string& pool) {
  const auto answer = session.client.GetScaleAdvice(PoolResource(pool));
  if (!answer.ok()) return Fail(session, answer.error);
  const v1::ScaleAdvice& advice = answer.value;
  std::string text = absl::StrCat(
      ShortName(advice.pool()), ": ", advice.desired(), " workers (at least ", advice.min_safe(),
      ", at most ", advice.max_useful(), " of use); limit: ", Text(advice.limit()), "\n");
  for (const std::string& sentence : advice.evidence())
    absl::StrAppend(&text, "- ", sentence, "\n");
  Printer(session.format, session.out).TextOr(advice, text);
  return kExitDone;
}

}  // namespace spillway::client
