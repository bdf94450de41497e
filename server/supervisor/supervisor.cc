// The supervisor's outside: calls from any thread become tasks of the loop.
#include "server/supervisor/supervisor.h"

#include <utility>

#include "server/supervisor/core.h"

namespace spillway::supervisor {

Supervisor::Supervisor(const config::Config& config, Parts parts)
    : core_(std::make_shared<Core>(config, parts)) {}

Supervisor::~Supervisor() { core_->Close(); }

void Supervisor::Begin() { core_->Begin(); }

void Supervisor::Drain(absl::AnyInvocable<void(absl::Status)> done) {
  core_->Drain(std::move(done));
}

Duration Supervisor::DrainBudget() const {
  // A second for the ends of killed processes to be seen.
  return core_->limits().drain_timeout + core_->limits().term_timeout + std::chrono::seconds(1);
}

SnapshotPtr Supervisor::Snapshot() const { return core_->Snapshot(); }

std::unique_ptr<Subscription> Supervisor::Subscribe(SnapshotListener listener) {
  auto listening = std::make_shared<Listening>(std::move(listener));
  core_->loop().Post([core = core_, listening] { core->Subscribe(listening); });
  return std::make_unique<SubscriptionHandle>(std::move(listening));
}

void Supervisor::Resize(ResizeRequest request, PoolDone done) {
  core_->loop().Post(
      [core = core_, request = std::move(request), done = std::move(done)]() mutable {
        core->Resize(std::move(request), std::move(done));
      });
}

void Supervisor::Start(std::string pool, Origin origin, PoolDone done) {
  fleet::PoolStarted verb{pool};
  Act("StartPool", std::move(verb), std::move(pool), std::move(origin), std::move(done));
}

void Supervisor::Stop(std::string pool, Origin origin, PoolDone done) {
  fleet::PoolStopped verb{pool};
  Act("StopPool", std::move(verb), std::move(pool), std::move(origin), std::move(done));
}

void Supervisor::Pause(std::string pool, Origin origin, PoolDone done) {
  fleet::PoolPaused verb{pool};
  Act("PausePool", std::move(verb), std::move(pool), std::move(origin), std::move(done));
}

void Supervisor::Resume(std::string pool, Origin origin, PoolDone done) {
  fleet::PoolResumed verb{pool};
  Act("ResumePool", std::move(verb), std::move(pool), std::move(origin), std::move(done));
}

void Supervisor::Act(const char* action, fleet::Event verb, std::string pool, Origin origin,
                     PoolDone done) {
  core_->loop().Post([core = core_, action, verb = std::move(verb), pool = std::move(pool),
                      origin = std::move(origin), done = std::move(done)]() mutable {
    core->Act(action, std::move(verb), std::move(pool), std::move(origin), std::move(done));
  });
}

void Supervisor::DrainPool(std::string pool, Duration timeout, Origin origin, PoolDone done) {
  core_->loop().Post([core = core_, pool = std::move(pool), timeout, origin = std::move(origin),
                      done = std::move(done)]() mutable {
    core->DrainPool(std::move(pool), timeout, std::move(origin), std::move(done));
  });
}

void Supervisor::Restart(RestartRequest request, PoolDone done) {
  core_->loop().Post(
      [core = core_, request = std::move(request), done = std::move(done)]() mutable {
        core->Restart(std::move(request), std::move(done));
      });
}

void Supervisor::RestartWorker(fleet::WorkerKey worker, Origin origin, PoolDone done) {
  core_->loop().Post([core = core_, worker = std::move(worker), origin = std::move(origin),
                      done = std::move(done)]() mutable {
    core->RestartWorker(std::move(worker), std::move(origin), std::move(done));
  });
}

void Supervisor::RestartShard(ShardId shard, Origin origin, PoolDone done) {
  core_->loop().Post(
      [core = core_, shard, origin = std::move(origin), done = std::move(done)]() mutable {
        core->RestartShard(shard, std::move(origin), std::move(done));
      });
}

void Supervisor::CancelOperation(int64_t number, Origin origin, PoolDone done) {
  core_->loop().Post(
      [core = core_, number, origin = std::move(origin), done = std::move(done)]() mutable {
        core->CancelOperation(number, std::move(origin), std::move(done));
      });
}

void Supervisor::WaitOperation(int64_t number, Duration timeout, OperationDone done) {
  core_->loop().Post([core = core_, number, timeout, done = std::move(done)]() mutable {
    core->WaitOperation(number, timeout, std::move(done));
  });
}

void Supervisor::CreatePool(PoolCreation creation, PoolDone done) {
  core_->loop().Post(
      [core = core_, creation = std::move(creation), done = std::move(done)]() mutable {
        core->CreatePool(std::move(creation), std::move(done));
      });
}

void Supervisor::SetDropRule(DropRuleSetting setting, PoolDone done) {
  core_->loop().Post(
      [core = core_, setting = std::move(setting), done = std::move(done)]() mutable {
        core->SetDropRule(std::move(setting), std::move(done));
      });
}

void Supervisor::DeleteDropRule(std::string name, Origin origin, PoolDone done) {
  core_->loop().Post([core = core_, name = std::move(name), origin = std::move(origin),
                      done = std::move(done)]() mutable {
    core->DeleteDropRule(std::move(name), std::move(origin), std::move(done));
  });
}

void Supervisor::UpdatePool(PoolUpdate update, PoolDone done) {
  core_->loop().Post([core = core_, update = std::move(update), done = std::move(done)]() mutable {
    core->UpdatePool(std::move(update), std::move(done));
  });
}

void Supervisor::DeletePool(PoolDeletion deletion, PoolDone done) {
  core_->loop().Post(
      [core = core_, deletion = std::move(deletion), done = std::move(done)]() mutable {
        core->DeletePool(std::move(deletion), std::move(done));
      });
}

void Supervisor::Audit(std::optional<ShardId> shard, AuditDone done) {
  core_->loop().Post([core = core_, shard, done = std::move(done)]() mutable {
    core->Audit(shard, std::move(done));
  });
}

void Supervisor::CaptureStacks(fleet::WorkerKey worker, CaptureDone done) {
  core_->loop().Post([core = core_, worker = std::move(worker), done = std::move(done)]() mutable {
    core->CaptureStacks(worker, std::move(done));
  });
}

void Supervisor::ReadLog(LogQuery query, LogDone done) {
  core_->loop().Post([core = core_, query = std::move(query), done = std::move(done)]() mutable {
    core->ReadLog(std::move(query), std::move(done));
  });
}

void Supervisor::Attach(wire::Hello hello, std::shared_ptr<WorkerLink> link,
                        absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done) {
  core_->loop().Post([core = core_, hello = std::move(hello), link = std::move(link),
                      done = std::move(done)]() mutable {
    core->Attach(hello, std::move(link), std::move(done));
  });
}

void Supervisor::Report(LinkId link, wire::WorkerReport report) {
  core_->loop().Post([core = core_, link, report = std::move(report)]() mutable {
    core->Report(link, std::move(report));
  });
}

void Supervisor::Goodbye(LinkId link, wire::Goodbye goodbye) {
  core_->loop().Post(
      [core = core_, link, goodbye = std::move(goodbye)] { core->Goodbye(link, goodbye); });
}

void Supervisor::Detach(LinkId link) {
  core_->loop().Post([core = core_, link] { core->Detach(link); });
}

}  // namespace spillway::supervisor
