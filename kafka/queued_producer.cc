#include "kafka/queued_producer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "kafka/queries.h"

namespace spillway::kafka {
namespace {

Settings SettingsFor(const ProducerConfig& config, size_t batch_bytes) {
  Settings settings(config.client);
  const auto timeout_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(config.delivery_timeout).count();
  settings.Default("linger.ms", "5")
      .Default("queue.buffering.max.messages", "100000")
      .Default("queue.buffering.max.kbytes", "262144")
      .Default("compression.type", config.compression)
      .Require("batch.size", std::to_string(batch_bytes))
      .Require("message.max.bytes", "1000000000")
      .Require("acks", "all")
      .Require("enable.idempotence", "true")
      .Require("message.timeout.ms", std::to_string(std::max<int64_t>(timeout_ms, 1)));
  return settings;
}

bool IsRefused(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
      return true;
    default:
      return false;
  }
}

}  // namespace

Delivery ClassifyDelivery(rd_kafka_resp_err_t error, rd_kafka_msg_status_t status) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR || status == RD_KAFKA_MSG_STATUS_PERSISTED) {
    return Delivery::kDelivered;
  }
  if (IsRefused(error)) return Delivery::kRefused;
  if (status == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED) return Delivery::kPossiblyPersisted;
  return Delivery::kNotDelivered;
}

absl::StatusOr<std::unique_ptr<Producer>> QueuedProducer::Make(const ProducerConfig& config,
                                                               Loop& loop) {
  std::unique_ptr<QueuedProducer> producer(new QueuedProducer(config, loop));
  absl::StatusOr<std::unique_ptr<Generation>> first = producer->Open();
  if (!first.ok()) return first.status();
  producer->current_ = *std::move(first);
  {
    MutexLock lock(&producer->warm_mutex_);
    producer->warm_client_ = producer->current_->client;
  }
  return producer;
}

QueuedProducer::QueuedProducer(const ProducerConfig& config, Loop& loop)
    : loop_(loop),
      config_(config),
      waker_(loop, [this](const std::vector<int32_t>&) { OnWake(); }),
      replace_timer_(loop, [this] { Replace(); }),
      lowest_limit_(kMaxBatchBytes) {}

absl::StatusOr<std::unique_ptr<QueuedProducer::Generation>> QueuedProducer::Open() {
  const size_t batch_bytes = std::min(kMaxBatchBytes, lowest_limit_.load());
  Settings settings = SettingsFor(config_, batch_bytes);
  rd_kafka_conf_set_opaque(settings.native(), this);
  rd_kafka_conf_set_dr_msg_cb(settings.native(), OnReport);
  rd_kafka_conf_set_error_cb(settings.native(), OnClientError);
  absl::StatusOr<std::shared_ptr<Client>> client =
      Client::Create(RD_KAFKA_PRODUCER, std::move(settings));
  if (!client.ok()) return client.status();
  auto generation = std::make_unique<Generation>();
  generation->client = *std::move(client);
  generation->batch_bytes = batch_bytes;
  generation->reports = std::make_unique<Waker::Watch>(
      waker_, QueuePtr(rd_kafka_queue_get_main(generation->client->get())), 0);
  return generation;
}

QueuedProducer::~QueuedProducer() {
  {
    MutexLock lock(&asking_mutex_);
    while (asking_ > 0) asked_.Wait(&asking_mutex_);
  }
  *alive_ = false;
  // Closes the clients before the payloads they borrow are freed.
  {
    MutexLock lock(&warm_mutex_);
    warm_client_.reset();
  }
  retired_.clear();
  if (current_ != nullptr) {
    rd_kafka_purge(current_->client->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    current_.reset();
  }
  while (first_ != nullptr) {
    Pending* pending = first_;
    Unlink(pending);
    delete pending;
  }
}

absl::Status QueuedProducer::Produce(const std::string& topic, OutgoingMessage& message,
                                     absl::AnyInvocable<void(DeliveryReport)>& done) {
  FitBatches();
  auto pending = std::make_unique<Pending>();
  pending->producer = this;
  pending->payload.swap(message.payload);
  const rd_kafka_resp_err_t error = Enqueue(topic, message, pending.get());
  if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
    message.payload.swap(pending->payload);
    return StatusOf(error, "produce");
  }
  pending->done = std::move(done);
  Pending* queued = pending.release();
  Link(queued);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ReportLater(queued, {ClassifyDelivery(error, RD_KAFKA_MSG_STATUS_NOT_PERSISTED),
                         rd_kafka_err2str(error)});
  }
  return absl::OkStatus();
}

// `pending->payload` is borrowed until the report; key and headers are copied.
rd_kafka_resp_err_t QueuedProducer::Enqueue(const std::string& topic,
                                            const OutgoingMessage& message, Pending* pending) {
  rd_kafka_headers_t* headers = nullptr;
  if (!message.headers.empty()) {
    headers = rd_kafka_headers_new(message.headers.size());
    for (const auto& [name, value] : message.headers) {
      rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                          static_cast<ssize_t>(value.size()));
    }
  }
  // A list of no headers is not the same as none: the two calls differ.
  const void* key = message.key.empty() ? nullptr : message.key.data();
  rd_kafka_resp_err_t error;
  if (headers == nullptr) {
    error = rd_kafka_producev(current_->client->get(), RD_KAFKA_V_TOPIC(topic.c_str()),
                              RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
                              RD_KAFKA_V_VALUE(pending->payload.data(), pending->payload.size()),
                              RD_KAFKA_V_KEY(key, message.key.size()), RD_KAFKA_V_OPAQUE(pending),
                              RD_KAFKA_V_END);
  } else {
    error = rd_kafka_producev(current_->client->get(), RD_KAFKA_V_TOPIC(topic.c_str()),
                              RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
                              RD_KAFKA_V_VALUE(pending->payload.data(), pending->payload.size()),
                              RD_KAFKA_V_KEY(key, message.key.size()), RD_KAFKA_V_HEADERS(headers),
                              RD_KAFKA_V_OPAQUE(pending), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
  }
  return error;
}

void QueuedProducer::OnReport(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  auto* pending = static_cast<Pending*>(message->_private);
  DeliveryReport report;
  report.delivery = ClassifyDelivery(message->err, rd_kafka_message_status(message));
  if (report.delivery != Delivery::kDelivered) report.message = rd_kafka_err2str(message->err);
  pending->producer->Finish(pending, std::move(report));
}

void QueuedProducer::Finish(Pending* pending, DeliveryReport report) {
  Unlink(pending);
  const std::unique_ptr<Pending> owned(pending);
  owned->done(std::move(report));
}

void QueuedProducer::ReportLater(Pending* pending, DeliveryReport report) {
  loop_.Post([this, alive = alive_, pending, later = std::move(report)]() mutable {
    if (*alive) Finish(pending, std::move(later));
  });
}

void QueuedProducer::Link(Pending* pending) {
  pending->next = first_;
  if (first_ != nullptr) first_->previous = pending;
  first_ = pending;
  ++queued_messages_;
  queued_bytes_ += pending->payload.size();
}

void QueuedProducer::Unlink(Pending* pending) {
  if (pending->previous != nullptr) pending->previous->next = pending->next;
  if (pending->next != nullptr) pending->next->previous = pending->previous;
  if (first_ == pending) first_ = pending->next;
  --queued_messages_;
  queued_bytes_ -= pending->payload.size();
}

void QueuedProducer::OnWake() {
  const std::shared_ptr<bool> alive = alive_;
  if (current_ != nullptr) rd_kafka_poll(current_->client->get(), 0);
  if (!*alive) return;
  for (auto& generation : retired_) rd_kafka_poll(generation->client->get(), 0);
  std::erase_if(retired_, [this](const std::unique_ptr<Generation>& generation) {
    if (rd_kafka_outq_len(generation->client->get()) > 0) return false;
    generation->reports.reset();
    // Ending a client may wait for its threads.
    loop_.Offload([client = std::move(generation->client)]() mutable { client.reset(); }, [] {});
    return true;
  });
}

void QueuedProducer::OnClientError(rd_kafka_t* handle, int error, const char* reason,
                                   void* opaque) {
  auto* self = static_cast<QueuedProducer*>(opaque);
  if (error != RD_KAFKA_RESP_ERR__FATAL) {
    if (LogEnabled(LogLevel::kDebug))
      Log(LogLevel::kDebug, "kafka producer error", {{"message", reason}});
    return;
  }
  if (self->current_ == nullptr || self->current_->client->get() != handle) return;
  char text[512] = "";
  rd_kafka_fatal_error(handle, text, sizeof(text));
  Log(LogLevel::kWarning, "kafka producer replaced", {{"message", text}});
  if (!self->replace_timer_.is_running()) self->replace_timer_.Start(kReplaceInterval);
}

// The old client's messages get their reports from being purged: those that were on their way are
// possibly persisted, the others not.
void QueuedProducer::Replace() {
  absl::StatusOr<std::unique_ptr<Generation>> next = Open();
  if (!next.ok()) {
    Log(LogLevel::kError, "kafka producer not replaced", {{"error", next.status()}});
    replace_timer_.Start(kReplaceInterval);
    return;
  }
  std::unique_ptr<Generation> old = std::exchange(current_, *std::move(next));
  {
    MutexLock lock(&warm_mutex_);
    warm_client_ = current_->client;
    for (const std::string& topic : warm_topics_) warm_client_->KeepTopic(topic);
  }
  rd_kafka_purge(old->client->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                         RD_KAFKA_PURGE_F_NON_BLOCKING);
  retired_.push_back(std::move(old));
  waker_.Wake(0);
}

absl::StatusOr<size_t> QueuedProducer::MaxMessageBytes(const std::string& topic, Duration timeout) {
  {
    MutexLock lock(&asking_mutex_);
    ++asking_;
  }
  const int timeout_ms = TimeoutMs(timeout);
  std::shared_ptr<Client> client;
  {
    MutexLock lock(&warm_mutex_);
    client = warm_client_;
  }
  absl::StatusOr<size_t> limit = AskLimit(*client, topic, timeout_ms);
  if (limit.ok()) {
    loop_.Post([this, alive = alive_] {
      if (*alive) FitBatches();
    });
    WarmUp(topic, client.get(), std::min(timeout_ms, kWarmUpTimeoutMs));
  }
  client.reset();  // while destruction still waits for us
  MutexLock lock(&asking_mutex_);
  --asking_;
  asked_.NotifyAll();
  return limit;
}

absl::StatusOr<size_t> QueuedProducer::AskLimit(const Client& client, const std::string& topic,
                                                int timeout_ms) {
  // Asking for its partitions makes the topic where the brokers are set to do so.
  RETURN_IF_ERROR(AskPartitionCount(client.get(), topic, timeout_ms).status());
  ASSIGN_OR_RETURN(const size_t limit, AskMaxMessageBytes(client.get(), topic, timeout_ms));
  size_t lowest = lowest_limit_.load();
  while (limit < lowest && !lowest_limit_.compare_exchange_weak(lowest, limit)) {
  }
  return limit > kRecordOverheadBytes ? limit - kRecordOverheadBytes : 0;
}

// What a client batches at most is settled when it is made; a new one while messages wait would
// cost them their delivery.
void QueuedProducer::FitBatches() {
  if (queued_messages_ == 0 && current_->batch_bytes > lowest_limit_.load()) Replace();
}

// Left to itself, librdkafka looks for the leader of a topic that it first hears of with a message
// once a second only: the first message would wait for that. `asked` has just learnt it; one that
// has taken over since is asked too, and failing does no harm.
void QueuedProducer::WarmUp(const std::string& topic, const Client* asked, int timeout_ms) {
  std::shared_ptr<Client> client;
  {
    MutexLock lock(&warm_mutex_);
    warm_topics_.insert(topic);  // before the client is read: a replacement knows it, or is it
    client = warm_client_;
  }
  client->KeepTopic(topic);
  if (client.get() == asked) return;
  const absl::Status status = AskPartitionCount(client->get(), topic, timeout_ms).status();
  if (!status.ok() && LogEnabled(LogLevel::kDebug))
    Log(LogLevel::kDebug, "kafka topic not warmed up", {{"topic", topic}, {"error", status}});
}

absl::StatusOr<std::unique_ptr<Producer>> MakeProducer(const ProducerConfig& config, Loop& loop) {
  return QueuedProducer::Make(config, loop);
}

}  // namespace spillway::kafka
