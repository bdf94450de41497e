// What is under way, and its end.
#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/output/progress.h"
#include "client/output/text.h"

namespace spillway::client {

std::string OperationResource(const std::string& name) {
  return absl::StartsWith(name, "operations/") ? name : absl::StrCat("operations/", name);
}

ExitCode GetOperations(Session& session, const std::string& name) {
  Printer printer(session.format, session.out);
  if (name.empty()) {
    const Answer<v1::ListOperationsResponse> answer = session.client.ListOperations(0, "");
    if (!answer.ok()) return Fail(session, answer.error);
    std::vector<v1::Operation> operations(answer.value.operations().begin(),
                                          answer.value.operations().end());
    std::reverse(operations.begin(), operations.end());  // the newest last
    printer.Operations(answer.value, operations);
    return kExitDone;
  }
  const Answer<v1::Operation> answer = session.client.GetOperation(OperationResource(name));
  if (!answer.ok()) return Fail(session, answer.error);
  printer.Operations(answer.value, {answer.value});
  return kExitDone;
}

ExitCode CancelOperation(Session& session, const std::string& name, bool dry_run) {
  const Answer<v1::Operation> answer =
      session.client.CancelOperation(OperationResource(name), dry_run);
  if (!answer.ok()) return Fail(session, answer.error);
  Printer printer(session.format, session.out);
  printer.Operations(answer.value, {answer.value});
  if (answer.value.has_plan()) printer.Footer(PlanText(answer.value.plan()));
  return kExitDone;
}

Answer<v1::Operation> AwaitEnd(Session& session, const std::string& name, Duration timeout) {
  Answer<v1::Operation> answer;
  {
    Progress progress(session.err, session.is_terminal);
    answer = session.client.WaitOperation(
        name, SystemClock().Now() + timeout,
        [&](const v1::Operation& operation) { progress.Show(operation.detail()); });
  }
  if (answer.error.exit_code == kExitTimedOut) {
    const double seconds = std::chrono::duration<double>(timeout).count();
    const std::string& detail = answer.value.detail();
    answer.error.message = absl::StrCat("timed out after ", seconds, " s; ", name, " goes on",
                                        detail.empty() ? "" : ": ", detail);
  }
  return answer;
}

CallError OutcomeOf(const v1::Operation& operation) {
  if (operation.state() == v1::OPERATION_STATE_SUCCEEDED) return {kExitDone, "", ""};
  const bool is_late = operation.kind() == v1::OPERATION_KIND_DRAIN_POOL &&
                       operation.pool().drain().state() == v1::DRAIN_STATE_TIMED_OUT;
  return {is_late ? kExitTimedOut : kExitFailed, OperationText(operation), ""};
}

ExitCode WaitOperation(Session& session, const std::string& name, Duration timeout) {
  const Answer<v1::Operation> answer = AwaitEnd(session, OperationResource(name), timeout);
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out).Operations(answer.value, {answer.value});
  return OutcomeOf(answer.value).exit_code;
}

}  // namespace spillway::client
