#include "config/worker_settings.h"

#include <xxhash.h>

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "config/keys.h"
#include "config/load.h"

namespace spillway::config {

bool IsWorkerSetting(absl::string_view key_path) {
  if (key_path == "namespace") return false;
  for (const char* section : {"pools.", "restart.", "health.", "server."}) {
    if (absl::StartsWith(key_path, section)) return false;
  }
  return true;
}

uint64_t SettingsDigest(absl::string_view settings) {
  const uint64_t digest = XXH3_64bits(settings.data(), settings.size());
  return digest == 0 ? 1 : digest;
}

static std::string Shown(const Key<Config>& key, const Config& config) {
  const auto* map = AsMap(key);
  if (map == nullptr) return GetValue(key, config);
  const auto& values = map->at(const_cast<Config&>(config));
  return absl::StrCat("{", absl::StrJoin(values, ", ", absl::PairFormatter(": ")), "}");
}

std::string SettingsDifference(const Config& from, const Config& to) {
  std::vector<std::string> differences;
  for (const Key<Config>& key : Keys()) {
    const std::string before = Shown(key, from), after = Shown(key, to);
    if (!IsWorkerSetting(key.path) || before == after) continue;
    differences.push_back(absl::StrCat(key.path, " ", before.empty() ? "(empty)" : before, " → ",
                                       after.empty() ? "(empty)" : after));
  }
  return absl::StrJoin(differences, "; ");
}

absl::StatusOr<Config> WithWorkerSettings(Config config, const std::string& settings) {
  std::variant<Config, std::vector<Problem>> loaded = LoadText(settings);
  if (const auto* problems = std::get_if<std::vector<Problem>>(&loaded)) {
    return absl::InvalidArgumentError(problems->front().ToString());
  }
  Config& from = std::get<Config>(loaded);
  config.redis = std::move(from.redis);
  config.kafka = std::move(from.kafka);
  config.input = std::move(from.input);
  config.output = std::move(from.output);
  config.segments = from.segments;
  config.ingest = std::move(from.ingest);
  config.flush = from.flush;
  config.gate = from.gate;
  config.log = std::move(from.log);
  return config;
}

std::string WorkerYaml(Config config) {
  for (Pool& pool : config.pools) {
    pool.memory_max = Pool().memory_max;
    pool.cpu_max = Pool().cpu_max;
  }
  return ToYaml(config);
}

}  // namespace spillway::config
