// The whole configuration as plain values (design section 7). Built only by config/load.h, which
// checks it: a Config that exists is usable.
#ifndef SPILLWAY_CONFIG_CONFIG_H_
#define SPILLWAY_CONFIG_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace spillway::config {

using Milliseconds = std::chrono::milliseconds;

struct RedisTls {
  std::string ca, cert, key;  // file names
};
struct Redis {
  std::string url = "redis://127.0.0.1:6379";  // or a cluster, sentinels (docs/configuration.md)
  std::string username;
  std::string password_file;
  bool allow_eviction = false;
  RedisTls tls;
};
struct Kafka {
  std::string brokers = "127.0.0.1:9092";
  std::map<std::string, std::string> properties;
};
struct Input {
  std::string topic = "ingest-spans";
  std::string group = "process-spans";
  std::string format = "sentry-json";
  std::string dead_letter_topic;  // default: <topic>-dlq, filled in by the loader
  bool repartition = false;
};
struct Output {
  std::string topic = "buffered-segments";
  std::string compression = "lz4";
  std::string key = "none";  // none | trace_id
  bool headers = true;
  Milliseconds delivery_timeout{30'000};
};
struct Segments {
  Milliseconds root_timeout{10'000}, idle_timeout{60'000}, max_age{300'000}, late_window{30'000};
  uint64_t max_bytes = 10u << 20;
};
struct Ingest {
  uint64_t batch_bytes = 4u << 20;
  Milliseconds batch_time{50};
  std::string compression = "zstd";  // none | zstd
  int compression_level = 1;
  uint64_t dictionary_bytes = 16u << 10;  // 0: no dictionaries
  uint64_t max_index_bytes = 1u << 30;
};
struct Flush {
  uint64_t max_inflight_bytes = 64u << 20;
  Milliseconds lease{60'000};
  Milliseconds drain_timeout{20'000};
};
struct LatenessMarks {
  Milliseconds slow{5'000}, close{30'000};
};
struct BacklogMarks {
  uint64_t slow = 50'000, close = 200'000;  // due parts
};
struct MemoryMarks {
  double slow = 0.75, close = 0.9;
};
struct Gate {
  LatenessMarks lateness;
  BacklogMarks backlog;
  MemoryMarks redis_memory;
};
enum class Role { kIngest, kFlush };
enum class ScaleOwner { kSpillway, kExternal };
struct Autoscale {
  bool enabled = false;
  Milliseconds lateness_objective{2'000};
};
struct Pool {
  std::string name;
  Role role = Role::kIngest;
  int32_t replicas = 1, min = 1, max = 8;
  ScaleOwner scale_owner = ScaleOwner::kSpillway;
  uint64_t memory_max = 0;  // bytes a worker; 0: no limit
  double cpu_max = 0;       // CPU cores a worker; 0: no limit
  Autoscale autoscale;
};
struct Backoff {
  Milliseconds initial{500}, max{60'000};
};
struct Restart {
  int32_t max_restarts = 5;
  Milliseconds window{600'000};
  Backoff backoff;
  Milliseconds healthy_after{120'000};
};
struct Health {
  Milliseconds startup_timeout{60'000}, stall_timeout{60'000}, silence_timeout{15'000};
  Milliseconds handover_timeout{20'000}, report_interval{1'000};
};
struct ServerTls {
  std::string ca, cert, key;
};
struct Server {
  std::string api = "127.0.0.1:7400";
  std::string http = "127.0.0.1:7480";
  std::string gateway;                // default unix:<run_dir>/gateway.sock
  std::string health;                 // empty: served on api only
  std::string state;                  // default /var/lib/spillway/state.db or XDG
  std::string run_dir;                // default /run/spillway or XDG
  std::string on_shutdown = "drain";  // drain | leave
  bool insecure = false;
  ServerTls tls;
  std::string authorization;
};
struct Log {
  std::string format = "text";  // text | json
  std::string level = "info";   // debug | info | warning | error
};

struct Config {
  std::string name_space = "default";  // key `namespace`
  Redis redis;
  Kafka kafka;
  Input input;
  Output output;
  Segments segments;
  Ingest ingest;
  Flush flush;
  Gate gate;
  std::vector<Pool> pools;  // default: ingest and flush, one replica each
  Restart restart;
  Health health;
  Server server;
  Log log;
};

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_CONFIG_H_
