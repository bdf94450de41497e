#include "tests/load/kafka_io.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace spillway::load {
namespace {

constexpr int kMetadataTimeoutMs = 10'000;
constexpr int kFullQueuePollMs = 50;
constexpr size_t kReadBatch = 1'000;

Properties With(Properties properties, const Properties& extra) {
  for (const auto& [name, value] : extra) properties[name] = value;
  return properties;
}

absl::Status StatusOf(rd_kafka_resp_err_t error, absl::string_view topic) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  const std::string text = absl::StrCat(topic, ": ", rd_kafka_err2str(error));
  const bool is_unknown =
      error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  return is_unknown ? absl::NotFoundError(text) : absl::UnavailableError(text);
}

}  // namespace

absl::StatusOr<KafkaHandle> MakeHandle(rd_kafka_type_t type, const Properties& properties) {
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error.data(), error.size()) ==
        RD_KAFKA_CONF_OK) {
      continue;
    }
    rd_kafka_conf_destroy(conf);
    return absl::InvalidArgumentError(error.data());
  }
  KafkaHandle handle(rd_kafka_new(type, conf, error.data(), error.size()));
  if (handle != nullptr) return handle;
  rd_kafka_conf_destroy(conf);
  return absl::InvalidArgumentError(error.data());
}

absl::StatusOr<int32_t> PartitionCount(rd_kafka_t* handle, const std::string& topic) {
  const OwnedHandle<rd_kafka_topic_t, rd_kafka_topic_destroy> named(
      rd_kafka_topic_new(handle, topic.c_str(), nullptr));
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(handle, 0, named.get(), &raw, kMetadataTimeoutMs);
  RETURN_IF_ERROR(StatusOf(error, topic));
  const OwnedHandle<const rd_kafka_metadata_t, rd_kafka_metadata_destroy> metadata(raw);
  if (metadata->topic_cnt != 1) return absl::NotFoundError(absl::StrCat(topic, ": no metadata"));
  const rd_kafka_metadata_topic_t& found = metadata->topics[0];
  RETURN_IF_ERROR(StatusOf(found.err, topic));
  for (int i = 0; i < found.partition_cnt; ++i) {
    if (found.partitions[i].leader < 0) {
      return absl::UnavailableError(absl::StrCat(topic, ": a partition has no leader"));
    }
  }
  return found.partition_cnt;
}

void TopicWriter::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  auto* deliveries = static_cast<Deliveries*>(opaque);
  if (deliveries->failed++ == 0) deliveries->first_failure = rd_kafka_err2str(message->err);
}

absl::StatusOr<std::unique_ptr<TopicWriter>> TopicWriter::Open(const std::string& brokers,
                                                               const std::string& topic,
                                                               const Properties& extra) {
  std::unique_ptr<TopicWriter> writer(new TopicWriter);
  const Properties properties = With({{"bootstrap.servers", brokers},
                                      {"enable.idempotence", "true"},
                                      {"acks", "all"},
                                      {"compression.type", "lz4"},
                                      {"linger.ms", "20"},
                                      // After an outage spans go on at once: where they came later
                                      // than the pipeline's timeouts, segments are rightly cut.
                                      {"reconnect.backoff.max.ms", "500"},
                                      {"queue.buffering.max.messages", "200000"},
                                      {"queue.buffering.max.kbytes", "262144"}},
                                     extra);
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error.data(), error.size()) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return absl::InvalidArgumentError(error.data());
    }
  }
  rd_kafka_conf_set_dr_msg_cb(conf, &TopicWriter::OnDelivery);
  rd_kafka_conf_set_opaque(conf, &writer->deliveries_);
  writer->handle_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size()));
  if (writer->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return absl::InvalidArgumentError(error.data());
  }
  ASSIGN_OR_RETURN(writer->partition_count_, PartitionCount(writer->handle_.get(), topic));
  writer->topic_.reset(rd_kafka_topic_new(writer->handle_.get(), topic.c_str(), nullptr));
  return writer;
}

absl::Status TopicWriter::Send(const OutgoingMessage& message) {
  const void* value = message.is_tombstone ? nullptr : message.value.data();
  const void* key = message.key.empty() ? nullptr : message.key.data();
  while (true) {
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        handle_.get(), RD_KAFKA_V_RKT(topic_.get()), RD_KAFKA_V_PARTITION(message.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(const_cast<void*>(value), message.is_tombstone ? 0 : message.value.size()),
        RD_KAFKA_V_KEY(const_cast<void*>(key), message.key.size()),
        RD_KAFKA_V_TIMESTAMP(message.timestamp_ms), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return StatusOf(error, "produce");
    rd_kafka_poll(handle_.get(), kFullQueuePollMs);
  }
}

void TopicWriter::Poll(std::chrono::milliseconds wait) {
  rd_kafka_poll(handle_.get(), static_cast<int>(wait.count()));
}

absl::Status TopicWriter::Flush(std::chrono::milliseconds timeout) {
  const rd_kafka_resp_err_t error =
      rd_kafka_flush(handle_.get(), static_cast<int>(timeout.count()));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::DeadlineExceededError(
        absl::StrCat(rd_kafka_outq_len(handle_.get()), " messages were not delivered in time"));
  }
  if (deliveries_.failed == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      deliveries_.failed, " messages were not delivered; the first: ", deliveries_.first_failure));
}

absl::StatusOr<std::unique_ptr<TopicReader>> TopicReader::Open(const std::string& brokers,
                                                               const std::string& topic,
                                                               const Properties& extra) {
  std::unique_ptr<TopicReader> reader(new TopicReader);
  // The group is only a name that librdkafka wants: nothing is joined or committed.
  ASSIGN_OR_RETURN(reader->handle_,
                   MakeHandle(RD_KAFKA_CONSUMER, With({{"bootstrap.servers", brokers},
                                                       {"group.id", "spillway-load"},
                                                       {"enable.auto.commit", "false"},
                                                       {"auto.offset.reset", "earliest"},
                                                       {"fetch.wait.max.ms", "50"},
                                                       {"fetch.max.bytes", "67108864"},
                                                       {"message.max.bytes", "67108864"},
                                                       {"max.partition.fetch.bytes", "33554432"},
                                                       {"receive.message.max.bytes", "134217728"},
                                                       {"queued.max.messages.kbytes", "131072"}},
                                                      extra)));
  rd_kafka_t* handle = reader->handle_.get();
  rd_kafka_poll_set_consumer(handle);
  ASSIGN_OR_RETURN(const int32_t partitions, PartitionCount(handle, topic));
  const OwnedHandle<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy> list(
      rd_kafka_topic_partition_list_new(partitions));
  for (int32_t i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), i)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  }
  RETURN_IF_ERROR(StatusOf(rd_kafka_assign(handle, list.get()), topic));
  reader->queue_.reset(rd_kafka_queue_get_consumer(handle));
  return reader;
}

TopicReader::~TopicReader() {
  queue_.reset();
  if (handle_ != nullptr) rd_kafka_consumer_close(handle_.get());
}

absl::StatusOr<size_t> TopicReader::Poll(std::chrono::milliseconds wait,
                                         const std::function<void(const IncomingMessage&)>& take) {
  std::array<rd_kafka_message_t*, kReadBatch> batch;
  const ssize_t count = rd_kafka_consume_batch_queue(queue_.get(), static_cast<int>(wait.count()),
                                                     batch.data(), batch.size());
  if (count < 0) return StatusOf(rd_kafka_last_error(), "consume");
  absl::Status status;
  size_t taken = 0;
  for (ssize_t i = 0; i < count; ++i) {
    const OwnedHandle<rd_kafka_message_t, rd_kafka_message_destroy> message(
        batch[static_cast<size_t>(i)]);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      // A broker out of reach comes back; anything else does not.
      const bool is_passing = message->err == RD_KAFKA_RESP_ERR__TRANSPORT ||
                              message->err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
                              message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
      if (!is_passing && status.ok()) status = StatusOf(message->err, "consume");
      continue;
    }
    IncomingMessage incoming;
    incoming.value = absl::string_view(static_cast<const char*>(message->payload), message->len);
    incoming.timestamp_ms = rd_kafka_message_timestamp(message.get(), nullptr);
    take(incoming);
    ++taken;
  }
  if (!status.ok()) return status;
  return taken;
}

}  // namespace spillway::load
