// Servers by name, kept in a file of the user's, so that nobody has to remember addresses.
#ifndef SPILLWAY_CLIENT_CONTEXT_CONTEXTS_H_
#define SPILLWAY_CLIENT_CONTEXT_CONTEXTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace spillway::client {

struct Context {
  std::string name;    // kPoolNameRule
  std::string server;  // "10.0.0.7:7400", "unix:/path"
  bool operator==(const Context&) const = default;
};

struct Contexts {
  std::string current{};          // whose server is meant if none is named; empty: no one's
  std::vector<Context> contexts;  // by name
  bool operator==(const Contexts&) const = default;
};

// Null: there is none of that name.
const Context* FindContext(const Contexts& contexts, const std::string& name);

// A file that is not there has none. INVALID_ARGUMENT, naming file, key and what would be right: it
// is something else.
absl::StatusOr<Contexts> LoadContexts(const std::string& file);

// Replaces the file, or makes it and its folder: whole, or as it was. INVALID_ARGUMENT: it cannot
// be written.
absl::Status SaveContexts(const std::string& file, const Contexts& contexts);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_CONTEXT_CONTEXTS_H_
