#include "server/fleet/state_tables.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/fleet/fleet.h"

namespace spillway::fleet {
namespace {

using std::chrono::seconds;

const Instant kStart = Instant(seconds(1000));

std::shared_ptr<const wire::WorkerReport> Report(bool is_ready) {
  auto report = std::make_shared<wire::WorkerReport>();
  report->is_ready = is_ready;
  if (!is_ready) report->waiting_for = {"redis"};
  return report;
}

std::shared_ptr<const wire::WorkerReport> WorkingReport() {
  wire::WorkerReport report;
  report.is_ready = true;
  wire::ShardReport shard;
  shard.has_work = true;
  report.shards = {shard};
  return std::make_shared<wire::WorkerReport>(report);
}

Exited Exit(int code) { return {Exited::Kind::kExited, code, {}}; }

// Brings a new worker into a situation.
class Maker {
 public:
  Maker() {
    worker_.key = {"flush", 0};
    worker_.generation = Generation{1};  // so that there may be an older process
  }
  Maker& Do(const WorkerEvent& event) {
    worker_ = Step(std::move(worker_), event, now_, limits_).worker;
    return *this;
  }
  Maker& DoAtItsTime() {
    now_ = NextTick(worker_, limits_);
    return Do(Tick{});
  }
  // A process that follows one that died, so that there is a death to forget.
  Maker& Start() { return Do(Want{}).Do(Started{1}).Do(Exit(1)).DoAtItsTime().Do(Started{2}); }
  Maker& Ready() { return Start().Do(Attached{"u", "1"}).Do(Reported{Report(true)}); }
  // Of one that somebody else starts.
  Maker& Register() {
    worker_.is_registered = true;
    return Do(Want{}).Do(Registered{2, "u", "1"});
  }
  Maker& Serve() { return Register().Do(Reported{Report(true)}); }
  Situation As(const std::string& more) const {
    std::string text = StateName(worker_.state);
    if (!more.empty()) absl::StrAppend(&text, ": ", more);
    return {text, worker_, now_};
  }

 private:
  Worker worker_;
  Instant now_ = kStart;
  const Limits limits_;
};

Situation SituationOf(WorkerState state) {
  const std::vector<Situation> all = Situations();
  return *std::find_if(all.begin(), all.end(),
                       [&](const Situation& one) { return one.worker.state == state; });
}

struct Outcome {
  Worker before, after;
  std::vector<Action> actions;
};

// Empty: it cannot happen there, as no time is set.
std::optional<Outcome> Happen(const Situation& situation, const Happening& happening) {
  const Limits limits;
  Outcome outcome;
  outcome.after = situation.worker;
  Instant now = situation.now;
  if (happening.is_at_its_time) now = NextTick(outcome.after, limits);
  if (now == kNever) return std::nullopt;
  if (happening.is_last_chance) {
    outcome.after.history.deaths.assign(static_cast<size_t>(limits.restart.max_restarts), now);
  }
  outcome.before = outcome.after;
  for (size_t i = 0; i < happening.events.size(); ++i) {
    WorkerTransition transition = Step(std::move(outcome.after), happening.events[i], now, limits);
    outcome.after = std::move(transition.worker);
    for (Action& action : transition.actions) outcome.actions.push_back(std::move(action));
    now += happening.apart;
  }
  return outcome;
}

std::string ActionText(const Action& action) {
  if (std::holds_alternative<Spawn>(action)) return "**spawn**";
  if (std::holds_alternative<CaptureStacks>(action)) return "**ask for stacks**";
  if (const auto* signal = std::get_if<Signal>(&action))
    return signal->kill ? "**KILL**" : "**TERM**";
  if (const auto* note = std::get_if<Note>(&action)) return absl::StrCat("“", note->event, "”");
  return "**order**";
}

std::string HealthText(const Health& health) {
  const std::string reason = ReasonName(health.reason);
  return absl::StrCat(StateName(health.state), reason.empty() ? "" : "(", reason,
                      reason.empty() ? "" : ")");
}

std::string DoesText(const Outcome& outcome) {
  std::vector<std::string> parts;
  for (const Action& action : outcome.actions) parts.push_back(ActionText(action));
  if (!outcome.before.is_wanted && outcome.after.is_wanted) parts.push_back("wanted from now on");
  if (outcome.before.is_wanted && !outcome.after.is_wanted) parts.push_back("not wanted any more");
  const bool forgets =
      !outcome.before.history.deaths.empty() && outcome.after.history.deaths.empty();
  if (forgets) parts.push_back("deaths forgotten");
  if (outcome.before.is_attached != outcome.after.is_attached) {
    parts.push_back(outcome.after.is_attached ? "has a stream" : "has no stream");
  }
  return absl::StrJoin(parts, ", ");
}

std::string Row(const std::vector<std::string>& cells) {
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

std::string Head(const std::vector<std::string>& cells) {
  return absl::StrCat(Row(cells), "|",
                      absl::StrJoin(std::vector<std::string>(cells.size(), "---"), "|"), "|\n");
}

std::string Overview() {
  std::vector<std::string> titles = {"what happens"};
  for (int i = 0; i < kWorkerStateCount; ++i)
    titles.push_back(StateName(static_cast<WorkerState>(i)));
  std::string text = Head(titles);
  for (const Happening& happening : Happenings()) {
    std::vector<std::string> cells = {happening.text};
    for (int i = 0; i < kWorkerStateCount; ++i) {
      const auto outcome = Happen(SituationOf(static_cast<WorkerState>(i)), happening);
      const bool stays = !outcome || outcome->after.state == static_cast<WorkerState>(i);
      cells.push_back(stays ? "–" : StateName(outcome->after.state));
    }
    text += Row(cells);
  }
  return text;
}

std::string Detail(const Situation& situation) {
  std::string text = absl::StrCat("\n### ", situation.text,
                                  "\n\nHealth: ", HealthText(situation.worker.health), ".\n\n");
  text += Head({"what happens", "becomes", "health", "does"});
  std::vector<std::string> nothing;
  for (const Happening& happening : Happenings()) {
    const auto outcome = Happen(situation, happening);
    if (!outcome) continue;
    const Worker& after = outcome->after;
    const std::string health = HealthText(after.health), does = DoesText(*outcome);
    const bool stays = after.state == situation.worker.state;
    const bool is_same = health == HealthText(situation.worker.health);
    if (stays && is_same && does.empty()) {
      nothing.push_back(happening.text);
      continue;
    }
    text +=
        Row({happening.text, stays ? "–" : StateName(after.state), is_same ? "–" : health, does});
  }
  return absl::StrCat(text, "\nNothing comes of: ", absl::StrJoin(nothing, "; "), ".\n");
}

// ---- pools --------------------------------------------------------------------------------------

Fleet FleetWith(PoolState state) {
  config::Config config;
  config.pools.resize(1);
  config.pools[0].name = "flush";
  config.pools[0].role = config::Role::kFlush;
  Fleet fleet = MakeFleet(config, 1, kStart);
  const auto tell = [&](const Event& event) {
    fleet = Step(std::move(fleet), event, kStart, Limits()).fleet;
  };
  const auto of_it = [&](const WorkerEvent& event) {
    tell(OfWorker{{"flush", 0}, Generation{1}, event});
  };
  tell(Tick{});
  of_it(Started{1});
  of_it(Attached{"u", "1"});
  of_it(Reported{Report(true)});
  if (state == PoolState::kPaused) tell(PoolPaused{"flush"});
  if (state == PoolState::kDraining) tell(PoolDrained{"flush", std::chrono::minutes(2)});
  if (state == PoolState::kStopped) {
    tell(PoolStopped{"flush"});
    of_it(Exit(0));
  }
  return fleet;
}

std::string PoolCell(PoolState before, const Event& event) {
  Fleet fleet = Step(FleetWith(before), event, kStart, Limits()).fleet;
  std::vector<std::string> parts = {StateName(FindPool(fleet, "flush")->state)};
  const auto worker = fleet.workers.find({"flush", 0});
  if (worker == fleet.workers.end()) {
    parts.push_back("no worker");
  } else {
    parts.push_back(absl::StrCat("worker ", StateName(worker->second.state),
                                 worker->second.order.pause ? ", told to pause" : ""));
  }
  return absl::StrJoin(parts, "; ");
}

std::string Pools() {
  const std::vector<std::pair<std::string, Event>> verbs = {
      {"Start", PoolStarted{"flush"}},
      {"Stop", PoolStopped{"flush"}},
      {"Pause", PoolPaused{"flush"}},
      {"Resume", PoolResumed{"flush"}},
      {"Drain", PoolDrained{"flush", std::chrono::minutes(2)}},
      {"Resize to 0", PoolResized{"flush", 0, 0, 8}},
      {"Restart", PoolRestarted{"flush", RestartScope::kAll, 1}},
      {"RestartWorker", WorkerRestarted{{"flush", 0}}},
      {"the server is told to end", ShutDown{}},
  };
  std::string text = Head({"verb", "RUNNING", "PAUSED", "DRAINING", "STOPPED"});
  for (const auto& [name, event] : verbs) {
    text += Row({name, PoolCell(PoolState::kRunning, event), PoolCell(PoolState::kPaused, event),
                 PoolCell(PoolState::kDraining, event), PoolCell(PoolState::kStopped, event)});
  }
  return text;
}

// ---- the budget ---------------------------------------------------------------------------------

// The shortest and the longest pause after the n-th death in a row, over many workers.
std::string PauseText(int deaths) {
  const config::Restart restart;
  Duration shortest = Duration::max(), longest{0};
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    RestartHistory history;
    std::optional<Instant> next;
    for (int i = 0; i < deaths; ++i) next = NextStart(history, kStart, restart, seed);
    if (!next) return "none: CRASH_LOOP";
    shortest = std::min<Duration>(shortest, *next - kStart);
    longest = std::max<Duration>(longest, *next - kStart);
  }
  return absl::StrFormat("%s to %s", SecondsText(shortest), SecondsText(longest));
}

std::string Budget() {
  std::string text = Head({"death within the window", "pause before the next start"});
  for (int deaths = 1; deaths <= config::Restart().max_restarts + 1; ++deaths) {
    text += Row({absl::StrCat(deaths), PauseText(deaths)});
  }
  return text;
}

}  // namespace

std::vector<Situation> Situations() {
  const auto ready = [] { return Maker().Ready(); };
  const Stacks stacks{"", "main", ""};
  return {
      Maker().Start().Do(Exit(1)).DoAtItsTime().As("its start has been ordered"),
      Maker().Do(Want{}).Do(Retire{}).As(
          "its start has been ordered, but it is not wanted any more"),
      Maker().As("just made"),
      Maker().Start().As("no report yet"),
      Maker()
          .Start()
          .Do(Attached{"u", "1"})
          .Do(Reported{Report(false)})
          .As("reports what it waits for"),
      ready().As(""),
      ready().Do(Detached{}).As("its stream has ended"),
      ready().Do(Retire{}).As("not wanted"),
      ready().Do(Restart{}).As("to be started again"),
      Maker().Start().Do(Retire{}).As("told to end"),
      ready().DoAtItsTime().As("unhealthy, its stacks asked for"),
      ready().DoAtItsTime().Do(StacksCaptured{stacks}).As("unhealthy, told to end"),
      ready().DoAtItsTime().Do(StacksCaptured{stacks}).DoAtItsTime().As("unhealthy, killed"),
      ready().Do(Retire{}).Do(Exit(0)).As(""),
      ready().Do(Exit(1)).As(""),
      ready().Do(Exit(kBadConfigurationExit)).As(""),
      Maker().Register().As("registered, no report yet"),
      Maker().Serve().As("registered"),
      Maker().Serve().Do(Detached{}).As("registered, its stream has ended"),
      Maker().Serve().Do(Restart{}).As("registered, told to end"),
      Maker().Serve().Do(Detached{}).DoAtItsTime().As("registered, gone silent"),
      Maker().Serve().DoAtItsTime().As("registered, gone silent on a stream that stands"),
      Maker().Serve().Do(Left{false}).As("registered, has left with shards"),
      Maker().Serve().Do(Left{true}).As("registered, has left"),
  };
}

std::vector<Happening> Happenings() {
  const Duration stall = Limits().health.stall_timeout, health = Limits().restart.healthy_after;
  const auto healthy = [&] {
    return std::vector<WorkerEvent>{Reported{Report(true)}, Reported{Report(true)}};
  };
  return {
      {"the plan has a place for it", {Want{}}},
      {"the plan has none", {Retire{}}},
      {"a person gives it a new budget", {ResetBudget{}}},
      {"a person restarts it", {Restart{}}},
      {"its process was started", {Started{3}}},
      {"its process could not be started", {StartFailed{"no memory"}}},
      {"a newer process of it is found", {Adopted{4, Generation{9}}}},
      {"an older process of it is found", {Adopted{4, Generation{0}}}},
      {"its stream opens", {Attached{"u", "1"}}},
      {"its stream ends", {Detached{}}},
      {"a report: it can work", {Reported{Report(true)}}},
      {"a report: it waits", {Reported{Report(false)}}},
      {"reports without progress for stall_timeout",
       {Reported{WorkingReport()}, Reported{WorkingReport()}},
       stall},
      {"reports of health for healthy_after", healthy(), health},
      {"it exits with 0", {Exit(0)}},
      {"it exits with 1", {Exit(1)}},
      {"it exits with 1, its budget spent", {Exit(1)}, Duration(0), false, true},
      {"it exits with 78", {Exit(kBadConfigurationExit)}},
      {"a signal ends it", {Exited{Exited::Kind::kSignaled, SIGKILL, {}}}},
      {"it has ended, nobody knows how", {Exited{}}},
      {"registered, it says who it is", {Registered{2, "u", "1"}}},
      {"registered, it says goodbye", {Left{true}}},
      {"registered, it says goodbye and holds shards", {Left{false}}},
      {"its stacks arrive", {StacksCaptured{{"", "main", ""}}}},
      {"time passes", {Tick{}}},
      {"its time is up", {Tick{}}, Duration(0), true},
  };
}

std::string StateTablesMarkdown() {
  std::string text =
      "# States of workers and pools\n\n"
      "Made by asking the code (`state-tables > docs/worker-states.md`); a test compares. What the "
      "words\n"
      "mean: [design.md](design.md), section 6; what to do about it: "
      "[operations.md](operations.md).\n\n"
      "## A worker: what happens × state → next state\n\n"
      "–: it stays. *Its time is up* is silence for `health.silence_timeout` in READY,\n"
      "`health.startup_timeout` without a report in STARTING, the end of the pause in BACKOFF, and "
      "else\n"
      "the limit of what the state waits for. LOST is of registered workers alone (started by "
      "somebody else);\n"
      "their other states are below.\n\n";
  text += Overview();
  text +=
      "\n## Each situation in detail\n\n"
      "Bold: what is done to the process; in quotes: what the log and the journal say. A situation "
      "with a\n"
      "death behind it shows when that is forgotten.\n";
  for (const Situation& situation : Situations()) text += Detail(situation);
  text += absl::StrCat(
      "\n## A pool: verb × state\n\n"
      "With one worker that is READY before (STOPPED: none). Whatever asks for what is so already "
      "changes\n"
      "nothing. Verbs on a STOPPED pool that need workers are refused by the API.\n\n",
      Pools(), "\n## The restart budget, with its defaults\n\n", Budget());
  return text;
}

}  // namespace spillway::fleet
