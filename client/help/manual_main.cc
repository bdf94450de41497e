// Prints docs/spillway.1.
#include <cstdio>

#include "client/help/manual.h"
#include "client/parser.h"

int main() {
  spillway::client::Parser parser;
  std::fputs(spillway::client::ManualPage(parser.app()).c_str(), stdout);
}
