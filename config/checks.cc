#include "config/checks.h"

#include <unistd.h>

#include <cstdlib>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "config/values.h"

namespace spillway::config {
namespace {

using Problems = std::vector<Problem>;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string DefaultRunDir() {
  if (geteuid() == 0) return "/run/spillway";
  const std::string xdg = Environment("XDG_RUNTIME_DIR");
  if (!xdg.empty()) return xdg + "/spillway";
  return absl::StrCat("/tmp/spillway-", geteuid());
}

std::string DefaultState() {
  if (geteuid() == 0) return "/var/lib/spillway/state.db";
  const std::string xdg = Environment("XDG_STATE_HOME");
  if (!xdg.empty()) return xdg + "/spillway/state.db";
  return Environment("HOME") + "/.local/state/spillway/state.db";
}

void CheckTimes(const Config& config, Problems& problems) {
  const Milliseconds least = config.output.delivery_timeout + Milliseconds(10'000);
  if (config.flush.lease <= least) {
    problems.push_back(
        {"flush.lease", PrintDuration(config.flush.lease),
         absl::StrCat("more than output.delivery_timeout + 10s = ", PrintDuration(least),
                      ", or a claim could be tried again while Kafka still has it")});
  }
  if (config.restart.backoff.initial > config.restart.backoff.max) {
    problems.push_back({"restart.backoff.initial", PrintDuration(config.restart.backoff.initial),
                        absl::StrCat("at most restart.backoff.max = ",
                                     PrintDuration(config.restart.backoff.max))});
  }
  if (config.health.silence_timeout < 2 * config.health.report_interval) {
    problems.push_back({"health.silence_timeout", PrintDuration(config.health.silence_timeout),
                        absl::StrCat("at least twice health.report_interval = ",
                                     PrintDuration(2 * config.health.report_interval))});
  }
}

void CheckMarks(const Gate& gate, Problems& problems) {
  const auto check = [&](bool ok, const char* mark, const std::string& slow,
                         const std::string& close) {
    if (ok) return;
    problems.push_back({absl::StrCat("gate.", mark, ".slow"), slow,
                        absl::StrCat("less than gate.", mark, ".close = ", close)});
  };
  check(gate.lateness.slow < gate.lateness.close, "lateness", PrintDuration(gate.lateness.slow),
        PrintDuration(gate.lateness.close));
  check(gate.backlog.slow < gate.backlog.close, "backlog", absl::StrCat(gate.backlog.slow),
        absl::StrCat(gate.backlog.close));
  check(gate.redis_memory.slow < gate.redis_memory.close, "redis_memory",
        PrintRatio(gate.redis_memory.slow), PrintRatio(gate.redis_memory.close));
}

void CheckPool(const Pool& pool, Problems& problems) {
  const std::string path = absl::StrCat("pools.", pool.name);
  if (pool.min > pool.max) {
    problems.push_back({path + ".min", absl::StrCat(pool.min),
                        absl::StrCat("at most ", path, ".max = ", pool.max)});
  } else if (pool.replicas < pool.min || pool.replicas > pool.max) {
    problems.push_back(
        {path + ".replicas", absl::StrCat(pool.replicas),
         absl::StrCat("from ", path, ".min = ", pool.min, " to ", path, ".max = ", pool.max)});
  }
  if (pool.autoscale.enabled) {
    problems.push_back(
        {path + ".autoscale.enabled", "true", "false: autoscaling is not built yet"});
  }
}

// Reading stops in good order at a limit of our own; the kernel's kills.
void CheckWorkerLimits(const Pool& pool, const Config& config, Problems& problems) {
  const std::string path = absl::StrCat("pools.", pool.name);
  if (pool.scale_owner == ScaleOwner::kExternal) {
    const char* right =
        "0: spillwayd does not start this pool's workers; limit them where they run";
    if (pool.memory_max > 0) {
      problems.push_back({path + ".memory_max", PrintSize(pool.memory_max), right});
    }
    if (pool.cpu_max > 0) problems.push_back({path + ".cpu_max", PrintRatio(pool.cpu_max), right});
    return;
  }
  const bool is_ingest = pool.role == Role::kIngest;
  const uint64_t held = is_ingest ? config.ingest.max_index_bytes : config.flush.max_inflight_bytes;
  if (pool.memory_max == 0 || pool.memory_max > held) return;
  problems.push_back(
      {path + ".memory_max", PrintSize(pool.memory_max),
       absl::StrCat("0, or more than ",
                    is_ingest ? "ingest.max_index_bytes" : "flush.max_inflight_bytes", " = ",
                    PrintSize(held), ", or workers would be killed at work that they may do")});
}

void CheckPools(const Config& config, Problems& problems) {
  const std::vector<Pool>& pools = config.pools;
  if (pools.empty()) problems.push_back({"pools", "[]", "at least one pool"});
  std::set<std::string> names;
  for (const Pool& pool : pools) {
    if (!names.insert(pool.name).second) {
      problems.push_back({"pools", pool.name, "every pool needs a name of its own"});
    }
    CheckPool(pool, problems);
    CheckWorkerLimits(pool, config, problems);
  }
}

void CheckTopics(const Config& config, Problems& problems) {
  if (config.output.topic == config.input.topic) {
    problems.push_back({"output.topic", config.output.topic, "another topic than input.topic"});
  }
  for (const std::string& other : {config.input.topic, config.output.topic}) {
    if (config.input.dead_letter_topic != other) continue;
    problems.push_back(
        {"input.dead_letter_topic", other, "another topic than input.topic and output.topic"});
    break;
  }
  if (config.input.repartition) {
    problems.push_back({"input.repartition", "true", "false: repartitioning is not built yet"});
  }
}

// Properties that Spillway's promises rest on, or that have a key of their own.
void CheckKafkaProperties(const Kafka& kafka, Problems& problems) {
  static const std::map<std::string, std::string> kOwn = {
      {"bootstrap.servers", "kafka.brokers"},
      {"metadata.broker.list", "kafka.brokers"},
      {"group.id", "input.group"},
      {"compression.type", "output.compression"},
      {"compression.codec", "output.compression"},
      {"message.timeout.ms", "output.delivery_timeout"},
      {"delivery.timeout.ms", "output.delivery_timeout"},
      {"enable.auto.commit", ""},
      {"enable.auto.offset.store", ""},
      {"enable.idempotence", ""},
      {"acks", ""},
      {"request.required.acks", ""},
      {"auto.offset.reset", ""},
      {"partition.assignment.strategy", ""},
  };
  for (const auto& [name, value] : kafka.properties) {
    const auto own = kOwn.find(name);
    if (own == kOwn.end()) continue;
    problems.push_back({absl::StrCat("kafka.properties.", name), value,
                        own->second.empty()
                            ? "to be left out: it is fixed, since losing nothing depends on it"
                            : absl::StrCat("to be set by ", own->second)});
  }
}

bool IsPrivateAddress(const std::string& address) {
  return address.empty() || absl::StartsWith(address, "unix:") ||
         absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

void CheckSecurity(const Config& config, Problems& problems) {
  const auto pair = [&](const char* section, const std::string& cert, const std::string& key) {
    if (cert.empty() == key.empty()) return;
    problems.push_back({absl::StrCat(section, cert.empty() ? ".cert" : ".key"), "",
                        "a certificate and its key go together: set both or neither"});
  };
  pair("redis.tls", config.redis.tls.cert, config.redis.tls.key);
  pair("server.tls", config.server.tls.cert, config.server.tls.key);
  const std::string& gateway = config.server.gateway;
  const bool is_unix = gateway.empty() || absl::StartsWith(gateway, "unix:");
  if (!is_unix && !config.server.tls.cert.empty()) {
    problems.push_back({"server.gateway", gateway,
                        "unix:PATH while server.tls is set: workers do not speak TLS yet"});
  }
  if (config.server.insecure || !config.server.tls.cert.empty()) return;
  for (const auto& [path, address] :
       {std::pair{"server.api", config.server.api}, {"server.gateway", config.server.gateway}}) {
    if (IsPrivateAddress(address)) continue;
    problems.push_back({path, address,
                        "an address of this machine only, or server.tls.cert and .key, or "
                        "server.insecure: true"});
  }
}

}  // namespace

void FillDefaults(Config& config) {
  if (config.input.dead_letter_topic.empty()) {
    config.input.dead_letter_topic = config.input.topic + "-dlq";
  }
  if (config.server.run_dir.empty()) config.server.run_dir = DefaultRunDir();
  if (config.server.state.empty()) config.server.state = DefaultState();
  if (config.server.gateway.empty()) {
    config.server.gateway = absl::StrCat("unix:", config.server.run_dir, "/gateway.sock");
  }
}

std::vector<Problem> CheckCombinations(const Config& config) {
  Problems problems;
  CheckTopics(config, problems);
  CheckTimes(config, problems);
  CheckMarks(config.gate, problems);
  CheckPools(config, problems);
  CheckKafkaProperties(config.kafka, problems);
  CheckSecurity(config, problems);
  return problems;
}

}  // namespace spillway::config
