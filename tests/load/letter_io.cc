#include "tests/load/letter_io.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace spillway::load {
namespace {

constexpr int kTimeoutMs = 15'000;

using PartitionList =
    OwnedHandle<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;

absl::Status StatusOf(rd_kafka_resp_err_t error, absl::string_view what) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(what, ": ", rd_kafka_err2str(error)));
}

MessageHeaders HeadersOf(const rd_kafka_message_t& message) {
  MessageHeaders headers;
  rd_kafka_headers_t* raw = nullptr;
  if (rd_kafka_message_headers(&message, &raw) != RD_KAFKA_RESP_ERR_NO_ERROR) return headers;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(raw, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    headers.emplace_back(name, std::string(static_cast<const char*>(value), size));
  }
  return headers;
}

}  // namespace

// ---- reading

absl::StatusOr<std::unique_ptr<LetterReader>> LetterReader::Open(const std::string& brokers,
                                                                 const std::string& topic,
                                                                 const std::string& group) {
  std::unique_ptr<LetterReader> reader(new LetterReader);
  ASSIGN_OR_RETURN(reader->handle_,
                   MakeHandle(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers},
                                                  {"group.id", group},
                                                  {"enable.auto.commit", "false"},
                                                  {"enable.partition.eof", "true"},
                                                  {"auto.offset.reset", "earliest"},
                                                  {"fetch.wait.max.ms", "50"},
                                                  {"fetch.message.max.bytes", "33554432"},
                                                  {"receive.message.max.bytes", "134217728"}}));
  rd_kafka_poll_set_consumer(reader->handle_.get());
  RETURN_IF_ERROR(reader->Begin(topic));
  return reader;
}

absl::Status LetterReader::Begin(const std::string& topic) {
  topic_ = topic;
  ASSIGN_OR_RETURN(const int32_t partitions, PartitionCount(handle_.get(), topic));
  const PartitionList list(rd_kafka_topic_partition_list_new(partitions));
  for (int32_t i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), i);
  }
  RETURN_IF_ERROR(StatusOf(rd_kafka_committed(handle_.get(), list.get(), kTimeoutMs),
                           "ask for the group's offsets"));
  const PartitionList wanted(rd_kafka_topic_partition_list_new(partitions));
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& known = list->elems[i];
    int64_t low = 0, high = 0;
    RETURN_IF_ERROR(
        StatusOf(rd_kafka_query_watermark_offsets(handle_.get(), topic.c_str(), known.partition,
                                                  &low, &high, kTimeoutMs),
                 topic));
    const int64_t start = std::max(known.offset, low);  // kafka's "none" is negative
    if (start >= high) continue;
    remaining_at_start_ += static_cast<uint64_t>(high - start);
    ends_[known.partition] = high;
    rd_kafka_topic_partition_list_add(wanted.get(), topic.c_str(), known.partition)->offset = start;
  }
  return StatusOf(rd_kafka_assign(handle_.get(), wanted.get()), topic);
}

absl::StatusOr<bool> LetterReader::Next(std::chrono::milliseconds wait,
                                        const std::function<absl::Status(const Letter&)>& take) {
  const OwnedHandle<rd_kafka_message_t, rd_kafka_message_destroy> message(
      rd_kafka_consumer_poll(handle_.get(), static_cast<int>(wait.count())));
  if (message == nullptr) return false;
  switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:  // the last offsets may be gaps
      ends_.erase(message->partition);
      return false;
    case RD_KAFKA_RESP_ERR__TRANSPORT:  // brokers out of reach come back
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      return false;
    default:
      return StatusOf(message->err, "read dead letters");
  }
  const auto end = ends_.find(message->partition);
  if (end == ends_.end() || message->offset >= end->second) return false;  // came later
  RETURN_IF_ERROR(TakeMessage(*message, take));
  positions_[message->partition] = message->offset + 1;
  if (message->offset + 1 >= end->second) ends_.erase(end);
  return true;
}

absl::Status LetterReader::TakeMessage(const rd_kafka_message_t& message,
                                       const std::function<absl::Status(const Letter&)>& take) {
  Letter letter;
  letter.value = absl::string_view(static_cast<const char*>(message.payload), message.len);
  letter.key = absl::string_view(static_cast<const char*>(message.key), message.key_len);
  letter.headers = HeadersOf(message);
  letter.partition = message.partition;
  letter.offset = message.offset;
  return take(letter);
}

// ---- sending

void LetterSender::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto* sender = static_cast<LetterSender*>(opaque);
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || !sender->first_failure_.empty()) return;
  sender->first_failure_ = rd_kafka_err2str(message->err);
}

absl::StatusOr<std::unique_ptr<LetterSender>> LetterSender::Open(const std::string& brokers,
                                                                 const std::string& group) {
  std::unique_ptr<LetterSender> sender(new LetterSender);
  const std::string timeout_ms = std::to_string(
      std::chrono::duration_cast<std::chrono::milliseconds>(kTransactionTimeout).count());
  const Properties properties = {{"bootstrap.servers", brokers},
                                 {"transactional.id", absl::StrCat("spillway-refeed-", group)},
                                 {"transaction.timeout.ms", timeout_ms},
                                 {"message.timeout.ms", timeout_ms},
                                 {"compression.type", "lz4"},
                                 {"partitioner", "murmur2_random"},
                                 {"message.max.bytes", "67108864"}};
  std::array<char, 512> why{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return absl::InvalidArgumentError(why.data());
    }
  }
  rd_kafka_conf_set_dr_msg_cb(conf, &LetterSender::OnDelivery);
  rd_kafka_conf_set_opaque(conf, sender.get());
  sender->handle_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size()));
  if (sender->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return absl::InvalidArgumentError(why.data());
  }
  RETURN_IF_ERROR(sender->Failure("begin to send",
                                  rd_kafka_init_transactions(sender->handle_.get(), kTimeoutMs)));
  return sender;
}

absl::Status LetterSender::Failure(const char* what, rd_kafka_error_t* error) {
  if (error == nullptr) return absl::OkStatus();
  std::string text = absl::StrCat(what, ": ", rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
  if (!first_failure_.empty()) absl::StrAppend(&text, " (", first_failure_, ")");
  return absl::UnavailableError(text);
}

absl::Status LetterSender::Begin() {
  first_failure_.clear();
  return Failure("begin a transaction", rd_kafka_begin_transaction(handle_.get()));
}

absl::StatusOr<int32_t> LetterSender::PartitionFor(const Refeed& refeed) {
  auto known = partition_counts_.find(refeed.topic);
  if (known == partition_counts_.end()) {
    ASSIGN_OR_RETURN(const int32_t count, PartitionCount(handle_.get(), refeed.topic));
    known = partition_counts_.emplace(refeed.topic, count).first;
  }
  return refeed.partition < known->second ? refeed.partition : RD_KAFKA_PARTITION_UA;
}

absl::Status LetterSender::Send(const Refeed& refeed, const Letter& letter,
                                const std::string& from) {
  ASSIGN_OR_RETURN(const int32_t partition, PartitionFor(refeed));
  const void* key = letter.key.empty() ? nullptr : letter.key.data();
  while (true) {
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        handle_.get(), RD_KAFKA_V_TOPIC(refeed.topic.c_str()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(const_cast<char*>(letter.value.data()), letter.value.size()),
        RD_KAFKA_V_KEY(const_cast<void*>(key), letter.key.size()),
        RD_KAFKA_V_HEADER(kRefedFromHeader, from.data(), static_cast<ssize_t>(from.size())),
        RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return StatusOf(error, "send a letter");
    rd_kafka_poll(handle_.get(), 50);
  }
}

absl::Status LetterSender::Commit(const LetterReader& reader) {
  const PartitionList offsets(
      rd_kafka_topic_partition_list_new(static_cast<int>(reader.positions_.size())));
  for (const auto& [partition, offset] : reader.positions_) {
    rd_kafka_topic_partition_list_add(offsets.get(), reader.topic_.c_str(), partition)->offset =
        offset;
  }
  const OwnedHandle<rd_kafka_consumer_group_metadata_t, rd_kafka_consumer_group_metadata_destroy>
      group(rd_kafka_consumer_group_metadata(reader.handle_.get()));
  RETURN_IF_ERROR(Failure(
      "mark how far it has come",
      rd_kafka_send_offsets_to_transaction(handle_.get(), offsets.get(), group.get(), kTimeoutMs)));
  return Failure("commit a transaction", rd_kafka_commit_transaction(handle_.get(), kTimeoutMs));
}

void LetterSender::Abort() {
  rd_kafka_error_t* error = rd_kafka_abort_transaction(handle_.get(), kTimeoutMs);
  if (error != nullptr) rd_kafka_error_destroy(error);  // the broker aborts it at its timeout
}

}  // namespace spillway::load
