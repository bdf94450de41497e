#include "server/supervisor/core.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "server/supervisor/drop_rules.h"
#include "server/supervisor/recorded_pools.h"

namespace spillway::supervisor {
namespace {

fleet::Exited ToEvent(const ExitReport& report) {
  fleet::Exited exited;
  switch (report.kind) {
    case ExitReport::Kind::kExited:
      exited.kind = fleet::Exited::Kind::kExited;
      break;
    case ExitReport::Kind::kSignaled:
      exited.kind = fleet::Exited::Kind::kSignaled;
      break;
    case ExitReport::Kind::kUnknown:
      exited.kind = fleet::Exited::Kind::kUnknown;
      break;
  }
  exited.value = report.value;
  exited.last_lines = report.last_lines;
  exited.user_cpu = report.user_cpu;
  exited.system_cpu = report.system_cpu;
  exited.max_rss_bytes = report.max_rss_bytes;
  exited.in_hand = report.in_hand;
  exited.memory_kill = report.memory_kill;
  return exited;
}

}  // namespace

Supervisor::Core::Core(const config::Config& config, Parts parts)
    : parts_(parts),
      limits_(fleet::LimitsFrom(config, parts.ends, parts.seed)),
      etag_salt_(parts.recorder == nullptr ? parts.seed : parts.record_identity),
      config_(config),
      fleet_(fleet::MakeFleet(config, static_cast<uint64_t>(parts.clock.Wall().us),
                              parts.clock.Now())),
      gathering_(parts.loop,
                 [this] {
                   TakeReports();
                   HandleEvents();
                 }),
      operations_(parts.operations),
      wait_timer_(parts.loop, [this] { AnswerWaits(); }),
      drop_rule_timer_(parts.loop, [this] { EndExpiredDropRules(); }),
      config_records_(parts.config_records),
      config_state_(parts.config_rollout.state),
      log_timer_(parts.loop, [this] { RetryLogs(); }),
      discovery_timer_(parts.loop, [this] { Discover(); }),
      tick_(parts.loop, [this] { Apply(fleet::Tick{}); }) {
  for (const record::PoolRecord& record : parts.created) fleet_.pools.push_back(PoolOf(record));
  for (const record::PoolWish& wish : parts.wishes) {
    for (fleet::Pool& pool : fleet_.pools) {
      if (pool.name != wish.pool) continue;
      pool.desired = wish.sizes.desired;
      pool.min = wish.sizes.min;
      pool.max = wish.sizes.max;
      pool.state = StateOf(wish.state);
      pool.is_state_said = true;  // by the record, which knows better than the workers
      const auto revision = parts.revisions.find(pool.name);
      if (revision != parts.revisions.end()) pool.revision = revision->second;
    }
  }
  fleet_.config = parts.config_rollout;
  ResumeOperations();
  for (const record::DropRule& rule : parts.drop_rules) drop_rules_[rule.rule.name] = rule;
  fleet_.drop_rules = RulesOf(drop_rules_);
  drop_rule_views_ = ViewsOf(drop_rules_);
  discovery_.topic = config.input.topic;
  books_ = std::make_shared<ShardBooks>(
      parts.loop, parts.clock, parts.store,
      ShardBooks::Hooks{[this] { return KnownShards(); }, [this] { MarkChanged(); }});
  Publish();
}

void Supervisor::Core::Begin() {
  fleet::FoundLeftovers found;
  for (const Leftover& leftover : parts_.launcher.FindLeftovers()) {
    const bool is_alive = leftover.pid != 0 && Adopt(leftover).ok();
    found.leftovers.push_back({leftover.worker, leftover.generation, is_alive ? leftover.pid : 0});
  }
  Apply(std::move(found));
  Discover();
  EndExpiredDropRules();
  books_->Begin();
}

void Supervisor::Core::Close() {
  is_closed_ = true;
  tick_.Stop();
  gathering_.Stop();
  discovery_timer_.Stop();
  books_->Close();
  wait_timer_.Stop();
  drop_rule_timer_.Stop();
  AnswerWaits();
  EndReaders();
  processes_.clear();
  links_.clear();
  TakeNext();  // refuses those that wait
}

// ---- events and actions -------------------------------------------------------------------------

void Supervisor::Core::Apply(fleet::Event event) {
  if (is_closed_) return;
  TakeReports();
  events_.push_back(std::move(event));
  HandleEvents();
}

void Supervisor::Core::TakeReports() {
  if (!reports_.empty()) events_.push_back(fleet::Together{std::exchange(reports_, {})});
  gathering_.Stop();
}

void Supervisor::Core::HandleEvents() {
  if (std::exchange(is_applying_, true)) return;  // an action's consequence: after this event
  while (!events_.empty()) {
    const fleet::Event next = std::move(events_.front());
    events_.pop_front();
    fleet::Transition transition =
        fleet::Step(std::move(fleet_), next, parts_.clock.Now(), limits_);
    fleet_ = std::move(transition.fleet);
    for (const fleet::Action& action : transition.actions) {
      std::visit([this](const auto& a) { Perform(a); }, action);
    }
    const bool is_quiet = std::holds_alternative<fleet::Tick>(next) && transition.actions.empty();
    if (!is_quiet) MarkChanged();
  }
  is_applying_ = false;
  ResumeWorkerRestarts();
  NoticeConfig();
  JudgeOperations();
  WatchRecord();
  ArmTick();
  CheckDrained();
}

void Supervisor::Core::Perform(const fleet::Spawn& spawn) {
  LaunchSpec spec{spawn.worker, spawn.role, spawn.generation, spawn.is_paused, ""};
  const auto config_file = parts_.config_files.find(spawn.config_generation);
  if (config_file != parts_.config_files.end()) spec.config_file = config_file->second;
  auto process = parts_.launcher.Launch(spec, ExitHandler(spawn.worker, spawn.generation));
  if (!process.ok()) {
    const std::string why(process.status().message());
    return Apply(fleet::OfWorker{spawn.worker, spawn.generation, fleet::StartFailed{why}});
  }
  SPILLWAY_FAILPOINT("server.worker.spawned");
  const int64_t pid = (*process)->pid();
  processes_[spawn.worker] = {spawn.generation, *std::move(process)};
  start_times_[spawn.worker] = parts_.clock.Wall();
  Log(LogLevel::kInfo, "worker started",
      {{"worker", fleet::WorkerName(spawn.worker)},
       {"generation", spawn.generation.value},
       {"config_generation", spawn.config_generation},
       {"pid", pid}});
  Apply(fleet::OfWorker{spawn.worker, spawn.generation, fleet::Started{pid}});
}

void Supervisor::Core::Perform(const fleet::Signal& signal) {
  const auto found = processes_.find(signal.worker);
  if (found == processes_.end() || found->second.generation != signal.generation) return;
  if (!signal.kill) return found->second.process->Terminate();
  if (fleet_.is_shutting_down) killed_.insert(fleet::WorkerName(signal.worker));
  found->second.process->Kill();
}

void Supervisor::Core::Perform(const fleet::CaptureStacks& capture) {
  const auto found = processes_.find(capture.worker);
  if (found == processes_.end() || found->second.generation != capture.generation) return;
  found->second.process->CaptureStacks([weak = weak_from_this(),
                                        capture](const StackReport& report) {
    const auto core = weak.lock();
    if (core == nullptr) return;
    const fleet::Stacks stacks{report.problem, report.summary, report.file};
    core->Apply(fleet::OfWorker{capture.worker, capture.generation, fleet::StacksCaptured{stacks}});
  });
}

void Supervisor::Core::Perform(const fleet::SendOrder& order) {
  if (Link* link = FindLink(order.worker)) link->link->SendOrder(order.order);
}

void Supervisor::Core::Perform(const fleet::Note& note) {
  const bool is_of_pool = note.worker.slot < 0;
  const LogLevel level = note.is_warning ? LogLevel::kWarning : LogLevel::kInfo;
  record::Event event;
  if (is_of_pool) {
    event.target = fleet::PoolName(note.worker.pool);
    Log(level, note.event, {{"pool", event.target}, {"detail", note.detail}});
  } else {
    event.target = fleet::WorkerName(note.worker);
    Log(level, note.event,
        {{"worker", event.target}, {"generation", note.generation.value}, {"detail", note.detail}});
  }
  // How a pool's restart or drain goes on is always worth an entry: somebody has asked for it.
  if (!note.is_warning && !note.is_told && !is_of_pool) return;
  event.actor = "spillwayd";
  event.action = note.event;
  event.outcome = "OK";
  event.detail = note.detail;
  Journal(std::move(event));
}

supervisor::OnExit Supervisor::Core::ExitHandler(const fleet::WorkerKey& worker,
                                                 Generation generation) {
  return [weak = weak_from_this(), worker, generation](const ExitReport& report) {
    if (const auto core = weak.lock()) core->OnEnd(worker, generation, report);
  };
}

void Supervisor::Core::OnEnd(const fleet::WorkerKey& worker, Generation generation,
                             const ExitReport& report) {
  fleet::Exited exit = ToEvent(report);
  JournalDeath(worker, generation, exit);
  const auto found = processes_.find(worker);
  if (found != processes_.end() && found->second.generation == generation) processes_.erase(found);
  start_times_.erase(worker);
  EndCaptures(worker);
  Link* link = FindLink(worker);
  if (link != nullptr && link->generation == generation) {
    const std::shared_ptr<WorkerLink> stream = link->link;
    std::erase_if(links_, [&](const auto& entry) { return entry.second.link == stream; });
    stream->Close(absl::CancelledError("the worker has ended"));
  }
  Apply(fleet::OfWorker{worker, generation, std::move(exit)});
}

absl::Status Supervisor::Core::Adopt(const Leftover& leftover) {
  auto process = parts_.launcher.Adopt(leftover, ExitHandler(leftover.worker, leftover.generation));
  if (!process.ok()) return process.status();
  processes_[leftover.worker] = {leftover.generation, *std::move(process)};
  return absl::OkStatus();
}

void Supervisor::Core::ArmTick() {
  if (is_closed_) return;
  const Instant now = parts_.clock.Now();
  tick_.Start(fleet::NextTick(fleet_, now, limits_) - now);
}

// ---- streams ------------------------------------------------------------------------------------

void Supervisor::Core::Attach(const wire::Hello& hello, std::shared_ptr<WorkerLink> link,
                              absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done) {
  const std::string name = fleet::WorkerName({hello.pool, hello.slot});
  if (is_closed_) {
    return done(Refusal(absl::StatusCode::kUnavailable, "SERVER_STOPPING", "dial again later"));
  }
  if (hello.is_registered) return Register(hello, std::move(link), std::move(done));
  const fleet::WorkerKey worker{hello.pool, hello.slot};
  fleet::Event attached = fleet::OfWorker{
      worker, hello.generation, fleet::Attached{hello.uid, hello.version, hello.config_digest}};
  switch (fleet::JudgeHello(fleet_, hello)) {
    case fleet::Welcoming::kUnknown:
      return done(Refusal(absl::StatusCode::kNotFound, "WORKER_NOT_FOUND",
                          absl::StrCat(name, ": there is no such worker of this role")));
    case fleet::Welcoming::kStale:
      return done(Refusal(absl::StatusCode::kPermissionDenied, "STALE_GENERATION",
                          absl::StrCat(name, ": another process has this slot")));
    case fleet::Welcoming::kDuplicate:
      return done(Refusal(absl::StatusCode::kAlreadyExists, "DUPLICATE_UID",
                          absl::StrCat(name, ": this process is attached already")));
    case fleet::Welcoming::kAdopt:
      if (const absl::Status adopted =
              Adopt({{hello.pool, hello.slot}, hello.generation, hello.pid});
          !adopted.ok()) {
        return done(Refusal(absl::StatusCode::kNotFound, "WORKER_NOT_FOUND", adopted.message()));
      }
      Apply(fleet::OfWorker{
          {hello.pool, hello.slot}, hello.generation, fleet::Adopted{hello.pid, hello.generation}});
      return Accept(hello, std::move(link), std::move(attached), std::move(done));
    case fleet::Welcoming::kAccept:
      return Accept(hello, std::move(link), std::move(attached), std::move(done));
  }
}

void Supervisor::Core::Accept(const wire::Hello& hello, std::shared_ptr<WorkerLink> link,
                              fleet::Event event,
                              absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done) {
  const fleet::WorkerKey worker{hello.pool, hello.slot};
  const LinkId id{++last_link_};
  links_[id] = {worker, hello.generation, std::move(link)};
  start_times_[worker] = hello.start_time;
  // Welcome goes before the first order.
  done(Attachment{id,
                  {fleet::WorkerName(worker), hello.generation, config_.health.report_interval}});
  Apply(std::move(event));
}

Supervisor::Core::Link* Supervisor::Core::FindLink(const fleet::WorkerKey& worker) {
  for (auto& [id, link] : links_) {
    if (link.worker == worker) return &link;
  }
  return nullptr;
}

void Supervisor::Core::Report(LinkId link, wire::WorkerReport report) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  activity_.Observe(found->second.worker, found->second.generation, report, parts_.clock.Now());
  reports_.push_back(
      {found->second.worker, found->second.generation,
       fleet::Reported{std::make_shared<const wire::WorkerReport>(std::move(report))}});
  if (!gathering_.is_running()) gathering_.Start(kReportGathering);
}

void Supervisor::Core::Goodbye(LinkId link, const wire::Goodbye& goodbye) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  fleet::SaidGoodbye event{found->second.worker, found->second.generation, {}};
  for (const wire::HeldShard& held : goodbye.shards) event.still_held.push_back(held.shard);
  Log(LogLevel::kInfo, "worker said goodbye",
      {{"worker", fleet::WorkerName(found->second.worker)}, {"reason", goodbye.reason}});
  Apply(std::move(event));
}

void Supervisor::Core::Detach(LinkId link) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  const fleet::OfWorker event{found->second.worker, found->second.generation, fleet::Detached{}};
  links_.erase(found);
  Apply(event);
}

// ---- shards -------------------------------------------------------------------------------------

void Supervisor::Core::Discover() {
  auto count = std::make_shared<absl::StatusOr<int32_t>>(absl::UnknownError(""));
  parts_.loop.Offload(
      [count, &discovery = parts_.discovery] { *count = discovery.ShardCount(kDiscoveryTimeout); },
      [count, weak = weak_from_this()] {
        if (const auto core = weak.lock()) core->OnDiscovered(*count);
      });
}

void Supervisor::Core::OnDiscovered(const absl::StatusOr<int32_t>& count) {
  if (is_closed_) return;
  const bool has_changed = count.status() != discovery_.status;
  discovery_.status = count.status();
  discovery_.seen_at = parts_.clock.Now();
  if (has_changed && !count.ok()) {
    Log(LogLevel::kWarning, "waits for the input topic",
        {{"topic", discovery_.topic}, {"error", count.status()}});
  }
  if (count.ok()) {
    Apply(fleet::ShardsFound{*count});
    ReadRegistry(*count);
  }
  activity_.Prune(parts_.clock.Now());
  MarkChanged();
  discovery_timer_.Start(kDiscoveryInterval);
}

// A topic that was made again with fewer partitions leaves shards behind that hold spans: they are
// served until they are empty, and after (design section 4, "Keys"). A buffer that does not answer
// is asked again with the next discovery.
void Supervisor::Core::ReadRegistry(int32_t partitions) {
  if (parts_.store == nullptr) return;
  using Result = buffer::StoreResult<std::vector<ShardId>>;
  parts_.store->ListShards([weak = weak_from_this(), partitions](Result result) {
    const auto core = weak.lock();
    if (!core || core->is_closed_ || !result.ok()) return;
    std::erase_if(result.value, [&](ShardId id) { return id.value < partitions; });
    if (result.value.empty()) return;
    core->Apply(fleet::ShardsFound{.count = partitions, .registered = std::move(result.value)});
    core->MarkChanged();
  });
}

// ---- ending -------------------------------------------------------------------------------------

void Supervisor::Core::Drain(absl::AnyInvocable<void(absl::Status)> done) {
  drained_.push_back(std::move(done));
  Apply(fleet::ShutDown{});
  AnswerWaits();  // with the server's end
}

void Supervisor::Core::CheckDrained() {
  if (drained_.empty() || !processes_.empty()) return;
  absl::Status status;
  if (!killed_.empty()) {
    status = absl::DeadlineExceededError(
        absl::StrCat("had to be killed: ", absl::StrJoin(killed_, ", ")));
  }
  for (auto& done : std::exchange(drained_, {})) done(status);
}

}  // namespace spillway::supervisor
