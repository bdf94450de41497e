// Reads, checks and prints configuration. The only place that turns text into a Config.
#ifndef SPILLWAY_CONFIG_LOAD_H_
#define SPILLWAY_CONFIG_LOAD_H_

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
  std::string ToString() const;
};

struct Source {
  std::string file;                                            // empty: defaults only. YAML
  std::vector<std::pair<std::string, std::string>> overrides;  // dotted.key → value, over the file
};

// All problems at once, or a Config that is checked and complete (defaults filled in).
std::variant<Config, std::vector<Problem>> Load(const Source& source);

// The effective configuration as YAML that Load reads back to the same Config. Holds no secrets:
// those are file names.
std::string ToYaml(const Config& config);

// Every key with type, default and meaning, as docs/configuration.md.
std::string ReferenceMarkdown();

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_LOAD_H_
