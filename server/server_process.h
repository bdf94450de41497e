// Everything spillwayd is made of, built in order and ended in order.
#ifndef SPILLWAY_SERVER_SERVER_PROCESS_H_
#define SPILLWAY_SERVER_SERVER_PROCESS_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "base/termination_signals.h"
#include "buffer/redis/redis_store.h"
#include "config/config.h"
#include "server/http/http_server.h"
#include "server/kafka_discovery.h"
#include "server/process/local_launcher.h"
#include "server/record/recorder.h"
#include "server/rpc/rpc_server.h"
#include "server/run_dir.h"
#include "server/supervisor/recorded_config.h"
#include "server/supervisor/supervisor.h"

namespace spillway::server {

// Runs until a signal: SIGINT ends the workers; SIGTERM too, or leaves them for the next server
// (server.on_shutdown). Used from one thread.
class ServerProcess {
 public:
  // FAILED_PRECONDITION: another server runs in run_dir or has the state file, or run_dir cannot be
  // made; INVALID_ARGUMENT: the configuration names what cannot be; DATA_LOSS: the state file is
  // damaged; RESOURCE_EXHAUSTED: its disk is full; UNAVAILABLE: cannot listen. The message begins
  // with the key. Redis and Kafka need not be there. `retries_config`: settings of workers that
  // were taken back are tried again.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Create(const config::Config& config,
                                                               bool retries_config,
                                                               TerminationSignals& signals);
  ~ServerProcess();

  // OK: ended as asked; else what did not end as it should.
  absl::Status Run();

 private:
  ServerProcess(const config::Config& config, TerminationSignals& signals, RunDir run_dir);
  absl::Status Build(bool retries_config);
  // Opens the record, brings it in line with the configuration, says in it that we start.
  absl::Status OpenRecord(bool retries_config);
  absl::Status WriteConfigs();
  // Of the workers; what of it cannot be had is in the log and the journal.
  void PrepareCgroups();
  absl::Status Listen();
  void OnSignal();
  void Drain();
  // Ends the API on a thread of its own, as its last answers need the loop; then stops the loop.
  void EndApi();
  void LogReadiness(const supervisor::FleetSnapshot& snapshot);

  const config::Config config_;
  TerminationSignals& signals_;
  const RunDir run_dir_;
  std::unique_ptr<KafkaDiscovery> discovery_;  // before the loop: a pool thread may still ask
  Loop loop_;
  ReadWatch signal_watch_;
  Timer drain_limit_;
  std::unique_ptr<process::WorkerCgroups> cgroups_;
  std::unique_ptr<process::LocalLauncher> launcher_;
  std::unique_ptr<buffer::RedisShardStore> store_;  // for reading only
  std::unique_ptr<record::Recorder> recorder_;      // its thread answers to the loop
  std::vector<record::PoolWish> wishes_;
  std::map<std::string, uint64_t> revisions_;
  uint64_t record_identity_ = 0;
  std::vector<record::Operation> operations_;
  std::vector<record::PoolRecord> created_;
  std::vector<record::DropRule> drop_rules_;
  supervisor::RestoredConfig worker_config_;
  std::map<uint64_t, std::string> config_files_;   // by generation
  std::vector<record::AnsweredRequest> requests_;  // of earlier servers
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<supervisor::Subscription> readiness_;
  std::unique_ptr<http::HttpServer> http_;
  std::unique_ptr<rpc::RpcServer> rpc_;
  std::jthread api_end_;
  std::set<std::string> failing_;  // checks that did not hold when last looked
  bool is_ready_ = false;
  bool is_ending_ = false;
  absl::Status result_;
};

}  // namespace spillway::server

#endif  // SPILLWAY_SERVER_SERVER_PROCESS_H_
