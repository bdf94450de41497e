#include "kafka/client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace spillway::kafka {
namespace {

// librdkafka's severities are syslog's.
constexpr int kSyslogError = 3;
constexpr int kSyslogNotice = 5;

void OnLog(const rd_kafka_t* handle, int level, const char* facility, const char* text) {
  // CONFWARN: a consumer is given producer settings and the other way round, on purpose.
  const bool is_noise = absl::string_view(facility) == "CONFWARN";
  LogLevel own = LogLevel::kDebug;
  if (level <= kSyslogError) {
    own = LogLevel::kWarning;  // a client's trouble is not yet ours
  } else if (level <= kSyslogNotice && !is_noise) {
    own = LogLevel::kInfo;
  }
  if (!LogEnabled(own)) return;
  Log(own, "kafka client",
      {{"client", handle == nullptr ? "" : rd_kafka_name(handle)},
       {"facility", facility},
       {"message", text}});
}

}  // namespace

PartitionListPtr ListOf(const std::string& topic, int32_t partition, int64_t offset) {
  PartitionListPtr list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
  return list;
}

int TimeoutMs(Duration timeout) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 1, 3'600'000));
}

absl::Status StatusOf(rd_kafka_resp_err_t error, absl::string_view what) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  const std::string text = absl::StrCat(what, ": ", rd_kafka_err2str(error));
  switch (error) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return absl::NotFoundError(text);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      return absl::PermissionDeniedError(text);
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
    case RD_KAFKA_RESP_ERR__STATE:
      return absl::FailedPreconditionError(text);
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
      return absl::ResourceExhaustedError(text);
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return absl::InvalidArgumentError(text);
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
      return absl::UnimplementedError(text);
    case RD_KAFKA_RESP_ERR__FATAL:
      return absl::InternalError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status TakeError(rd_kafka_error_t* error, absl::string_view what) {
  if (error == nullptr) return absl::OkStatus();
  const absl::Status status = StatusOf(rd_kafka_error_code(error),
                                       absl::StrCat(what, " (", rd_kafka_error_string(error), ")"));
  rd_kafka_error_destroy(error);
  return status;
}

Settings::Settings(const ClientConfig& config)
    : user_(config.properties), conf_(rd_kafka_conf_new()) {
  rd_kafka_conf_set_log_cb(conf_.get(), OnLog);
  Set("bootstrap.servers", config.brokers);
  if (!config.client_id.empty()) Set("client.id", config.client_id);
  Set("topic.metadata.refresh.interval.ms", "3000");
  Set("reconnect.backoff.max.ms", "2000");
  Set("socket.keepalive.enable", "true");
  Set("socket.nagle.disable", "true");
  Set("log.connection.close", "false");
  for (const auto& [key, value] : user_) Set(key, value);
}

Settings& Settings::Default(const std::string& key, const std::string& value) {
  if (!user_.contains(key)) Set(key, value);
  return *this;
}

Settings& Settings::Require(const std::string& key, const std::string& value) {
  Set(key, value);
  return *this;
}

void Settings::Set(const std::string& key, const std::string& value) {
  char why[512] = "";
  if (rd_kafka_conf_set(conf_.get(), key.c_str(), value.c_str(), why, sizeof(why)) ==
      RD_KAFKA_CONF_OK) {
    return;
  }
  if (status_.ok()) {
    status_ =
        absl::InvalidArgumentError(absl::StrCat("kafka.properties: ", key, "=", value, ": ", why));
  }
}

absl::StatusOr<std::shared_ptr<Client>> Client::Create(rd_kafka_type_t type, Settings settings) {
  if (!settings.status().ok()) return settings.status();
  char why[512] = "";
  rd_kafka_t* handle = rd_kafka_new(type, settings.native(), why, sizeof(why));
  if (handle == nullptr) return absl::InvalidArgumentError(absl::StrCat("kafka client: ", why));
  settings.Release();  // rd_kafka_new took it over
  return std::shared_ptr<Client>(new Client(handle));
}

// The consumer has left its group before, within a bound of its own: destroy must not try again.
Client::~Client() {
  {
    MutexLock lock(&topics_mutex_);
    for (const auto& [name, topic] : topics_) rd_kafka_topic_destroy(topic);
    topics_.clear();
  }
  rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void Client::KeepTopic(const std::string& topic) {
  MutexLock lock(&topics_mutex_);
  if (topics_.contains(topic)) return;
  rd_kafka_topic_t* made = rd_kafka_topic_new(handle_, topic.c_str(), nullptr);
  if (made != nullptr) topics_.emplace(topic, made);
}

struct Waker::State : std::enable_shared_from_this<Waker::State> {
  State(Loop& the_loop, OnWake callback) : loop(the_loop), on_wake(std::move(callback)) {}

  // From any thread; librdkafka holds the queue's lock, so nothing of librdkafka may be called.
  void Signal(int32_t key) {
    {
      MutexLock lock(&mutex);
      keys.push_back(key);
      if (is_posted) return;
      is_posted = true;
    }
    loop.Post([self = shared_from_this()] { self->Run(); });
  }

  void Run() {
    std::vector<int32_t> taken;
    {
      MutexLock lock(&mutex);
      taken.swap(keys);
      is_posted = false;
    }
    std::sort(taken.begin(), taken.end());
    taken.erase(std::unique(taken.begin(), taken.end()), taken.end());
    if (is_alive) on_wake(taken);
  }

  Loop& loop;
  // Loop thread:
  OnWake on_wake;
  bool is_alive = true;

  Mutex mutex;
  std::vector<int32_t> keys ABSL_GUARDED_BY(mutex);
  bool is_posted ABSL_GUARDED_BY(mutex) = false;
};

Waker::Waker(Loop& loop, OnWake on_wake)
    : state_(std::make_shared<State>(loop, std::move(on_wake))) {}
Waker::~Waker() { state_->is_alive = false; }
void Waker::Wake(int32_t key) { state_->Signal(key); }

struct Waker::Watch::Source {
  std::shared_ptr<State> state;
  int32_t key;
};

Waker::Watch::Watch(Waker& waker, QueuePtr queue, int32_t key)
    : queue_(std::move(queue)), source_(new Source{waker.state_, key}) {
  rd_kafka_queue_cb_event_enable(
      queue_.get(),
      [](rd_kafka_t*, void* opaque) {
        const auto* source = static_cast<const Source*>(opaque);
        source->state->Signal(source->key);
      },
      source_.get());
  waker.Wake(key);  // what was in the queue before makes no event
}

Waker::Watch::~Watch() { rd_kafka_queue_cb_event_enable(queue_.get(), nullptr, nullptr); }

}  // namespace spillway::kafka
