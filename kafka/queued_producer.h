// kafka::Producer over librdkafka. Internal to kafka/.
#ifndef SPILLWAY_KAFKA_QUEUED_PRODUCER_H_
#define SPILLWAY_KAFKA_QUEUED_PRODUCER_H_

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "kafka/client.h"
#include "kafka/producer.h"

namespace spillway::kafka {

// What a finished message's error and status (as librdkafka gives them) mean for it.
Delivery ClassifyDelivery(rd_kafka_resp_err_t error, rd_kafka_msg_status_t status);

class QueuedProducer final : public Producer {
 public:
  static absl::StatusOr<std::unique_ptr<Producer>> Make(const ProducerConfig& config, Loop& loop);
  ~QueuedProducer() override;

  absl::Status Produce(const std::string& topic, OutgoingMessage& message,
                       absl::AnyInvocable<void(DeliveryReport)>& done) override;
  size_t queued_messages() const override { return queued_messages_; }
  size_t queued_bytes() const override { return queued_bytes_; }
  absl::StatusOr<size_t> MaxMessageBytes(const std::string& topic, Duration timeout) override;

 private:
  static constexpr size_t kMaxBatchBytes = 1'000'000;
  // Of a record batch: its header, and a record's length fields.
  static constexpr size_t kRecordOverheadBytes = 256;
  static constexpr Duration kReplaceInterval = std::chrono::seconds(1);
  // To tell a client that has just taken over who leads; afterwards its own search, once a second,
  // will do.
  static constexpr int kWarmUpTimeoutMs = 1'000;

  // From Produce to its report; librdkafka borrows the payload. Owned by librdkafka's opaque
  // pointer and by `first_` (for destruction).
  struct Pending {
    QueuedProducer* producer = nullptr;
    std::string payload;
    absl::AnyInvocable<void(DeliveryReport)> done;
    Pending* previous = nullptr;
    Pending* next = nullptr;
  };
  // One librdkafka client. Polled until its last report; replaced after a fatal error.
  struct Generation {
    std::shared_ptr<Client> client;
    std::unique_ptr<Waker::Watch> reports;
    size_t batch_bytes = 0;
  };

  QueuedProducer(const ProducerConfig& config, Loop& loop);
  absl::StatusOr<std::unique_ptr<Generation>> Open();
  static void OnReport(rd_kafka_t* handle, const rd_kafka_message_t* message, void* opaque);
  static void OnClientError(rd_kafka_t* handle, int error, const char* reason, void* opaque);
  rd_kafka_resp_err_t Enqueue(const std::string& topic, const OutgoingMessage& message,
                              Pending* pending);
  void Finish(Pending* pending, DeliveryReport report);
  void ReportLater(Pending* pending, DeliveryReport report);
  void Link(Pending* pending);
  void Unlink(Pending* pending);
  void OnWake();
  void Replace();
  void FitBatches();
  void WarmUp(const std::string& topic, const Client* asked, int timeout_ms);
  absl::StatusOr<size_t> AskLimit(const Client& client, const std::string& topic, int timeout_ms);

  Loop& loop_;
  const ProducerConfig config_;
  Waker waker_;
  Timer replace_timer_;
  std::unique_ptr<Generation> current_;
  std::vector<std::unique_ptr<Generation>> retired_;  // failed; still owe reports
  std::atomic<size_t> lowest_limit_;                  // of the topics asked about
  Pending* first_ = nullptr;                          // all that wait for a report
  size_t queued_messages_ = 0;
  size_t queued_bytes_ = 0;
  // MaxMessageBytes under way on other threads: destruction waits for them.
  Mutex asking_mutex_;
  CondVar asked_;
  int asking_ ABSL_GUARDED_BY(asking_mutex_) = 0;
  // For MaxMessageBytes; the only share in the current client besides `current_`.
  Mutex warm_mutex_;
  std::shared_ptr<Client> warm_client_ ABSL_GUARDED_BY(warm_mutex_);
  std::set<std::string> warm_topics_ ABSL_GUARDED_BY(warm_mutex_);
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_QUEUED_PRODUCER_H_
