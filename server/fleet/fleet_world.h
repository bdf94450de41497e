// A world for the fleet's decisions that fails in every way it knows, from one seed: processes that
// crash, hang, fall silent, start slowly or not at all, messages that are lost, late or come twice,
// servers that die, stand still or find another one beside them, a machine that sleeps, and a
// person who gives verbs, and configurations that workers cannot live with, meanwhile. It asserts
// what must hold after every event, and in the end that everything is as desired. For
// fleet_simulation_test only.
#ifndef SPILLWAY_SERVER_FLEET_FLEET_WORLD_H_
#define SPILLWAY_SERVER_FLEET_FLEET_WORLD_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/fleet/fleet.h"

namespace spillway::fleet {

// Everything that happens to a fleet while there is trouble.
enum class Fault {
  kCrash,
  kHang,
  kSilence,
  kBrokenStream,
  kIgnoredTerm,
  kSlowStarts,
  kFailingStarts,
  kResize,
  kServerCrash,
  kSecondServer,
  kServerStandsStill,
  kMachineSleeps,
  kStopOrStart,
  kRestartPool,
  kRestartWorker,
  kRestartShard,
  kPause,
  kResume,
  kDrain,
};
inline constexpr int kFaultCount = 18;

// What a configuration does to workers that run with it.
enum class Flaw { kNone, kEndsThem, kIsRefused, kHoldsThemUp };

// A process as it is, whatever anybody believes about it.
struct Process {
  WorkerKey key;
  Generation generation;
  int64_t pid = 0;
  Instant ready_at;      // slow starters: late
  uint64_t config = 0;   // the number of its configuration
  bool is_hung = false;  // does nothing, does not even see TERM
  bool is_mute = false;  // works, but its stream is dead and it does not dial again
  bool ignores_term = false;
  int server = 0;  // whose stream it has; 0: none
  Instant dies_at = kNever;
  bool is_leaving = false;  // obeys TERM
  uint64_t order_sequence = 0;
  bool drains = false;
  bool is_paused = false;
  std::set<ShardId> idle{};
  uint64_t reports = 0;
  std::map<ShardId, Instant> held;  // until when it needs to give it up; kNever: it owns it
  std::map<ShardId, Epoch> epochs;  // under which it owns or owned each
  std::deque<wire::Order> inbox;
  Instant reports_at;
};

// One spillwayd, and what the checks know about it.
struct Server {
  int id = 0;  // from 1, never used again
  Fleet fleet;
  Instant started;
  Instant stands_still_until = Instant::min();
  std::deque<Event> waiting;  // what has happened meanwhile
  std::map<WorkerKey, std::deque<Instant>> restarts;
  std::map<WorkerKey, Generation> generations;                   // of its newest start
  std::map<ShardId, Instant> taken_away;                         // newest hand-over's start
  std::set<int64_t> spoken;                                      // pids whose reports it has read
  std::map<int64_t, std::set<std::pair<ShardId, Epoch>>> heard;  // by pid
  std::map<ShardId, std::vector<Epoch>> dead;  // heard of, and its process's death told
  // Restarts of the pool and their slots: that were taken from their service, given a new budget.
  std::set<std::pair<uint64_t, int32_t>> asked, given;
  bool has_discovered = false;
};

class World {
 public:
  explicit World(uint64_t seed);

  // Trouble, then calm. Asserts all along.
  void Run();

  // How often each fault has struck.
  const std::array<int64_t, kFaultCount>& strikes() const { return strikes_; }

 private:
  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  Duration Randomly(int64_t below_ms);
  Process* Any();
  Pool PoolOf(const Server& server) const { return *FindPool(server.fleet, "flush"); }

  // Faults.
  void Strike(Fault fault);
  void StrikeProcess(Fault fault, Process& process);
  void Tell(const Event& verb);  // a person, at the newest server
  void Settle();

  // Servers.
  void NewServer();     // all servers die, the next one finds what runs
  void SecondServer();  // while the first goes on
  void BeginServer();
  void ChangeConfig();  // for the servers to come
  Flaw FlawOf(const Process& process) const { return flaws_.at(process.config); }
  void EndRivalry();
  Server* Find(int id);
  void Do(Server& server, const Event& event);
  void Apply(Server& server, const Event& event);
  void Perform(Server& server, const Note& note);
  void Perform(Server& server, const Spawn& spawn);
  void Perform(Server& server, const Signal& signal);
  void Perform(Server& server, const CaptureStacks& capture);
  void Perform(Server& server, const SendOrder& send);

  // Processes.
  void OfIt(const Process& process, const WorkerEvent& event);
  void Break(Process& process);
  void Dial(Process& process);
  void Obey(Process& process, const wire::Order& order);
  void Acquire(Process& process, ShardId shard);
  void Live(Process& process);
  void SendReport(Process& process);
  void SayGoodbye(const Process& process);
  void Bury();

  // Checks.
  std::set<int32_t> Serving(const Server& server) const;
  void CheckRestart(Server& server, const std::set<int32_t>& served, const Event& event);
  void NoteBudgets(Server& server);
  void CheckNoStorm(Server& server, const Note& note);
  void CheckDead(const wire::DeadEpoch& dead);
  void CheckFree(Server& server, ShardId shard, const Process& next);
  void CheckOrdersAreDisjoint(const Server& server);
  void CheckConverged();
  void CheckConfig(const Fleet& fleet, const Pool& pool);
  void CheckDeathsAreTold(ShardId id, const wire::Order& order);
  std::string Everyone() const;

  std::mt19937_64 random_, epochs_random_;
  Limits limits_;
  config::Config config_;
  Instant now_;
  std::vector<std::unique_ptr<Server>> servers_;  // newest last; two only for a while
  Instant rivalry_until_ = kNever;
  int last_server_ = 0;
  std::map<int64_t, Process> processes_;
  std::map<WorkerKey, Generation> generations_;           // of the last to live, as lock files tell
  std::vector<std::pair<int, Event>> later_;              // answers of launchers, to which server
  std::set<std::pair<int64_t, ShardId>> overtaken_;       // fenced: it may learn that late
  std::map<std::pair<ShardId, Epoch>, int64_t> granted_;  // to which pid
  std::array<int64_t, kFaultCount> strikes_{};
  int64_t last_pid_ = 0;
  uint64_t last_epoch_ = 0;
  int slow_starts_ = 0, failing_starts_ = 0;
  std::map<uint64_t, Flaw> flaws_{{1, Flaw::kNone}};  // by configuration; its digest is its number
  ConfigRollout recorded_;                            // as a server that begins finds it
};

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_FLEET_WORLD_H_
