// A pool whose workers somebody else starts, against a world that fails: they appear, vanish with
// and without a word, fall silent, are cut off, come back, are cloned; the server dies.
//   registered_simulation_test [--seeds=N]    the first N seeds
//   registered_simulation_test --seed=N       one of them
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <random>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "server/fleet/registration.h"

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kShards = 6;
constexpr int32_t kMax = 4, kWanted = 3;
constexpr Duration kStep = milliseconds(100);
constexpr Duration kTrouble = seconds(20), kCalm = seconds(20);

// A process as it is, whatever anybody believes about it.
struct Process {
  int64_t pid = 0;
  std::string uid;
  int32_t slot = 0;  // as it was told last
  Generation generation;
  bool is_attached = false;
  bool is_stopped = false;  // SIGSTOP: its stream stands, nothing comes
  bool drains = false;
  Instant cut_off_until;  // cannot dial
  uint64_t order_sequence = 0;
  std::map<ShardId, Instant> held;  // until when it needs to give it up; max: it owns it
  std::map<ShardId, Epoch> epochs;
  std::deque<wire::Order> inbox;
  Instant reports_at;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    limits_.health.startup_timeout = milliseconds(2'000);
    limits_.health.silence_timeout = milliseconds(1'000);
    limits_.health.handover_timeout = milliseconds(1'500);
    limits_.health.report_interval = milliseconds(200);
    limits_.drain_timeout = milliseconds(1'500);
    config_.health = limits_.health;
    config_.pools.resize(1);
    config_.pools[0].name = "flush";
    config_.pools[0].role = config::Role::kFlush;
    config_.pools[0].max = kMax;
    config_.pools[0].scale_owner = config::ScaleOwner::kExternal;
    NewServer();
  }

  void Run() {
    const Instant calm = now_ + kTrouble, end = calm + kCalm;
    while (now_ < end && !::testing::Test::HasFailure()) {
      now_ += kStep;
      if (now_ < calm && Chance(8)) Fault();
      if (now_ >= calm) Settle();
      for (auto& [pid, process] : processes_) Live(process);
      std::erase_if(processes_, [&](const auto& entry) { return ended_.contains(entry.first); });
      for (const auto& [pid, noticed_at] : silent_ends_) {
        if (now_ >= noticed_at) breaking_.insert(pid);
      }
      for (const int64_t pid : breaking_) Break(pid);
      breaking_.clear();
      Do(Tick{});
      CheckShardsAreServed();
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

  void NewServer() {
    fleet_ =
        MakeFleet(config_, static_cast<uint64_t>(now_.time_since_epoch().count() / 1000), now_);
    server_started_ = now_;
    seats_.clear();
    silent_ends_.clear();
    seated_.clear();
    taken_away_.clear();
    ownerless_since_.clear();
    spoken_since_start_.clear();
    for (auto& [pid, process] : processes_) {
      process.is_attached = false;
      process.inbox.clear();
    }
    Do(FoundLeftovers{});
    Do(ShardsFound{kShards});
  }

  void Appear(const std::string& uid = "") {
    Process process;
    process.pid = ++last_pid_;
    process.uid = uid.empty() ? std::to_string(process.pid) : uid;
    processes_.emplace(process.pid, process);
  }

  void Fault() {
    Process* p = Any();
    switch (random_() % 11) {
      case 0:
      case 1:
        if (processes_.size() < 2 * kMax) Appear();
        break;
      case 2:
        if (p) Die(*p, true);  // kill -9: its connection breaks
        break;
      case 3:
        if (p) Die(*p, false);  // its machine is gone: nobody is told
        break;
      case 4:
        if (p) p->is_stopped = !p->is_stopped;
        break;
      case 5:
        if (p) {
          p->cut_off_until = now_ + milliseconds(random_() % 5000);
          Break(p->pid);
        }
        break;
      case 6:
        if (p) Break(p->pid);
        break;
      case 7:
        if (p) p->drains = true;  // TERM
        break;
      case 8:
        if (p) Clone(*p);
        break;
      case 9:
        if (Chance(50)) NewServer();
        break;
      case 10:
        if (Chance(25)) Sleep(milliseconds(4'000 + random_() % 6'000));
        break;
    }
  }

  // A process with another's name: a copy that believes to be it, or one started with its uid.
  void Clone(const Process& original) {
    Process copy = original;
    copy.pid = ++last_pid_;
    copy.is_attached = false;
    copy.inbox.clear();
    copy.held.clear();  // what two processes do under one epoch is not the fleet's to judge
    copy.epochs.clear();
    if (Chance(50)) copy.generation = {};
    processes_.emplace(copy.pid, copy);
  }

  // Of the whole machine, on which all of them are: nobody was silent in it.
  void Sleep(Duration gap) {
    now_ += gap;
    server_started_ += gap;
    for (auto& [taken, since] : taken_away_) since += gap;
    for (auto& [id, since] : ownerless_since_) since += gap;
  }

  void Die(Process& process, bool is_seen) {
    ended_.insert(process.pid);
    if (is_seen || !process.is_attached) return breaking_.insert(process.pid), void();
    silent_ends_[process.pid] = now_ + seconds(4);  // until its stream's pings have failed
  }

  // No more faults: what was stopped goes on, clones end, and there are as many as are wanted.
  void Settle() {
    std::set<std::string> uids;
    int serving = 0;
    for (auto& [pid, process] : processes_) {
      process.is_stopped = false;
      const bool is_one_too_many = !uids.insert(process.uid).second || ++serving > kWanted;
      if (is_one_too_many) process.drains = true;
    }
    for (; serving < kWanted; ++serving) Appear();
  }

  void Do(const Event& event) {
    NoteHandovers();
    Transition transition = Step(std::move(fleet_), event, now_, limits_);
    fleet_ = std::move(transition.fleet);
    NoteHandovers();
    for (const Action& action : transition.actions) {
      if (const auto* order = std::get_if<SendOrder>(&action)) {
        Perform(*order);
      } else {
        ASSERT_TRUE(std::holds_alternative<Note>(action)) << "done to a process that is not ours";
      }
    }
    CheckOrdersAreDisjoint();
  }
  void NoteHandovers() {
    for (const auto& [id, shard] : fleet_.shards) {
      if (shard.owner) ownerless_since_[id] = now_;
      if (!shard.handover) continue;
      const auto from = seated_.find({shard.handover->from.slot, shard.handover->generation});
      if (from != seated_.end()) taken_away_[{from->second, id}] = shard.handover->since;
    }
  }

  // The process that the server believes to talk to.
  Process* AtSeat(const WorkerKey& key) {
    const auto seat = seats_.find(key);
    const auto found = seat == seats_.end() ? processes_.end() : processes_.find(seat->second);
    return found == processes_.end() ? nullptr : &found->second;
  }

  void Perform(const SendOrder& send) {
    for (const wire::DeadEpoch& dead : send.order.dead) {
      ASSERT_FALSE(processes_.contains(granted_.at({dead.shard, dead.epoch})) &&
                   !ended_.contains(granted_.at({dead.shard, dead.epoch})))
          << "the epoch of a living process is called dead";
    }
    Process* process = AtSeat(send.worker);
    if (process == nullptr) return;
    process->inbox.push_back(send.order);
    for (const ShardId shard : send.order.shards) {
      CheckFree(shard, *process);
      taken_away_.erase({process->pid, shard});
    }
  }

  // THE promise: nobody is told to take a shard that another live worker still has, unless that one
  // was asked, or heard last, a handover_timeout ago, or never spoke to this server in its grace.
  // (A new server believes the first who says that he has it.)
  void CheckFree(ShardId shard, const Process& next) {
    const bool has_it = next.held.contains(shard);
    for (const auto& [pid, other] : processes_) {
      if (pid == next.pid || !other.held.contains(shard) || ended_.contains(pid)) continue;
      const auto taken = taken_away_.find({pid, shard});
      const bool has_timed_out =
          taken != taken_away_.end() && now_ - taken->second >= limits_.health.handover_timeout;
      const bool is_stranger = now_ - server_started_ >= limits_.health.handover_timeout &&
                               !spoken_since_start_.contains(pid);
      ASSERT_TRUE(has_it || has_timed_out || is_stranger || overtaken_.contains({pid, shard}))
          << "shard " << shard.value << " given to " << next.uid << " while " << other.uid
          << " has it";
      overtaken_.insert({pid, shard});  // fenced from now on: it may learn that late
    }
  }

  // Nor does a shard wait longer than that for its next owner while there is one that could be.
  void CheckShardsAreServed() {
    const bool can_serve =
        now_ >= fleet_.registration_deadline &&
        std::any_of(fleet_.workers.begin(), fleet_.workers.end(), [](const auto& entry) {
          const Worker& worker = entry.second;
          return worker.state == WorkerState::kReady && worker.is_attached && !worker.has_left &&
                 worker.report != nullptr && !worker.report->is_draining;
        });
    for (const auto& [id, shard] : fleet_.shards) {
      if (shard.owner || !can_serve) {
        ownerless_since_[id] = now_;
        continue;
      }
      ASSERT_LE(now_ - ownerless_since_[id], limits_.health.handover_timeout + seconds(1))
          << "shard " << id.value << " waits";
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

  void Break(int64_t pid) {
    silent_ends_.erase(pid);
    if (const auto found = processes_.find(pid); found != processes_.end()) {
      found->second.is_attached = false;
      found->second.inbox.clear();
    }
    for (auto it = seats_.begin(); it != seats_.end(); ++it) {
      if (it->second != pid) continue;
      const WorkerKey key = it->first;
      seats_.erase(it);
      const auto worker = fleet_.workers.find(key);
      if (worker != fleet_.workers.end()) {
        Do(OfWorker{key, worker->second.generation, Detached{}});
      }
      return;
    }
  }

  void Dial(Process& process) {
    wire::Hello hello;
    hello.uid = process.uid;
    hello.pid = process.pid;
    hello.pool = "flush";
    hello.role = wire::Role::kFlush;
    hello.slot = process.slot;
    hello.generation = process.generation;
    hello.is_registered = true;
    const auto judgement = JudgeRegistration(fleet_, hello);
    if (const auto* refused = std::get_if<NotSeated>(&judgement)) {
      if (refused->why == NoSeat::kStale) process.drains = true;
      if (refused->why == NoSeat::kFull) GiveUp(process, {});
      return;
    }
    const auto& seat = std::get<Seat>(judgement);
    if (Process* former = AtSeat(seat.worker)) {  // a stopped one, replaced
      former->is_attached = false;
      former->inbox.clear();
    }
    ASSERT_FALSE(seats_.contains(seat.worker) && fleet_.workers.contains(seat.worker) &&
                 fleet_.workers.at(seat.worker).state != WorkerState::kLost)
        << "two in one place";
    seats_[seat.worker] = process.pid;
    seated_[{seat.worker.slot, seat.generation}] = process.pid;
    process.is_attached = true;
    process.slot = seat.worker.slot;
    process.generation = seat.generation;
    Do(WorkerRegistered{
        seat.worker, seat.generation, {process.pid, process.uid, "1", seat.is_known}});
  }

  void GiveUp(Process& process, const std::set<ShardId>& wanted) {
    for (auto& [shard, until] : process.held) {
      if (!wanted.contains(shard) && until == kNever) until = now_ + milliseconds(random_() % 600);
    }
  }

  void Obey(Process& process, const wire::Order& order) {
    process.order_sequence = order.sequence;
    process.drains = process.drains || order.drain;
    const std::set<ShardId> wanted(order.shards.begin(), order.shards.end());
    GiveUp(process, wanted);
    if (process.drains) return;
    for (const ShardId shard : wanted) {
      const bool is_new = !process.held.contains(shard);
      process.held[shard] = kNever;
      if (!is_new) continue;
      overtaken_.erase({process.pid, shard});
      process.epochs[shard] = {++last_epoch_, random_()};
      granted_[{shard, process.epochs[shard]}] = process.pid;
    }
  }

  void Live(Process& process) {
    if (process.is_stopped || ended_.contains(process.pid)) return;
    const bool may_dial = !process.is_attached && now_ >= process.cut_off_until && Chance(30);
    if (may_dial) Dial(process);
    if (process.drains) GiveUp(process, {});
    if (!process.inbox.empty() && Chance(70)) {  // what is overtaken while it waits is no order
      Obey(process, process.inbox.back());
      process.inbox.clear();
    }
    std::erase_if(process.held, [&](const auto& held) { return held.second <= now_; });
    if (process.is_attached && now_ >= process.reports_at) SendReport(process);
    if (process.drains && (process.held.empty() || Chance(5))) SayGoodbye(process);
  }

  // Sometimes with shards that it could not release in time.
  void SayGoodbye(Process& process) {
    if (process.is_attached) {
      SaidGoodbye goodbye{{"flush", process.slot}, process.generation, {}};
      for (const auto& [shard, until] : process.held) goodbye.still_held.push_back(shard);
      ended_.insert(process.pid);
      Do(goodbye);
    }
    ended_.insert(process.pid);
    breaking_.insert(process.pid);
  }

  void SendReport(Process& process) {
    process.reports_at = now_ + limits_.health.report_interval;
    if (Chance(5)) return;  // late
    auto report = std::make_shared<wire::WorkerReport>();
    report->is_ready = true;
    report->order_sequence = process.order_sequence;
    report->is_draining = process.drains;
    for (const auto& [shard, until] : process.held) {
      wire::ShardReport held;
      held.shard = shard;
      held.stage = until == kNever ? wire::ShardStage::kOwned : wire::ShardStage::kReleasing;
      held.epoch = process.epochs[shard];
      report->shards.push_back(held);
    }
    spoken_since_start_.insert(process.pid);
    Do(OfWorker{{"flush", process.slot}, process.generation, Reported{report}});
  }

  std::string Everyone() const {
    std::string text;
    for (const auto& [key, worker] : fleet_.workers) {
      text += "\n" + WorkerName(key) + " " + worker.uid + " " + StateName(worker.state) + ": " +
              worker.health.evidence;
    }
    return text;
  }

  void CheckConverged() {
    ASSERT_EQ(processes_.size(), static_cast<size_t>(kWanted));
    ASSERT_EQ(FindPool(fleet_, "flush")->desired, kWanted) << Everyone();
    for (const auto& [pid, process] : processes_) {
      const auto found = fleet_.workers.find({"flush", process.slot});
      ASSERT_TRUE(found != fleet_.workers.end()) << process.uid << Everyone();
      const Worker& worker = found->second;
      ASSERT_EQ(worker.uid, process.uid) << Everyone();
      ASSERT_EQ(worker.generation, process.generation);
      ASSERT_EQ(worker.state, WorkerState::kReady) << Everyone();
      ASSERT_EQ(worker.health.state, HealthState::kHealthy);
      ASSERT_EQ(process.held.size(), static_cast<size_t>(kShards / kWanted));
    }
    for (const auto& [id, shard] : fleet_.shards) {
      ASSERT_TRUE(shard.owner.has_value()) << "shard " << id.value << Everyone();
      for (const auto& [pid, process] : processes_) {
        ASSERT_EQ(process.held.contains(id), process.slot == shard.owner->slot);
      }
    }
  }

  std::mt19937_64 random_;
  Limits limits_;
  config::Config config_;
  Instant now_ = Instant(seconds(1000));
  Fleet fleet_;
  std::map<int64_t, Process> processes_;
  std::map<WorkerKey, int64_t> seats_;  // whose stream stands, as the server sees it
  std::set<int64_t> ended_;
  std::set<int64_t> breaking_;              // streams that break after this step
  std::map<int64_t, Instant> silent_ends_;  // streams of which nobody knows yet that they are dead
  std::map<std::pair<int32_t, Generation>, int64_t> seated_;   // who has had which place
  std::map<std::pair<int64_t, ShardId>, Instant> taken_away_;  // newest hand-over from that process
  std::map<ShardId, Instant> ownerless_since_;
  std::set<std::pair<int64_t, ShardId>> overtaken_;
  std::set<int64_t> spoken_since_start_;
  std::map<std::pair<ShardId, Epoch>, int64_t> granted_;  // to which pid
  Instant server_started_;
  int64_t last_pid_ = 0;
  uint64_t last_epoch_ = 0;
};

struct Flags {
  uint64_t seeds = 1000;
  std::optional<uint64_t> seed;
};
Flags& TheFlags() {
  static Flags flags;
  return flags;
}

TEST(RegisteredSimulationTest, OneOwnerAShardAndEverythingConverges) {
  const Flags& flags = TheFlags();
  const uint64_t first = flags.seed.value_or(1), last = flags.seed.value_or(flags.seeds);
  for (uint64_t seed = first; seed <= last; ++seed) {
    World(seed).Run();
    ASSERT_FALSE(HasFailure()) << "replay: registered_simulation_test --seed=" << seed;
  }
}

bool Read(absl::string_view argument) {
  if (absl::ConsumePrefix(&argument, "--seeds=")) {
    return absl::SimpleAtoi(argument, &TheFlags().seeds);
  }
  uint64_t seed = 0;
  if (!absl::ConsumePrefix(&argument, "--seed=")) return false;
  if (!absl::SimpleAtoi(argument, &seed)) return false;
  TheFlags().seed = seed;
  return true;
}

}  // namespace
}  // namespace spillway::fleet

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (spillway::fleet::Read(argv[i])) continue;
    std::fprintf(stderr, "%s: not --seed=N or --seeds=N\n", argv[i]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
