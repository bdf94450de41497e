#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/output/progress.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

// For the server to say how a drain ended whose time is up.
constexpr Duration kDrainVerdict = std::chrono::seconds(10);

// The pool as it is wished for, or the worker, and what works at it; or both as they are at the
// end.
ExitCode Finish(Session& session, Answer<v1::Operation> answer, const Waiting& waiting) {
  if (!answer.ok()) return Fail(session, answer.error);
  const bool waits = waiting.wait && !waiting.dry_run;
  if (waits) {
    answer = AwaitEnd(session, std::string(answer.value.name()), waiting.timeout);
    if (answer.ok()) answer.error = OutcomeOf(answer.value);
    if (!answer.ok()) return Fail(session, answer.error);
  }
  const v1::Operation& operation = answer.value;
  Printer printer(session.format, session.out);
  if (operation.has_worker()) {
    printer.Workers(operation, {operation.worker()});
  } else {
    printer.Pools(operation, {operation.pool()});
  }
  if (operation.has_plan()) {
    printer.Footer(PlanText(operation.plan()));
  } else if (!waits) {
    printer.Footer(OperationText(operation));
  }
  return kExitDone;
}

ExitCode Finish(Session& session, const Answer<v1::Pool>& answer, const Goal& goal,
                const Waiting& waiting) {
  if (!answer.ok()) return Fail(session, answer.error);
  if (waiting.wait && !waiting.dry_run) return WaitFor(session, goal, waiting.timeout);
  Printer(session.format, session.out).Pools(answer.value, {answer.value});
  return kExitDone;
}

}  // namespace

ExitCode StartPool(Session& session, const std::string& pool, const Waiting& waiting) {
  return Finish(session, session.client.StartPool(PoolResource(pool), waiting.dry_run), waiting);
}

ExitCode StopPool(Session& session, const std::string& pool, const Waiting& waiting) {
  return Finish(session, session.client.StopPool(PoolResource(pool), waiting.dry_run), waiting);
}

ExitCode ResizePool(Session& session, const Resize& resize, const Waiting& waiting) {
  v1::ResizePoolRequest request;
  request.set_name(PoolResource(resize.pool));
  request.set_desired(resize.desired);
  if (resize.min) request.set_min(*resize.min);
  if (resize.max) request.set_max(*resize.max);
  request.set_validate_only(waiting.dry_run);
  return Finish(session, session.client.ResizePool(std::move(request)), waiting);
}

ExitCode PausePool(Session& session, const std::string& pool, const Waiting& waiting) {
  return Finish(session, session.client.PausePool(PoolResource(pool), waiting.dry_run),
                {Goal::Kind::kPaused, PoolResource(pool), std::nullopt}, waiting);
}

ExitCode ResumePool(Session& session, const std::string& pool, const Waiting& waiting) {
  return Finish(session, session.client.ResumePool(PoolResource(pool), waiting.dry_run),
                {Goal::Kind::kResumed, PoolResource(pool), std::nullopt}, waiting);
}

ExitCode DrainPool(Session& session, const std::string& pool, const Waiting& waiting) {
  Waiting longer = waiting;
  longer.timeout += kDrainVerdict;
  return Finish(session,
                session.client.DrainPool(PoolResource(pool), waiting.timeout, waiting.dry_run),
                longer);
}

ExitCode RestartPool(Session& session, const Restart& restart, const Waiting& waiting) {
  v1::RestartPoolRequest request;
  request.set_name(PoolResource(restart.name));
  request.set_scope(restart.failed ? v1::RESTART_SCOPE_FAILED : v1::RESTART_SCOPE_ALL);
  if (restart.max_unavailable) request.set_max_unavailable(*restart.max_unavailable);
  request.set_validate_only(waiting.dry_run);
  return Finish(session, session.client.RestartPool(std::move(request)), waiting);
}

ExitCode RestartShard(Session& session, const std::string& name, const Waiting& waiting) {
  const Answer<v1::Shard> answer =
      session.client.RestartShard(ShardResource(name), waiting.dry_run);
  if (!answer.ok()) return Fail(session, answer.error);
  if (waiting.wait && !waiting.dry_run) {
    Goal goal{Goal::Kind::kShardRestarted, "", std::nullopt};
    goal.shard = answer.value;
    return WaitFor(session, goal, waiting.timeout);
  }
  Printer(session.format, session.out).Shards(answer.value, {answer.value});
  return kExitDone;
}

ExitCode RestartAny(Session& session, const Restart& restart, const Waiting& waiting) {
  if (restart.shard.empty() == restart.name.empty()) {
    return Fail(session, {kExitUsage, "expected either POOL[/SLOT] or --shard N", ""});
  }
  if (!restart.shard.empty()) {
    if (restart.failed || restart.max_unavailable) {
      return Fail(session, {kExitUsage, "--failed and --max-unavailable are for a whole pool", ""});
    }
    return RestartShard(session, restart.shard, waiting);
  }
  if (WorkerResource(restart.name).empty()) return RestartPool(session, restart, waiting);
  if (restart.failed || restart.max_unavailable) {
    return Fail(session, {kExitUsage, "--failed and --max-unavailable are for a whole pool", ""});
  }
  return Finish(session,
                session.client.RestartWorker(WorkerResource(restart.name), waiting.dry_run),
                waiting);
}

CallError Reach(Session& session, const Goal& goal, Duration timeout, FleetState& fleet) {
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
  const bool is_over = error.exit_code == kExitDone;
  if (is_over && verdict.state == Verdict::State::kImpossible) {
    error = {verdict.exit_code, verdict.text, ""};
  }
  return error;
}

ExitCode WaitFor(Session& session, const Goal& goal, Duration timeout) {
  FleetState fleet;
  const CallError error = Reach(session, goal, timeout, fleet);
  if (error.exit_code != kExitDone) return Fail(session, error);
  if (goal.kind == Goal::Kind::kShardRestarted) {
    const v1::Shard& shard = fleet.shards.at(goal.shard.name());
    Printer(session.format, session.out).Shards(shard, {shard});
    return kExitDone;
  }
  const v1::Pool& pool = fleet.pools.at(goal.pool);
  Printer(session.format, session.out).Pools(pool, {pool});
  return kExitDone;
}

}  // namespace spillway::client
