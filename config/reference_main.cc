// Prints docs/configuration.md.
#include <cstdio>

#include "config/load.h"

int main() { std::fputs(spillway::config::ReferenceMarkdown().c_str(), stdout); }
