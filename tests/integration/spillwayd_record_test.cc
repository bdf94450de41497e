// spillwayd's state of record in the whole program: killed, locked out, damaged, full. Its workers
// are stand-ins, which never mind; Redis and Kafka are not there.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "spillway/v1/fleet.grpc.pb.h"
#include "tests/integration/spillwayd_place.h"
#include "tests/support/processes.h"
#include "tests/support/seeded_random.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr int kBadConfiguration = 78;

class SpillwaydRecordTest : public testing::SpillwaydPlace {
 protected:
  SpillwaydRecordTest() { fs::create_directory(points_); }
  ~SpillwaydRecordTest() override {
    if (server_) server_->Signal(SIGKILL);
    server_.reset();
  }

  std::vector<std::string> Arguments(const std::string& name, std::vector<std::string> more) {
    const std::string place = directory_.path() + "/" + name;
    more.insert(more.begin(), {bin_ + "/spillwayd", "--server.run_dir=" + place,
                               "--server.http=127.0.0.1:0", "--server.api=unix:" + place + ".api",
                               "--kafka.brokers=127.0.0.1:1", "--pools.ingest.replicas=1",
                               "--pools.flush.replicas=1", "--server.state=" + state_});
    return more;
  }
  // Starts a server and waits until it answers.
  void Start(const std::vector<std::string>& more = {}) {
    auto started = ChildProcess::Start(
        {Arguments("run", more), output_, {{"SPILLWAY_FAILPOINT_DIR", points_}}, false});
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    ASSERT_TRUE(Until([&] {
      stub_ = v1::FleetService::NewStub(Dial());  // one that has failed pauses for long
      return Pool("flush").has_value();
    })) << Output();
  }
  // Starts one that does not come up; its exit code.
  int StartInVain(const std::string& name, const std::vector<std::string>& more = {}) {
    auto started = ChildProcess::Start({Arguments(name, more), output_, {}, false});
    EXPECT_TRUE(started.ok()) << started.status();
    return started->WaitForExit(kLimit).value_or(-1);
  }
  void Kill() {
    server_->Signal(SIGKILL);
    ASSERT_TRUE(server_->WaitForExit(kLimit).ok());
  }
  void Restart() {
    Kill();
    Start();
  }

  // A connection of its own, which knows nothing of what others have met.
  std::shared_ptr<grpc::Channel> Dial() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("unix:" + directory_.path() + "/run.api",
                                     grpc::InsecureChannelCredentials(), arguments);
  }
  std::optional<v1::Pool> Pool(const std::string& name) {
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(seconds(5)));
    v1::GetPoolRequest request;
    request.set_name("pools/" + name);
    v1::Pool pool;
    if (!stub_->GetPool(&context, request, &pool).ok()) return std::nullopt;
    return pool;
  }
  int Desired() { return Pool("flush").value_or(v1::Pool()).desired(); }
  struct Answer {
    grpc::Status status;
    v1::Pool pool;
    std::string operation{};
  };
  Answer Resize(int32_t desired, const std::string& id = "") {
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(kLimit));
    v1::ResizePoolRequest request;
    request.set_name("pools/flush");
    request.set_desired(desired);
    request.set_request_id(id);
    Answer answer;
    v1::Operation operation;
    answer.status = stub_->ResizePool(&context, request, &operation);
    answer.operation = operation.name();
    answer.pool = operation.pool();
    return answer;
  }
  // As it is when it has ended, or after `timeout`.
  v1::Operation Operation(const std::string& name, seconds timeout = seconds(0)) {
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(kLimit));
    v1::WaitOperationRequest request;
    request.set_name(name);
    request.mutable_timeout()->set_seconds(timeout.count());
    v1::Operation operation;
    const grpc::Status status = stub_->WaitOperation(&context, request, &operation);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return operation;
  }
  v1::ListEventsResponse Events() {
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(kLimit));
    v1::ListEventsResponse events;
    const grpc::Status status = stub_->ListEvents(&context, v1::ListEventsRequest(), &events);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return events;
  }
  // "state" as the server's checks have it; empty: it is fine.
  std::string StateTrouble() {
    const auto stub = v1::ServerService::NewStub(Dial());
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(kLimit));
    v1::ServerInfo info;
    EXPECT_TRUE(stub->GetServerInfo(&context, v1::GetServerInfoRequest(), &info).ok());
    for (const v1::Check& check : info.checks()) {
      if (check.name() == "state" && !check.ok()) return check.detail();
    }
    return "";
  }

  const std::string points_ = directory_.path() + "/points";
  std::string state_ = directory_.path() + "/state.db";
  std::optional<ChildProcess> server_;
  std::unique_ptr<v1::FleetService::Stub> stub_;
};

TEST_F(SpillwaydRecordTest, AnAnsweredResizeHoldsAfterAKillAtOnce) {
  Start();
  ASSERT_TRUE(Resize(3).status.ok());
  Kill();
  Start();
  EXPECT_EQ(Desired(), 3);
  EXPECT_TRUE(Until([&] { return Workers().size() == 4; }));
}

// A kill while changes come one after another, at a dozen moments. What was answered holds; of what
// was not, nothing or all.
TEST_F(SpillwaydRecordTest, NoMomentOfAKillLosesAnAnsweredChange) {
  constexpr uint64_t kSeed = 5;
  constexpr int kMoments = 12;
  test_support::SeededRandom random(kSeed);
  Start();
  for (int moment = 0; moment < kMoments; ++moment) {
    int answered = Desired(), asked = answered;
    const Instant end = SystemClock().Now() + microseconds(random.Below(60'000));
    std::thread killer([&] {
      while (SystemClock().Now() < end) std::this_thread::yield();
      server_->Signal(SIGKILL);
    });
    while (true) {
      asked = asked % 8 + 1;
      if (!Resize(asked).status.ok()) break;
      answered = asked;
    }
    killer.join();
    ASSERT_TRUE(server_->WaitForExit(kLimit).ok());
    Start();
    EXPECT_THAT(Desired(), ::testing::AnyOf(answered, asked))
        << "seed " << kSeed << ", moment " << moment;
  }
}

TEST_F(SpillwaydRecordTest, AStoppedPoolStaysStopped) {
  Start();
  grpc::ClientContext context;
  v1::StopPoolRequest request;
  request.set_name("pools/flush");
  v1::Operation pool;
  ASSERT_TRUE(stub_->StopPool(&context, request, &pool).ok());
  Restart();
  EXPECT_EQ(Pool("flush")->state(), v1::POOL_STATE_STOPPED);
  EXPECT_TRUE(Until([&] { return Workers().size() == 1; })) << "only ingest's";
}

TEST_F(SpillwaydRecordTest, AnEtagReadBeforeARestartStillTellsWhetherTheWishHasChanged) {
  Start();
  const std::string old = Pool("flush")->etag();
  ASSERT_TRUE(Resize(3, "").status.ok());
  const std::string newest = Pool("flush")->etag();
  Restart();
  EXPECT_EQ(Pool("flush")->etag(), newest);
  const auto stop = [this](const std::string& etag) {
    grpc::ClientContext context;
    v1::StopPoolRequest request;
    request.set_name("pools/flush");
    request.set_etag(etag);
    v1::Operation pool;
    return stub_->StopPool(&context, request, &pool).error_code();
  };
  EXPECT_EQ(stop(old), grpc::StatusCode::ABORTED);
  EXPECT_EQ(stop(newest), grpc::StatusCode::OK);
}

TEST_F(SpillwaydRecordTest, ARepeatedRequestChangesNothingAfterARestart) {
  Start();
  const Answer first = Resize(3, "first");
  ASSERT_TRUE(first.status.ok());
  ASSERT_TRUE(Resize(2, "second").status.ok());
  Restart();
  const Answer again = Resize(3, "first");
  ASSERT_TRUE(again.status.ok()) << again.status.error_message();
  EXPECT_EQ(again.pool.desired(), 3) << "as it was answered";
  EXPECT_EQ(again.pool.etag(), first.pool.etag());
  EXPECT_EQ(Desired(), 2) << "and nothing changed";
  EXPECT_EQ(Resize(4, "first").status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// The stand-ins never report: a resize up goes on for ever, and a stop ends by itself.
TEST_F(SpillwaydRecordTest, AKillInTheMiddleLosesNoOperation) {
  Start();
  const Answer resize = Resize(3, "resize");
  ASSERT_TRUE(resize.status.ok());
  EXPECT_EQ(resize.operation, "operations/1");
  Restart();
  const v1::Operation running = Operation("operations/1");
  EXPECT_EQ(running.state(), v1::OPERATION_STATE_RUNNING);
  EXPECT_EQ(running.target(), "pools/flush");
  EXPECT_THAT(running.detail(), HasSubstr("0 of 3 ready"));
  EXPECT_TRUE(Until([&] { return Operation("operations/1").workers_size() == 3; }));
  EXPECT_EQ(Resize(3, "resize").operation, "operations/1") << "a repeated request begins nothing";

  grpc::ClientContext context;
  v1::StopPoolRequest request;
  request.set_name("pools/flush");
  v1::Operation stop;
  ASSERT_TRUE(stub_->StopPool(&context, request, &stop).ok());
  EXPECT_EQ(stop.name(), "operations/2");
  EXPECT_EQ(stop.pool().state(), v1::POOL_STATE_STOPPED);
  Restart();
  const v1::Operation stopped = Operation("operations/2", seconds(20));
  EXPECT_EQ(stopped.state(), v1::OPERATION_STATE_SUCCEEDED) << stopped.DebugString();
  const v1::Operation superseded = Operation("operations/1");
  EXPECT_EQ(superseded.state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(superseded.detail(), "superseded by operations/2");
  EXPECT_TRUE(superseded.has_end_time());
}

TEST_F(SpillwaydRecordTest, ACancelledResizeIsAsItWasBeforeAlsoInTheNextServer) {
  Start();
  ASSERT_TRUE(Resize(3).status.ok());
  Restart();
  const auto cancel = [this] {
    grpc::ClientContext context;
    v1::CancelOperationRequest request;
    request.set_name("operations/1");
    v1::Operation operation;
    const grpc::Status status = stub_->CancelOperation(&context, request, &operation);
    return std::make_pair(status.error_code(), operation);
  };
  const auto [code, operation] = cancel();
  EXPECT_EQ(code, grpc::StatusCode::OK);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(operation.pool().desired(), 1);
  EXPECT_EQ(cancel().first, grpc::StatusCode::FAILED_PRECONDITION) << "it has ended";
  Restart();
  EXPECT_EQ(Desired(), 1);
  EXPECT_EQ(Operation("operations/1").state(), v1::OPERATION_STATE_CANCELLED);
}

// Built with failpoints: the moment between record and answer.
TEST_F(SpillwaydRecordTest, AChangeOnRecordButNotAnsweredHoldsAndIsNotDoneTwice) {
#ifndef SPILLWAY_FAILPOINTS
  GTEST_SKIP() << "this build has no failpoints";
#endif
  Start();
  std::ofstream(points_ + "/server.change.recorded") << 1;
  EXPECT_FALSE(Resize(3, "lost").status.ok());
  ASSERT_TRUE(server_->WaitForExit(kLimit).ok());
  Start();
  EXPECT_EQ(Desired(), 3);
  EXPECT_TRUE(Resize(3, "lost").status.ok());
  int resizes = 0;
  const v1::ListEventsResponse journal = Events();
  for (const v1::Event& event : journal.events()) resizes += event.action() == "ResizePool";
  EXPECT_EQ(resizes, 1);
}

TEST_F(SpillwaydRecordTest, TheJournalSaysWhoDidWhatAcrossServers) {
  Start();
  ASSERT_TRUE(Resize(2).status.ok());
  EXPECT_FALSE(Resize(99).status.ok());
  ASSERT_TRUE(Until([&] { return Events().events_size() == 3; }));
  Restart();
  const v1::ListEventsResponse journal = Events();
  ASSERT_EQ(journal.events_size(), 4);
  EXPECT_EQ(journal.events(0).action(), "StartServer");
  EXPECT_EQ(journal.events(1).outcome(), "OUT_OF_RANGE");
  EXPECT_EQ(journal.events(2).before(), "desired 1, min 1, max 8, RUNNING");
  EXPECT_EQ(journal.events(2).after(), "desired 2, min 1, max 8, RUNNING");
  EXPECT_THAT(journal.events(2).actor(), HasSubstr("grpc-c++"));
  EXPECT_EQ(journal.events(3).action(), "StartServer");
}

TEST_F(SpillwaydRecordTest, AChangedConfigurationWinsAndThatIsSaid) {
  Start();
  ASSERT_TRUE(Resize(5).status.ok());
  Kill();
  Start({"--pools.flush.replicas=2"});
  EXPECT_EQ(Desired(), 2);
  const v1::ListEventsResponse journal = Events();
  ASSERT_GE(journal.events_size(), 2);
  EXPECT_EQ(journal.events(1).action(), "ApplyConfiguration");
  Kill();
  Start({"--pools.flush.replicas=2"});
  ASSERT_TRUE(Resize(6).status.ok());
  Kill();
  Start({"--pools.flush.replicas=2"});
  EXPECT_EQ(Desired(), 6);
}

// P12b, as far as it shows without Redis.
TEST_F(SpillwaydRecordTest, WithoutItsRecordTheConfigurationHolds) {
  Start();
  ASSERT_TRUE(Resize(2).status.ok());
  ASSERT_TRUE(Until([&] { return Workers().size() == 3; }));
  const std::vector<int64_t> before = Workers();
  Kill();
  for (const char* part : {"", "-wal", "-shm"}) fs::remove(state_ + part);
  Start({"--pools.flush.replicas=2"});
  EXPECT_EQ(Desired(), 2);
  EXPECT_EQ(Workers(), before);
}

// P13.
TEST_F(SpillwaydRecordTest, ASecondServerOnTheSameStateIsToldTheFirstsPid) {
  Start();
  EXPECT_EQ(StartInVain("other"), 1);
  EXPECT_THAT(Output(),
              HasSubstr("server.state: " + state_ + ": another spillwayd has it, process " +
                        std::to_string(server_->pid())));
  EXPECT_TRUE(Pool("flush").has_value()) << "the first goes on";
}

// P15: corrupt.
TEST_F(SpillwaydRecordTest, ADamagedStateIsNamedAndTheWorkersRunOn) {
  Start();
  ASSERT_TRUE(Resize(2).status.ok());
  ASSERT_TRUE(Until([&] { return Workers().size() == 3; }));
  const std::vector<int64_t> before = Workers();
  Kill();
  for (const char* part : {"-wal", "-shm"}) fs::remove(state_ + part);
  fs::rename(state_, state_ + ".good");
  std::ofstream(state_) << std::string(20'000, 'x');

  EXPECT_EQ(StartInVain("run"), kBadConfiguration);

  EXPECT_THAT(Output(), HasSubstr("server.state: " + state_));
  EXPECT_THAT(Output(), HasSubstr("put a backup in its place, or move it away"));
  EXPECT_EQ(Workers(), before);
  fs::rename(state_, state_ + ".bad");
  Start({"--pools.flush.replicas=2"});
  EXPECT_EQ(Workers(), before) << "adopted";
}

// P15: a disk that takes no more, while running.
TEST_F(SpillwaydRecordTest, AFullDiskRefusesChangesAndNothingElse) {
  Start();
  ASSERT_TRUE(Until([&] { return Workers().size() == 2; }));
  const std::vector<int64_t> before = Workers();
  rlimit none{}, usual{};
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_FSIZE, nullptr, &usual), 0);
  none.rlim_max = usual.rlim_max;
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_FSIZE, &none, nullptr), 0);

  const Answer refused = Resize(3);

  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("server.state: " + state_));
  EXPECT_THAT(refused.status.error_details(), HasSubstr("STATE_NOT_WRITABLE"));
  EXPECT_EQ(Desired(), 1);
  EXPECT_TRUE(Until([&] { return !StateTrouble().empty(); }));
  EXPECT_EQ(Workers(), before);
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_FSIZE, &usual, nullptr), 0);
  EXPECT_TRUE(Until([&] { return StateTrouble().empty(); })) << "noticed by itself";
  EXPECT_TRUE(Resize(3).status.ok());
}

// P15: a file system of its own, which is full, or may only be read.
class SmallDiskTest : public SpillwaydRecordTest {
 protected:
  void SetUp() override {
    fs::create_directory(disk_);
    if (mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=256k") != 0) {
      GTEST_SKIP() << "no right to mount a tmpfs: " << std::strerror(errno);
    }
    state_ = disk_ + "/state.db";
  }
  void TearDown() override {
    if (server_) Kill();
    umount2(disk_.c_str(), MNT_DETACH);
  }
  const std::string disk_ = directory_.path() + "/disk";
};

TEST_F(SmallDiskTest, AFullOneIsNamedAtStart) {
  std::ofstream(disk_ + "/rest") << std::string(256 << 10, 'x');
  EXPECT_EQ(StartInVain("run"), 1) << "may be tried again";
  EXPECT_THAT(Output(), HasSubstr("server.state: "));
  EXPECT_THAT(Output(), HasSubstr("No space left on device"));
}

TEST_F(SmallDiskTest, OneThatFillsUpRefusesChangesUntilThereIsRoom) {
  Start();
  std::ofstream(disk_ + "/rest") << std::string(256 << 10, 'x');
  Answer answer;
  EXPECT_TRUE(Until([&] {
    answer = Resize(Desired() % 8 + 1);
    return !answer.status.ok();
  }));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("full"));
  const int desired = Desired();
  fs::remove(disk_ + "/rest");
  EXPECT_TRUE(Until([&] { return StateTrouble().empty(); }));
  Restart();
  EXPECT_EQ(Desired(), desired);
}

TEST_F(SmallDiskTest, OneThatMayOnlyBeReadIsNamed) {
  ASSERT_EQ(mount("tmpfs", disk_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=256k"), 0);
  EXPECT_EQ(StartInVain("run"), kBadConfiguration);
  EXPECT_THAT(Output(), HasSubstr("Read-only file system: expected a folder that this user may"));
}

}  // namespace
}  // namespace spillway
