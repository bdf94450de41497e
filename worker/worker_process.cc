#include "worker/worker_process.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hand_file.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "buffer/redis/server_check.h"
#include "config/worker_settings.h"
#include "kafka/consumer.h"
#include "kafka/metadata.h"
#include "worker/flush/flush_worker.h"
#include "worker/ingest/ingest_worker.h"

namespace spillway::worker {
namespace {

constexpr std::chrono::seconds kGoodbyeTimeout{2};
// Beyond flush.drain_timeout: leaving the consumer group, goodbye, and some air.
constexpr std::chrono::seconds kEndMargin =
    std::chrono::seconds(1) + kGoodbyeTimeout +
    std::chrono::ceil<std::chrono::seconds>(kafka::Consumer::kLeaveTimeout);

wire::Role WireRole(config::Role role) {
  return role == config::Role::kIngest ? wire::Role::kIngest : wire::Role::kFlush;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Create(
    const config::Config& config, const config::WorkerCommandLine& line,
    TerminationSignals& signals) {
  std::unique_ptr<WorkerProcess> process(new WorkerProcess(config, signals));
  RETURN_IF_ERROR(process->Build(line));
  return process;
}

WorkerProcess::WorkerProcess(const config::Config& config, TerminationSignals& signals)
    : config_(config),
      signals_(signals),
      signal_watch_(loop_, signals.fd(), [this] { OnSignal(); }),
      end_limit_(loop_, [this] { Stop(kExitAborted); }) {}

WorkerProcess::~WorkerProcess() = default;

absl::Status WorkerProcess::Build(const config::WorkerCommandLine& line) {
  ASSIGN_OR_RETURN(buffer::RedisStoreOptions redis,
                   buffer::MakeRedisStoreOptions(config_.redis, config_.name_space));
  store_ = std::make_unique<buffer::RedisShardStore>(
      loop_, std::move(redis),
      [this](const buffer::ConnectionState& state) { OnRedisState(state); });
  store_->CheckServers(
      [this](const buffer::StoreResult<buffer::ServerCheck>& result) { OnRedisChecked(result); });

  kafka::ClientConfig client;
  client.brokers = config_.kafka.brokers;
  client.properties = config_.kafka.properties;
  // Who was launched has a slot; others get theirs later, and perhaps another one each time.
  const bool is_launched = line.generation.value > 0;
  uid_ = line.uid.empty() ? HexText(random_()) + HexText(random_()) : line.uid;
  client.client_id = absl::StrCat(ingest::ClientPrefix(config_.name_space), line.pool, "-",
                                  is_launched ? absl::StrCat(line.slot) : uid_.substr(0, 8));
  kafka::ProducerConfig producer;
  producer.client = client;
  producer.compression = config_.output.compression;
  producer.delivery_timeout = config_.output.delivery_timeout;
  ASSIGN_OR_RETURN(producer_, kafka::MakeProducer(producer, loop_));

  RETURN_IF_ERROR(BuildRole(line, client));
  if (line.is_paused) {
    wire::Order pause;
    pause.pause = true;
    role_->Obey(pause);
  }
  if (!line.gateway.empty()) BuildLink(line);
  return absl::OkStatus();
}

absl::Status WorkerProcess::BuildRole(const config::WorkerCommandLine& line,
                                      const kafka::ClientConfig& client) {
  const auto random = [this] { return random_(); };
  if (line.role == config::Role::kFlush) {
    OpenHandFile(line);
    flush::NoteInHand note_in_hand;
    if (hand_ != nullptr) {
      note_in_hand = [this](const std::optional<ClaimInHand>& in_hand) { hand_->Note(in_hand); };
    }
    role_ = std::make_unique<flush::FlushWorker>(loop_, SystemClock(), *store_, *producer_,
                                                 flush::FlushOptionsFrom(config_), random,
                                                 std::move(note_in_hand));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(std::shared_ptr<kafka::MetadataClient> metadata,
                   kafka::MakeMetadataClient(client));
  const kafka::ConsumerConfig consumer{client, config_.input.topic, config_.input.group};
  role_ = std::make_unique<ingest::IngestWorker>(
      ingest::WorkerParts{
          .loop = loop_,
          .clock = SystemClock(),
          .store = *store_,
          .producer = *producer_,
          .make_consumer =
              [this, consumer](kafka::ConsumerListener& listener) {
                return kafka::MakeConsumer(consumer, loop_, listener);
              },
          .group_members =
              [metadata](const std::string& group,
                         Duration timeout) {  // the pool thread shares in it
                return metadata->GroupMembers(group, timeout);
              },
          .random = random,
          .on_misconfigured = [this](const absl::Status& status) { OnMisconfigured(status); },
      },
      ingest::OptionsFrom(config_));
  return absl::OkStatus();
}

// Only a launched process has a slot to itself, and a server that reads the file at its end.
void WorkerProcess::OpenHandFile(const config::WorkerCommandLine& line) {
  if (line.generation.value == 0) return;
  auto file =
      HandFile::Create(HandFilePath(config_.server.run_dir, line.pool, line.slot), line.generation);
  if (file.ok()) {
    hand_ = *std::move(file);
    return;
  }
  Log(LogLevel::kWarning, "no attempts are counted if it dies", {{"problem", file.status()}});
}

void WorkerProcess::BuildLink(const config::WorkerCommandLine& line) {
  LinkConfig link;
  link.gateway = line.gateway;
  link.hello.uid = uid_;
  link.hello.pid = getpid();
  link.hello.start_time = SystemClock().Wall();
  link.hello.version = Version();
  link.hello.role = WireRole(line.role);
  link.hello.pool = line.pool;
  link.hello.slot = line.slot;
  link.hello.generation = line.generation;
  link.hello.is_registered = line.generation.value == 0;
  link.hello.config_digest = config::SettingsDigest(config::WorkerSettings(config_));
  LinkEvents events;
  events.drain_ordered = [this] { BeginEnd("drain ordered"); };
  events.dismissed = [this](const absl::Status&) { BeginEnd("dismissed"); };
  link_ = std::make_unique<ControlLink>(std::move(link), loop_, *role_, std::move(events));
}

ExitCode WorkerProcess::Run() {
  role_->Start();
  if (link_ != nullptr) link_->Start();
  if (!exit_code_) loop_.Run();
  return exit_code_.value_or(kExitAborted);
}

void WorkerProcess::OnRedisState(const buffer::ConnectionState& state) {
  if (!state.is_ready) {
    Log(LogLevel::kWarning, "waiting for Redis", {{"detail", state.text}});
    return;
  }
  Log(LogLevel::kInfo, "Redis is connected");
}

// A server that will never do is a configuration error and not something to wait for.
void WorkerProcess::OnRedisChecked(const buffer::StoreResult<buffer::ServerCheck>& result) {
  if (result.code == buffer::StoreCode::kInvalid) {
    return OnMisconfigured(absl::FailedPreconditionError(result.message));
  }
  if (!result.ok()) return;  // not a word about the server: the shards' own calls will tell
  for (const std::string& warning : buffer::WarningsFor(result.value)) {
    Log(LogLevel::kWarning, "Redis", {{"warning", warning}});
  }
  const buffer::ServerDemands demands{.allows_eviction = config_.redis.allow_eviction,
                                      .is_cluster = store_->is_cluster()};
  const absl::Status usable = buffer::CheckUsable(result.value, demands);
  if (!usable.ok()) OnMisconfigured(usable);
}

void WorkerProcess::OnSignal() {
  while (const std::optional<std::string> signal = signals_.TryTake()) {
    if (is_ending_) {
      Log(LogLevel::kWarning, "second signal, ending at once", {{"signal", *signal}});
      return Stop(kExitAborted);
    }
    BeginEnd(*signal);
  }
}

void WorkerProcess::OnMisconfigured(const absl::Status& status) {
  Log(LogLevel::kError, "the configuration cannot work", {{"problem", status}});
  Stop(kExitBadConfiguration);
}

void WorkerProcess::BeginEnd(const std::string& reason) {
  if (std::exchange(is_ending_, true)) return;
  const std::chrono::milliseconds limit = config_.flush.drain_timeout + kEndMargin;
  Log(LogLevel::kInfo, "ending", {{"reason", reason}, {"limit_ms", limit.count()}});
  end_limit_.Start(limit);
  role_->Drain([this, reason](const absl::Status& status) { OnDrained(reason, status); });
}

void WorkerProcess::OnDrained(const std::string& reason, const absl::Status& status) {
  ExitCode code = kExitOk;
  if (!status.ok()) {
    Log(LogLevel::kError, "not drained", {{"problem", status}});
    code = kExitDrainFailed;
  } else if (producer_->queued_messages() > 0) {
    Log(LogLevel::kError, "messages to Kafka are still queued",
        {{"messages", producer_->queued_messages()}});
    code = kExitFlushFailed;
  }
  if (link_ == nullptr) return Stop(code);
  link_->SayGoodbye(reason, kGoodbyeTimeout, [this, code] { Stop(code); });
}

void WorkerProcess::Stop(ExitCode code) {
  if (!exit_code_) exit_code_ = code;
  loop_.Stop();
}

}  // namespace spillway::worker
