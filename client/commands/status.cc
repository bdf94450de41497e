#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "client/commands/commands.h"
#include "client/output/text.h"

namespace spillway::client {
namespace {

using grpc::health::v1::HealthCheckResponse;

std::string CheckLine(const v1::Check& check) {
  std::string line = absl::StrCat("  ", check.name(), check.ok() ? ": ok" : ": not ready");
  if (!check.detail().empty()) absl::StrAppend(&line, ", ", check.detail());
  return line + "\n";
}

// The fleet serves if all its checks hold: one answer says both.
ExitCode FleetHealth(Session& session) {
  const auto info = session.client.GetServerInfo();
  if (!info.ok()) return Fail(session, info.error);
  const auto& checks = info.value.checks();
  const bool is_serving =
      std::all_of(checks.begin(), checks.end(), [](const v1::Check& check) { return check.ok(); });
  std::string text = is_serving ? "SERVING\n" : "NOT_SERVING\n";
  for (const v1::Check& check : checks) text += CheckLine(check);
  Printer(session.format, session.out).TextOr(info.value, text);
  return is_serving ? kExitDone : kExitFailed;
}

}  // namespace

ExitCode Health(Session& session, const std::string& service) {
  if (service.empty()) return FleetHealth(session);
  const auto answer = session.client.CheckHealth(service);
  if (!answer.ok()) return Fail(session, answer.error);
  const std::string text = HealthCheckResponse::ServingStatus_Name(answer.value.status()) + "\n";
  Printer(session.format, session.out).TextOr(answer.value, text);
  return answer.value.status() == HealthCheckResponse::SERVING ? kExitDone : kExitFailed;
}

ExitCode Version(Session& session, bool client_only) {
  std::string text = absl::StrCat("client ", spillway::Version(), "\n");
  if (client_only) {
    session.out << text;
    return kExitDone;
  }
  const auto answer = session.client.GetServerInfo();
  if (!answer.ok()) {
    session.out << text;
    return Fail(session, answer.error);
  }
  const v1::ServerInfo& info = answer.value;
  absl::StrAppend(&text, "server ", info.version(), " at ", session.client.server(), ", namespace ",
                  info.name_space(), ", up ", Text(info.uptime()), "\n");
  if (!info.http_address().empty())
    absl::StrAppend(&text, "dashboard http://", info.http_address(), "/\n");
  Printer(session.format, session.out).TextOr(info, text);
  return kExitDone;
}

}  // namespace spillway::client
