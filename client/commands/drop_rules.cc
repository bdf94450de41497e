// Rules by which ingest workers leave spans out.
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/output/text.h"
#include "proto/wire/convert.h"

namespace spillway::client {
namespace {

ExitCode Show(Session& session, const Answer<v1::DropRule>& answer, const std::string& footer) {
  if (!answer.ok()) return Fail(session, answer.error);
  Printer printer(session.format, session.out);
  printer.DropRules(answer.value, {answer.value});
  if (!footer.empty()) printer.Footer(footer);
  return kExitDone;
}

}  // namespace

std::string DropRuleResource(const std::string& name) {
  return absl::StartsWith(name, "dropRules/") ? name : absl::StrCat("dropRules/", name);
}

ExitCode AddDropRule(Session& session, const DropRule& rule, bool dry_run) {
  v1::SetDropRuleRequest request;
  v1::DropRule& message = *request.mutable_drop_rule();
  message.set_name(DropRuleResource(rule.name));
  if (rule.project) message.set_project_id(*rule.project);
  message.set_trace_id(rule.trace);
  message.set_reason(rule.reason);
  *request.mutable_ttl() = wire::ToProto(rule.ttl);
  request.set_validate_only(dry_run);
  return Show(session, session.client.SetDropRule(std::move(request)),
              dry_run ? "would leave these spans out" : "");
}

ExitCode ListDropRules(Session& session) {
  const Answer<v1::ListDropRulesResponse> answer = session.client.ListDropRules();
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out)
      .DropRules(answer.value,
                 {answer.value.drop_rules().begin(), answer.value.drop_rules().end()});
  return kExitDone;
}

ExitCode DeleteDropRule(Session& session, const std::string& name, bool dry_run) {
  return Show(session, session.client.DeleteDropRule(DropRuleResource(name), dry_run),
              dry_run ? "would accept these spans again" : "");
}

}  // namespace spillway::client
