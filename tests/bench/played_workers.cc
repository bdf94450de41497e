#include "tests/bench/played_workers.h"

#include <unistd.h>

#include <cstdio>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace spillway::bench {

class PlayedWorkers::Role final : public worker::WorkerRole {
 public:
  explicit Role(PlayedWorkers& workers) : workers_(workers) {}

  void Start() override {}
  void Obey(const wire::Order& order) override {
    order_ = order;
    if (order.drain) workers_.last_drain_order_ = SystemClock().Now();
  }
  // Every shard has moved on since the last report, as under load.
  wire::WorkerReport Report() const override {
    wire::WorkerReport report;
    report.is_ready = report.is_redis_ok = report.is_kafka_ok = true;
    report.order_sequence = order_.sequence;
    report.is_draining = report.is_drained = is_drained_;
    ++reports_;
    if (is_drained_) return report;
    for (const ShardId shard : order_.shards) {
      wire::ShardReport& part = report.shards.emplace_back();
      part.shard = shard;
      part.stage = wire::ShardStage::kOwned;
      part.epoch = {1 + order_.sequence, 1};
      part.progress = part.segments = reports_;
      part.spans = 5 * reports_;
      part.backlog = reports_ % 7;
      part.has_work = true;
      part.lateness = std::chrono::milliseconds(reports_ % 50);
    }
    return report;
  }
  void Drain(absl::AnyInvocable<void(absl::Status)> drained) override {
    is_drained_ = true;
    drained(absl::OkStatus());
  }

  const wire::Order& order() const { return order_; }

 private:
  PlayedWorkers& workers_;
  wire::Order order_;
  bool is_drained_ = false;
  mutable uint64_t reports_ = 0;
};

struct PlayedWorkers::Worker {
  int32_t slot = 0;
  std::unique_ptr<Role> role;
  std::unique_ptr<worker::ControlLink> link;
};

PlayedWorkers::PlayedWorkers(std::string gateway, const Pipes& pipes)
    : gateway_(std::move(gateway)),
      pipes_(pipes),
      lines_(std::make_unique<ReadWatch>(loop_, pipes.from_server.get(), [this] { OnLines(); })),
      thread_([this] { loop_.Run(); }) {}

PlayedWorkers::~PlayedWorkers() {
  Call([this] {
    workers_.clear();
    lines_.reset();
  });
  loop_.Stop();
}

Heard PlayedWorkers::Listen() {
  Heard heard;
  Call([&] {
    heard.last_drain_order = last_drain_order_;
    heard.last_spawn = last_spawn_;
    for (const auto& [pid, worker] : workers_) {
      if (worker->link->is_attached()) ++heard.attached;
      for (const ShardId shard : worker->role->order().shards) {
        heard.shards[worker->slot].insert(shard.value);
        ++heard.owned_shards;
      }
    }
  });
  return heard;
}

Instant PlayedWorkers::Kill(int32_t slot) {
  Instant when;
  Call([&] {
    for (auto at = workers_.begin(); at != workers_.end(); ++at) {
      if (at->second->slot != slot) continue;
      const int64_t pid = at->first;
      workers_.erase(at);
      when = SystemClock().Now();
      return Tell(absl::StrCat("exit ", pid, "\n"));
    }
  });
  return when;
}

void PlayedWorkers::Register(int32_t count) {
  Call([&] {
    for (int32_t number = 0; number < count; ++number) {
      wire::Hello hello;
      hello.uid = absl::StrCat("played-", number);
      hello.pid = number + 1;
      hello.is_registered = true;
      Attach(std::move(hello), number);
    }
  });
}

Instant PlayedWorkers::Vanish(int32_t number) {
  Instant when;
  Call([&] {
    workers_.erase(number + 1);
    when = SystemClock().Now();
  });
  return when;
}

void PlayedWorkers::ShutServerDown() {
  Call([this] { Tell("shutdown\n"); });
}

void PlayedWorkers::OnLines() {
  char bytes[4096];
  const ssize_t count = ::read(pipes_.from_server.get(), bytes, sizeof bytes);
  if (count <= 0) return;
  unread_.append(bytes, static_cast<size_t>(count));
  for (size_t end; (end = unread_.find('\n')) != std::string::npos; unread_.erase(0, end + 1)) {
    int slot = 0;
    unsigned long long generation = 0;
    long long pid = 0;
    if (std::sscanf(unread_.c_str(), "spawn %d %llu %lld\n", &slot, &generation, &pid) == 3) {
      Spawn(slot, generation, pid);
    }
  }
}

void PlayedWorkers::Spawn(int32_t slot, uint64_t generation, int64_t pid) {
  last_spawn_ = SystemClock().Now();
  wire::Hello hello;
  hello.uid = absl::StrCat(pid);
  hello.pid = pid;
  hello.slot = slot;
  hello.generation = {generation};
  Attach(std::move(hello), slot);
}

void PlayedWorkers::Attach(wire::Hello hello, int32_t slot) {
  const int64_t pid = hello.pid;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  auto worker = std::make_unique<Worker>();
  worker->slot = slot;
  worker->role = std::make_unique<Role>(*this);
  worker->link = std::make_unique<worker::ControlLink>(
      worker::LinkConfig{.gateway = gateway_, .hello = hello, .redial = {}}, loop_, *worker->role,
      worker::LinkEvents{.drain_ordered = [this, pid] { Leave(pid); }, .dismissed = [](auto) {}});
  worker->link->Start();
  workers_[pid] = std::move(worker);
}

void PlayedWorkers::Leave(int64_t pid) {
  Worker& worker = *workers_.at(pid);
  worker.role->Drain([](const absl::Status&) {});
  worker.link->SayGoodbye("drained", std::chrono::seconds(1), [this, pid] {
    loop_.Post([this, pid] {
      workers_.erase(pid);
      Tell(absl::StrCat("done ", pid, "\n"));
    });
  });
}

void PlayedWorkers::Tell(const std::string& line) {
  CHECK(::write(pipes_.to_server.get(), line.data(), line.size()) ==
            static_cast<ssize_t>(line.size()),
        "the server reads its orders");
}

void PlayedWorkers::Call(std::function<void()> task) {
  std::promise<void> done;
  loop_.Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace spillway::bench
