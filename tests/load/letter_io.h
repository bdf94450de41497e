// Dead letters from Kafka and back to Kafka, so that each is sent once however often it is tried.
#ifndef SPILLWAY_TESTS_LOAD_LETTER_IO_H_
#define SPILLWAY_TESTS_LOAD_LETTER_IO_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/load/kafka_io.h"
#include "tests/load/refeed.h"

namespace spillway::load {

// Valid during the call that hands it over.
struct Letter {
  absl::string_view value;
  absl::string_view key;
  MessageHeaders headers;
  int32_t partition = 0;
  int64_t offset = 0;
};

// Reads a topic from where its group left off up to the ends as they are when it is opened. It does
// not join the group: the group is only where the offsets are kept. Not thread-safe.
class LetterReader {
 public:
  static absl::StatusOr<std::unique_ptr<LetterReader>> Open(const std::string& brokers,
                                                            const std::string& topic,
                                                            const std::string& group);

  uint64_t remaining_at_start() const { return remaining_at_start_; }  // offsets, gaps included
  bool is_done() const { return ends_.empty(); }
  // Hands over the next letter, waiting at most this long. False: none has come.
  absl::StatusOr<bool> Next(std::chrono::milliseconds wait,
                            const std::function<absl::Status(const Letter&)>& take);

 private:
  friend class LetterSender;  // sends this reader's offsets along
  LetterReader() = default;
  absl::Status Begin(const std::string& topic);
  absl::Status TakeMessage(const rd_kafka_message_t& message,
                           const std::function<absl::Status(const Letter&)>& take);

  std::string topic_;
  KafkaHandle handle_;
  std::map<int32_t, int64_t> ends_;       // of the partitions that are not yet done
  std::map<int32_t, int64_t> positions_;  // next offsets of those that something was read of
  uint64_t remaining_at_start_ = 0;
};

// Sends in transactions that hold the reader's offsets as well: a letter and the mark behind it are
// written together or not at all. Transactions must be short: consumers of the topics written to
// wait for their end, at most kTransactionTimeout if this process dies. Not thread-safe.
class LetterSender {
 public:
  static constexpr std::chrono::seconds kTransactionTimeout{10};

  // Ends what an earlier sender of the group has left unfinished.
  static absl::StatusOr<std::unique_ptr<LetterSender>> Open(const std::string& brokers,
                                                            const std::string& group);

  absl::Status Begin();
  // To the partition, where the topic has it, else by the key.
  absl::Status Send(const Refeed& refeed, const Letter& letter, const std::string& from);
  // Everything sent since Begin, and all that `reader` has handed over, or nothing.
  absl::Status Commit(const LetterReader& reader);
  void Abort();

 private:
  LetterSender() = default;
  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque);
  absl::StatusOr<int32_t> PartitionFor(const Refeed& refeed);
  absl::Status Failure(const char* what, rd_kafka_error_t* error);

  std::string first_failure_;  // of a delivery; outlives handle_
  KafkaHandle handle_;
  std::map<std::string, int32_t> partition_counts_;
};

}  // namespace spillway::load

#endif  // SPILLWAY_TESTS_LOAD_LETTER_IO_H_
