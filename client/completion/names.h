// Names that the server has, for completion.
#ifndef SPILLWAY_CLIENT_COMPLETION_NAMES_H_
#define SPILLWAY_CLIENT_COMPLETION_NAMES_H_

#include <vector>

#include "client/completion/completion.h"
#include "client/context/contexts.h"
#include "client/control_client.h"

namespace spillway::client {

// Nobody waits longer for a completion: without an answer by then there are no names.
inline constexpr std::chrono::seconds kNamesLimit{2};

// Nothing of a file that cannot be read.
std::vector<Candidate> NamesIn(const absl::StatusOr<Contexts>& contexts);

std::vector<Candidate> NamesAt(ControlClient& client, Named what);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_COMPLETION_NAMES_H_
