#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"

namespace spillway::client {

ExitCode Stacks(Session& session, const std::string& worker) {
  const auto answer = session.client.CaptureStacks(WorkerResource(worker));
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out).TextOr(answer.value, answer.value.text());
  if (answer.value.problem().empty()) return kExitDone;
  session.err << "spillway: " << worker << ": " << answer.value.problem() << "\n";
  return kExitFailed;
}

ExitCode Logs(Session& session, const std::string& worker, const LogReading& reading) {
  v1::GetWorkerLogsRequest request;
  request.set_name(WorkerResource(worker));
  request.set_lines(reading.lines);
  request.set_follow(reading.follow);
  const CallError error =
      session.client.GetWorkerLogs(request, [&](const v1::GetWorkerLogsResponse& page) {
        if (page.lines().empty() && reading.follow) return session.out.good();
        std::string text;
        for (const std::string& line : page.lines()) absl::StrAppend(&text, line, "\n");
        Printer(session.format, session.out).TextOr(page, text);
        session.out.flush();
        return session.out.good();
      });
  return error.exit_code == kExitDone ? kExitDone : Fail(session, error);
}

}  // namespace spillway::client
