// The control plane's state tables as a page: docs/worker-states.md. Every cell is asked of the
// code that decides (worker_machine.h, fleet.h, restart_policy.h). For tests and documents only.
// Pure.
#ifndef SPILLWAY_SERVER_FLEET_STATE_TABLES_H_
#define SPILLWAY_SERVER_FLEET_STATE_TABLES_H_

#include <functional>
#include <string>
#include <vector>

#include "server/fleet/worker_machine.h"

namespace spillway::fleet {

// What a worker can be in, as far as the machine treats it differently.
struct Situation {
  std::string text;  // "STOPPING: being ended as unhealthy, its stacks asked for"
  Worker worker;
  Instant now;
};

// What can happen to it. `events` follow one another with `apart` between them; the last one
// counts.
struct Happening {
  std::string text;
  std::vector<WorkerEvent> events;
  Duration apart{0};
  bool is_at_its_time = false;  // happens when the worker wants its next Tick
  bool is_last_chance = false;  // the worker has died so often that the next death is one too many
};

// Each state is in one of these at least, each kind of event in one of those.
std::vector<Situation> Situations();
std::vector<Happening> Happenings();

std::string StateTablesMarkdown();

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_STATE_TABLES_H_
