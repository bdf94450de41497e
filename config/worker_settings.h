// The part of the configuration that workers work by: a change of it is a new generation, for which
// they are restarted (design section 6, "Configuration generations").
#ifndef SPILLWAY_CONFIG_WORKER_SETTINGS_H_
#define SPILLWAY_CONFIG_WORKER_SETTINGS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/config.h"

namespace spillway::config {

// Whether a key is among them: all but `namespace`, which no change keeps its state over, and the
// server's own: `pools`, `restart`, `health`, `server`.
bool IsWorkerSetting(absl::string_view key_path);

// They, as YAML. Equal settings have equal texts.
std::string WorkerSettings(const Config& config);

// Tells texts apart; the same in every process and release. Never 0.
uint64_t SettingsDigest(absl::string_view settings);

// What `to` has otherwise, for a person: "flush.lease 1m → 1m30s; log.level info → debug". Empty:
// nothing.
std::string SettingsDifference(const Config& from, const Config& to);

// `config` with the settings of the text in place of its own. INVALID_ARGUMENT: this release does
// not take them; the first problem.
absl::StatusOr<Config> WithWorkerSettings(Config config, const std::string& settings);

// The configuration as a launched worker is given it, as YAML. Without the limits of pools: those
// are the launcher's to keep, and need not fit former settings.
std::string WorkerYaml(Config config);

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_WORKER_SETTINGS_H_
