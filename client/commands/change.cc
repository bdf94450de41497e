#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/output/progress.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

ExitCode Finish(Session& session, const Answer<v1::Pool>& answer, const Goal& goal,
                const Waiting& waiting) {
  if (!answer.ok()) return Fail(session, answer.error);
  if (waiting.wait) return WaitFor(session, goal, waiting.timeout);
  Printer(session.format, session.out).Pools(answer.value, {answer.value});
  return kExitDone;
}

}  // namespace

ExitCode StartPool(Session& session, const std::string& pool, const Waiting& waiting) {
  const Answer<v1::Pool> answer = session.client.StartPool(PoolResource(pool));
  return Finish(session, answer, {Goal::Kind::kHealthy, PoolResource(pool), answer.value.desired()},
                waiting);
}

ExitCode StopPool(Session& session, const std::string& pool, const Waiting& waiting) {
  return Finish(session, session.client.StopPool(PoolResource(pool)),
                {Goal::Kind::kStopped, PoolResource(pool), std::nullopt}, waiting);
}

ExitCode ResizePool(Session& session, const Resize& resize, const Waiting& waiting) {
  v1::ResizePoolRequest request;
  request.set_name(PoolResource(resize.pool));
  request.set_desired(resize.desired);
  if (resize.min) request.set_min(*resize.min);
  if (resize.max) request.set_max(*resize.max);
  request.set_validate_only(resize.dry_run);
  const Answer<v1::Pool> answer = session.client.ResizePool(std::move(request));
  Waiting how = waiting;
  // Nothing changes in a dry run, and a stopped pool has no workers to wait for.
  if (resize.dry_run || answer.value.state() == v1::POOL_STATE_STOPPED) how.wait = false;
  return Finish(session, answer, {Goal::Kind::kHealthy, PoolResource(resize.pool), resize.desired},
                how);
}

ExitCode WaitFor(Session& session, const Goal& goal, Duration timeout) {
  FleetState fleet;
  Verdict verdict;
  CallError error;
  {
    Progress progress(session.err, session.is_terminal);
    error = session.client.Watch(SystemClock().Now() + timeout,
                                 [&](const v1::WatchFleetResponse& response) {
                                   fleet.Apply(response);
                                   verdict = Judge(goal, fleet);
                                   if (verdict.state != Verdict::State::kImpossible)
                                     progress.Show(verdict.text);
                                   return verdict.state != Verdict::State::kWaiting;
                                 });
  }
  if (error.exit_code == kExitTimedOut) {
    const double seconds = std::chrono::duration<double>(timeout).count();
    error.message = absl::StrCat("timed out after ", seconds, " s",
                                 verdict.text.empty() ? "" : absl::StrCat(": ", verdict.text));
  }
  if (error.exit_code != kExitDone) return Fail(session, error);
  if (verdict.state == Verdict::State::kImpossible)
    return Fail(session, {verdict.exit_code, verdict.text, ""});
  const v1::Pool& pool = fleet.pools.at(goal.pool);
  Printer(session.format, session.out).Pools(pool, {pool});
  return kExitDone;
}

}  // namespace spillway::client
