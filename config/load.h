// Reads, checks and prints configuration. The only place that turns text into a Config.
#ifndef SPILLWAY_CONFIG_LOAD_H_
#define SPILLWAY_CONFIG_LOAD_H_

#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/config.h"

namespace spillway::config {

inline constexpr int kExitBadConfiguration = 78;  // EX_CONFIG; never retried by a supervisor

// One line for a person: "<key path>: <value>: <what would be right>".
struct Problem {
  std::string key_path;
  std::string value;
  std::string expected;
  int line = 0;  // of the file; 0: none
  std::string ToString() const;
};

struct Source {
  std::string file;                                            // empty: defaults only. YAML
  std::vector<std::pair<std::string, std::string>> overrides;  // dotted.key → value, over the file
};

// All problems at once, or a Config that is checked and complete (defaults filled in).
std::variant<Config, std::vector<Problem>> Load(const Source& source);

// The same of the text of a file.
std::variant<Config, std::vector<Problem>> LoadText(const std::string& yaml);

// Pools as the configuration lists them, in a file of their own.
struct ListedPool {
  Pool pool;                    // what is not given has the default
  std::set<std::string> given;  // "name", "role", "replicas", …
};

// All problems at once, or the pools of a YAML file whose only key is `pools`. Whether the sizes
// are possible is not checked: that depends on what is not given.
std::variant<std::vector<ListedPool>, std::vector<Problem>> LoadPools(const std::string& file);

// The effective configuration as YAML that Load reads back to the same Config. Holds no secrets:
// those are file names.
std::string ToYaml(const Config& config);

// Every key with type, default and meaning, as docs/configuration.md.
std::string ReferenceMarkdown();

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_LOAD_H_
