#include "client/command_line.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "client/completion/completion.h"
#include "client/completion/names.h"
#include "client/context/contexts.h"
#include "client/parser.h"

namespace spillway::client {

// Which server is meant: the one that is named, or the context's, or the usual one.
static absl::StatusOr<std::string> ServerOf(const Globals& globals) {
  if (globals.names_server && !globals.context.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--context ", globals.context, ": a server is named, too (--server or ",
                     "SPILLWAY_SERVER: ", globals.server, "): leave one out"));
  }
  if (globals.names_server) return globals.server;
  const absl::StatusOr<Contexts> contexts = LoadContexts(globals.contexts_file);
  if (!contexts.ok()) return contexts.status();
  const std::string name = globals.context.empty() ? contexts->current : globals.context;
  if (name.empty()) return globals.server;
  const Context* const context = FindContext(*contexts, name);
  if (context != nullptr) return context->server;
  return absl::InvalidArgumentError(
      absl::StrCat("--context: ", name, ": expected one of those in ", globals.contexts_file));
}

// `words`: what stands on the line that is to be completed.
static ExitCode CompleteLine(Parser& parser, const std::vector<std::string>& words,
                             std::ostream& out) {
  const auto names_of = [](Named what, const std::string& named) -> std::vector<Candidate> {
    Parser usual;  // any line that is whole fills in what the environment says
    usual.app().parse(std::vector<std::string>{"--client", "version"});
    const Globals globals = usual.globals();
    if (what == Named::kContext) return NamesIn(LoadContexts(globals.contexts_file));
    const absl::StatusOr<std::string> server = named.empty() ? ServerOf(globals) : named;
    if (!server.ok()) return {};
    ControlClient client(*server, kNamesLimit);
    return NamesAt(client, what);
  };
  out << CompletionLines(Complete(parser.app(), words, names_of));
  return kExitDone;
}

ExitCode RunCommandLine(const std::vector<std::string>& arguments, const Terminal& terminal) {
  Parser parser;
  if (!arguments.empty() && arguments[0] == kCompleteVerb) {
    return CompleteLine(parser, {arguments.begin() + 1, arguments.end()}, terminal.out);
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
    parser.app().parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {  // also --help
    return parser.app().exit(error, terminal.out, terminal.err) == 0 ? kExitDone : kExitUsage;
  }
  const absl::StatusOr<std::string> server =
      parser.needs_server() ? ServerOf(parser.globals()) : std::string(kDefaultServer);
  if (!server.ok()) {
    terminal.err << "spillway: " << server.status().message() << std::endl;
    return kExitUsage;
  }
  ControlClient client(*server);
  Session session{client, parser.globals().format, terminal.out, terminal.err,
                  terminal.is_terminal};
  return parser.verb()(session);
}

}  // namespace spillway::client
