#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/output/progress.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

// For the server to say how a drain ended whose time is up.
constexpr Duration kDrainVerdict = std::chrono::seconds(10);

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

ExitCode PausePool(Session& session, const std::string& pool, const Waiting& waiting) {
  return Finish(session, session.client.PausePool(PoolResource(pool)),
                {Goal::Kind::kPaused, PoolResource(pool), std::nullopt}, waiting);
}

ExitCode ResumePool(Session& session, const std::string& pool, const Waiting& waiting) {
  return Finish(session, session.client.ResumePool(PoolResource(pool)),
                {Goal::Kind::kResumed, PoolResource(pool), std::nullopt}, waiting);
}

ExitCode DrainPool(Session& session, const std::string& pool, const Waiting& waiting) {
  const Answer<v1::Pool> answer = session.client.DrainPool(PoolResource(pool), waiting.timeout);
  Goal goal{Goal::Kind::kDrainDone, PoolResource(pool), std::nullopt};
  goal.number = answer.value.drain().number();
  Waiting longer = waiting;
  longer.timeout += kDrainVerdict;
  return Finish(session, answer, goal, longer);
}

ExitCode RestartWorker(Session& session, const std::string& name, const Waiting& waiting) {
  const Answer<v1::Worker> answer = session.client.RestartWorker(WorkerResource(name));
  if (!answer.ok()) return Fail(session, answer.error);
  if (waiting.wait) {
    const v1::Worker& worker = answer.value;
    const bool is_ending =
        worker.state() == v1::WORKER_STATE_DRAINING || worker.state() == v1::WORKER_STATE_STOPPING;
    const std::string pool = worker.name().substr(0, worker.name().find("/workers/"));
    Goal goal{Goal::Kind::kWorkerRestarted, pool, std::nullopt};
    goal.worker = worker.name();
    goal.generation = worker.generation() + (is_ending ? 1 : 0);
    return WaitFor(session, goal, waiting.timeout);
  }
  Printer(session.format, session.out).Workers(answer.value, {answer.value});
  return kExitDone;
}

ExitCode RestartPool(Session& session, const Restart& restart, const Waiting& waiting) {
  v1::RestartPoolRequest request;
  request.set_name(PoolResource(restart.name));
  request.set_scope(restart.failed ? v1::RESTART_SCOPE_FAILED : v1::RESTART_SCOPE_ALL);
  if (restart.max_unavailable) request.set_max_unavailable(*restart.max_unavailable);
  const Answer<v1::Pool> answer = session.client.RestartPool(std::move(request));
  Goal goal{Goal::Kind::kRestarted, PoolResource(restart.name), std::nullopt};
  goal.number = answer.value.restart().number();
  return Finish(session, answer, goal, waiting);
}

ExitCode RestartPoolOrWorker(Session& session, const Restart& restart, const Waiting& waiting) {
  if (WorkerResource(restart.name).empty()) return RestartPool(session, restart, waiting);
  if (restart.failed || restart.max_unavailable) {
    return Fail(session, {kExitUsage, "--failed and --max-unavailable are for a whole pool", ""});
  }
  return RestartWorker(session, restart.name, waiting);
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
