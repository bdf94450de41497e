// What may stand on the command line, and what it stands for.
#ifndef SPILLWAY_CLIENT_PARSER_H_
#define SPILLWAY_CLIENT_PARSER_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "client/commands/commands.h"
#include "config/user_files.h"

namespace spillway::client {

inline constexpr char kDefaultServer[] = "127.0.0.1:7400";

using Verb = std::function<ExitCode(Session&)>;

// What is common to all verbs.
struct Globals {
  std::string server = kDefaultServer;
  bool names_server = false;  // by an option or the environment
  std::string context;        // instead
  std::string contexts_file = config::UserConfigFile("contexts.yaml");
  Format format = Format::kTable;
};

// Builds the parser; the verb that was named is left in verb(), which captures its own options: the
// parser must outlive it. Not movable.
class Parser {
 public:
  Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  CLI::App& app() { return app_; }
  // Once the line has been parsed.
  Globals globals() const {
    Globals globals = globals_;
    globals.names_server = server_->count() > 0;
    return globals;
  }
  bool needs_server() const { return needs_server_; }
  const Verb& verb() const { return verb_; }

 private:
  // Verbs that look (parser_views.cc).
  void AddGet();
  void AddDescribe();
  void AddWait();
  void AddAudit();
  void AddInsight();
  void AddHistory();
  void AddStacksAndLogs();
  void AddHealthAndVersion();
  // Verbs that change (parser_changes.cc).
  void AddStartAndStop();
  void AddRestart();
  void AddResize();
  void AddApply();
  void AddDropRules();
  void AddOperations();
  // The rest, and parts of them (parser.cc).
  void AddContexts();
  // One that asks no server, and so does not mind what the file says of one.
  void AddLocalVerb(CLI::App& app, Verb verb);
  void AddCompletion();
  void AddHelp();
  void AddPage(CLI::App& app);
  void AddDryRun(CLI::App& app);
  void AddWaiting(CLI::App& app);
  void AddTimeout(CLI::App& app);
  // One of some words.
  template <typename Value>
  static CLI::Option* AddChoice(CLI::App& app, const std::string& name,
                                std::vector<std::pair<std::string, Value>> choices, Value& value,
                                const std::string& help) {
    return app.add_option_function<std::string>(
        name,
        [name, choices = std::move(choices), &value](const std::string& word) {
          std::string words;
          for (const auto& [text, meaning] : choices) {
            if (text == word) return void(value = meaning);
            words += (words.empty() ? "" : ", ") + text;
          }
          throw CLI::ValidationError(name, word + ": expected one of " + words);
        },
        help);
  }
  static CLI::Option* AddDuration(CLI::App& app, const std::string& name, Duration& value,
                                  const std::string& help);

  CLI::App app_;
  Globals globals_;
  std::string name_;
  std::vector<std::string> words_;
  Resize resize_;
  Restart restart_;
  Apply apply_;
  DropRule drop_rule_;
  LogReading log_reading_;
  Waiting waiting_;
  Goal::Kind goal_ = Goal::Kind::kHealthy;
  Page page_;
  bool follow_ = false;
  bool use_ = false;
  bool needs_server_ = true;
  CLI::Option* server_ = nullptr;
  bool client_only_ = false;
  Verb verb_;
};

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_PARSER_H_
