// Servers by name.
#include <google/protobuf/struct.pb.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "client/commands/commands.h"
#include "client/context/contexts.h"
#include "client/output/table.h"

namespace spillway::client {
namespace {

ExitCode FailWith(Session& session, ExitCode code, const std::string& message) {
  return Fail(session, {code, message, ""});
}

ExitCode NoSuch(Session& session, const std::string& name) {
  return FailWith(session, kExitNotFound,
                  absl::StrCat(name, ": there is no such context; see spillway context list"));
}

ExitCode Save(Session& session, const std::string& file, const Contexts& contexts) {
  const absl::Status saved = SaveContexts(file, contexts);
  return saved.ok() ? kExitDone : FailWith(session, kExitFailed, std::string(saved.message()));
}

google::protobuf::Struct MessageOf(const Contexts& contexts) {
  google::protobuf::Struct message;
  auto& fields = *message.mutable_fields();
  fields["current"].set_string_value(contexts.current);
  auto& list = *fields["contexts"].mutable_list_value();
  for (const Context& context : contexts.contexts) {
    auto& entry = *list.add_values()->mutable_struct_value()->mutable_fields();
    entry["name"].set_string_value(context.name);
    entry["server"].set_string_value(context.server);
  }
  return message;
}

}  // namespace

ExitCode AddContext(Session& session, const std::string& file, const NewContext& wanted) {
  if (!IsPoolName(wanted.name)) {
    return FailWith(session, kExitUsage,
                    absl::StrCat("NAME: \"", wanted.name, "\": expected ", kPoolNameRule));
  }
  if (wanted.server.empty()) {
    return FailWith(session, kExitUsage, "--server: expected the address of its spillwayd");
  }
  absl::StatusOr<Contexts> contexts = LoadContexts(file);
  if (!contexts.ok())
    return FailWith(session, kExitFailed, std::string(contexts.status().message()));
  if (const Context* known = FindContext(*contexts, wanted.name)) {
    return FailWith(session, kExitRefused,
                    absl::StrCat(wanted.name, ": there already, with server ", known->server,
                                 "; delete it first"));
  }
  contexts->contexts.push_back({wanted.name, wanted.server});
  std::ranges::sort(contexts->contexts, {}, &Context::name);
  if (wanted.use) contexts->current = wanted.name;
  return Save(session, file, *contexts);
}

ExitCode UseContext(Session& session, const std::string& file, const std::string& name) {
  absl::StatusOr<Contexts> contexts = LoadContexts(file);
  if (!contexts.ok())
    return FailWith(session, kExitFailed, std::string(contexts.status().message()));
  if (FindContext(*contexts, name) == nullptr) return NoSuch(session, name);
  contexts->current = name;
  return Save(session, file, *contexts);
}

ExitCode DeleteContext(Session& session, const std::string& file, const std::string& name) {
  absl::StatusOr<Contexts> contexts = LoadContexts(file);
  if (!contexts.ok())
    return FailWith(session, kExitFailed, std::string(contexts.status().message()));
  if (FindContext(*contexts, name) == nullptr) return NoSuch(session, name);
  std::erase_if(contexts->contexts, [&](const Context& context) { return context.name == name; });
  if (contexts->current == name) contexts->current.clear();
  return Save(session, file, *contexts);
}

ExitCode ListContexts(Session& session, const std::string& file) {
  const absl::StatusOr<Contexts> contexts = LoadContexts(file);
  if (!contexts.ok())
    return FailWith(session, kExitFailed, std::string(contexts.status().message()));
  Table table({"CURRENT", "NAME", "SERVER"});
  for (const Context& context : contexts->contexts) {
    table.AddRow({context.name == contexts->current ? "*" : "", context.name, context.server});
  }
  std::ostringstream text;
  table.Print(text);
  Printer(session.format, session.out).TextOr(MessageOf(*contexts), text.str());
  return kExitDone;
}

}  // namespace spillway::client
