// Verbs that change.
#include "client/parser.h"

namespace spillway::client {

void Parser::AddStartAndStop() {
  const auto add = [this](const char* name, const char* help, const char* example,
                          ExitCode (*run)(Session&, const std::string&, const Waiting&)) {
    CLI::App* app = app_.add_subcommand(name, help);
    app->add_option("POOL", name_, "Name of the pool")->required();
    AddWaiting(*app);
    app->footer(example);
    app->callback([this, run] {
      verb_ = [this, run](Session& session) { return run(session, name_, waiting_); };
    });
  };
  add("start", "Give a stopped pool its workers; also out of CRASH_LOOP",
      "Example:\n  spillway start flush --wait --timeout 30s\n", StartPool);
  add("stop", "Drain and end every worker of a pool", "Example:\n  spillway stop flush --wait\n",
      StopPool);
  add("pause", "Let a pool take nothing new; it keeps its connections and shards",
      "Example:\n  spillway pause flush --wait\n", PausePool);
  add("drain",
      "Let a pool finish what is due and in flight, and take nothing new; it is paused then",
      "What remains is told per shard; --timeout is the drain's deadline, also without "
      "--wait.\n\n"
      "Example:\n  spillway drain flush --wait --timeout 5m\n",
      DrainPool);
  add("resume", "Let a paused pool go on", "Example:\n  spillway resume flush --wait\n",
      ResumePool);
}

void Parser::AddRestart() {
  CLI::App* app = app_.add_subcommand(
      "restart",
      "Give a pool's workers, or one worker, new processes; let a shard's owners begin anew");
  app->add_option("POOL[/SLOT]", restart_.name, "Name of the pool or of the worker")
      ->default_str("");
  app->add_option("--shard", restart_.shard, "Instead: this shard, 7")->default_str("");
  app->add_flag("--failed", restart_.failed,
                "Only workers that are unhealthy, in BACKOFF or in CRASH_LOOP");
  app->add_option("--max-unavailable", restart_.max_unavailable,
                  "How many workers may be down at a time (1)")
      ->check(CLI::PositiveNumber);
  AddWaiting(*app);
  app->footer(
      "Each worker hands its shards over and finishes before it ends. A new one that does not\n"
      "become ready and healthy stops the restart of the pool there. Workers in CRASH_LOOP "
      "start\n"
      "again. A shard's flush owner hands it over, its ingest owner takes it from nothing; no\n"
      "process ends, nothing is lost.\n\n"
      "Examples:\n"
      "  spillway restart flush --wait --timeout 10m\n"
      "  spillway restart flush --failed\n"
      "  spillway restart flush/2 --wait\n"
      "  spillway restart --shard 7 --wait\n");
  app->callback([this] {
    verb_ = [this](Session& session) { return RestartAny(session, restart_, waiting_); };
  });
}

void Parser::AddResize() {
  CLI::App* app = app_.add_subcommand("resize", "Set how many workers a pool has");
  app->add_option("POOL", resize_.pool, "Name of the pool")->required();
  app->add_option("N", resize_.desired, "Number of workers")
      ->required()
      ->check(CLI::NonNegativeNumber);
  app->add_option("--min", resize_.min, "Also change the lower bound");
  app->add_option("--max", resize_.max, "Also change the upper bound");
  AddWaiting(*app);
  app->footer(
      "Examples:\n"
      "  spillway resize flush 3 --wait\n"
      "  spillway resize flush 12 --max 16 --dry-run\n");
  app->callback([this] {
    verb_ = [this](Session& session) { return ResizePool(session, resize_, waiting_); };
  });
}

void Parser::AddApply() {
  CLI::App* app = app_.add_subcommand("apply", "Make the pools what a file says");
  app->add_option("-f,--file", apply_.file, "YAML with the list `pools`, as in the configuration")
      ->required();
  app->add_flag("--prune", apply_.prune,
                "Delete pools that were made this way and are not in the file");
  AddWaiting(*app);
  app->footer(
      "Pools that are not there are created; of those that are, only what the file gives is\n"
      "changed. Lines begin with + (created), ~ (changed), - (deleted) or a blank. If the "
      "server\n"
      "would refuse one change, none is done.\n\n"
      "Examples:\n"
      "  spillway apply -f pools.yaml --dry-run\n"
      "  spillway apply -f pools.yaml --prune --wait --timeout 2m\n");
  app->callback([this] {
    verb_ = [this](Session& session) { return ApplyPools(session, apply_, waiting_); };
  });
}

void Parser::AddDropRules() {
  CLI::App* app =
      app_.add_subcommand("drop-rule", "Leave spans out for a while: rules by project or trace");
  app->require_subcommand(1);
  app->footer(
      "A rule holds from the next message that nobody has read yet; what was accepted before "
      "stays.\n"
      "Spans that are left out are counted (spillway_ledger_filtered_total), never lost "
      "unseen.\n\n"
      "Examples:\n"
      "  spillway drop-rule add noisy --project 42 --ttl 2h --reason \"incident 7\"\n"
      "  spillway drop-rule list\n"
      "  spillway drop-rule delete noisy\n");
  CLI::App* add = app->add_subcommand("add", "Set a rule, or another one in its place");
  add->add_option("NAME", drop_rule_.name, "Its name")->required();
  add->add_option("--project", drop_rule_.project, "Spans of this project");
  add->add_option("--trace", drop_rule_.trace, "Spans of this trace: 32 hex digits")
      ->default_str("");
  AddDuration(*add, "--ttl", drop_rule_.ttl, "How long it holds (90s, 2h)")->required();
  add->add_option("--reason", drop_rule_.reason, "Why, for whoever finds it")->default_str("");
  AddDryRun(*add);
  add->callback([this] {
    verb_ = [this](Session& session) { return AddDropRule(session, drop_rule_, waiting_.dry_run); };
  });
  CLI::App* list = app->add_subcommand("list", "Those that are in force");
  list->callback([this] { verb_ = ListDropRules; });
  CLI::App* end = app->add_subcommand("delete", "End a rule before its time");
  end->add_option("NAME", name_, "Its name")->required();
  AddDryRun(*end);
  end->callback([this] {
    verb_ = [this](Session& session) { return DeleteDropRule(session, name_, waiting_.dry_run); };
  });
}

void Parser::AddOperations() {
  CLI::App* app = app_.add_subcommand("operations", "Changes that take time");
  app->require_subcommand(1);
  app->footer(
      "Examples:\n"
      "  spillway operations list\n"
      "  spillway operations wait 7 --timeout 30s\n"
      "  spillway operations cancel 7              as it was before, if nobody changed it "
      "since\n");
  CLI::App* list = app->add_subcommand("list", "The newest hundred; as get operations");
  list->callback([this] { verb_ = [](Session& session) { return GetOperations(session, ""); }; });
  CLI::App* wait = app->add_subcommand("wait", "Wait for its end: exit code 1 unless it succeeds");
  wait->add_option("OPERATION", name_, "Its number")->required();
  AddTimeout(*wait);
  wait->callback([this] {
    verb_ = [this](Session& session) { return WaitOperation(session, name_, waiting_.timeout); };
  });
  CLI::App* cancel = app->add_subcommand("cancel", "Put the wish back as it was before it");
  cancel->add_option("OPERATION", name_, "Its number")->required();
  AddDryRun(*cancel);
  cancel->callback([this] {
    verb_ = [this](Session& session) { return CancelOperation(session, name_, waiting_.dry_run); };
  });
}

}  // namespace spillway::client
