// `spillway` against a real server over a fake fleet.
#ifndef SPILLWAY_TESTS_CLIENT_COMMAND_LINE_FIXTURE_H_
#define SPILLWAY_TESTS_CLIENT_COMMAND_LINE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "buffer/ledger.h"
#include "client/command_line.h"
#include "server/rpc/rpc_server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_fleet.h"
#include "tests/support/memory_record_store.h"
#include "tests/support/sample_fleet.h"

namespace spillway::client {

struct Result {
  ExitCode code = kExitFailed;
  std::string out, err;
};

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    config::Server config;
    config.api = "unix:" + directory_ + "/api.sock";
    config.gateway = "unix:" + directory_ + "/gateway.sock";
    server_address_ = config.api;
    fleet_.Publish(SampleFleet(clock_.Now()));
    fleet_.OnAudit([](std::optional<ShardId>) { return std::vector{SampleAudit(0)}; });
    fleet_.OnCaptureStacks([](const fleet::WorkerKey&) {
      return supervisor::StackReport{
          "", "epoll_wait <- main",
          "process 41\nthread 41 worker (S)\n    0x1f epoll_wait in libc.so.6\n",
          "/run/spillway/stacks/flush-0-g1-5.txt"};
    });
    fleet_.OnReadLog([](const supervisor::LogQuery&) {
      return supervisor::LogPage{{"info  worker starts", "info  Redis is connected"}, 40};
    });
    WriteHistory();
    auto server = rpc::RpcServer::Start(config, {"test", "127.0.0.1:7480"},
                                        {fleet_, fleet_, clock_, &recorder_});
    if (server.ok()) server_ = *std::move(server);
  }
  ~CommandLineTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void SetUp() override { ASSERT_NE(server_, nullptr); }

  // A resize, its refusal, and the end of a worker.
  void WriteHistory() {
    record::Change change;
    change.events.resize(3);
    for (record::Event& event : change.events) {
      event.time = clock_.Wall();
      event.actor = "ipv4:127.0.0.1:40312 spillway/0.1.0 (alice)";
      event.action = "ResizePool";
      event.target = "pools/flush";
      event.outcome = "OK";
    }
    change.events[0].before = "desired 1, min 1, max 8, RUNNING";
    change.events[0].after = "desired 3, min 1, max 8, RUNNING";
    change.events[1].after = "desired 99";
    change.events[1].outcome = "OUT_OF_RANGE";
    change.events[1].detail = "desired: 99: expected from 1 to 8";
    change.events[2].actor = "spillwayd";
    change.events[2].action = "worker killed";
    change.events[2].target = "pools/flush/workers/1";
    change.events[2].detail = "it did not end by itself";
    change.deaths.resize(2);
    for (record::Death& death : change.deaths) {
      death.time = clock_.Wall();
      death.pool = "flush";
      death.slot = 1;
      death.pid = 4711;
      death.generation = {3};
      death.kind = record::EndKind::kSignaled;
      death.value = 9;
      death.reason = "SILENT: no report for 15 s; killed by SIGKILL 61 s after its start";
      death.last_lines = {"first line", "last line"};
    }
    change.deaths[1].pool = "ingest";
    change.deaths[1].kind = record::EndKind::kExited;
    change.deaths[1].value = 0;
    change.deaths[1].is_expected = true;
    change.deaths[1].reason = "exited with 0 3.0 s after its start";
    change.deaths[1].last_lines.clear();
    EXPECT_TRUE(disk_.Commit(change).ok());
  }

  Result Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--server", server_address_});
    std::ostringstream out, err;
    Result result;
    result.code = RunCommandLine(arguments, {out, err});
    result.out = out.str();
    result.err = err.str();
    return result;
  }

  // Everything healthy and every shard in its place.
  supervisor::FleetSnapshot Settled() {
    supervisor::FleetSnapshot fleet = HealthyFleet(clock_.Now());
    fleet.shards[1].flush_worker = fleet.shards[1].flush_worker_desired;
    return fleet;
  }

  std::string directory_, server_address_;
  FakeClock clock_;
  FakeFleet fleet_;
  testing::RecordDisk disk_;
  record::Recorder recorder_{std::make_unique<testing::MemoryRecordStore>(disk_), clock_};
  std::unique_ptr<rpc::RpcServer> server_;
};

}  // namespace spillway::client

#endif  // SPILLWAY_TESTS_CLIENT_COMMAND_LINE_FIXTURE_H_
