// The fleet's decisions against a world that fails in every way it knows, from one seed each:
// SPILLWAY_SEEDS seeds (1,000), reproduced by --gtest_filter and the seed that is printed.
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>

#include "server/fleet/fleet.h"

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kSeeds = 1000;
constexpr int kShards = 6;
constexpr Duration kStep = milliseconds(100);
constexpr Duration kTrouble = seconds(20), kCalm = seconds(25);

Limits SmallLimits() {
  Limits limits;
  limits.restart.max_restarts = 4;
  limits.restart.window = milliseconds(8'000);
  limits.restart.backoff = {milliseconds(100), milliseconds(1'000)};
  limits.restart.healthy_after = milliseconds(30'000);  // longer than the run: no budget comes back
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

// A process as it is, whatever anybody believes about it.
struct Process {
  WorkerKey key;
  Generation generation;
  int64_t pid = 0;
  Instant ready_at;      // slow starters: late
  bool is_hung = false;  // does nothing, does not even see TERM
  bool is_mute = false;  // works, but its stream is dead and it does not dial again
  bool ignores_term = false;
  bool is_attached = false;
  Instant dies_at = kNever;
  uint64_t order_sequence = 0;
  bool drains = false;
  bool is_paused = false;
  std::map<ShardId, Instant> held;  // until when it needs to give it up; max: it owns it
  std::map<ShardId, Epoch> epochs;  // under which it owns or owned each
  std::deque<wire::Order> inbox;
  Instant reports_at;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), epochs_random_(~seed), limits_(SmallLimits()) {
    limits_.seed = seed;
    config_.pools.resize(1);
    config_.pools[0].name = "flush";
    config_.pools[0].role = config::Role::kFlush;
    config_.pools[0].replicas = 3;
    config_.pools[0].max = 5;
    NewServer();
  }

  void Run() {
    const Instant calm = now_ + kTrouble, end = calm + kCalm;
    while (now_ < end && !::testing::Test::HasFailure()) {
      now_ += kStep;
      if (now_ < calm) {
        if (Chance(8)) Fault();
      } else if (now_ - calm < kStep ||
                 (now_ - calm >= kCalm / 2 && now_ - calm < kCalm / 2 + kStep)) {
        Settle();  // and again when the last of what had hung is dead
      }
      for (auto& [pid, process] : processes_) Live(process);
      Bury();
      Do(Tick{});
    }
    if (!::testing::Test::HasFailure()) CheckConverged();
  }

 private:
  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  Process* Any() {
    if (processes_.empty()) return nullptr;
    auto it = processes_.begin();
    std::advance(it, static_cast<int64_t>(random_() % processes_.size()));
    return &it->second;
  }

  // The server dies; the next one finds what runs.
  void NewServer() {
    fleet_ =
        MakeFleet(config_, static_cast<uint64_t>(now_.time_since_epoch().count() / 1000), now_);
    server_started_ = now_;
    taken_away_.clear();
    spoken_since_start_.clear();
    heard_.clear();
    dead_.clear();
    restarts_.clear();
    asked_.clear();
    FoundLeftovers found;
    for (auto& [pid, process] : processes_) {
      process.is_attached = false;
      process.inbox.clear();
      found.leftovers.push_back({process.key, process.generation, pid});
    }
    for (const auto& [key, generation] : generations_) {
      found.leftovers.push_back({key, generation, 0});
    }
    Do(found);
  }

  void Fault() {
    Process* p = Any();
    switch (random_() % 14) {
      case 0:
        if (p) p->dies_at = now_;
        break;
      case 1:
        if (p) p->is_hung = true;
        break;
      case 2:
        if (p) {
          p->is_mute = true;
          Break(*p);
        }
        break;
      case 3:
        if (p) Break(*p);
        break;
      case 4:
        if (p) p->ignores_term = true;
        break;
      case 5:
        slow_starts_ = static_cast<int>(random_() % 3);
        break;
      case 6:
        failing_starts_ = static_cast<int>(random_() % 3);
        break;
      case 7:
        Resize(static_cast<int32_t>(1 + random_() % 5));
        break;
      case 8:
        if (Chance(30)) NewServer();
        break;
      case 9:
        if (Chance(50)) StopOrStart();
        break;
      case 10:
        RestartPool();
        break;
      case 11:
        RestartWorker();
        break;
      case 12:
        Do(PoolPaused{"flush"});
        break;
      case 13:
        Do(PoolResumed{"flush"});
        break;
    }
  }

  void Resize(int32_t desired) {
    restarts_.clear();
    Do(PoolResized{"flush", desired, 1, 5});
  }
  void StopOrStart() {
    restarts_.clear();
    const bool is_stopped = FindPool(fleet_, "flush")->state == PoolState::kStopped;
    if (is_stopped) Do(PoolStarted{"flush"});
    if (!is_stopped) Do(PoolStopped{"flush"});
  }
  void RestartPool() {
    restarts_.clear();
    const auto scope = Chance(70) ? RestartScope::kAll : RestartScope::kFailed;
    Do(PoolRestarted{"flush", scope, static_cast<int32_t>(1 + random_() % 3)});
  }
  void RestartWorker() {
    restarts_.clear();
    Do(WorkerRestarted{{"flush", static_cast<int32_t>(random_() % 5)}});
  }

  // No more faults. What has hung stays hung: the server must deal with it.
  void Settle() {
    slow_starts_ = failing_starts_ = 0;
    restarts_.clear();
    Do(PoolStarted{"flush"});  // a person looks after crash loops
    Do(PoolResumed{"flush"});
    if (Chance(50)) RestartPool();
  }

  std::set<int32_t> Serving() const {
    std::set<int32_t> slots;
    const Pool* pool = FindPool(fleet_, "flush");
    for (const auto& [key, worker] : fleet_.workers) {
      if (key.slot < pool->desired && Serves(worker)) slots.insert(key.slot);
    }
    return slots;
  }

  // A restart that takes a worker from its service leaves enough others.
  void CheckRestart(const std::set<int32_t>& served, const Event& event) {
    const Pool* pool = FindPool(fleet_, "flush");
    const bool is_under_way =
        pool->restart && pool->restart->state == PoolRestart::State::kUnderWay;
    if (!is_under_way || std::holds_alternative<WorkerRestarted>(event)) return;
    const std::set<int32_t> serving = Serving();
    const bool has_taken = std::any_of(served.begin(), served.end(), [&](int32_t slot) {
      const auto asked = pool->restart->replacing.find(slot);
      return asked != pool->restart->replacing.end() && !serving.contains(slot) &&
             fleet_.workers.at({"flush", slot}).state == WorkerState::kDraining &&
             asked_.insert({pool->restart->number, slot}).second;
    });
    if (!has_taken) return;
    ASSERT_LE(pool->desired - static_cast<int32_t>(serving.size()), pool->restart->max_unavailable)
        << "more down than the restart may miss";
  }

  void Do(const Event& event) {
    for (const auto& [id, shard] : fleet_.shards) {
      if (shard.handover) taken_away_[id] = shard.handover->since;
    }
    const std::set<int32_t> served = Serving();
    Transition transition = Step(std::move(fleet_), event, now_, limits_);
    fleet_ = std::move(transition.fleet);
    CheckRestart(served, event);
    for (const auto& [id, shard] : fleet_.shards) {
      if (shard.handover) taken_away_[id] = shard.handover->since;
    }
    for (const Action& action : transition.actions) {
      std::visit([&](const auto& a) { Perform(a); }, action);
    }
    CheckOrdersAreDisjoint();
  }
  void OfIt(const Process& process, const WorkerEvent& event) {
    Do(OfWorker{process.key, process.generation, event});
  }

  void Perform(const Note& note) {
    if (note.event == "worker waits to restart") restarts_[note.worker].push_back(now_);
    for (auto& [key, times] : restarts_) {
      while (!times.empty() && now_ - times.front() > limits_.restart.window) times.pop_front();
      ASSERT_LE(times.size(), static_cast<size_t>(limits_.restart.max_restarts)) << "restart storm";
    }
  }

  void Perform(const Spawn& spawn) {
    for (const auto& [pid, other] : processes_) {
      ASSERT_FALSE(other.key == spawn.worker) << "two live processes in slot " << spawn.worker.slot;
    }
    ASSERT_GT(spawn.generation, generations_[spawn.worker]) << "generations rise";
    generations_[spawn.worker] = spawn.generation;
    if (failing_starts_ > 0) {
      --failing_starts_;
      later_.push_back(OfWorker{spawn.worker, spawn.generation, StartFailed{"no memory"}});
      return;
    }
    Process process;
    process.key = spawn.worker;
    process.generation = spawn.generation;
    process.pid = ++last_pid_;
    process.ready_at = now_ + milliseconds(random_() % 500);
    process.is_paused = spawn.is_paused;
    ASSERT_EQ(spawn.is_paused, FindPool(fleet_, "flush")->state == PoolState::kPaused);
    if (slow_starts_ > 0) {
      --slow_starts_;
      process.ready_at = now_ + milliseconds(random_() % 4000);
    }
    processes_.emplace(process.pid, process);
    later_.push_back(OfWorker{spawn.worker, spawn.generation, Started{process.pid}});
  }

  void Perform(const Signal& signal) {
    for (auto& [pid, process] : processes_) {
      if (process.key != signal.worker || process.generation != signal.generation) continue;
      const bool obeys = signal.kill || !(process.is_hung || process.ignores_term);
      if (obeys) process.dies_at = std::min(process.dies_at, now_ + milliseconds(random_() % 300));
    }
  }

  // What hangs does not answer, and an answer may be lost.
  void Perform(const CaptureStacks& capture) {
    for (auto& [pid, process] : processes_) {
      if (process.key != capture.worker || process.generation != capture.generation) continue;
      if (process.is_hung || Chance(20)) continue;
      later_.push_back(OfWorker{process.key, process.generation, StacksCaptured{}});
    }
  }

  void Perform(const SendOrder& send) {
    for (auto& [pid, process] : processes_) {
      if (process.key != send.worker || !process.is_attached) continue;
      process.inbox.push_back(send.order);
      if (Chance(10)) process.inbox.push_back(send.order);  // twice
      for (const ShardId shard : send.order.shards) CheckFree(shard, process);
    }
    for (const wire::DeadEpoch& dead : send.order.dead) CheckDead(dead);
  }

  // Nobody may still work under an epoch that is called dead.
  void CheckDead(const wire::DeadEpoch& dead) {
    const auto owner = granted_.find({dead.shard, dead.epoch});
    ASSERT_TRUE(owner != granted_.end()) << "an epoch nobody had is called dead";
    ASSERT_FALSE(processes_.contains(owner->second))
        << "shard " << dead.shard.value << ": the epoch of a living process is called dead";
  }

  // THE promise: nobody is told to take a shard that another live worker still has, unless that one
  // was asked to give it up a handover_timeout ago, or never spoke to this server.
  void CheckFree(ShardId shard, const Process& next) {
    for (const auto& [pid, other] : processes_) {
      if (pid == next.pid || !other.held.contains(shard)) continue;
      const auto taken = taken_away_.find(shard);
      const bool has_timed_out =
          taken != taken_away_.end() && now_ - taken->second >= limits_.health.handover_timeout;
      const bool is_stranger = now_ - server_started_ >= limits_.health.handover_timeout &&
                               !spoken_since_start_.contains(pid);
      ASSERT_TRUE(has_timed_out || is_stranger || overtaken_.contains({pid, shard}))
          << "shard " << shard.value << " given to slot " << next.key.slot << " while slot "
          << other.key.slot << " has it";
      overtaken_.insert({pid, shard});  // fenced from now on: it may learn that late
    }
  }

  void CheckOrdersAreDisjoint() {
    std::map<ShardId, WorkerKey> named;
    for (const auto& [key, worker] : fleet_.workers) {
      if (!worker.has_process) continue;
      for (const ShardId shard : worker.order.shards) {
        ASSERT_TRUE(named.emplace(shard, key).second) << "shard in two orders";
      }
    }
  }

  void Break(Process& process) {
    if (!process.is_attached) return;
    process.is_attached = false;
    process.inbox.clear();
    OfIt(process, Detached{});
  }

  void Dial(Process& process) {
    wire::Hello hello;
    hello.pool = "flush";
    hello.role = wire::Role::kFlush;
    hello.slot = process.key.slot;
    hello.generation = process.generation;
    hello.pid = process.pid;
    const Welcoming verdict = JudgeHello(fleet_, hello);
    if (verdict == Welcoming::kStale) process.dies_at = std::min(process.dies_at, now_);
    if (verdict == Welcoming::kAdopt) OfIt(process, Adopted{process.pid, process.generation});
    if (verdict != Welcoming::kAccept && verdict != Welcoming::kAdopt) return;
    process.is_attached = true;
    OfIt(process, Attached{std::to_string(process.pid), "1"});
  }

  void Obey(Process& process, const wire::Order& order) {
    if (order.sequence <= process.order_sequence) return;
    process.order_sequence = order.sequence;
    process.drains = process.drains || order.drain;
    process.is_paused = order.pause;
    const std::set<ShardId> wanted(order.shards.begin(), order.shards.end());
    for (auto& [shard, until] : process.held) {
      if (!wanted.contains(shard) && until == kNever) until = now_ + milliseconds(random_() % 600);
    }
    for (const ShardId shard : wanted) {
      const bool is_new = !process.held.contains(shard);
      process.held[shard] = kNever;
      if (is_new) Acquire(process, shard);
    }
  }

  void Acquire(Process& process, ShardId shard) {
    process.epochs[shard] = {++last_epoch_, epochs_random_()};
    granted_[{shard, process.epochs[shard]}] = process.pid;
  }

  void Live(Process& process) {
    if (process.is_hung || now_ < process.ready_at) return;
    if (!process.is_attached && !process.is_mute && Chance(50)) Dial(process);
    while (!process.inbox.empty() && Chance(70)) {
      Obey(process, process.inbox.front());
      process.inbox.pop_front();
    }
    std::erase_if(process.held, [&](const auto& held) { return held.second <= now_; });
    for (const auto& [shard, until] : process.held) {
      if (until == kNever && epochs_random_() % 100 == 0) Acquire(process, shard);  // it was fenced
    }
    if (process.is_attached && now_ >= process.reports_at) SendReport(process);
    if (process.drains && process.held.empty() && Chance(50)) process.dies_at = now_;
  }

  void SendReport(Process& process) {
    process.reports_at = now_ + limits_.health.report_interval;
    if (Chance(5)) return;  // late
    auto report = std::make_shared<wire::WorkerReport>();
    report->is_ready = true;
    report->order_sequence = process.order_sequence;
    report->is_paused = process.is_paused;
    for (const auto& [shard, until] : process.held) {
      wire::ShardReport held;
      held.shard = shard;
      held.stage = until == kNever ? wire::ShardStage::kOwned : wire::ShardStage::kReleasing;
      held.epoch = process.epochs[shard];
      heard_[process.pid].insert({shard, held.epoch});
      report->shards.push_back(held);
    }
    spoken_since_start_.insert(process.pid);
    OfIt(process, Reported{report});
    if (Chance(5)) OfIt(process, Reported{report});  // twice
  }

  // Deaths, and answers of the launcher.
  void Bury() {
    std::vector<Process> dead;
    std::erase_if(processes_, [&](const auto& entry) {
      if (entry.second.dies_at > now_) return false;
      dead.push_back(entry.second);
      return true;
    });
    std::vector<OfWorker> events;
    events.swap(later_);
    for (const OfWorker& event : events) Do(event);
    for (const Process& process : dead) {
      for (const auto& [shard, epoch] : heard_[process.pid]) dead_[shard].push_back(epoch);
      OfIt(process, Exited{Exited::Kind::kExited, process.drains ? 0 : 1, {}});
    }
    if (!discovered_) Do(ShardsFound{kShards});
    discovered_ = true;
  }

  std::string Everyone() const {
    std::string text;
    for (const auto& [key, worker] : fleet_.workers) {
      text += "\n" + WorkerName(key) + " " + StateName(worker.state) + ": " + worker.last_death;
    }
    return text;
  }

  void CheckConverged() {
    const Pool* pool = FindPool(fleet_, "flush");
    ASSERT_EQ(pool->state, PoolState::kRunning);
    ASSERT_FALSE(pool->restart && pool->restart->state == PoolRestart::State::kUnderWay)
        << "the restart neither ends nor halts: " << pool->restart->detail;
    ASSERT_EQ(fleet_.workers.size(), static_cast<size_t>(pool->desired));
    ASSERT_EQ(processes_.size(), fleet_.workers.size())
        << "leaked or missing processes" << Everyone();
    for (const auto& [key, worker] : fleet_.workers) {
      ASSERT_EQ(worker.state, WorkerState::kReady) << WorkerName(key) << ": " << worker.last_death;
      ASSERT_EQ(worker.health.state, HealthState::kHealthy);
    }
    for (const auto& [pid, process] : processes_) ASSERT_FALSE(process.is_paused) << "pid " << pid;
    for (const auto& [id, shard] : fleet_.shards) {
      ASSERT_TRUE(shard.owner.has_value()) << "shard " << id.value << " has no owner";
      CheckDeathsAreTold(id, fleet_.workers.at(*shard.owner).order);
      for (const auto& [pid, process] : processes_) {
        ASSERT_EQ(process.held.contains(id), process.key == *shard.owner) << "shard " << id.value;
      }
    }
  }

  // Of the epochs that this server heard of, those of its newest dead are in the owner's order.
  void CheckDeathsAreTold(ShardId id, const wire::Order& order) {
    const std::vector<Epoch>& dead = dead_[id];
    for (size_t i = dead.size() > kMaxDeadEpochs ? dead.size() - kMaxDeadEpochs : 0;
         i < dead.size(); ++i) {
      const wire::DeadEpoch told{id, dead[i]};
      ASSERT_NE(std::find(order.dead.begin(), order.dead.end(), told), order.dead.end())
          << "shard " << id.value << ": the death of epoch " << dead[i].number << " is not told";
    }
  }

  std::mt19937_64 random_, epochs_random_;
  Limits limits_;
  config::Config config_;
  Instant now_ = Instant(seconds(1000));
  Fleet fleet_;
  std::map<int64_t, Process> processes_;
  std::map<WorkerKey, Generation> generations_;
  std::vector<OfWorker> later_;
  std::map<WorkerKey, std::deque<Instant>> restarts_;
  std::map<ShardId, Instant> taken_away_;  // newest hand-over's start
  std::set<std::pair<int64_t, ShardId>> overtaken_;
  std::set<int64_t> spoken_since_start_;
  std::map<std::pair<ShardId, Epoch>, int64_t> granted_;          // to which pid
  std::map<int64_t, std::set<std::pair<ShardId, Epoch>>> heard_;  // by this server, by pid
  std::map<ShardId, std::vector<Epoch>> dead_;    // heard of, and its process's death told
  std::set<std::pair<uint64_t, int32_t>> asked_;  // restarts of the pool and their slots
  Instant server_started_;
  int64_t last_pid_ = 0;
  uint64_t last_epoch_ = 0;
  int slow_starts_ = 0, failing_starts_ = 0;
  bool discovered_ = false;
};

TEST(FleetSimulationTest, OneOwnerAShardAndEverythingConverges) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World(seed).Run();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace spillway::fleet
