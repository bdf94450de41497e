// spillway: the command line client. See --help.
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "client/command_line.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return spillway::client::RunCommandLine(arguments,
                                          {std::cout, std::cerr, isatty(STDERR_FILENO) == 1});
}
