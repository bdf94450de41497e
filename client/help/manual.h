// The manual page, made from the parser's description of the verbs: docs/spillway.1.
#ifndef SPILLWAY_CLIENT_HELP_MANUAL_H_
#define SPILLWAY_CLIENT_HELP_MANUAL_H_

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace spillway::client {

// As roff with the macros `man`.
std::string ManualPage(CLI::App& app);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_HELP_MANUAL_H_
