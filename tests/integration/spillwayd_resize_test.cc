// Two thousand resizes of the real program in a row, with real processes that come and go: it keeps
// no descriptor, no process, no thread and no memory of them.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "spillway/v1/fleet.grpc.pb.h"
#include "tests/integration/spillwayd_place.h"
#include "tests/support/processes.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

// The server remembers the newest 1,000 request ids.
constexpr int kWarmUp = 1200, kResizes = 2000;
// What an allocator keeps in its pockets; a leaked worker, snapshot or request costs over 1 KiB
// each time.
constexpr int64_t kSlackKib = 2048;

struct Holdings {
  int64_t descriptors = 0, threads = 0, resident_kib = 0;
};

class SpillwaydResizeTest : public testing::SpillwaydPlace {
 protected:
  SpillwaydResizeTest() {
    const std::string api = "unix:" + directory_.path() + "/api";
    auto started = ChildProcess::Start(
        {{bin_ + "/spillwayd", "--server.run_dir=" + run_dir_, "--server.http=127.0.0.1:0",
          "--server.api=" + api, "--kafka.brokers=127.0.0.1:1", "--pools.ingest.replicas=1",
          "--pools.flush.replicas=1", "--log.level=error",
          "--server.state=" + directory_.path() + "/state.db"},
         output_,
         {},
         false});
    EXPECT_TRUE(started.ok()) << started.status();
    server_.emplace(*std::move(started));
    stub_ = v1::FleetService::NewStub(grpc::CreateChannel(api, grpc::InsecureChannelCredentials()));
  }
  ~SpillwaydResizeTest() override {
    server_->Signal(SIGKILL);
    server_.reset();
  }

  grpc::Status Resize(int32_t desired) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(WallDeadline(kLimit));
    v1::ResizePoolRequest request;
    request.set_name("pools/flush");
    request.set_desired(desired);
    request.set_request_id(std::to_string(++request_));
    v1::Operation operation;
    return stub_->ResizePool(&context, request, &operation);
  }

  // Processes that the server has started and not reaped, zombies too.
  int64_t Children() const {
    int64_t count = 0;
    for (const auto& task :
         fs::directory_iterator("/proc/" + std::to_string(server_->pid()) + "/task")) {
      std::ifstream file(task.path() / "children");
      for (int64_t pid = 0; file >> pid;) ++count;
    }
    return count;
  }
  bool UntilSettled() {
    return Until([&] { return Children() == 2 && Workers().size() == 2; });
  }
  Holdings Look() const {
    const std::string place = "/proc/" + std::to_string(server_->pid());
    Holdings seen;
    for (const auto& entry : fs::directory_iterator(place + "/fd")) {
      seen.descriptors += !entry.path().empty();
    }
    std::ifstream status(place + "/status");
    for (std::string word; status >> word;) {
      if (word == "Threads:") status >> seen.threads;
      if (word == "VmRSS:") status >> seen.resident_kib;
    }
    return seen;
  }
  // One, two or three more workers, then one again.
  void ResizeOften(int times) {
    for (int i = 0; i < times; ++i) {
      const grpc::Status status = Resize(i % 2 == 0 ? 2 + i / 2 % 3 : 1);
      ASSERT_TRUE(status.ok()) << status.error_message() << Output();
    }
    ASSERT_TRUE(UntilSettled()) << Children() << " children; " << Output();
  }

  std::optional<ChildProcess> server_;
  std::unique_ptr<v1::FleetService::Stub> stub_;
  int request_ = 0;
};

TEST_F(SpillwaydResizeTest, TwoThousandResizesLeakNothing) {
  ASSERT_NO_FATAL_FAILURE(ResizeOften(kWarmUp));
  const Holdings before = Look();
  ASSERT_NO_FATAL_FAILURE(ResizeOften(kResizes));
  // Timers and answers that are still under way hold descriptors for a moment.
  EXPECT_TRUE(Until([&] { return Look().descriptors <= before.descriptors; }))
      << before.descriptors << " descriptors before, " << Look().descriptors << " after";
  EXPECT_TRUE(Until([&] { return Look().threads <= before.threads + 2; }))
      << before.threads << " threads before, " << Look().threads << " after";
  EXPECT_LE(Look().resident_kib, before.resident_kib + kSlackKib);
  RecordProperty("grown_kib", static_cast<int>(Look().resident_kib - before.resident_kib));
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(run_dir_)) files.insert(entry.path().filename());
  EXPECT_LE(files.size(), 20u) << "files in the run directory: a few for each of four slots";
}

}  // namespace
}  // namespace spillway
