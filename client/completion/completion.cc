#include "client/completion/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace spillway::client {
namespace {

// How a name is called in the verbs' descriptions.
const std::map<std::string, std::vector<Named>>& NamedBy() {
  static const auto* const by = new std::map<std::string, std::vector<Named>>{
      {"POOL", {Named::kPool}},
      {"POOL[/SLOT]", {Named::kPool, Named::kWorker}},
      {"WORKER", {Named::kWorker}},
      {"SHARD", {Named::kShard}},
      {"OPERATION", {Named::kOperation}},
      {"--shard", {Named::kShard}},
      {"CONTEXT", {Named::kContext}},
      {"--context", {Named::kContext}},
      // NAME, by the verb that it belongs to.
      {"pools", {Named::kPool}},
      {"pool", {Named::kPool}},
      {"deaths", {Named::kPool}},
      {"workers", {Named::kPool, Named::kWorker}},
      {"worker", {Named::kWorker}},
      {"shards", {Named::kShard}},
      {"shard", {Named::kShard}},
      {"operations", {Named::kOperation}},
      {"delete", {Named::kDropRule}},
  };
  return *by;
}

// Options whose values are words.
const std::map<std::string, std::vector<std::string>>& WordsOf() {
  static const auto* const words = new std::map<std::string, std::vector<std::string>>{
      {"--output", {"table", "wide", "json", "yaml"}},
      {"--for", {"healthy", "stopped", "drained"}},
      {"SHELL", {"bash", "zsh", "fish"}},
  };
  return *words;
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// Walks along the words that stand already.
class Walk {
 public:
  explicit Walk(CLI::App& app) : app_(&app), chain_{&app} {}

  void Pass(const std::string& word) {
    if (const CLI::Option* option = std::exchange(awaits_, nullptr)) {
      if (option->get_name() == "--server") server_ = word;
      return;
    }
    if (absl::StartsWith(word, "-") && !has_only_positionals_) return PassOption(word);
    const std::vector<CLI::App*> verbs = app_->get_subcommands(Any);
    const auto verb = std::find_if(verbs.begin(), verbs.end(),
                                   [&](const CLI::App* each) { return each->get_name() == word; });
    if (verb == verbs.end()) {
      ++positionals_;
      return;
    }
    app_ = *verb;
    chain_.push_back(*verb);
  }

  std::vector<Candidate> Next(const std::string& typed, const NamesOf& names_of) const {
    if (awaits_ != nullptr) return ValuesOf("--" + LongName(*awaits_), names_of);
    if (absl::StartsWith(typed, "-") && !has_only_positionals_) return Options();
    const std::vector<CLI::App*> verbs = app_->get_subcommands(Any);
    if (!verbs.empty()) {
      std::vector<Candidate> candidates;
      for (const CLI::App* verb : verbs) {
        candidates.push_back({verb->get_name(), FirstLine(verb->get_description())});
      }
      return candidates;
    }
    const std::string positional = Positional();
    return positional.empty() ? std::vector<Candidate>{} : ValuesOf(positional, names_of);
  }

 private:
  static bool Any(CLI::App*) { return true; }
  static std::string LongName(const CLI::Option& option) {
    return option.get_lnames().empty() ? "" : option.get_lnames().front();
  }

  void PassOption(const std::string& word) {
    if (word == "--") {
      has_only_positionals_ = true;
      return;
    }
    const std::pair<std::string, std::string> parts = absl::StrSplit(word, absl::MaxSplits('=', 1));
    for (auto app = chain_.rbegin(); app != chain_.rend(); ++app) {
      const CLI::Option* option = (*app)->get_option_no_throw(parts.first);
      if (option == nullptr) continue;
      if (absl::StrContains(word, '=')) {
        if (parts.first == "--server") server_ = parts.second;
      } else if (TakesValue(*option)) {
        awaits_ = option;
      }
      return;
    }
  }

  // Those of the verb, then those that may come anywhere.
  std::vector<Candidate> Options() const {
    std::vector<Candidate> candidates;
    std::vector<std::string> seen;
    for (auto app = chain_.rbegin(); app != chain_.rend(); ++app) {
      for (const CLI::Option* option : (*app)->get_options()) {
        const std::string name = LongName(*option);
        if (name.empty() || std::count(seen.begin(), seen.end(), name) > 0) continue;
        seen.push_back(name);
        candidates.push_back({"--" + name, FirstLine(option->get_description())});
      }
    }
    return candidates;
  }

  std::string Positional() const {
    size_t at = 0;
    for (const CLI::Option* option : app_->get_options()) {
      if (option->get_positional() && at++ == positionals_) return option->get_name(true);
    }
    return "";
  }

  std::vector<Candidate> ValuesOf(const std::string& what, const NamesOf& names_of) const {
    std::vector<Candidate> candidates;
    if (const auto words = WordsOf().find(what); words != WordsOf().end()) {
      for (const std::string& word : words->second) candidates.push_back({word});
      return candidates;
    }
    const auto named = NamedBy().find(what == "NAME" ? app_->get_name() : what);
    if (named == NamedBy().end()) return candidates;
    for (const Named kind : named->second) {
      for (Candidate& name : names_of(kind, server_)) candidates.push_back(std::move(name));
    }
    return candidates;
  }

  CLI::App* app_;                 // the verb so far
  std::vector<CLI::App*> chain_;  // from the program to it
  const CLI::Option* awaits_ = nullptr;
  bool has_only_positionals_ = false;
  size_t positionals_ = 0;
  std::string server_;
};

constexpr char kBash[] = R"(# bash completion for spillway
_spillway() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("${line%%$'\t'*}")
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _spillway spillway
)";

constexpr char kZsh[] = R"(#compdef spillway
_spillway() {
  local line name
  local -a found
  while IFS= read -r line; do
    name=${${line%%$'\t'*}//:/\\:}
    found+=("$name:${line#*$'\t'}")
  done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( $#found )); then
    _describe spillway found
  else
    _files
  fi
}
compdef _spillway spillway
)";

constexpr char kFish[] = R"(# fish completion for spillway
function __spillway_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete $words[2..] 2>/dev/null
end
complete -c spillway -f -a '(__spillway_complete)'
complete -c spillway -n '__fish_seen_subcommand_from apply' -s f -l file -r -F
)";

}  // namespace

std::vector<Candidate> Complete(CLI::App& app, const std::vector<std::string>& words,
                                const NamesOf& names_of) {
  if (words.empty()) return Complete(app, {""}, names_of);
  Walk walk(app);
  for (size_t i = 0; i + 1 < words.size(); ++i) walk.Pass(words[i]);
  std::vector<Candidate> candidates = walk.Next(words.back(), names_of);
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return !absl::StartsWith(candidate.text, words.back());
  });
  return candidates;
}

std::string CompletionLines(const std::vector<Candidate>& candidates) {
  std::string lines;
  for (const Candidate& candidate : candidates) {
    absl::StrAppend(&lines, candidate.text, "\t",
                    absl::StrReplaceAll(candidate.description, {{"\t", " "}, {"\n", " "}}), "\n");
  }
  return lines;
}

std::string CompletionScript(const std::string& shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  return shell == "fish" ? kFish : "";
}

}  // namespace spillway::client
