// Prints docs/worker-states.md.
#include <cstdio>

#include "server/fleet/state_tables.h"

int main() { std::fputs(spillway::fleet::StateTablesMarkdown().c_str(), stdout); }
