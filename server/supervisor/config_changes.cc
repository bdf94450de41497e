// What the fleet makes of a new configuration of its workers: told and recorded.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "server/supervisor/core.h"
#include "server/supervisor/recorded_config.h"

namespace spillway::supervisor {
namespace {

using State = fleet::ConfigRollout::State;

std::string GenerationText(const fleet::ConfigGeneration& generation) {
  return absl::StrCat("generation ", generation.number);
}

record::Event ToEvent(const fleet::ConfigRollout& rollout, WallTime now) {
  record::Event event;
  event.time = now;
  event.actor = "spillwayd";
  event.outcome = "OK";
  event.after = GenerationText(rollout.wanted);
  event.detail = rollout.detail;
  const bool is_taken_back = rollout.state == State::kTakenBack;
  event.action = is_taken_back ? "configuration taken back" : "configuration proven";
  if (is_taken_back) event.before = GenerationText(*rollout.rejected);
  return event;
}

}  // namespace

void Supervisor::Core::NoticeConfig() {
  const fleet::ConfigRollout& rollout = fleet_.config;
  if (std::exchange(config_state_, rollout.state) == rollout.state) return;
  const record::Event event = ToEvent(rollout, parts_.clock.Wall());
  Log(rollout.state == State::kTakenBack ? LogLevel::kWarning : LogLevel::kInfo, event.action,
      {{"before", event.before}, {"after", event.after}, {"detail", event.detail}});
  MarkChanged();
  if (parts_.recorder == nullptr) return;
  config_records_ = Judged(std::move(config_records_), rollout);
  record::Change change;
  change.events.push_back(event);
  change.configs = config_records_;
  parts_.recorder->Commit(std::move(change), [](const absl::Status& status) {
    // The next server tries it once more: nothing worse.
    if (status.ok()) return;
    Log(LogLevel::kWarning, "the configuration's standing is not on record", {{"error", status}});
  });
}

}  // namespace spillway::supervisor
