#include "tests/bench/fleet_under_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/log.h"
#include "base/loop.h"
#include "server/rpc/rpc_server.h"
#include "server/supervisor/supervisor.h"
#include "tests/support/fake_launcher.h"

namespace spillway::bench {
namespace {

// Says what it starts.
class AnnouncingLauncher final : public supervisor::Launcher {
 public:
  AnnouncingLauncher(Loop& loop, int output) : output_(output), fake_(loop) {}

  absl::StatusOr<std::unique_ptr<supervisor::Process>> Launch(const supervisor::LaunchSpec& spec,
                                                              supervisor::OnExit on_exit) override {
    auto process = fake_.Launch(spec, std::move(on_exit));
    if (process.ok()) {
      const std::string line = absl::StrCat("spawn ", spec.worker.slot, " ", spec.generation.value,
                                            " ", (*process)->pid(), "\n");
      CHECK(::write(output_, line.data(), line.size()) == static_cast<ssize_t>(line.size()),
            "a line fits into the pipe");
    }
    return process;
  }
  absl::StatusOr<std::unique_ptr<supervisor::Process>> Adopt(const supervisor::Leftover& leftover,
                                                             supervisor::OnExit on_exit) override {
    return fake_.Adopt(leftover, std::move(on_exit));
  }
  std::vector<supervisor::Leftover> FindLeftovers() override { return {}; }
  void ReadLog(const supervisor::LogQuery& query, supervisor::LogDone done) override {
    fake_.ReadLog(query, std::move(done));
  }

  void Kill(int64_t pid) {
    fake_.End(pid, {supervisor::ExitReport::Kind::kSignaled, SIGKILL, {}, {}});
  }
  void Finish(int64_t pid) { fake_.Exit(pid, 0); }

 private:
  const int output_;
  testing::FakeLauncher fake_;
};

class FixedShards final : public supervisor::ShardDiscovery {
 public:
  explicit FixedShards(int32_t count) : count_(count) {}
  absl::StatusOr<int32_t> ShardCount(Duration) override { return count_; }

 private:
  const int32_t count_;
};

config::Config ConfigOf(const FleetOptions& options) {
  config::Config config;
  config::Pool pool;
  pool.name = "flush";
  pool.role = config::Role::kFlush;
  pool.replicas = options.workers;
  pool.max = 2 * options.workers;
  if (options.is_registered) {
    pool.scale_owner = config::ScaleOwner::kExternal;
    config.health.handover_timeout = kBenchHandover;
    config.health.silence_timeout = kBenchSilence;
  }
  config.pools = {pool};
  config.server.api = ApiAddress(options);
  config.server.gateway = GatewayAddress(options);
  return config;
}

class Server {
 public:
  explicit Server(const FleetOptions& options)
      : config_(ConfigOf(options)),
        pipes_(OpenPipes(options)),
        launcher_(loop_, pipes_.from_server.get()),
        discovery_(options.shards),
        supervisor_(std::make_unique<supervisor::Supervisor>(
            config_,
            supervisor::Parts{loop_, SystemClock(), launcher_, discovery_, 1, {}, nullptr})),
        input_(loop_, pipes_.to_server.get(), [this] { OnInput(); }) {}
  ~Server() {
    ending_ = {};
    supervisor_.reset();
  }

  absl::Status Run() {
    auto rpc = rpc::RpcServer::Start(config_.server, {"bench", ""}, {*supervisor_, *supervisor_});
    if (!rpc.ok()) return rpc.status();
    rpc_ = *std::move(rpc);
    supervisor_->Begin();
    loop_.Run();
    return absl::OkStatus();
  }

 private:
  void OnInput() {
    char bytes[4096];
    const ssize_t count = ::read(pipes_.to_server.get(), bytes, sizeof bytes);
    if (count <= 0) return;  // nothing there yet
    unread_.append(bytes, static_cast<size_t>(count));
    for (size_t end; (end = unread_.find('\n')) != std::string::npos; unread_.erase(0, end + 1)) {
      const std::vector<std::string> words = absl::StrSplit(unread_.substr(0, end), ' ');
      int64_t pid = 0;
      if (words[0] == "shutdown") {
        End();
      } else if (words.size() == 2 && absl::SimpleAtoi(words[1], &pid)) {
        words[0] == "exit" ? launcher_.Kill(pid) : launcher_.Finish(pid);
      }
    }
  }
  // As spillwayd ends that leaves its workers running.
  void End() {
    if (ending_.joinable()) return;
    ending_ = std::jthread([this] {
      rpc_->Shutdown(std::chrono::seconds(1));
      loop_.Stop();
    });
  }

  const config::Config config_;
  const Pipes pipes_;
  Loop loop_;
  AnnouncingLauncher launcher_;
  FixedShards discovery_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<rpc::RpcServer> rpc_;
  ReadWatch input_;
  std::string unread_;
  std::jthread ending_;
};

}  // namespace

std::string ApiAddress(const FleetOptions& options) {
  return absl::StrCat("unix:", options.folder, "/api.sock");
}

std::string GatewayAddress(const FleetOptions& options) {
  return absl::StrCat("unix:", options.folder, "/gateway.sock");
}

Pipes OpenPipes(const FleetOptions& options) {
  // Both ways at each end: opening never waits, and a pipe does not end with the other side.
  const auto open = [&](const char* name) {
    UniqueFd fd(::open(absl::StrCat(options.folder, name).c_str(), O_RDWR | O_CLOEXEC));
    CHECK(fd.get() >= 0, "MakePipes has made them");
    return fd;
  };
  return {open("/to_server"), open("/from_server")};
}

Pipes MakePipes(const FleetOptions& options) {
  for (const char* name : {"/to_server", "/from_server"}) {
    CHECK(::mkfifo(absl::StrCat(options.folder, name).c_str(), 0600) == 0, "the folder is new");
  }
  return OpenPipes(options);
}

int RunFleetUnderTest(const FleetOptions& options) {
  const absl::Status status = Server(options).Run();
  if (!status.ok()) Log(LogLevel::kError, "bench server", {{"error", status}});
  return status.ok() ? 0 : 1;
}

}  // namespace spillway::bench
