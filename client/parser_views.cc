// Verbs that look.
#include "client/parser.h"

namespace spillway::client {

void Parser::AddGet() {
  CLI::App* get =
      app_.add_subcommand("get", "Show pools, workers, shards, operations, events or deaths");
  get->require_subcommand(1);
  get->footer(
      "Examples:\n"
      "  spillway get pools\n"
      "  spillway get workers flush -o wide        the workers of one pool\n"
      "  spillway get workers flush/0              one worker\n"
      "  spillway get shards 7                     one shard\n"
      "  spillway get operations\n"
      "  spillway get deaths flush\n"
      "  spillway get events -o wide\n");
  const auto add = [this, get](const char* kind, const char* help,
                               ExitCode (*run)(Session&, const std::string&)) {
    CLI::App* app = get->add_subcommand(kind, help);
    app->add_option("NAME", name_, "Only this one")->default_str("");
    app->callback(
        [this, run] { verb_ = [this, run](Session& session) { return run(session, name_); }; });
  };
  add("pools", "Pools: how many workers are wanted, how many are ready", GetPools);
  add("workers", "Workers: state, health, the shards they hold", GetWorkers);
  add("shards", "Shards: backlog, lateness, gate, owners", GetShards);
  add("operations", "Operations: changes that take time, how far they are and how they ended",
      GetOperations);
  add("deaths", "How workers ended; NAME is a pool's",
      [](Session& session, const std::string& pool) { return GetDeaths(session, pool, {}); });
  CLI::App* events = get->add_subcommand("events", "The newest entries of the journal");
  events->callback([this] { verb_ = [](Session& session) { return GetEvents(session, {}); }; });
}

void Parser::AddDescribe() {
  CLI::App* describe =
      app_.add_subcommand("describe", "Say all that is worth knowing of a pool, worker or shard");
  describe->require_subcommand(1);
  describe->footer(
      "State with its evidence and age, what is under way, the last deaths with their last "
      "lines,\n"
      "recent events, and what stands out. For programs (-o json): the resource alone.\n\n"
      "Examples:\n"
      "  spillway describe pool flush\n"
      "  spillway describe worker flush/1          why it is down, and what it wrote last\n"
      "  spillway describe shard 7\n");
  const auto add = [this, describe](const char* kind, const char* help,
                                    ExitCode (*run)(Session&, const std::string&)) {
    CLI::App* app = describe->add_subcommand(kind, help);
    app->add_option("NAME", name_, "Which one")->required();
    app->callback(
        [this, run] { verb_ = [this, run](Session& session) { return run(session, name_); }; });
  };
  add("pool", "A pool: its workers, how many it should have, and its past", DescribePool);
  add("worker", "A worker: its state and why, its process, its past; NAME is POOL/SLOT",
      DescribeWorker);
  add("shard", "A shard: its owners, its figures, where its time goes", DescribeShard);
}

void Parser::AddWait() {
  CLI::App* app = app_.add_subcommand("wait", "Wait until a pool is healthy, stopped or drained");
  app->add_option("POOL", name_, "Name of the pool")->required();
  AddChoice<Goal::Kind>(*app, "--for",
                        {{"healthy", Goal::Kind::kHealthy},
                         {"stopped", Goal::Kind::kStopped},
                         {"drained", Goal::Kind::kDrained}},
                        goal_, "healthy, stopped or drained")
      ->required();
  AddTimeout(*app);
  app->footer("Example:\n  spillway wait flush --for healthy --timeout 1m\n");
  app->callback([this] {
    verb_ = [this](Session& session) {
      return WaitFor(session, {goal_, PoolResource(name_), std::nullopt}, waiting_.timeout);
    };
  });
}

void Parser::AddAudit() {
  CLI::App* app = app_.add_subcommand(
      "audit", "Count what is live in the shards and compare with their counters");
  app->add_option("--shard", name_, "Only this one: 7")->default_str("");
  AddTimeout(*app);
  app->footer(
      "RESIDUAL is what the counters cannot explain; ? is what could not be told.\n"
      "Exit code 0: all is explained; 1: it is not, or could not be told.\n\n"
      "Examples:\n"
      "  spillway audit\n"
      "  spillway audit --shard 7 -o wide\n");
  app->callback([this] {
    verb_ = [this](Session& session) { return Audit(session, name_, waiting_.timeout); };
  });
}

void Parser::AddInsight() {
  CLI::App* explain = app_.add_subcommand("explain", "Say where time goes");
  explain->require_subcommand(1);
  CLI::App* shard = explain->add_subcommand(
      "shard", "Where the time of a shard went in the last minute, and what stands out");
  shard->add_option("SHARD", name_, "Its number: 7")->required();
  shard->footer(
      "The shares of a side add up to 100 %. A side that is not known is said to be so.\n\n"
      "Example:\n  spillway explain shard 7\n");
  shard->callback(
      [this] { verb_ = [this](Session& session) { return ExplainShard(session, name_); }; });
  CLI::App* advice =
      app_.add_subcommand("advice", "How many workers a pool should have, and what limits it");
  advice->add_option("POOL", name_, "Name of the pool")->required();
  advice->footer("Changes nothing.\n\nExample:\n  spillway advice flush\n");
  advice->callback([this] { verb_ = [this](Session& session) { return Advice(session, name_); }; });
}

void Parser::AddHistory() {
  CLI::App* events =
      app_.add_subcommand("events", "What was changed, by whom, and what came of it");
  AddPage(*events);
  events->add_flag("--follow", follow_, "Go on with new entries until interrupted");
  events->footer(
      "Examples:\n"
      "  spillway events --follow\n"
      "  spillway events --limit 1000 -o json\n");
  events->callback([this] {
    verb_ = [this](Session& session) {
      return follow_ ? FollowEvents(session, page_) : GetEvents(session, page_);
    };
  });
  CLI::App* deaths = app_.add_subcommand("deaths", "How workers ended, with their last words");
  deaths->add_option("POOL", name_, "Only of this pool")->default_str("");
  AddPage(*deaths);
  deaths->footer("Examples:\n  spillway deaths\n  spillway deaths flush -o wide\n");
  deaths->callback(
      [this] { verb_ = [this](Session& session) { return GetDeaths(session, name_, page_); }; });
}

void Parser::AddStacksAndLogs() {
  CLI::App* stacks = app_.add_subcommand("stacks", "Show where the threads of a worker are");
  stacks->add_option("WORKER", name_, "POOL/SLOT: flush/0")->required();
  stacks->footer(
      "The worker is asked, without harm to it. Exit code 1: it did not answer.\n\n"
      "Example:\n  spillway stacks flush/0\n");
  stacks->callback([this] { verb_ = [this](Session& session) { return Stacks(session, name_); }; });
  CLI::App* logs = app_.add_subcommand("logs", "Show what a worker has written last");
  logs->add_option("WORKER", name_, "POOL/SLOT: flush/0")->required();
  logs->add_option("-n,--lines", log_reading_.lines, "So many lines")->check(CLI::Range(1, 10'000));
  logs->add_flag("-f,--follow", log_reading_.follow, "And what it writes from now on");
  logs->footer("Examples:\n  spillway logs flush/0\n  spillway logs flush/0 -n 20 -f\n");
  logs->callback(
      [this] { verb_ = [this](Session& session) { return Logs(session, name_, log_reading_); }; });
}

void Parser::AddHealthAndVersion() {
  CLI::App* health =
      app_.add_subcommand("health", "Whether the fleet, or one service, serves (exit code 0 or 1)");
  health->add_option("SERVICE", name_, "liveness, startup, pool/NAME, spillway.v1.FleetService, …")
      ->default_str("");
  health->footer("Examples:\n  spillway health\n  spillway health pool/flush\n");
  health->callback([this] { verb_ = [this](Session& session) { return Health(session, name_); }; });
  CLI::App* version = app_.add_subcommand("version", "Versions of this program and of the server");
  version->footer("Example:\n  spillway version --client\n");
  version->add_flag("--client", client_only_, "Do not ask the server");
  version->callback(
      [this] { verb_ = [this](Session& session) { return Version(session, client_only_); }; });
}

}  // namespace spillway::client
