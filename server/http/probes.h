// What /livez and /readyz answer.
#ifndef SPILLWAY_SERVER_HTTP_PROBES_H_
#define SPILLWAY_SERVER_HTTP_PROBES_H_

#include <string>

#include "base/clock.h"
#include "server/supervisor/snapshot.h"

namespace spillway::http {

struct ProbeAnswer {
  bool ok = false;
  std::string text;
};

// Every condition a line, "[+]redis ok" or "[-]kafka waiting for …", if `verbose`; else only those
// that do not hold. A verdict is the last line.
ProbeAnswer Readiness(const supervisor::FleetSnapshot& snapshot, Instant now, bool verbose);

}  // namespace spillway::http

#endif  // SPILLWAY_SERVER_HTTP_PROBES_H_
