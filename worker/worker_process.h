// Everything a worker's process is made of, built in order and ended in order.
#ifndef SPILLWAY_WORKER_WORKER_PROCESS_H_
#define SPILLWAY_WORKER_WORKER_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/hand_file.h"
#include "base/loop.h"
#include "base/termination_signals.h"
#include "buffer/redis/redis_store.h"
#include "config/command_line.h"
#include "config/config.h"
#include "kafka/producer.h"
#include "worker/control/control_link.h"
#include "worker/control/worker_role.h"
#include "worker/exit_code.h"

namespace spillway::worker {

// One role with its store, its producer and its link to the control plane, on one loop. Runs until
// a signal, a drain order, or a dismissal; then: drain the role, look at the producer, say goodbye.
class WorkerProcess {
 public:
  // INVALID_ARGUMENT: what the configuration names cannot be made (it names the key or property).
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Create(
      const config::Config& config, const config::WorkerCommandLine& line,
      TerminationSignals& signals);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  ExitCode Run();

 private:
  WorkerProcess(const config::Config& config, TerminationSignals& signals);

  absl::Status Build(const config::WorkerCommandLine& line);
  absl::Status BuildRole(const config::WorkerCommandLine& line, const kafka::ClientConfig& client);
  void OpenHandFile(const config::WorkerCommandLine& line);
  void BuildLink(const config::WorkerCommandLine& line);

  void OnRedisState(const buffer::ConnectionState& state);
  void OnRedisChecked(const buffer::StoreResult<buffer::ServerCheck>& result);
  void OnSignal();
  void OnMisconfigured(const absl::Status& status);
  void BeginEnd(const std::string& reason);
  void OnDrained(const std::string& reason, const absl::Status& status);
  void Stop(ExitCode code);

  const config::Config config_;
  TerminationSignals& signals_;
  std::mt19937_64 random_{std::random_device{}()};
  std::string uid_;
  Loop loop_;
  ReadWatch signal_watch_;
  Timer end_limit_;
  std::unique_ptr<buffer::RedisShardStore> store_;
  std::unique_ptr<kafka::Producer> producer_;
  std::unique_ptr<HandFile> hand_;  // flush; null: nobody would read it
  std::unique_ptr<WorkerRole> role_;
  std::unique_ptr<ControlLink> link_;  // null: works without a control plane
  bool is_ending_ = false;
  std::optional<ExitCode> exit_code_;
};

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_WORKER_PROCESS_H_
