#include "config/keys.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "base/names.h"

namespace spillway::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr uint64_t kKiB = 1u << 10, kMiB = 1u << 20, kGiB = 1u << 30;

// clang-format off
#define AT(place) +[](Config& c) -> decltype(auto) { return (c.place); }
#define POOL_AT(place) +[](Pool& p) -> decltype(auto) { return (p.place); }
// clang-format on

Key<Config> DurationKey(const char* path, At<Config, Milliseconds> at, milliseconds min,
                        milliseconds max, const char* doc) {
  return {path, DurationField<Config>{at, min, max}, doc, ""};
}
Key<Config> SizeKey(const char* path, At<Config, uint64_t> at, uint64_t min, uint64_t max,
                    const char* doc) {
  return {path, SizeField<Config>{at, min, max}, doc, ""};
}
Key<Config> FlagKey(const char* path, At<Config, bool> at, const char* doc) {
  return {path, FlagField<Config>{at}, doc, ""};
}
Key<Config> RatioKey(const char* path, At<Config, double> at, const char* doc) {
  return {path, RatioField<Config>{at}, doc, ""};
}

template <typename Owner, typename T>
CountField<Owner> Count(At<Owner, T> at, int64_t min, int64_t max) {
  return {[at](const Owner& owner) { return static_cast<int64_t>(at(const_cast<Owner&>(owner))); },
          [at](Owner& owner, int64_t value) { at(owner) = static_cast<T>(value); }, min, max};
}
template <typename T>
Key<Config> CountKey(const char* path, T& (*at)(Config&), int64_t min, int64_t max,
                     const char* doc) {
  return {path, Count<Config, T>(at, min, max), doc, ""};
}

Key<Config> ChoiceKey(const char* path, At<Config, std::string> at,
                      std::vector<std::string> choices, const char* doc) {
  return {
      path,
      ChoiceField<Config>{[at](const Config& c) { return at(const_cast<Config&>(c)); },
                          [at](Config& c, const std::string& v) { at(c) = v; }, std::move(choices)},
      doc, ""};
}

bool IsNameCharacter(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-'; }
bool IsName(absl::string_view text, size_t longest) {
  return !text.empty() && text.size() <= longest &&
         std::all_of(text.begin(), text.end(), IsNameCharacter);
}
bool IsNamespace(absl::string_view text) { return IsName(text, 64); }
bool IsTopic(absl::string_view text) { return IsName(text, 249) && text != "." && text != ".."; }
bool IsTopicOrEmpty(absl::string_view text) { return text.empty() || IsTopic(text); }
bool IsAny(absl::string_view) { return true; }
bool IsNotEmpty(absl::string_view text) { return !text.empty(); }
bool IsPathOrEmpty(absl::string_view text) { return text.empty() || text.front() == '/'; }
bool IsRedisUrl(absl::string_view text) {
  static constexpr absl::string_view kBeginnings[] = {
      "redis://",          "rediss://",         "redis+unix:///",    "redis+cluster://",
      "rediss+cluster://", "redis+sentinel://", "rediss+sentinel://"};
  return std::any_of(
      std::begin(kBeginnings), std::end(kBeginnings),
      [text](absl::string_view beginning) { return absl::StartsWith(text, beginning); });
}
bool IsAddress(absl::string_view text) {
  if (absl::StartsWith(text, "unix:/")) return true;
  const size_t colon = text.rfind(':');
  int port = 0;
  return colon != absl::string_view::npos && colon > 0 &&
         absl::SimpleAtoi(text.substr(colon + 1), &port) && port >= 0 && port <= 65535;
}
bool IsAddressOrEmpty(absl::string_view text) { return text.empty() || IsAddress(text); }

Key<Config> TextKey(const char* path, At<Config, std::string> at, const char* what,
                    bool (*is_valid)(absl::string_view), const char* doc,
                    const char* default_text = "") {
  return {path, TextField<Config>{at, what, is_valid}, doc, default_text};
}

constexpr const char* kFileName = "a file name (absolute), or empty";
constexpr const char* kAddress = "host:port or unix:/path";

void Append(std::vector<Key<Config>>& keys, std::vector<Key<Config>> more) {
  std::move(more.begin(), more.end(), std::back_inserter(keys));
}

std::vector<Key<Config>> ConnectionKeys() {
  return {
      TextKey("namespace", AT(name_space), "1 to 64 letters, digits, dots, dashes or underscores",
              IsNamespace,
              "Begins the name of every Redis key; two fleets on one Redis need two namespaces."),
      TextKey(
          "redis.url", AT(redis.url),
          "redis://host:port[/db], redis+unix:///path, redis+cluster://host:port[,host:port…] or "
          "redis+sentinel://host:port[,host:port…]/master[/db]; with TLS rediss://, "
          "rediss+cluster://, rediss+sentinel://",
          IsRedisUrl,
          "The buffer's Redis (6.2 or newer) or Valkey. Of a cluster some nodes suffice, of "
          "sentinels some too. A user and password in a sentinel URL are the sentinels'; "
          "those below are the server's."),
      TextKey("redis.username", AT(redis.username), "an ACL user's name, or empty", IsAny,
              "ACL user; empty is the default user."),
      TextKey("redis.password_file", AT(redis.password_file), kFileName, IsPathOrEmpty,
              "File whose first line is the password. Secrets never stand in the configuration."),
      FlagKey("redis.allow_eviction", AT(redis.allow_eviction),
              "Accept a Redis that may evict keys. Eviction loses spans: leave it off."),
      TextKey("redis.tls.ca", AT(redis.tls.ca), kFileName, IsPathOrEmpty,
              "Certificates to trust; empty: the system's."),
      TextKey("redis.tls.cert", AT(redis.tls.cert), kFileName, IsPathOrEmpty,
              "Client certificate."),
      TextKey("redis.tls.key", AT(redis.tls.key), kFileName, IsPathOrEmpty,
              "Key of the client certificate."),
      TextKey("kafka.brokers", AT(kafka.brokers), "host:port[,host:port…]", IsNotEmpty,
              "Brokers to ask first."),
      {"kafka.properties", MapField<Config>{AT(kafka.properties)},
       "Properties passed to librdkafka as they are, e.g. `security.protocol: sasl_ssl`. Those "
       "that "
       "have a key of their own here are refused.",
       "none"},
  };
}

std::vector<Key<Config>> StreamKeys() {
  return {
      TextKey("input.topic", AT(input.topic), "a topic name", IsTopic,
              "Where spans come from. "
              "Keep messages for segments.max_age + segments.late_window + 1h at least: after the "
              "loss of Redis they are read again."),
      TextKey(
          "input.group", AT(input.group), "a consumer group's name", IsNotEmpty,
          "Consumer group of the ingest workers. Its committed offsets say below what nothing is "
          "outstanding. Only this fleet may be in it: no worker joins while others are."),
      {"input.format",
       ChoiceField<Config>{[](const Config& c) { return c.input.format; },
                           [](Config& c, const std::string& v) { c.input.format = v; },
                           {"sentry-json"},
                           " (otlp is not built yet)"},
       "How a span is written: one JSON object per message.", ""},
      TextKey("input.dead_letter_topic", AT(input.dead_letter_topic), "a topic name",
              IsTopicOrEmpty, "Where messages go that are not valid, with the reason.",
              "`<input.topic>-dlq`"),
      FlagKey("input.repartition", AT(input.repartition),
              "Spans of a trace may stand in several partitions. Not built yet: leave it off."),
      TextKey("output.topic", AT(output.topic), "a topic name", IsTopic, "Where segments go."),
      ChoiceKey("output.compression", AT(output.compression),
                {"none", "gzip", "snappy", "lz4", "zstd"}, "Compression of produced batches."),
      ChoiceKey("output.key", AT(output.key), {"none", "trace_id"},
                "Kafka key of a segment. `trace_id` keeps a trace's segments in one partition."),
      FlagKey("output.headers", AT(output.headers),
              "Add `spillway-shard`, `-epoch`, `-part` and `-reason` to each message."),
      DurationKey("output.delivery_timeout", AT(output.delivery_timeout), seconds(1), hours(1),
                  "How long a message may wait for Kafka's acknowledgement; then its segment is "
                  "released and tried again later. Never acknowledged unseen."),
      DurationKey("segments.root_timeout", AT(segments.root_timeout), milliseconds(10), hours(24),
                  "A segment with its segment span leaves this long after its last span."),
      DurationKey("segments.idle_timeout", AT(segments.idle_timeout), milliseconds(10), hours(24),
                  "A segment without one leaves this long after its last span."),
      DurationKey("segments.max_age", AT(segments.max_age), milliseconds(10), hours(24),
                  "A part leaves at the latest this long after its first span."),
      SizeKey("segments.max_bytes", AT(segments.max_bytes), 1, 10 * kMiB,
              "Largest part, in bytes of its spans; the output topic's limit may make it smaller."),
      DurationKey(
          "segments.late_window", AT(segments.late_window), milliseconds(0), hours(24),
          "For this long after a segment left, late spans still join it as a further part."),
  };
}

std::vector<Key<Config>> WorkKeys() {
  return {
      SizeKey("ingest.batch_bytes", AT(ingest.batch_bytes), 4 * kKiB, 256 * kMiB,
              "A batch is written to Redis when it holds this much…"),
      DurationKey("ingest.batch_time", AT(ingest.batch_time), milliseconds(1), seconds(10),
                  "…or is this old."),
      ChoiceKey("ingest.compression", AT(ingest.compression), {"none", "zstd"},
                "Of span bytes in Redis."),
      CountKey("ingest.compression_level", AT(ingest.compression_level), 1, 19,
               "zstd's level. Higher costs ingest CPU and saves Redis memory."),
      SizeKey(
          "ingest.dictionary_bytes", AT(ingest.dictionary_bytes), 0, kMiB,
          "Size of the dictionaries that are trained from recent spans and kept in Redis, one a "
          "shard: chunks become a half to a fifth of the size, and cheaper to make; 0: none."),
      SizeKey(
          "ingest.max_index_bytes", AT(ingest.max_index_bytes), kMiB, 1024 * kGiB,
          "Limit of the index an ingest worker holds in memory; at the limit it reads no more."),
      SizeKey("flush.max_inflight_bytes", AT(flush.max_inflight_bytes), kMiB, 64 * kGiB,
              "What a flush worker may have claimed and not yet ended."),
      DurationKey("flush.lease", AT(flush.lease), seconds(11), hours(24),
                  "After this a dead flush worker's claims are tried again. More than "
                  "output.delivery_timeout + 10s."),
      DurationKey("flush.drain_timeout", AT(flush.drain_timeout), milliseconds(10), hours(1),
                  "How long a worker that shall end may take to finish what it holds; the rest is "
                  "released and leaves through another."),
      DurationKey("gate.lateness.slow", AT(gate.lateness.slow), milliseconds(1), hours(24),
                  "A shard is read more slowly when its segments leave later than this…"),
      DurationKey("gate.lateness.close", AT(gate.lateness.close), milliseconds(1), hours(24),
                  "…and not at all from here."),
      CountKey("gate.backlog.slow", AT(gate.backlog.slow), 1, 1'000'000'000,
               "The same by parts that are due and have not left."),
      CountKey("gate.backlog.close", AT(gate.backlog.close), 1, 1'000'000'000, ""),
      RatioKey("gate.redis_memory.slow", AT(gate.redis_memory.slow),
               "The same by Redis' used memory as a share of its maxmemory."),
      RatioKey("gate.redis_memory.close", AT(gate.redis_memory.close), ""),
  };
}

std::vector<Key<Config>> SupervisionKeys() {
  return {
      CountKey(
          "restart.max_restarts", AT(restart.max_restarts), 0, 1000,
          "Restarts of one worker within restart.window; the next death leaves it in CRASH_LOOP "
          "for a person. Five in ten minutes outlasts a broker's restart, or one part that ends "
          "every flush worker, and does not hide a program that cannot work."),
      DurationKey("restart.window", AT(restart.window), seconds(1), hours(24), ""),
      DurationKey("restart.backoff.initial", AT(restart.backoff.initial), milliseconds(1), hours(1),
                  "Pause before the first restart; it doubles with each, give or take a fifth."),
      DurationKey("restart.backoff.max", AT(restart.backoff.max), milliseconds(1), hours(1),
                  "Longest pause."),
      DurationKey("restart.healthy_after", AT(restart.healthy_after), milliseconds(1), hours(24),
                  "A worker that was healthy for this long has its restarts forgotten."),
      DurationKey("health.startup_timeout", AT(health.startup_timeout), milliseconds(10), hours(1),
                  "A worker that has not reported this long after its start is replaced. (One that "
                  "reports that it waits for Redis or Kafka is left to wait.)"),
      DurationKey("health.stall_timeout", AT(health.stall_timeout), milliseconds(10), hours(24),
                  "A worker with work to do, nothing in its way and no progress for this long is "
                  "replaced. Waiting for Kafka or Redis is not a stall."),
      DurationKey("health.silence_timeout", AT(health.silence_timeout), milliseconds(10), hours(1),
                  "A worker that has not reported for this long is replaced."),
      DurationKey(
          "health.handover_timeout", AT(health.handover_timeout), milliseconds(10), hours(1),
          "A shard's next owner may take it this long after its owner was asked to give it up "
          "and has not answered. Epochs keep that safe."),
      DurationKey("health.report_interval", AT(health.report_interval), milliseconds(10),
                  minutes(1), "How often workers report."),
  };
}

std::vector<Key<Config>> ServerKeys() {
  return {
      TextKey("server.api", AT(server.api), kAddress, IsAddress,
              "gRPC for operators, the command line and health checks. Port 0: any free one."),
      TextKey("server.http", AT(server.http), kAddress, IsAddress, "Metrics, probes, dashboard."),
      TextKey(
          "server.gateway", AT(server.gateway), kAddress, IsAddressOrEmpty,
          "gRPC for workers: unix:PATH, or HOST:PORT for those that somebody else starts. Plain "
          "text, and whoever reaches it is believed: docs/operations.md.",
          "`unix:<server.run_dir>/gateway.sock`"),
      TextKey("server.health", AT(server.health), kAddress, IsAddressOrEmpty,
              "A further address for grpc.health.v1 alone; empty: only on server.api."),
      TextKey("server.state", AT(server.state), kFileName, IsPathOrEmpty, "The state file.",
              "`/var/lib/spillway/state.db`; without privileges "
              "`$XDG_STATE_HOME/spillway/state.db`"),
      TextKey("server.run_dir", AT(server.run_dir), "a directory (absolute), or empty",
              IsPathOrEmpty, "Sockets, lock files and the workers' configuration.",
              "`/run/spillway`; without privileges `$XDG_RUNTIME_DIR/spillway`"),
      ChoiceKey("server.on_shutdown", AT(server.on_shutdown), {"drain", "leave"},
                "What TERM means for the workers: `drain` ends them, `leave` lets them work on for "
                "the next spillwayd to adopt (upgrades). Ctrl-C always drains."),
      FlagKey("server.insecure", AT(server.insecure),
              "Accept addresses that others can reach without TLS."),
      TextKey("server.tls.ca", AT(server.tls.ca), kFileName, IsPathOrEmpty,
              "Certificates that clients must have; empty: clients need none."),
      TextKey("server.tls.cert", AT(server.tls.cert), kFileName, IsPathOrEmpty,
              "Certificate of server.api."),
      TextKey("server.tls.key", AT(server.tls.key), kFileName, IsPathOrEmpty, "Its key."),
      TextKey("server.authorization", AT(server.authorization), kFileName, IsPathOrEmpty,
              "File that says who may do what; empty: everyone everything."),
      ChoiceKey("log.format", AT(log.format), {"text", "json"}, "One line per event."),
      ChoiceKey("log.level", AT(log.level), {"debug", "info", "warning", "error"}, ""),
  };
}

ChoiceField<Pool> RoleField() {
  return {
      [](const Pool& p) { return std::string(p.role == Role::kIngest ? "ingest" : "flush"); },
      [](Pool& p, const std::string& v) { p.role = v == "ingest" ? Role::kIngest : Role::kFlush; },
      {"ingest", "flush"}};
}
ChoiceField<Pool> ScaleOwnerField() {
  return {[](const Pool& p) {
            return std::string(p.scale_owner == ScaleOwner::kSpillway ? "spillway" : "external");
          },
          [](Pool& p, const std::string& v) {
            p.scale_owner = v == "spillway" ? ScaleOwner::kSpillway : ScaleOwner::kExternal;
          },
          {"spillway", "external"}};
}

}  // namespace

const std::vector<Key<Config>>& Keys() {
  static const auto& keys = *[] {
    auto* all = new std::vector<Key<Config>>;
    Append(*all, ConnectionKeys());
    Append(*all, StreamKeys());
    Append(*all, WorkKeys());
    Append(*all, SupervisionKeys());
    Append(*all, ServerKeys());
    return all;
  }();
  return keys;
}

const std::vector<Key<Pool>>& PoolKeys() {
  static const auto& keys = *new std::vector<Key<Pool>>{
      {"name", TextField<Pool>{POOL_AT(name), kPoolNameRule, IsPoolName},
       "The pool's name, unique.", "required"},
      {"role", RoleField(), "What its workers do.", "required"},
      {"replicas", Count<Pool, int32_t>(POOL_AT(replicas), 0, 1000),
       "Number of workers at start. For `flush`: one per CPU core that may be spent on flushing, "
       "at "
       "most one per partition of the input topic. Too few: lateness grows until gates close. Too "
       "many: idle processes and more hand-overs; nothing is lost either way. `spillwayd "
       "--flusher-processes N` is short for `--pools.flush.replicas=N`.",
       ""},
      {"min", Count<Pool, int32_t>(POOL_AT(min), 0, 1000), "Resize accepts no less…", ""},
      {"max", Count<Pool, int32_t>(POOL_AT(max), 1, 1000), "…and no more.", ""},
      {"scale_owner", ScaleOwnerField(),
       "Who starts the workers and decides their number: spillwayd, or (`external`) somebody else, "
       "and they dial in at `server.gateway` (docs/operations.md). Then Resize is refused and "
       "`replicas` is not used.",
       ""},
      {"memory_max", SizeField<Pool>{POOL_AT(memory_max), 0, 1024 * kGiB},
       "What a worker of the pool may have of memory, kept by the kernel (cgroup v2): one that "
       "would "
       "need more is killed, and its death says so. More than `ingest.max_index_bytes`, or "
       "`flush.max_inflight_bytes`, by half a GiB (docs/operations.md). 0: no limit. A limit that "
       "the machine cannot keep is said in the log and the journal; workers then run without.",
       ""},
      {"cpu_max", CoresField<Pool>{POOL_AT(cpu_max)},
       "How many CPU cores' worth of time a worker of the pool may use, kept by the kernel in "
       "stretches of 100 ms (cgroup v2): one that would use more waits. 0: no limit.",
       ""},
      {"autoscale.enabled", FlagField<Pool>{POOL_AT(autoscale.enabled)},
       "Let spillwayd resize the pool. Not built yet: leave it off.", ""},
      {"autoscale.lateness_objective",
       DurationField<Pool>{POOL_AT(autoscale.lateness_objective), milliseconds(10), hours(1)},
       "What it aims at.", ""},
  };
  return keys;
}

}  // namespace spillway::config
