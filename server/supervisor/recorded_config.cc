#include "server/supervisor/recorded_config.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "config/worker_settings.h"

namespace spillway::supervisor {
namespace {

using record::ConfigRecord;
using record::ConfigStanding;
using State = fleet::ConfigRollout::State;

// A recorded one that this release can read, with its text as this release writes it.
struct Readable {
  ConfigRecord record;
  config::Config config;
};

std::vector<Readable> ReadableOf(const config::Config& config,
                                 const std::vector<ConfigRecord>& recorded) {
  std::vector<Readable> readable;
  for (const ConfigRecord& record : recorded) {
    auto whole = config::WithWorkerSettings(config, record.settings);
    if (!whole.ok()) continue;
    readable.push_back({record, *std::move(whole)});
    readable.back().record.settings = config::WorkerSettings(readable.back().config);
  }
  return readable;
}

const Readable* Newest(const std::vector<Readable>& all, auto matches) {
  const Readable* newest = nullptr;
  for (const Readable& one : all) {
    const bool is_newer = newest == nullptr || newest->record.generation < one.record.generation;
    if (matches(one.record) && is_newer) newest = &one;
  }
  return newest;
}

fleet::ConfigGeneration GenerationOf(const ConfigRecord& record) {
  return {record.generation, config::SettingsDigest(record.settings)};
}

record::Event Changed(const ConfigRecord& to, const Readable* from, const config::Config& config) {
  record::Event event;
  event.time = to.begun;
  event.actor = "spillwayd";
  event.action = "ChangeConfiguration";
  event.outcome = "OK";
  event.after = absl::StrCat("generation ", to.generation);
  if (from == nullptr) return event;
  event.before = absl::StrCat("generation ", from->record.generation);
  event.detail = config::SettingsDifference(from->config, config);
  return event;
}

}  // namespace

RestoredConfig RestoreConfig(const config::Config& config,
                             const std::vector<ConfigRecord>& recorded, bool retries,
                             WallTime now) {
  const std::string settings = config::WorkerSettings(config);
  const std::vector<Readable> known = ReadableOf(config, recorded);
  const Readable* current = Newest(known, [](const ConfigRecord& record) {
    return record.standing != ConfigStanding::kRejected;
  });
  const Readable* proven = Newest(
      known, [](const ConfigRecord& record) { return record.standing == ConfigStanding::kProven; });
  const Readable* rejected = Newest(known, [&](const ConfigRecord& record) {
    return record.standing == ConfigStanding::kRejected && record.settings == settings;
  });

  RestoredConfig restored;
  const auto keep = [&](const ConfigRecord& record, const config::Config& whole) {
    restored.records.push_back(record);
    restored.configs.emplace(record.generation, whole);
  };
  if (rejected != nullptr && current != nullptr && !retries) {
    keep(current->record, current->config);
    restored.records.push_back(rejected->record);
    restored.rollout.state = State::kTakenBack;
    restored.rollout.wanted = GenerationOf(current->record);
    restored.rollout.rejected = GenerationOf(rejected->record);
    restored.rollout.detail = rejected->record.detail;
  } else {
    ConfigRecord wanted;
    if (current != nullptr && current->record.settings == settings) {
      wanted = current->record;
    } else {
      wanted.generation = 1;
      for (const ConfigRecord& record : recorded) {
        wanted.generation = std::max(wanted.generation, record.generation + 1);
      }
      wanted.settings = settings;
      wanted.begun = now;
      const bool is_back = proven != nullptr && proven->record.settings == settings;
      if (is_back) wanted.standing = ConfigStanding::kProven;
      // The first one of all changes nothing.
      if (!recorded.empty()) restored.change.events.push_back(Changed(wanted, current, config));
    }
    const bool is_proven = wanted.standing == ConfigStanding::kProven;
    if (!is_proven && proven != nullptr) {
      keep(proven->record, proven->config);
      restored.rollout.former = GenerationOf(proven->record);
    }
    restored.rollout.state = is_proven ? State::kProven : State::kTrying;
    restored.rollout.wanted = GenerationOf(wanted);
    keep(wanted, config);
  }
  restored.change.configs = restored.records;
  return restored;
}

std::vector<ConfigRecord> Judged(std::vector<ConfigRecord> records,
                                 const fleet::ConfigRollout& rollout) {
  for (ConfigRecord& record : records) {
    if (record.generation == rollout.wanted.number && rollout.state == State::kProven) {
      record.standing = ConfigStanding::kProven;
    } else if (rollout.rejected && record.generation == rollout.rejected->number) {
      record.standing = ConfigStanding::kRejected;
      record.detail = rollout.detail;
    }
  }
  std::erase_if(records, [&](const ConfigRecord& record) {
    const bool is_named = record.generation == rollout.wanted.number ||
                          (rollout.former && record.generation == rollout.former->number) ||
                          (rollout.rejected && record.generation == rollout.rejected->number);
    return !is_named;
  });
  return records;
}

}  // namespace spillway::supervisor
