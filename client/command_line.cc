#include "client/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/completion/completion.h"
#include "client/completion/names.h"
#include "client/context/contexts.h"
#include "client/output/text.h"
#include "config/user_files.h"

namespace spillway::client {
namespace {

constexpr char kDefaultServer[] = "127.0.0.1:7400";

using Verb = std::function<ExitCode(Session&)>;

// What is common to all verbs.
struct Globals {
  std::string server = kDefaultServer;
  bool names_server = false;  // by an option or the environment
  std::string context;        // instead
  std::string contexts_file = config::UserConfigFile("contexts.yaml");
  Format format = Format::kTable;
};

// Builds the parser; the verb that was named is left in `verb`, which captures its own options.
class Parser {
 public:
  Parser()
      : app_("Looks at and changes a fleet of Spillway workers, through spillwayd.", "spillway") {
    app_.require_subcommand(1);
    app_.fallthrough();  // --server and -o may also come after the verb
    app_.option_defaults()->always_capture_default();
    server_ = app_.add_option("--server", globals_.server,
                              "Address of spillwayd's API; without it the current context's")
                  ->envname("SPILLWAY_SERVER");
    app_.add_option("--context", globals_.context, "Instead: that of this context")
        ->envname("SPILLWAY_CONTEXT")
        ->default_str("");
    app_.add_option("--contexts-file", globals_.contexts_file, "Where contexts are kept")
        ->envname("SPILLWAY_CONTEXTS_FILE")
        ->default_str("~/.config/spillway/contexts.yaml");
    const std::map<std::string, Format> formats = {{"table", Format::kTable},
                                                   {"wide", Format::kWide},
                                                   {"json", Format::kJson},
                                                   {"yaml", Format::kYaml}};
    app_.add_option("-o,--output", globals_.format,
                    "table, wide, json (the API's answer as proto3 JSON) or yaml")
        ->transform(CLI::CheckedTransformer(formats).description("FORMAT"))
        ->default_str("table");
    app_.footer(
        "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused in this state,\n"
        "            5 server unreachable, 6 timed out, 7 not permitted\n\n"
        "Examples:\n"
        "  spillway get workers                      all workers\n"
        "  spillway resize flush 3 --wait            three flush workers, and wait until they "
        "work\n"
        "  spillway wait flush --for healthy --timeout 30s\n"
        "  spillway get shards -o json               for programs\n");
    AddGet();
    AddDescribe();
    AddStartAndStop();
    AddResize();
    AddRestart();
    AddApply();
    AddDropRules();
    AddWait();
    AddOperations();
    AddAudit();
    AddInsight();
    AddHistory();
    AddStacksAndLogs();
    AddHealthAndVersion();
    AddCompletion();
    AddContexts();
  }

  CLI::App& app() { return app_; }
  // Once the line has been parsed.
  Globals globals() const {
    Globals globals = globals_;
    globals.names_server = server_->count() > 0;
    return globals;
  }
  bool needs_server() const { return needs_server_; }
  const Verb& verb() const { return verb_; }

 private:
  void AddGet() {
    CLI::App* get =
        app_.add_subcommand("get", "Show pools, workers, shards, operations, events or deaths");
    get->require_subcommand(1);
    get->footer(
        "Examples:\n"
        "  spillway get pools\n"
        "  spillway get workers flush -o wide        the workers of one pool\n"
        "  spillway get workers flush/0              one worker\n"
        "  spillway get shards 7                     one shard\n");
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

  void AddDescribe() {
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

  void AddStartAndStop() {
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

  void AddRestart() {
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

  void AddResize() {
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

  void AddApply() {
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

  void AddDropRules() {
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
      verb_ = [this](Session& session) {
        return AddDropRule(session, drop_rule_, waiting_.dry_run);
      };
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

  void AddWait() {
    CLI::App* app = app_.add_subcommand("wait", "Wait until a pool is healthy, stopped or drained");
    app->add_option("POOL", name_, "Name of the pool")->required();
    const std::map<std::string, Goal::Kind> goals = {{"healthy", Goal::Kind::kHealthy},
                                                     {"stopped", Goal::Kind::kStopped},
                                                     {"drained", Goal::Kind::kDrained}};
    app->add_option("--for", goal_, "healthy, stopped or drained")
        ->required()
        ->transform(CLI::CheckedTransformer(goals).description("GOAL"));
    AddTimeout(*app);
    app->footer("Example:\n  spillway wait flush --for healthy --timeout 1m\n");
    app->callback([this] {
      verb_ = [this](Session& session) {
        return WaitFor(session, {goal_, PoolResource(name_), std::nullopt}, waiting_.timeout);
      };
    });
  }

  void AddOperations() {
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
    CLI::App* wait =
        app->add_subcommand("wait", "Wait for its end: exit code 1 unless it succeeds");
    wait->add_option("OPERATION", name_, "Its number")->required();
    AddTimeout(*wait);
    wait->callback([this] {
      verb_ = [this](Session& session) { return WaitOperation(session, name_, waiting_.timeout); };
    });
    CLI::App* cancel = app->add_subcommand("cancel", "Put the wish back as it was before it");
    cancel->add_option("OPERATION", name_, "Its number")->required();
    AddDryRun(*cancel);
    cancel->callback([this] {
      verb_ = [this](Session& session) {
        return CancelOperation(session, name_, waiting_.dry_run);
      };
    });
  }

  void AddAudit() {
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

  void AddInsight() {
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
    advice->callback(
        [this] { verb_ = [this](Session& session) { return Advice(session, name_); }; });
  }

  void AddHistory() {
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

  void AddPage(CLI::App& app) {
    app.add_option("--limit", page_.limit, "At most so many, the newest (1 to 1000)")
        ->check(CLI::Range(1, 1'000));
    app.add_option("--page", page_.token, "nextPageToken of the answer before: older ones")
        ->default_str("");
  }

  void AddStacksAndLogs() {
    CLI::App* stacks = app_.add_subcommand("stacks", "Show where the threads of a worker are");
    stacks->add_option("WORKER", name_, "POOL/SLOT: flush/0")->required();
    stacks->footer(
        "The worker is asked, without harm to it. Exit code 1: it did not answer.\n\n"
        "Example:\n  spillway stacks flush/0\n");
    stacks->callback(
        [this] { verb_ = [this](Session& session) { return Stacks(session, name_); }; });
    CLI::App* logs = app_.add_subcommand("logs", "Show what a worker has written last");
    logs->add_option("WORKER", name_, "POOL/SLOT: flush/0")->required();
    logs->add_option("-n,--lines", log_reading_.lines, "So many lines")
        ->check(CLI::Range(1, 10'000));
    logs->add_flag("-f,--follow", log_reading_.follow, "And what it writes from now on");
    logs->footer("Examples:\n  spillway logs flush/0\n  spillway logs flush/0 -n 20 -f\n");
    logs->callback([this] {
      verb_ = [this](Session& session) { return Logs(session, name_, log_reading_); };
    });
  }

  void AddHealthAndVersion() {
    CLI::App* health = app_.add_subcommand(
        "health", "Whether the fleet, or one service, serves (exit code 0 or 1)");
    health
        ->add_option("SERVICE", name_, "liveness, startup, pool/NAME, spillway.v1.FleetService, …")
        ->default_str("");
    health->footer("Examples:\n  spillway health\n  spillway health pool/flush\n");
    health->callback(
        [this] { verb_ = [this](Session& session) { return Health(session, name_); }; });
    CLI::App* version =
        app_.add_subcommand("version", "Versions of this program and of the server");
    version->add_flag("--client", client_only_, "Do not ask the server");
    version->callback(
        [this] { verb_ = [this](Session& session) { return Version(session, client_only_); }; });
  }

  void AddContexts() {
    CLI::App* context = app_.add_subcommand("context", "Servers by name");
    context->require_subcommand(1);
    context->footer(
        "A verb asks the server that --server or SPILLWAY_SERVER says, else that of --context or\n"
        "SPILLWAY_CONTEXT, else that of the current context, else 127.0.0.1:7400.\n\n"
        "Examples:\n"
        "  spillway context add prod --server 10.0.0.7:7400 --use\n"
        "  spillway --context prod get pools\n"
        "  spillway context list\n");
    CLI::App* add = context->add_subcommand("add", "Give the address of --server a name");
    add->add_option("NAME", name_, "Its name")->required();
    add->add_flag("--use", use_, "Make it the current one");
    AddContextVerb(*add, [this](Session& session) {
      const Globals all = globals();
      const std::string server = all.names_server ? all.server : "";
      return AddContext(session, all.contexts_file, {name_, server, use_});
    });
    CLI::App* use = context->add_subcommand("use", "Make it the current one");
    use->add_option("CONTEXT", name_, "Its name")->required();
    AddContextVerb(*use, [this](Session& session) {
      return UseContext(session, globals_.contexts_file, name_);
    });
    CLI::App* end = context->add_subcommand("delete", "Forget it");
    end->add_option("CONTEXT", name_, "Its name")->required();
    AddContextVerb(*end, [this](Session& session) {
      return DeleteContext(session, globals_.contexts_file, name_);
    });
    AddContextVerb(*context->add_subcommand("list", "All of them"), [this](Session& session) {
      return ListContexts(session, globals_.contexts_file);
    });
  }

  // One that asks no server, and so does not mind what the file says of one.
  void AddContextVerb(CLI::App& app, Verb verb) {
    app.callback([this, verb = std::move(verb)] {
      needs_server_ = false;
      verb_ = verb;
    });
  }

  void AddCompletion() {
    CLI::App* app = app_.add_subcommand(
        "completion", "What a shell reads to complete verbs, options, and names of the server's");
    app->add_option("SHELL", name_, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    app->footer(
        "Examples:\n"
        "  source <(spillway completion bash)        also in ~/.bashrc; zsh alike, after compinit\n"
        "  spillway completion fish | source\n");
    app->callback([this] {
      verb_ = [this](Session& session) {
        session.out << CompletionScript(name_);
        return kExitDone;
      };
    });
  }

  void AddDryRun(CLI::App& app) {
    app.add_flag("--dry-run", waiting_.dry_run, "Say what would be, change nothing");
  }

  void AddWaiting(CLI::App& app) {
    AddDryRun(app);
    app.add_flag("--wait", waiting_.wait, "Wait until it is so, showing progress");
    AddTimeout(app);
  }

  void AddTimeout(CLI::App& app) {
    AddDuration(app, "--timeout", waiting_.timeout, "Wait no longer than this (500ms, 90s, 2m)")
        ->default_str("2m");
  }

  static CLI::Option* AddDuration(CLI::App& app, const std::string& name, Duration& value,
                                  const std::string& help) {
    return app.add_option_function<std::string>(
        name,
        [name, &value](const std::string& text) {
          const std::optional<Duration> given = ParseDuration(text);
          if (!given) throw CLI::ValidationError(name, text + ": expected a time like 90s or 2m");
          value = *given;
        },
        help);
  }

  CLI::App app_;
  Globals globals_;
  std::string name_;
  Resize resize_;
  Restart restart_;
  Apply apply_;
  DropRule drop_rule_;
  LogReading log_reading_;
  Waiting waiting_;
  Goal::Kind goal_ = Goal::Kind::kHealthy;
  Page page_;
  bool follow_ = false;
  bool use_ = false;
  bool needs_server_ = true;
  CLI::Option* server_ = nullptr;
  bool client_only_ = false;
  Verb verb_;
};

}  // namespace

// Which server is meant: the one that is named, or the context's, or the usual one.
static absl::StatusOr<std::string> ServerOf(const Globals& globals) {
  if (globals.names_server && !globals.context.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--context ", globals.context, ": a server is named, too (--server or ",
                     "SPILLWAY_SERVER: ", globals.server, "): leave one out"));
  }
  if (globals.names_server) return globals.server;
  const absl::StatusOr<Contexts> contexts = LoadContexts(globals.contexts_file);
  if (!contexts.ok()) return contexts.status();
  const std::string name = globals.context.empty() ? contexts->current : globals.context;
  if (name.empty()) return globals.server;
  const Context* const context = FindContext(*contexts, name);
  if (context != nullptr) return context->server;
  return absl::InvalidArgumentError(
      absl::StrCat("--context: ", name, ": expected one of those in ", globals.contexts_file));
}

// `words`: what stands on the line that is to be completed.
static ExitCode CompleteLine(Parser& parser, const std::vector<std::string>& words,
                             std::ostream& out) {
  const auto names_of = [](Named what, const std::string& named) -> std::vector<Candidate> {
    Parser usual;  // any line that is whole fills in what the environment says
    usual.app().parse(std::vector<std::string>{"--client", "version"});
    const Globals globals = usual.globals();
    if (what == Named::kContext) return NamesIn(LoadContexts(globals.contexts_file));
    const absl::StatusOr<std::string> server = named.empty() ? ServerOf(globals) : named;
    if (!server.ok()) return {};
    ControlClient client(*server, kNamesLimit);
    return NamesAt(client, what);
  };
  out << CompletionLines(Complete(parser.app(), words, names_of));
  return kExitDone;
}

ExitCode RunCommandLine(const std::vector<std::string>& arguments, const Terminal& terminal) {
  Parser parser;
  if (!arguments.empty() && arguments[0] == kCompleteVerb) {
    return CompleteLine(parser, {arguments.begin() + 1, arguments.end()}, terminal.out);
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
    parser.app().parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {  // also --help
    return parser.app().exit(error, terminal.out, terminal.err) == 0 ? kExitDone : kExitUsage;
  }
  const absl::StatusOr<std::string> server =
      parser.needs_server() ? ServerOf(parser.globals()) : std::string(kDefaultServer);
  if (!server.ok()) {
    terminal.err << "spillway: " << server.status().message() << std::endl;
    return kExitUsage;
  }
  ControlClient client(*server);
  Session session{client, parser.globals().format, terminal.out, terminal.err,
                  terminal.is_terminal};
  return parser.verb()(session);
}

}  // namespace spillway::client
