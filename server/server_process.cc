#include "server/server_process.h"

#include <unistd.h>

#include <filesystem>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "config/worker_settings.h"
#include "server/record/sqlite_record_store.h"
#include "server/supervisor/recorded_pools.h"

namespace spillway::server {
namespace {

constexpr std::chrono::seconds kApiGrace{1};
// Beyond the supervisor's own bound: reached only if ends of killed processes are not seen.
constexpr std::chrono::seconds kDrainMargin{2};

// spillway-worker stands beside this program.
absl::StatusOr<std::string> FindWorkerProgram() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path worker = self.parent_path() / "spillway-worker";
  if (error || ::access(worker.c_str(), X_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(worker.string(), ": expected the workers' program beside spillwayd"));
  }
  return worker.string();
}

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Create(const config::Config& config,
                                                                     bool retries_config,
                                                                     TerminationSignals& signals) {
  ASSIGN_OR_RETURN(RunDir run_dir, RunDir::Open(config.server));
  std::unique_ptr<ServerProcess> process(new ServerProcess(config, signals, std::move(run_dir)));
  RETURN_IF_ERROR(process->Build(retries_config));
  return process;
}

ServerProcess::ServerProcess(const config::Config& config, TerminationSignals& signals,
                             RunDir run_dir)
    : config_(config),
      signals_(signals),
      run_dir_(std::move(run_dir)),
      signal_watch_(loop_, signals.fd(), [this] { OnSignal(); }),
      drain_limit_(loop_, [this] {
        result_ = absl::DeadlineExceededError("workers were killed and have not ended");
        EndApi();
      }) {}

ServerProcess::~ServerProcess() {
  api_end_ = {};        // waits for the API's end, if that has begun
  supervisor_.reset();  // what is still asked is refused; workers are let go of
}

absl::Status ServerProcess::Build(bool retries_config) {
  ASSIGN_OR_RETURN(std::string worker_program, FindWorkerProgram());
  RETURN_IF_ERROR(OpenRecord(retries_config));
  RETURN_IF_ERROR(WriteConfigs());
  ASSIGN_OR_RETURN(
      std::unique_ptr<kafka::MetadataClient> metadata,
      kafka::MakeMetadataClient({config_.kafka.brokers, config_.kafka.properties, "spillwayd"}));
  discovery_ = std::make_unique<KafkaDiscovery>(std::move(metadata), config_.input.topic,
                                                NeededRetention(config_.segments));
  PrepareCgroups();
  process::LocalLauncherOptions launching{std::move(worker_program), run_dir_.path(),
                                          config_.server.gateway};
  launching.cgroups = cgroups_.get();
  launcher_ = std::make_unique<process::LocalLauncher>(loop_, std::move(launching));
  ASSIGN_OR_RETURN(buffer::RedisStoreOptions store,
                   buffer::MakeRedisStoreOptions(config_.redis, config_.name_space));
  store_ = std::make_unique<buffer::RedisShardStore>(loop_, std::move(store));
  std::random_device random;
  const uint64_t seed = (uint64_t{random()} << 32) | random();
  supervisor_ =
      std::make_unique<supervisor::Supervisor>(config_, supervisor::Parts{loop_,
                                                                          SystemClock(),
                                                                          *launcher_,
                                                                          *discovery_,
                                                                          seed,
                                                                          {},
                                                                          store_.get(),
                                                                          recorder_.get(),
                                                                          wishes_,
                                                                          revisions_,
                                                                          record_identity_,
                                                                          operations_,
                                                                          created_,
                                                                          drop_rules_,
                                                                          worker_config_.rollout,
                                                                          worker_config_.records,
                                                                          config_files_});
  return Listen();
}

absl::Status ServerProcess::OpenRecord(bool retries_config) {
  ASSIGN_OR_RETURN(
      std::unique_ptr<record::SqliteRecordStore> store,
      record::SqliteRecordStore::Open({config_.server.state, config_.name_space}, SystemClock()));
  ASSIGN_OR_RETURN(record::State state, store->Load());
  const WallTime now = SystemClock().Wall();
  supervisor::RestoredPools restored = supervisor::RestorePools(config_.pools, state.pools, now);
  for (const record::Event& event : restored.change.events) {
    Log(LogLevel::kWarning, "the configuration overrules the record",
        {{"pool", event.target},
         {"recorded", event.before},
         {"now", event.after},
         {"detail", event.detail}});
  }
  worker_config_ = supervisor::RestoreConfig(config_, state.configs, retries_config, now);
  for (const record::Event& event : worker_config_.change.events) {
    Log(LogLevel::kInfo, "the workers' configuration has changed",
        {{"before", event.before}, {"after", event.after}, {"detail", event.detail}});
    restored.change.events.push_back(event);
  }
  restored.change.configs = worker_config_.change.configs;
  if (worker_config_.rollout.rejected) {
    Log(LogLevel::kWarning, "the configuration was taken back: workers run with the former one",
        {{"taken_back", worker_config_.rollout.rejected->number},
         {"generation", worker_config_.rollout.wanted.number},
         {"detail", worker_config_.rollout.detail},
         {"remedy", "change it, or start spillwayd once with --retry-config"}});
  }
  record::Event start;
  start.time = now;
  start.actor = "spillwayd";
  start.action = "StartServer";
  start.outcome = "OK";
  start.detail = absl::StrCat("version ", Version(), ", process ", ::getpid());
  restored.change.events.push_back(std::move(start));
  RETURN_IF_ERROR(store->Commit(restored.change));
  wishes_ = std::move(restored.wishes);
  revisions_ = std::move(restored.revisions);
  record_identity_ = state.identity;
  operations_ = std::move(state.operations);
  created_ = std::move(restored.created);
  drop_rules_ = std::move(state.drop_rules);
  requests_ = std::move(state.requests);
  recorder_ = std::make_unique<record::Recorder>(std::move(store), SystemClock());
  return absl::OkStatus();
}

absl::Status ServerProcess::WriteConfigs() {
  std::map<uint64_t, std::string> texts;
  for (const auto& [generation, config] : worker_config_.configs) {
    texts[generation] = config::WorkerYaml(config);
  }
  ASSIGN_OR_RETURN(config_files_, run_dir_.WriteConfigs(texts));
  return absl::OkStatus();
}

void ServerProcess::PrepareCgroups() {
  cgroups_ = std::make_unique<process::WorkerCgroups>(
      loop_, process::WorkerCgroupsOptions{run_dir_.path(), process::LimitsOf(config_.pools)});
  for (const process::RefusedLimit& limit : cgroups_->refused()) {
    Log(LogLevel::kWarning, "a limit is not kept, workers run without it",
        {{"key", limit.key}, {"value", limit.value}, {"reason", limit.reason}});
    record::Event event;
    event.time = SystemClock().Wall();
    event.actor = "spillwayd";
    event.action = "LimitNotKept";
    event.target = "pools/" + limit.pool;
    event.outcome = "OK";
    event.detail = absl::StrCat(limit.key, " = ", limit.value, ": ", limit.reason);
    recorder_->Note(std::move(event));
  }
}

absl::Status ServerProcess::Listen() {
  ASSIGN_OR_RETURN(
      http_, http::HttpServer::Start(config_.server, *supervisor_, SystemClock(), recorder_.get()));
  ASSIGN_OR_RETURN(
      rpc_, rpc::RpcServer::Start(config_.server, {config_.name_space, http_->address()},
                                  {*supervisor_, *supervisor_, SystemClock(), recorder_.get(),
                                   std::move(requests_)}));
  Log(LogLevel::kInfo, "spillwayd starts",
      {{"version", Version()},
       {"pid", ::getpid()},
       {"namespace", config_.name_space},
       {"api", rpc_->api_address()},
       {"http", http_->address()},
       {"gateway", config_.server.gateway},
       {"run_dir", run_dir_.path()},
       {"state", config_.server.state},
       {"on_shutdown", config_.server.on_shutdown},
       {"drain_budget_s", Seconds(supervisor_->DrainBudget())}});
  return absl::OkStatus();
}

absl::Status ServerProcess::Run() {
  supervisor_->Begin();
  readiness_ = supervisor_->Subscribe(
      [this](const supervisor::SnapshotPtr& snapshot) { LogReadiness(*snapshot); });
  loop_.Run();
  Log(LogLevel::kInfo, "spillwayd ends", {{"result", result_}});
  return result_;
}

void ServerProcess::OnSignal() {
  while (const std::optional<std::string> signal = signals_.TryTake()) {
    if (std::exchange(is_ending_, true)) {
      Log(LogLevel::kInfo, "is ending already", {{"signal", *signal}});
      continue;
    }
    const bool leaves = *signal == "SIGTERM" && config_.server.on_shutdown == "leave";
    Log(LogLevel::kInfo, leaves ? "ending, workers stay" : "ending, workers drain",
        {{"signal", *signal}});
    leaves ? EndApi() : Drain();
  }
}

void ServerProcess::Drain() {
  drain_limit_.Start(supervisor_->DrainBudget() + kDrainMargin);
  supervisor_->Drain([this](const absl::Status& status) {
    drain_limit_.Stop();
    result_ = status;
    EndApi();
  });
}

void ServerProcess::EndApi() {
  if (api_end_.joinable()) return;
  api_end_ = std::jthread([this] {
    http_.reset();
    rpc_->Shutdown(kApiGrace);
    loop_.Stop();
  });
}

void ServerProcess::LogReadiness(const supervisor::FleetSnapshot& snapshot) {
  std::set<std::string> failing;
  for (const supervisor::Check& check : snapshot.checks) {
    if (check.ok) continue;
    failing.insert(check.name);
    const bool is_news = !failing_.contains(check.name) && !snapshot.is_stopping;
    if (is_news) {
      Log(LogLevel::kInfo, "not ready", {{"check", check.name}, {"detail", check.detail}});
    }
  }
  failing_ = std::move(failing);
  const bool is_ready = failing_.empty();
  if (is_ready && !is_ready_) Log(LogLevel::kInfo, "ready");
  is_ready_ = is_ready;
}

}  // namespace spillway::server
