// What the control plane must not forget, as plain values (design section 6, "State of record").
#ifndef SPILLWAY_SERVER_RECORD_RECORD_H_
#define SPILLWAY_SERVER_RECORD_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "proto/wire/drop_rule.h"

namespace spillway::record {

// At each of these limits the oldest entry makes room for the newest.
inline constexpr int64_t kMaxRequests = 1'000;
inline constexpr int64_t kMaxEvents = 10'000;
inline constexpr int64_t kMaxDeaths = 2'000;
inline constexpr int64_t kMaxOperations = 1'000;  // those that run are kept whatever their number
// A request id that is older stands for nothing any more.
inline constexpr std::chrono::hours kMaxRequestAge{24};
// Longer texts are cut.
inline constexpr size_t kMaxTextBytes = 1'000;
inline constexpr size_t kMaxLineBytes = 500;
inline constexpr size_t kMaxLastLines = 20;  // the newest are kept

struct Sizes {
  int32_t desired = 0, min = 0, max = 0;
  bool operator==(const Sizes&) const = default;
};

// What is wished for a pool. Stored as numbers: values are added at the end only.
enum class WishedState { kRunning, kPaused, kStopped };

// What is wished for a pool.
struct PoolWish {
  std::string pool;  // "flush"
  Sizes sizes{};
  WishedState state = WishedState::kRunning;
  bool operator==(const PoolWish&) const = default;
};

// Stored as numbers: values are added at the end only.
enum class PoolRole { kIngest, kFlush };

// What the record alone knows of a pool that was created through the API.
struct CreatedPool {
  PoolRole role = PoolRole::kIngest;
  bool is_scaled_elsewhere = false;  // scale_owner: external
  bool operator==(const CreatedPool&) const = default;
};

struct PoolRecord {
  PoolWish wish;
  Sizes configured{};                    // the configuration's sizes when the wish was recorded
  uint64_t revision = 1;                 // of the wish: rises with every change of it
  std::optional<CreatedPool> created{};  // empty: a pool of the configuration
  bool operator==(const PoolRecord&) const = default;
};

// A change that was answered, so that the same request changes nothing again.
struct AnsweredRequest {
  std::string id;
  std::string fingerprint;  // all of the request
  WallTime time;
  PoolWish answer;
  std::string etag;
  int64_t operation = 0;  // that it began; 0: none
  bool operator==(const AnsweredRequest&) const = default;
};

// A change that outlasts the call that asked for it.
struct Operation {
  int64_t number = 0;  // rises by one; given by the supervisor
  int32_t kind = 0;    // of fleet::OperationKind
  int32_t state = 0;   // of fleet::OperationState; 0: it runs
  std::string pool{};
  int32_t slot = -1;  // of the worker that it is about; -1: the pool
  std::string actor{};
  WallTime begun{}, ended{};  // ended: 0 while it runs
  std::string detail{};       // for a person
  PoolWish before{};          // what cancelling goes back to,
  uint64_t revision = 0;      // if the wish's is still this
  // What it waits for: see fleet::OperationGoal. Of a pool's restart also what is to be replaced.
  int32_t desired = 0;
  uint64_t generation = 0;
  uint64_t restart = 0;
  bool only_failed = false;
  int32_t max_unavailable = 1;
  std::map<int32_t, uint64_t> replaced{};  // slot → generation that shall go
  bool operator==(const Operation&) const = default;
};

// A rule by which spans are left out, and who wants it.
struct DropRule {
  wire::DropRule rule;
  WallTime set{};
  std::string actor{};   // as of an event
  std::string reason{};  // as given; may be empty
  bool operator==(const DropRule&) const = default;
};

// Stored as numbers: values are added at the end only.
enum class ConfigStanding {
  kTried,     // not every worker has served under it for long
  kProven,    // they have
  kRejected,  // it was taken back: not tried again unless a person says so
};

// What workers are, were or were to be started with (design section 6, "Configuration
// generations").
struct ConfigRecord {
  uint64_t generation = 0;  // from 1, rises by one
  std::string settings{};   // config::WorkerSettings
  ConfigStanding standing = ConfigStanding::kTried;
  WallTime begun{};      // when it was first wanted
  std::string detail{};  // why it was rejected
  bool operator==(const ConfigRecord&) const = default;
};

// One entry of the journal.
struct Event {
  int64_t sequence = 0;  // rises by one; given by the store
  WallTime time{};
  std::string actor{};            // peer and user agent as given; "spillwayd": the server itself
  std::string action{};           // "ResizePool", "worker killed"
  std::string target{};           // resource name; empty: the server
  std::string before{}, after{};  // for a person; empty: says nothing
  std::string outcome{};          // "OK", else the stable reason of the refusal
  std::string detail{};           // for a person
  bool operator==(const Event&) const = default;
};

enum class EndKind {
  kExited,    // value: exit code
  kSignaled,  // value: signal
  kUnknown,   // an adopted process: nobody learns more
};

// The end of one worker process.
struct Death {
  int64_t sequence = 0;  // rises by one; given by the store
  WallTime time{};
  std::string pool{};
  int32_t slot = 0;
  int64_t pid = 0;
  Generation generation{};
  EndKind kind = EndKind::kUnknown;
  int32_t value = 0;
  bool is_expected = false;               // it had been told to end
  std::string reason{};                   // for a person
  std::vector<std::string> last_lines{};  // of its output, newest last
  bool operator==(const Death&) const = default;
};

// What is recorded together: all of it, or nothing.
struct Change {
  std::vector<PoolRecord> pools{};             // each replaces what was known of its pool
  std::vector<std::string> forgotten_pools{};  // names
  std::optional<AnsweredRequest> request{};
  std::vector<Event> events{};
  std::vector<Death> deaths{};
  std::vector<Operation> operations{};          // each replaces what was known under its number
  std::vector<DropRule> drop_rules{};           // each replaces what was known under its name
  std::vector<std::string> ended_drop_rules{};  // names
  std::vector<ConfigRecord> configs{};          // if there are any: all that are worth keeping
};

// What a server that starts wants to know.
struct State {
  std::vector<PoolRecord> pools;          // by name
  std::vector<AnsweredRequest> requests;  // oldest first, none older than kMaxRequestAge
  std::vector<Operation> operations;      // oldest first
  std::vector<DropRule> drop_rules;       // by name; their times may be over
  std::vector<ConfigRecord> configs;      // by generation
  uint64_t identity = 0;                  // of this record: another for every one that is begun
};

inline constexpr int64_t kNewest = std::numeric_limits<int64_t>::max();

// Newest first, at most `limit` entries with sequences below `before`.
struct PageQuery {
  int64_t before = kNewest;
  int32_t limit = 100;  // REQUIRES: >= 0
  std::string pool{};   // deaths only; empty: of all pools
};

// `change` with its texts within the limits and valid UTF-8 (what is not becomes '?').
Change Clipped(Change change);

}  // namespace spillway::record

#endif  // SPILLWAY_SERVER_RECORD_RECORD_H_
