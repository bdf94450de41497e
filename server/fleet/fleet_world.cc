#include "server/fleet/fleet_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kShards = 6;
constexpr Duration kStep = milliseconds(100);
constexpr int kTroubleSteps = 200, kCalmSteps = 250;

Limits SmallLimits() {
  Limits limits;
  limits.restart.max_restarts = 4;
  limits.restart.window = milliseconds(8'000);
  limits.restart.backoff = {milliseconds(100), milliseconds(1'000)};
  limits.restart.healthy_after =
      milliseconds(300'000);  // longer than the run: no budget comes back
  limits.health.startup_timeout = milliseconds(2'000);
  limits.health.stall_timeout = milliseconds(2'000);
  limits.health.silence_timeout = milliseconds(1'000);
  limits.health.handover_timeout = milliseconds(1'500);
  limits.health.report_interval = milliseconds(200);
  limits.drain_timeout = milliseconds(1'500);
  limits.term_timeout = milliseconds(500);
  limits.capture_timeout = milliseconds(800);
  return limits;
}

// A person's hand may give new budgets.
bool GivesBudgets(const Event& event) {
  return std::holds_alternative<PoolStarted>(event) || std::holds_alternative<PoolStopped>(event) ||
         std::holds_alternative<PoolResized>(event) ||
         std::holds_alternative<PoolRestarted>(event) ||
         std::holds_alternative<WorkerRestarted>(event);
}

}  // namespace

World::World(uint64_t seed)
    : random_(seed), epochs_random_(~seed), limits_(SmallLimits()), now_(seconds(1000)) {
  limits_.seed = seed;
  config_.pools.resize(1);
  config_.pools[0].name = "flush";
  config_.pools[0].role = config::Role::kFlush;
  config_.pools[0].replicas = 3;
  config_.pools[0].max = 5;
  recorded_.wanted = {1, 1};
  NewServer();
}

Duration World::Randomly(int64_t below_ms) {
  return milliseconds(static_cast<int64_t>(random_() % static_cast<uint64_t>(below_ms)));
}

void World::Run() {
  for (int step = 0; step < kTroubleSteps + kCalmSteps; ++step) {
    if (::testing::Test::HasFailure()) return;
    now_ += kStep;
    if (step < kTroubleSteps && Chance(8)) {
      Strike(static_cast<Fault>(random_() % kFaultCount));
    }
    // And again when the last of what had hung is dead.
    const int calm = step - kTroubleSteps;
    if (calm == 0 || calm == kCalmSteps / 2) Settle();
    if (now_ >= rivalry_until_) EndRivalry();
    for (auto& [pid, process] : processes_) Live(process);
    Bury();
    for (auto& server : servers_) Do(*server, Tick{});
  }
  if (!::testing::Test::HasFailure()) CheckConverged();
}

// ---- faults -------------------------------------------------------------------------------------

Process* World::Any() {
  if (processes_.empty()) return nullptr;
  auto it = processes_.begin();
  std::advance(it, static_cast<int64_t>(random_() % processes_.size()));
  return &it->second;
}

void World::StrikeProcess(Fault fault, Process& process) {
  if (fault == Fault::kCrash) process.dies_at = now_;
  if (fault == Fault::kHang) process.is_hung = true;
  if (fault == Fault::kIgnoredTerm) process.ignores_term = true;
  if (fault == Fault::kSilence) process.is_mute = true;
  if (fault == Fault::kSilence || fault == Fault::kBrokenStream) Break(process);
}

void World::Strike(Fault fault) {
  Server& server = *servers_.back();
  ++strikes_[static_cast<size_t>(fault)];
  switch (fault) {
    case Fault::kCrash:
    case Fault::kHang:
    case Fault::kSilence:
    case Fault::kBrokenStream:
    case Fault::kIgnoredTerm:
      if (Process* process = Any()) StrikeProcess(fault, *process);
      return;
    case Fault::kSlowStarts:
      slow_starts_ = static_cast<int>(random_() % 3);
      return;
    case Fault::kFailingStarts:
      failing_starts_ = static_cast<int>(random_() % 3);
      return;
    case Fault::kServerCrash:
      if (!Chance(30)) return;
      if (Chance(50)) ChangeConfig();
      NewServer();
      return;
    case Fault::kSecondServer:
      if (servers_.size() == 1 && Chance(50)) SecondServer();
      return;
    case Fault::kServerStandsStill:
      server.stands_still_until = now_ + Randomly(6'000);
      return;
    case Fault::kMachineSleeps:
      now_ += Randomly(30'000);
      return;
    case Fault::kResize:
      return Tell(PoolResized{"flush", static_cast<int32_t>(1 + random_() % 5), 1, 5});
    case Fault::kStopOrStart:
      if (!Chance(50)) return;
      if (PoolOf(server).state == PoolState::kStopped) return Tell(PoolStarted{"flush"});
      return Tell(PoolStopped{"flush"});
    case Fault::kRestartPool:
      return Tell(PoolRestarted{"flush", Chance(70) ? RestartScope::kAll : RestartScope::kFailed,
                                static_cast<int32_t>(1 + random_() % 3)});
    case Fault::kRestartWorker:
      return Tell(WorkerRestarted{{"flush", static_cast<int32_t>(random_() % 5)}});
    case Fault::kRestartShard:
      return Tell(ShardRestarted{ShardId{static_cast<int32_t>(random_() % kShards)}});
    case Fault::kPause:
      return Tell(PoolPaused{"flush"});
    case Fault::kResume:
      return Tell(PoolResumed{"flush"});
    case Fault::kDrain:
      return Tell(PoolDrained{"flush", Randomly(5000)});
  }
}

void World::Tell(const Event& verb) { Do(*servers_.back(), verb); }

// No more faults. What has hung stays hung: the server must deal with it.
void World::Settle() {
  slow_starts_ = failing_starts_ = 0;
  EndRivalry();
  servers_.back()->stands_still_until = now_;
  Tell(PoolStarted{"flush"});  // a person looks after crash loops
  Tell(PoolResumed{"flush"});
  if (Chance(50)) Tell(PoolRestarted{"flush", RestartScope::kAll, 2});
}

// ---- servers ------------------------------------------------------------------------------------

Server* World::Find(int id) {
  const auto found = std::find_if(servers_.begin(), servers_.end(),
                                  [&](const auto& server) { return server->id == id; });
  return found == servers_.end() ? nullptr : found->get();
}

void World::NewServer() {
  const bool were_two = servers_.size() == 2;
  for (const auto& [pid, process] : processes_) {
    if (!were_two) break;
    for (const auto& [shard, until] : process.held) overtaken_.insert({pid, shard});
  }
  servers_.clear();
  rivalry_until_ = kNever;
  later_.clear();
  for (auto& [pid, process] : processes_) {
    process.server = 0;
    process.inbox.clear();
  }
  BeginServer();
}

// Half of them are flawed. Behind one that is tried stays what was there before.
void World::ChangeConfig() {
  const uint64_t number = flaws_.rbegin()->first + 1;
  flaws_[number] = Chance(50) ? Flaw::kNone : static_cast<Flaw>(1 + random_() % 3);
  const bool is_trying = recorded_.state == ConfigRollout::State::kTrying;
  ConfigRollout changed;
  changed.state = ConfigRollout::State::kTrying;
  changed.wanted = {number, number};
  changed.former = is_trying ? recorded_.former : recorded_.wanted;
  recorded_ = changed;
}

// Its locks have failed, or somebody has removed them: the worst there is. Streams stay where they
// are, and dial whomever they find.
void World::SecondServer() {
  rivalry_until_ = now_ + Randomly(5'000);
  BeginServer();
}

// A person finds two, ends both and starts one.
void World::EndRivalry() {
  rivalry_until_ = kNever;
  if (servers_.size() == 2) NewServer();
}

void World::BeginServer() {
  auto server = std::make_unique<Server>();
  server->id = ++last_server_;
  server->fleet =
      MakeFleet(config_, static_cast<uint64_t>(now_.time_since_epoch().count() / 1000), now_);
  server->fleet.config = recorded_;
  server->started = now_;
  FoundLeftovers found;
  for (const auto& [pid, process] : processes_) {
    found.leftovers.push_back({process.key, process.generation, pid});
  }
  for (const auto& [key, generation] : generations_) {
    found.leftovers.push_back({key, generation, 0});
  }
  servers_.push_back(std::move(server));
  Do(*servers_.back(), found);
}

void World::Do(Server& server, const Event& event) {
  if (now_ < server.stands_still_until) {
    if (!std::holds_alternative<Tick>(event)) server.waiting.push_back(event);
    return;
  }
  std::deque<Event> waiting;
  waiting.swap(server.waiting);
  for (const Event& earlier : waiting) Apply(server, earlier);
  Apply(server, event);
}

void World::Apply(Server& server, const Event& event) {
  const auto note_handovers = [&] {
    for (const auto& [id, shard] : server.fleet.shards) {
      if (shard.handover) server.taken_away[id] = shard.handover->since;
    }
  };
  note_handovers();
  if (GivesBudgets(event)) server.restarts.clear();
  const std::set<int32_t> served = Serving(server);
  const ConfigRollout::State standing = server.fleet.config.state;
  Transition transition = Step(std::move(server.fleet), event, now_, limits_);
  server.fleet = std::move(transition.fleet);
  if (server.fleet.config.state != standing) {
    recorded_ = server.fleet.config;
    recorded_.restarts.clear();
  }
  CheckRestart(server, served, event);
  note_handovers();
  for (const Action& action : transition.actions) {
    std::visit([&](const auto& a) { Perform(server, a); }, action);
  }
  NoteBudgets(server);
  CheckOrdersAreDisjoint(server);
}

void World::Perform(Server& server, const Note& note) { CheckNoStorm(server, note); }

void World::Perform(Server& server, const Spawn& spawn) {
  ASSERT_GT(spawn.generation, server.generations[spawn.worker]) << "generations rise";
  server.generations[spawn.worker] = spawn.generation;
  ASSERT_EQ(spawn.is_paused, PoolOf(server).state == PoolState::kPaused);
  const auto answer = [&](const WorkerEvent& event) {
    later_.emplace_back(server.id, OfWorker{spawn.worker, spawn.generation, event});
  };
  const bool is_taken = std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
    return entry.second.key == spawn.worker;
  });
  if (is_taken) {  // the slot's lock file does not let it live
    ASSERT_EQ(servers_.size(), 2u) << "two live processes in slot " << spawn.worker.slot;
    answer(Started{++last_pid_});
    return answer(Exited{Exited::Kind::kExited, 1, {}});
  }
  ASSERT_TRUE(servers_.size() == 2 || spawn.generation > generations_[spawn.worker]);
  if (failing_starts_ > 0) {
    --failing_starts_;
    return answer(StartFailed{"no memory"});
  }
  Process process;
  process.key = spawn.worker;
  process.generation = spawn.generation;
  process.pid = ++last_pid_;
  process.ready_at = now_ + Randomly(500);
  process.config = spawn.config_generation;
  process.is_paused = spawn.is_paused;
  if (slow_starts_ > 0) {
    --slow_starts_;
    process.ready_at = now_ + Randomly(4'000);
  }
  answer(Started{process.pid});
  generations_[spawn.worker] = spawn.generation;
  processes_.emplace(process.pid, std::move(process));
}

void World::Perform(Server&, const Signal& signal) {
  for (auto& [pid, process] : processes_) {
    if (process.key != signal.worker || process.generation != signal.generation) continue;
    const bool obeys = signal.kill || !(process.is_hung || process.ignores_term);
    if (!obeys) continue;
    process.is_leaving = !signal.kill;
    process.dies_at = std::min(process.dies_at, now_ + Randomly(300));
  }
}

// What hangs does not answer, and an answer may be lost.
void World::Perform(Server& server, const CaptureStacks& capture) {
  for (auto& [pid, process] : processes_) {
    if (process.key != capture.worker || process.generation != capture.generation) continue;
    if (process.is_hung || Chance(20)) continue;
    later_.emplace_back(server.id, OfWorker{process.key, process.generation, StacksCaptured{}});
  }
}

void World::Perform(Server& server, const SendOrder& send) {
  for (auto& [pid, process] : processes_) {
    if (process.key != send.worker || process.server != server.id) continue;
    for (const ShardId shard : send.order.shards) CheckFree(server, shard, process);
    if (Chance(5)) continue;  // lost
    process.inbox.push_back(send.order);
    if (Chance(10)) process.inbox.push_back(send.order);  // twice
  }
  for (const wire::DeadEpoch& dead : send.order.dead) CheckDead(dead);
}

// ---- processes ----------------------------------------------------------------------------------

void World::OfIt(const Process& process, const WorkerEvent& event) {
  Server* server = Find(process.server);
  if (server != nullptr) Do(*server, OfWorker{process.key, process.generation, event});
}

void World::Break(Process& process) {
  OfIt(process, Detached{});
  process.server = 0;
  process.inbox.clear();
}

void World::Dial(Process& process) {
  Server& server = *servers_[random_() % servers_.size()];
  if (now_ < server.stands_still_until) return;
  wire::Hello hello;
  hello.pool = "flush";
  hello.role = wire::Role::kFlush;
  hello.slot = process.key.slot;
  hello.generation = process.generation;
  hello.pid = process.pid;
  const Welcoming verdict = JudgeHello(server.fleet, hello);
  // One that another server has started may be right there.
  if (verdict == Welcoming::kStale && servers_.size() == 1) {
    process.dies_at = std::min(process.dies_at, now_);
  }
  if (verdict != Welcoming::kAccept && verdict != Welcoming::kAdopt) return;
  process.server = server.id;
  if (verdict == Welcoming::kAdopt) OfIt(process, Adopted{process.pid, process.generation});
  OfIt(process, Attached{std::to_string(process.pid), "1", process.config});
}

void World::Obey(Process& process, const wire::Order& order) {
  if (order.sequence <= process.order_sequence) return;
  process.order_sequence = order.sequence;
  process.drains = process.drains || order.drain;
  process.is_paused = order.pause;
  process.idle = {order.idle.begin(), order.idle.end()};
  const std::set<ShardId> wanted(order.shards.begin(), order.shards.end());
  for (auto& [shard, until] : process.held) {
    if (!wanted.contains(shard) && until == kNever) until = now_ + Randomly(600);
  }
  for (const ShardId shard : wanted) {
    const bool is_new = !process.held.contains(shard);
    process.held[shard] = kNever;
    if (is_new) Acquire(process, shard);
  }
}

void World::Acquire(Process& process, ShardId shard) {
  process.epochs[shard] = {++last_epoch_, epochs_random_()};
  granted_[{shard, process.epochs[shard]}] = process.pid;
}

void World::Live(Process& process) {
  if (process.is_hung || now_ < process.ready_at) return;
  const Flaw flaw = FlawOf(process);
  if (flaw == Flaw::kEndsThem || flaw == Flaw::kIsRefused) {
    process.dies_at = now_;
    return;
  }
  if (process.server == 0 && !process.is_mute && Chance(50)) Dial(process);
  while (!process.inbox.empty() && Chance(70)) {
    Obey(process, process.inbox.front());
    process.inbox.pop_front();
  }
  std::erase_if(process.held, [&](const auto& held) { return held.second <= now_; });
  for (const auto& [shard, until] : process.held) {
    if (until == kNever && epochs_random_() % 100 == 0) Acquire(process, shard);  // it was fenced
  }
  if (process.server != 0 && now_ >= process.reports_at) SendReport(process);
  if (process.drains && process.held.empty() && Chance(50)) {
    process.is_leaving = true;
    process.dies_at = now_;
  }
}

void World::SendReport(Process& process) {
  process.reports_at = now_ + limits_.health.report_interval;
  if (Chance(5)) return;  // lost
  auto report = std::make_shared<wire::WorkerReport>();
  report->is_ready = FlawOf(process) != Flaw::kHoldsThemUp;
  report->order_sequence = process.order_sequence;
  report->is_paused = process.is_paused;
  report->sequence = ++process.reports;
  Server& server = *Find(process.server);
  for (const auto& [shard, until] : process.held) {
    wire::ShardReport held;
    held.shard = shard;
    held.stage = until == kNever ? wire::ShardStage::kOwned : wire::ShardStage::kReleasing;
    held.epoch = process.epochs[shard];
    held.backlog = process.idle.contains(shard) ? 0 : random_() % 3;
    server.heard[process.pid].insert({shard, held.epoch});
    report->shards.push_back(held);
  }
  // What waits for a server that stands still may be read too late.
  if (now_ >= server.stands_still_until) server.spoken.insert(process.pid);
  OfIt(process, Reported{report});
  if (Chance(5)) OfIt(process, Reported{report});  // twice
}

// It has finished or released what it held; the last word may be lost, or come twice.
void World::SayGoodbye(const Process& process) {
  Server* server = Find(process.server);
  for (int times = Chance(20) ? 0 : 1; server != nullptr && times > 0; --times) {
    if (Chance(10)) ++times;
    Do(*server, SaidGoodbye{process.key, process.generation, {}});
  }
}

// Deaths, and answers of the launchers.
void World::Bury() {
  std::vector<Process> dead;
  std::erase_if(processes_, [&](const auto& entry) {
    if (entry.second.dies_at > now_) return false;
    dead.push_back(entry.second);
    return true;
  });
  std::vector<std::pair<int, Event>> events;
  events.swap(later_);
  for (const auto& [id, event] : events) {
    if (Server* server = Find(id)) Do(*server, event);
  }
  for (const Process& process : dead) {
    if (process.is_leaving) SayGoodbye(process);
    const bool is_refused = FlawOf(process) == Flaw::kIsRefused;
    const int code = is_refused ? kBadConfigurationExit : process.drains ? 0 : 1;
    for (auto& server : servers_) {  // a child's end, or that of one that was found
      for (const auto& [shard, epoch] : server->heard[process.pid]) {
        server->dead[shard].push_back(epoch);
      }
      const OfWorker end{process.key, process.generation, Exited{Exited::Kind::kExited, code, {}}};
      Do(*server, end);
      if (Chance(5)) Do(*server, end);  // twice
    }
  }
  for (auto& server : servers_) {
    if (!std::exchange(server->has_discovered, true)) Do(*server, ShardsFound{kShards});
  }
}

}  // namespace spillway::fleet
