#include "client/help/manual.h"

#include <CLI/CLI.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace spillway::client {
namespace {

// Text as roff takes it: no line is a request, and what is typed is what is shown.
std::string Plain(const std::string& text) {
  std::string plain = absl::StrReplaceAll(
      text, {{"\\", "\\e"}, {"-", "\\-"}, {"'", "\\(aq"}, {"`", "\\(ga"}, {"…", "..."}});
  std::vector<std::string> lines = absl::StrSplit(plain, '\n');
  for (std::string& line : lines) {
    if (absl::StartsWith(line, ".")) line = absl::StrCat("\\&", line);
  }
  return absl::StrJoin(lines, "\n");
}

std::string Sentence(const std::string& text) {
  return absl::StrCat(Plain(text), absl::EndsWith(text, ".") ? "" : ".");
}

// As it stands, with its line ends.
std::string Verbatim(const std::string& text) {
  return text.empty() ? "" : absl::StrCat(".PP\n.nf\n", Plain(text), "\n.fi\n");
}

// "-o, --output FORMAT"; empty: a positional.
std::string NamesOf(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return absl::StrJoin(names, ", ");
}

std::string OptionsOf(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) continue;
    const bool takes_value = option->get_items_expected_max() > 0;
    absl::StrAppend(&text, ".TP\n.B ", Plain(NamesOf(*option)), takes_value ? " \\fIVALUE\\fR" : "",
                    "\n", Sentence(option->get_description()), "\n");
    const std::string usual = option->get_default_str();
    const std::string variable = option->get_envname();
    if (takes_value && !usual.empty()) absl::StrAppend(&text, "Default: ", Plain(usual), ".\n");
    if (!variable.empty()) absl::StrAppend(&text, "Environment: ", Plain(variable), ".\n");
  }
  return text;
}

std::string ArgumentsOf(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    absl::StrAppend(&text, ".TP\n.I ", Plain(option->get_name(true)), "\n",
                    Sentence(option->get_description()), "\n");
  }
  return text;
}

std::string SynopsisOf(const std::string& line, const CLI::App& app) {
  std::string text = line;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = option->get_name(true);
    absl::StrAppend(&text, " ", option->get_required() ? name : absl::StrCat("[", name, "]"));
  }
  return text;
}

// A verb, or those below it, which have its footer unless they have one of their own.
std::string VerbText(const std::string& before, const std::string& footer, CLI::App& app) {
  const std::string line = absl::StrCat(before, " ", app.get_name());
  const std::vector<CLI::App*> verbs = app.get_subcommands([](CLI::App*) { return true; });
  std::string text;
  if (verbs.empty()) {
    text = absl::StrCat(".SS \"", Plain(SynopsisOf(line, app)), "\"\n",
                        Plain(app.get_description()), ".\n", ArgumentsOf(app), OptionsOf(app));
  }
  for (CLI::App* verb : verbs) text += VerbText(line, app.get_footer(), *verb);
  return app.get_footer() == footer ? text : text + Verbatim(app.get_footer());
}

}  // namespace

std::string ManualPage(CLI::App& app) {
  std::string text = absl::StrCat(
      ".\\\" Made by spillway-manual from the program's own help; do not edit.\n"
      ".TH SPILLWAY 1 \"\" Spillway \"User Commands\"\n.SH NAME\nspillway \\- ",
      Plain("operates a fleet of Spillway workers"),
      "\n.SH SYNOPSIS\n.B spillway\n[\\fIOPTIONS\\fR] \\fIVERB\\fR \\&...\n.SH DESCRIPTION\n",
      Plain(app.get_description()), "\n.SH OPTIONS\n", OptionsOf(app), ".SH VERBS\n");
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    text += VerbText("spillway", app.get_footer(), *verb);
  }
  return absl::StrCat(text, ".SH \"EXIT STATUS, EXAMPLES\"\n", Verbatim(app.get_footer()));
}

}  // namespace spillway::client
