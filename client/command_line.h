// `spillway` from its arguments to its exit code.
#ifndef SPILLWAY_CLIENT_COMMAND_LINE_H_
#define SPILLWAY_CLIENT_COMMAND_LINE_H_

#include <ostream>
#include <string>
#include <vector>

#include "client/exit_code.h"

namespace spillway::client {

struct Terminal {
  std::ostream& out;
  std::ostream& err;
  bool is_terminal = false;  // `err` is one
};

// `arguments` without the program's name. Blocks for as long as the verb takes.
ExitCode RunCommandLine(const std::vector<std::string>& arguments, const Terminal& terminal);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_COMMAND_LINE_H_
