// What could come next on a command line, for the shells. Knows the parser's description of the
// verbs and asks for the names that only the server has.
#ifndef SPILLWAY_CLIENT_COMPLETION_COMPLETION_H_
#define SPILLWAY_CLIENT_COMPLETION_COMPLETION_H_

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace spillway::client {

struct Candidate {
  std::string text;
  std::string description{};  // one line; may be empty
};

// What a word can be the name of.
enum class Named { kPool, kWorker, kShard, kOperation, kDropRule, kContext };
// Those that are there, as a person types them ("flush", "flush/0", "7"), at the server that the
// words name (empty: none was named). May be slow; nothing if the server does not answer.
using NamesOf = std::function<std::vector<Candidate>(Named, const std::string& server)>;

// `words`: those after the program's name, the last one being typed (empty: nothing of it yet).
// Only candidates that begin with it. None: whatever the shell thinks of, such as files.
std::vector<Candidate> Complete(CLI::App& app, const std::vector<std::string>& words,
                                const NamesOf& names_of);

// Lines for the scripts below: text, a tab, description.
std::string CompletionLines(const std::vector<Candidate>& candidates);

// The verb that prints those lines; no part of the help.
inline constexpr char kCompleteVerb[] = "__complete";

// What a shell has to read so that it completes `spillway`: "bash", "zsh", "fish"; else empty.
std::string CompletionScript(const std::string& shell);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_COMPLETION_COMPLETION_H_
