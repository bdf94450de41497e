// `spillway apply`: what a file of pools asks for, against what is there.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/commands/commands.h"
#include "client/output/text.h"
#include "config/load.h"

namespace spillway::client {
namespace {

// One pool's way from what is to what shall be.
struct Step {
  enum class Kind { kKeep, kCreate, kUpdate, kDelete };
  Kind kind = Kind::kKeep;
  v1::Pool pool;                    // as it shall be; to be deleted: as it is
  std::vector<std::string> fields;  // that change
  std::string text;                 // for a person
};

v1::Role RoleOf(const config::Pool& pool) {
  return pool.role == config::Role::kIngest ? v1::ROLE_INGEST : v1::ROLE_FLUSH;
}

v1::ScaleOwner ScaleOwnerOf(const config::Pool& pool) {
  return pool.scale_owner == config::ScaleOwner::kSpillway ? v1::SCALE_OWNER_SPILLWAY
                                                           : v1::SCALE_OWNER_EXTERNAL;
}

std::string Described(const v1::Pool& pool) {
  return absl::StrCat("role ", Text(pool.role()), ", desired ", pool.desired(), ", min ",
                      pool.min(), ", max ", pool.max(), ", scale_owner ", Text(pool.scale_owner()));
}

Step Creation(const config::Pool& wished) {
  Step step;
  step.kind = Step::Kind::kCreate;
  step.pool.set_name(PoolResource(wished.name));
  step.pool.set_role(RoleOf(wished));
  step.pool.set_desired(wished.replicas);
  step.pool.set_min(wished.min);
  step.pool.set_max(wished.max);
  step.pool.set_scale_owner(ScaleOwnerOf(wished));
  step.text = Described(step.pool);
  return step;
}

// Only what the file gives: the rest stays as it is.
Step Update(const config::ListedPool& wished, const v1::Pool& present) {
  Step step;
  step.pool = present;
  std::vector<std::string> changes;
  const auto note = [&](const char* key, const char* field, const auto& from, const auto& to) {
    if (!wished.given.contains(key) || from == to) return false;
    step.fields.emplace_back(field);
    changes.push_back(absl::StrCat(field, " ", from, " → ", to));
    return true;
  };
  const config::Pool& pool = wished.pool;
  const v1::ScaleOwner owner =
      wished.given.contains("scale_owner") ? ScaleOwnerOf(pool) : present.scale_owner();
  // The size of an external pool is the number of workers that somebody else has started.
  const bool is_sized_here = owner != v1::SCALE_OWNER_EXTERNAL;
  if (is_sized_here && note("replicas", "desired", present.desired(), pool.replicas)) {
    step.pool.set_desired(pool.replicas);
  }
  if (note("min", "min", present.min(), pool.min)) step.pool.set_min(pool.min);
  if (note("max", "max", present.max(), pool.max)) step.pool.set_max(pool.max);
  if (note("scale_owner", "scale_owner", Text(present.scale_owner()), Text(ScaleOwnerOf(pool)))) {
    step.pool.set_scale_owner(ScaleOwnerOf(pool));
  }
  step.kind = step.fields.empty() ? Step::Kind::kKeep : Step::Kind::kUpdate;
  step.text = step.fields.empty() ? "unchanged" : absl::StrJoin(changes, ", ");
  return step;
}

Step Deletion(const v1::Pool& present) {
  Step step{Step::Kind::kDelete, present, {}, Described(present)};
  if (present.observed() > 0) {
    absl::StrAppend(&step.text, " (", present.observed(), " workers drain and end)");
  }
  return step;
}

struct Plan {
  std::vector<Step> steps;
  std::string refusal;  // why there is none; empty: there is
};

Plan MakePlan(const std::vector<config::ListedPool>& wished, const v1::ListPoolsResponse& present,
              bool prune) {
  Plan plan;
  std::set<std::string> named;
  for (const config::ListedPool& listed : wished) {
    const std::string name = PoolResource(listed.pool.name);
    named.insert(name);
    const auto found = std::find_if(present.pools().begin(), present.pools().end(),
                                    [&](const v1::Pool& pool) { return pool.name() == name; });
    if (found == present.pools().end()) {
      plan.steps.push_back(Creation(listed.pool));
    } else if (found->role() != RoleOf(listed.pool)) {
      plan.refusal = absl::StrCat(name, ": has role ", Text(found->role()),
                                  ", which cannot be changed: delete it, or choose another name");
      return plan;
    } else {
      plan.steps.push_back(Update(listed, *found));
    }
  }
  for (const v1::Pool& pool : present.pools()) {
    const bool is_to_go =
        prune && pool.origin() == v1::POOL_ORIGIN_API && !named.contains(pool.name());
    if (is_to_go) plan.steps.push_back(Deletion(pool));
  }
  return plan;
}

// Performs one step, or has the server judge it. A step that changes nothing answers with its pool.
Answer<v1::Operation> Perform(ControlClient& client, const Step& step, bool validate_only) {
  Answer<v1::Operation> answer;
  if (step.kind == Step::Kind::kCreate) {
    v1::CreatePoolRequest request;
    request.set_pool_id(step.pool.name().substr(PoolResource("").size()));
    *request.mutable_pool() = step.pool;
    request.set_validate_only(validate_only);
    answer = client.CreatePool(std::move(request));
  } else if (step.kind == Step::Kind::kUpdate) {
    v1::UpdatePoolRequest request;
    *request.mutable_pool() = step.pool;
    for (const std::string& field : step.fields) request.mutable_update_mask()->add_paths(field);
    request.set_etag(step.pool.etag());
    request.set_validate_only(validate_only);
    answer = client.UpdatePool(std::move(request));
  } else if (step.kind == Step::Kind::kDelete) {
    v1::DeletePoolRequest request;
    request.set_name(step.pool.name());
    request.set_force(true);
    request.set_etag(step.pool.etag());
    request.set_validate_only(validate_only);
    answer = client.DeletePool(std::move(request));
  } else {
    *answer.value.mutable_pool() = step.pool;
    answer.error.exit_code = kExitDone;
  }
  return answer;
}

// One line for each step, and, of a dry run, what its change would do.
std::string Difference(const std::vector<Step>& steps, const std::vector<v1::Operation>& answers) {
  std::string text;
  for (size_t i = 0; i < steps.size(); ++i) {
    const char sign = " +~-"[static_cast<int>(steps[i].kind)];
    absl::StrAppend(&text, std::string(1, sign), " ", steps[i].pool.name(), ": ", steps[i].text,
                    "\n");
    if (!answers[i].has_plan()) continue;
    for (const absl::string_view line :
         absl::StrSplit(PlanText(answers[i].plan()), '\n', absl::SkipEmpty())) {
      absl::StrAppend(&text, "    ", line, "\n");
    }
  }
  return text;
}

// Performs all steps, or has the server judge them; `answers`: of each.
CallError PerformAll(ControlClient& client, const std::vector<Step>& steps, bool validate_only,
                     std::vector<v1::Operation>& answers) {
  const auto changes = std::count_if(
      steps.begin(), steps.end(), [](const Step& step) { return step.kind != Step::Kind::kKeep; });
  int done = 0;
  answers.clear();
  for (const Step& step : steps) {
    const Answer<v1::Operation> answer = Perform(client, step, validate_only);
    if (!answer.ok()) {
      CallError error = answer.error;
      absl::StrAppend(&error.message, " (", done, " of ", changes, " changes were done)");
      return error;
    }
    if (!validate_only && step.kind != Step::Kind::kKeep) ++done;
    answers.push_back(answer.value);
  }
  return {kExitDone, "", ""};
}

// Waits for what the steps have begun, and for running pools that are as wished already to have
// their workers.
CallError Await(Session& session, const std::vector<Step>& steps, Duration timeout,
                std::vector<v1::Operation>& answers) {
  const Instant deadline = SystemClock().Now() + timeout;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Duration left = deadline - SystemClock().Now();
    const v1::Pool& pool = steps[i].pool;
    if (steps[i].kind != Step::Kind::kKeep) {
      const Answer<v1::Operation> end = AwaitEnd(session, answers[i].name(), left);
      if (!end.ok()) return end.error;
      if (const CallError error = OutcomeOf(end.value); error.exit_code != kExitDone) return error;
      answers[i] = end.value;
    } else if (pool.state() == v1::POOL_STATE_RUNNING &&
               pool.scale_owner() != v1::SCALE_OWNER_EXTERNAL) {
      Goal goal;
      goal.pool = pool.name();
      goal.desired = pool.desired();
      FleetState fleet;
      const CallError error = Reach(session, goal, left, fleet);
      if (error.exit_code != kExitDone) return error;
      *answers[i].mutable_pool() = fleet.pools.at(goal.pool);
    }
  }
  return {kExitDone, "", ""};
}

}  // namespace

ExitCode ApplyPools(Session& session, const Apply& apply, const Waiting& waiting) {
  const auto loaded = config::LoadPools(apply.file);
  if (const auto* problems = std::get_if<std::vector<config::Problem>>(&loaded)) {
    for (const config::Problem& problem : *problems) {
      const std::string line = problem.line > 0 ? absl::StrCat(":", problem.line) : "";
      session.err << "spillway: " << apply.file << line << ": " << problem.ToString() << "\n";
    }
    return kExitUsage;
  }
  const Answer<v1::ListPoolsResponse> present = session.client.ListPools();
  if (!present.ok()) return Fail(session, present.error);
  const Plan plan =
      MakePlan(std::get<std::vector<config::ListedPool>>(loaded), present.value, apply.prune);
  if (!plan.refusal.empty()) return Fail(session, {kExitRefused, plan.refusal, ""});
  std::vector<v1::Operation> answers;
  CallError error = PerformAll(session.client, plan.steps, /*validate_only=*/true, answers);
  if (error.exit_code != kExitDone) return Fail(session, error);
  for (const v1::Operation& answer : answers) {
    if (answer.warning().empty()) continue;
    session.err << "spillway: " << answer.pool().name() << ": " << answer.warning() << std::endl;
  }
  if (!waiting.dry_run) {
    error = PerformAll(session.client, plan.steps, /*validate_only=*/false, answers);
    if (error.exit_code == kExitDone && waiting.wait) {
      error = Await(session, plan.steps, waiting.timeout, answers);
    }
    if (error.exit_code != kExitDone) return Fail(session, error);
  }
  v1::ListPoolsResponse result;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (plan.steps[i].kind != Step::Kind::kDelete) *result.add_pools() = answers[i].pool();
  }
  Printer(session.format, session.out).TextOr(result, Difference(plan.steps, answers));
  return kExitDone;
}

}  // namespace spillway::client
