// The verbs. Each prints to the session and returns the exit code; errors go to `err` as one line.
#ifndef SPILLWAY_CLIENT_COMMANDS_COMMANDS_H_
#define SPILLWAY_CLIENT_COMMANDS_COMMANDS_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "base/clock.h"
#include "client/commands/goal.h"
#include "client/control_client.h"
#include "client/exit_code.h"
#include "client/output/printer.h"

namespace spillway::client {

// What a command works with; borrowed.
struct Session {
  ControlClient& client;
  Format format = Format::kTable;
  std::ostream& out;
  std::ostream& err;
  bool is_terminal = false;  // `err` is one: progress may rewrite its line
};

// "flush" and "pools/flush" → "pools/flush".
std::string PoolResource(const std::string& name);
// "flush/0" and "pools/flush/workers/0" → "pools/flush/workers/0"; empty: not a worker's name.
std::string WorkerResource(const std::string& name);
// "7" and "shards/7" → "shards/7".
std::string ShardResource(const std::string& name);

// `name` empty: all. A worker's may be a pool's ("flush"), or "flush/0", or the full name.
ExitCode GetPools(Session& session, const std::string& name);
ExitCode GetWorkers(Session& session, const std::string& name);
ExitCode GetShards(Session& session, const std::string& name);

// One resource with its state, its history and what stands out. For programs: the resource alone.
ExitCode DescribePool(Session& session, const std::string& name);
ExitCode DescribeWorker(Session& session, const std::string& name);
ExitCode DescribeShard(Session& session, const std::string& name);

// Whether to wait for what was asked for, and how long; or only to say what would be.
struct Waiting {
  bool dry_run = false;
  bool wait = false;
  Duration timeout = std::chrono::minutes(2);
};

ExitCode StartPool(Session& session, const std::string& pool, const Waiting& waiting);
ExitCode StopPool(Session& session, const std::string& pool, const Waiting& waiting);

struct Resize {
  std::string pool;
  int32_t desired = 0;
  std::optional<int32_t> min, max;
};
ExitCode ResizePool(Session& session, const Resize& resize, const Waiting& waiting);

ExitCode PausePool(Session& session, const std::string& pool, const Waiting& waiting);
ExitCode ResumePool(Session& session, const std::string& pool, const Waiting& waiting);

// The time-out is also the drain's deadline.
ExitCode DrainPool(Session& session, const std::string& pool, const Waiting& waiting);

struct Restart {
  std::string name;   // a pool's, or a worker's; or
  std::string shard;  // a shard's: 7
  bool failed = false;
  std::optional<int32_t> max_unavailable;
};
ExitCode RestartAny(Session& session, const Restart& restart, const Waiting& waiting);

struct Apply {
  std::string file;    // YAML, the form of the configuration's `pools`
  bool prune = false;  // delete pools made through the API that the file does not name
};
// Makes the pools what the file says. All of it is judged by the server before any of it is done.
ExitCode ApplyPools(Session& session, const Apply& apply, const Waiting& waiting);

// "noisy" and "dropRules/noisy" → "dropRules/noisy".
std::string DropRuleResource(const std::string& name);
struct DropRule {
  std::string name;
  std::optional<uint64_t> project;
  std::string trace;  // empty: any
  Duration ttl{0};
  std::string reason;
};
ExitCode AddDropRule(Session& session, const DropRule& rule, bool dry_run);
ExitCode ListDropRules(Session& session);
ExitCode DeleteDropRule(Session& session, const std::string& name, bool dry_run);

// "7" and "operations/7" → "operations/7".
std::string OperationResource(const std::string& name);
// `name` empty: the newest hundred, the newest last.
ExitCode GetOperations(Session& session, const std::string& name);
ExitCode CancelOperation(Session& session, const std::string& name, bool dry_run);
// Shows progress until it has ended, or the time is up. Failed unless it has succeeded.
ExitCode WaitOperation(Session& session, const std::string& name, Duration timeout);
// The operation as it has ended, or why that could not be waited for. Shows progress.
Answer<v1::Operation> AwaitEnd(Session& session, const std::string& name, Duration timeout);
// kExitDone if it has succeeded, else why not; kExitTimedOut: a drain whose own time was up.
CallError OutcomeOf(const v1::Operation& operation);

// Waits until the goal is reached, or says why not. Shows progress; `fleet`: as seen last.
CallError Reach(Session& session, const Goal& goal, Duration timeout, FleetState& fleet);
// Shows progress until the goal is reached (prints the pool), cannot be reached any more, or the
// time is up.
ExitCode WaitFor(Session& session, const Goal& goal, Duration timeout);

// Compares what is live in one shard, or in all (`shard` empty), with its counters. Failed if a
// residual is not 0, or could not be told.
ExitCode Audit(Session& session, const std::string& shard, Duration timeout);

// Where the time of a shard goes, and what stands out.
ExitCode ExplainShard(Session& session, const std::string& shard);
// How many workers a pool should have, and why.
ExitCode Advice(Session& session, const std::string& pool);

// Which part of the past to show.
struct Page {
  int32_t limit = 100;
  std::string token{};  // of the page before; empty: the newest
};

// The journal. Tables have the newest entry last, answers for programs first.
ExitCode GetEvents(Session& session, const Page& page);
// As GetEvents, then every new entry as it comes, until interrupted.
ExitCode FollowEvents(Session& session, const Page& page);
// How workers ended; `pool` empty: of all pools.
ExitCode GetDeaths(Session& session, const std::string& pool, const Page& page);

// Where the threads of a worker are. Failed if its process has not answered.
ExitCode Stacks(Session& session, const std::string& worker);
struct LogReading {
  int32_t lines = 100;
  bool follow = false;
};
// The last lines of a worker's output, and what follows until the output cannot be written.
ExitCode Logs(Session& session, const std::string& worker, const LogReading& reading);

// Servers by name, in a file of the user's (client/context/contexts.h).
struct NewContext {
  std::string name, server;
  bool use = false;  // as the current one
};
ExitCode AddContext(Session& session, const std::string& file, const NewContext& wanted);
ExitCode UseContext(Session& session, const std::string& file, const std::string& name);
ExitCode DeleteContext(Session& session, const std::string& file, const std::string& name);
ExitCode ListContexts(Session& session, const std::string& file);

// Done if the service serves, failed if not; without a name: the fleet, and what is waited for.
ExitCode Health(Session& session, const std::string& service);
ExitCode Version(Session& session, bool client_only);

// Prints `error` and returns its exit code.
ExitCode Fail(Session& session, const CallError& error);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_COMMANDS_COMMANDS_H_
