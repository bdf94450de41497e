#include "client/parser.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/completion/completion.h"
#include "client/output/text.h"

namespace spillway::client {

Parser::Parser()
    : app_("Looks at and changes a fleet of Spillway workers, through spillwayd.", "spillway") {
  app_.require_subcommand(1);
  app_.fallthrough();  // --server and -o may also come after the verb
  app_.option_defaults()->always_capture_default();
  server_ = app_.add_option("--server", globals_.server,
                            "Address of spillwayd's API; without it the current context's")
                ->envname("SPILLWAY_SERVER");
  app_.add_option("--context", globals_.context, "Instead: that of this context")
      ->envname("SPILLWAY_CONTEXT")
      ->default_str("");
  app_.add_option("--contexts-file", globals_.contexts_file, "Where contexts are kept")
      ->envname("SPILLWAY_CONTEXTS_FILE")
      ->default_str("~/.config/spillway/contexts.yaml");
  AddChoice<Format>(app_, "-o,--output",
                    {{"table", Format::kTable},
                     {"wide", Format::kWide},
                     {"json", Format::kJson},
                     {"yaml", Format::kYaml}},
                    globals_.format, "table, wide, json (the API's answer as proto3 JSON) or yaml")
      ->default_str("table");
  app_.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused in this state,\n"
      "            5 server unreachable, 6 timed out, 7 not permitted\n\n"
      "Examples:\n"
      "  spillway get workers                      all workers\n"
      "  spillway resize flush 3 --wait            three flush workers, and wait until they "
      "work\n"
      "  spillway wait flush --for healthy --timeout 30s\n"
      "  spillway get shards -o json               for programs\n");
  AddGet();
  AddDescribe();
  AddStartAndStop();
  AddResize();
  AddRestart();
  AddApply();
  AddDropRules();
  AddWait();
  AddOperations();
  AddAudit();
  AddInsight();
  AddHistory();
  AddStacksAndLogs();
  AddHealthAndVersion();
  AddCompletion();
  AddContexts();
  AddHelp();
}

void Parser::AddContexts() {
  CLI::App* context = app_.add_subcommand("context", "Servers by name");
  context->require_subcommand(1);
  context->footer(
      "A verb asks the server that --server or SPILLWAY_SERVER says, else that of --context or\n"
      "SPILLWAY_CONTEXT, else that of the current context, else 127.0.0.1:7400.\n\n"
      "Examples:\n"
      "  spillway context add prod --server 10.0.0.7:7400 --use\n"
      "  spillway --context prod get pools\n"
      "  spillway context list\n"
      "  spillway context use dev\n"
      "  spillway context delete prod\n");
  CLI::App* add = context->add_subcommand("add", "Give the address of --server a name");
  add->add_option("NAME", name_, "Its name")->required();
  add->add_flag("--use", use_, "Make it the current one");
  AddLocalVerb(*add, [this](Session& session) {
    const Globals all = globals();
    const std::string server = all.names_server ? all.server : "";
    return AddContext(session, all.contexts_file, {name_, server, use_});
  });
  CLI::App* use = context->add_subcommand("use", "Make it the current one");
  use->add_option("CONTEXT", name_, "Its name")->required();
  AddLocalVerb(*use, [this](Session& session) {
    return UseContext(session, globals_.contexts_file, name_);
  });
  CLI::App* end = context->add_subcommand("delete", "Forget it");
  end->add_option("CONTEXT", name_, "Its name")->required();
  AddLocalVerb(*end, [this](Session& session) {
    return DeleteContext(session, globals_.contexts_file, name_);
  });
  AddLocalVerb(*context->add_subcommand("list", "All of them"),
               [this](Session& session) { return ListContexts(session, globals_.contexts_file); });
}

void Parser::AddLocalVerb(CLI::App& app, Verb verb) {
  app.callback([this, verb = std::move(verb)] {
    needs_server_ = false;
    verb_ = verb;
  });
}

void Parser::AddHelp() {
  CLI::App* help = app_.add_subcommand("help", "Say what a verb does, with examples");
  help->add_option("VERB", words_, "The verb, and what may come below it")->default_str("");
  help->footer("Examples:\n  spillway help resize\n  spillway help get workers\n");
  AddLocalVerb(*help, [this](Session& session) {
    Parser fresh;  // one that has parsed a line tells of that line's verb only
    CLI::App* app = &fresh.app();
    std::string line = "spillway";
    for (const std::string& word : words_) {
      const std::vector<CLI::App*> verbs = app->get_subcommands([](CLI::App*) { return true; });
      const auto named = std::find_if(verbs.begin(), verbs.end(), [&](const CLI::App* verb) {
        return verb->get_name() == word;
      });
      if (named == verbs.end()) {
        const std::string message =
            absl::StrCat(line, " ", word, ": there is no such verb; see ", "spillway help");
        return Fail(session, {kExitUsage, message, ""});
      }
      line += " " + word;
      app = *named;
    }
    session.out << app->help(app == &fresh.app() ? "" : line.substr(0, line.rfind(' ')));
    return kExitDone;
  });
}

void Parser::AddCompletion() {
  CLI::App* app = app_.add_subcommand(
      "completion", "What a shell reads to complete verbs, options, and names of the server's");
  app->add_option("SHELL", name_, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  app->footer(
      "Examples:\n"
      "  source <(spillway completion bash)        also in ~/.bashrc; zsh alike, after compinit\n"
      "  spillway completion fish | source\n");
  AddLocalVerb(*app, [this](Session& session) {
    session.out << CompletionScript(name_);
    return kExitDone;
  });
}

void Parser::AddPage(CLI::App& app) {
  app.add_option("--limit", page_.limit, "At most so many, the newest (1 to 1000)")
      ->check(CLI::Range(1, 1'000));
  app.add_option("--page", page_.token, "nextPageToken of the answer before: older ones")
      ->default_str("");
}

void Parser::AddDryRun(CLI::App& app) {
  app.add_flag("--dry-run", waiting_.dry_run, "Say what would be, change nothing");
}

void Parser::AddWaiting(CLI::App& app) {
  AddDryRun(app);
  app.add_flag("--wait", waiting_.wait, "Wait until it is so, showing progress");
  AddTimeout(app);
}

void Parser::AddTimeout(CLI::App& app) {
  AddDuration(app, "--timeout", waiting_.timeout, "Wait no longer than this (500ms, 90s, 2m)")
      ->default_str("2m");
}

CLI::Option* Parser::AddDuration(CLI::App& app, const std::string& name, Duration& value,
                                 const std::string& help) {
  return app.add_option_function<std::string>(
      name,
      [name, &value](const std::string& text) {
        const std::optional<Duration> given = ParseDuration(text);
        if (!given) throw CLI::ValidationError(name, text + ": expected a time like 90s or 2m");
        value = *given;
      },
      help);
}

}  // namespace spillway::client
