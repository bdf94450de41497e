// What every librdkafka client here has in common: settings, ownership, errors, waking the loop.
// Internal to kafka/: the only headers of ours that name librdkafka's types.
#ifndef SPILLWAY_KAFKA_CLIENT_H_
#define SPILLWAY_KAFKA_CLIENT_H_

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "kafka/consumer.h"

namespace spillway::kafka {

struct QueueDeleter {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
using QueuePtr = std::unique_ptr<rd_kafka_queue_t, QueueDeleter>;
struct PartitionListDeleter {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using PartitionListPtr = std::unique_ptr<rd_kafka_topic_partition_list_t, PartitionListDeleter>;

// A list of one.
PartitionListPtr ListOf(const std::string& topic, int32_t partition, int64_t offset);

int TimeoutMs(Duration timeout);

// The code is for the caller's decision: UNAVAILABLE (try again), NOT_FOUND (no such topic),
// PERMISSION_DENIED, FAILED_PRECONDITION (not ours any more), RESOURCE_EXHAUSTED, INTERNAL.
absl::Status StatusOf(rd_kafka_resp_err_t error, absl::string_view what);
// Takes the error over; null is OK.
absl::Status TakeError(rd_kafka_error_t* error, absl::string_view what);

// Settings on their way to a client. Keeps the first error until Release.
class Settings {
 public:
  // Our defaults, then brokers, client id and the user's properties over them.
  explicit Settings(const ClientConfig& config);
  // Further defaults: the user's properties, if they name `key`, win.
  Settings& Default(const std::string& key, const std::string& value);
  // What correctness rests on: wins over the user's properties.
  Settings& Require(const std::string& key, const std::string& value);

  rd_kafka_conf_t* native() { return conf_.get(); }
  const absl::Status& status() const { return status_; }
  rd_kafka_conf_t* Release() { return conf_.release(); }

 private:
  struct Deleter {
    void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
  };
  void Set(const std::string& key, const std::string& value);

  const std::map<std::string, std::string>& user_;  // of the ClientConfig given to the constructor
  std::unique_ptr<rd_kafka_conf_t, Deleter> conf_;
  absl::Status status_;
};

// Owns an rd_kafka_t. Shared by what must not outlive it: batches, calls on pool threads; the last
// of them destroys it, which may block for a moment.
class Client {
 public:
  static absl::StatusOr<std::shared_ptr<Client>> Create(rd_kafka_type_t type, Settings settings);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  rd_kafka_t* get() const { return handle_; }
  // Makes `topic` one that the client follows, and asks for its leader, until the client ends.
  // Does not wait. Any thread.
  void KeepTopic(const std::string& topic);

 private:
  explicit Client(rd_kafka_t* handle) : handle_(handle) {}
  rd_kafka_t* const handle_;
  Mutex topics_mutex_;
  std::map<std::string, rd_kafka_topic_t*> topics_ ABSL_GUARDED_BY(topics_mutex_);
};

// Tells a loop which of librdkafka's queues have become non-empty. librdkafka calls from its own
// threads; `on_wake` runs on the loop thread with the keys of those queues, each once a wake-up.
// Loop thread only. After destruction `on_wake` is not called.
class Waker {
 public:
  using OnWake = absl::AnyInvocable<void(const std::vector<int32_t>& keys)>;

  Waker(Loop& loop, OnWake on_wake);
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Calls `on_wake` with `key` soon, as if the queue had woken us.
  void Wake(int32_t key);

  // One watched queue. Owns it; stops watching when it goes.
  class Watch {
   public:
    Watch(Waker& waker, QueuePtr queue, int32_t key);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    rd_kafka_queue_t* queue() const { return queue_.get(); }

   private:
    struct Source;
    QueuePtr queue_;
    std::unique_ptr<Source> source_;
  };

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace spillway::kafka

#endif  // SPILLWAY_KAFKA_CLIENT_H_
