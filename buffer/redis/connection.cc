#include "buffer/redis/connection.h"

#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace spillway::buffer {
namespace {

timeval ToTimeval(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

const char* OrNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

absl::StatusOr<std::string> ReadPassword(const ConnectionOptions& options) {
  if (options.password_file.empty()) return options.endpoint.password;
  std::ifstream file(options.password_file);
  std::string password;
  if (!file || !std::getline(file, password)) {
    return absl::NotFoundError(
        absl::StrCat("redis.password_file: cannot read ", options.password_file));
  }
  return std::string(absl::StripSuffix(password, "\r"));
}

}  // namespace

struct RedisConnection::Callbacks {
  static RedisConnection* Owner(const redisAsyncContext* context) {
    return static_cast<Link*>(context->data)->owner;
  }
  static void DropData(void* data) { delete static_cast<Link*>(data); }
  static void OnConnect(const redisAsyncContext* context, int status) {
    RedisConnection* owner = Owner(context);
    if (owner == nullptr) return;
    if (status == REDIS_OK) return owner->Handshake();
    const std::string why = context->errstr;
    owner->context_ = nullptr;  // hiredis frees it
    owner->OnLost(why);
  }
  static void OnDisconnect(const redisAsyncContext* context, int) {
    RedisConnection* owner = Owner(context);
    if (owner == nullptr) return;
    owner->context_ = nullptr;
    owner->OnLost(context->err != 0 ? context->errstr : "closed");
  }
  static void OnReply(redisAsyncContext* context, void* reply, void*) {
    RedisConnection* owner = Owner(context);
    if (owner != nullptr) owner->OnReply(static_cast<const redisReply*>(reply));
  }
};

RedisConnection::RedisConnection(Loop& loop, ConnectionOptions options, OnState on_state)
    : loop_(loop),
      options_(std::move(options)),
      on_state_(std::move(on_state)),
      link_(std::make_shared<Link>(Link{this})),
      state_{.is_ready = false,
             .text = absl::StrCat("connecting to ", options_.endpoint.ToString())},
      reconnect_timer_(loop, [this] { Connect(); }),
      retry_timer_(loop, [this] { Retry(); }) {
  reconnect_timer_.Start(Duration::zero());
}

RedisConnection::~RedisConnection() {
  link_->owner = nullptr;
  DropContext();
  if (tls_ != nullptr) redisFreeSSLContext(tls_);
}

void RedisConnection::Connect() {
  if (const absl::Status status = OpenContext(); !status.ok()) {
    DropContext();
    OnLost(std::string(status.message()));
  }
}

// Also from inside a callback of the context: hiredis then frees it later.
void RedisConnection::DropContext() {
  redisAsyncContext* context = std::exchange(context_, nullptr);
  if (context == nullptr) return;
  if (context->data != nullptr) static_cast<Link*>(context->data)->owner = nullptr;
  redisAsyncFree(context);
}

absl::Status RedisConnection::OpenContext() {
  const Endpoint& endpoint = options_.endpoint;
  const timeval connect_timeout = ToTimeval(options_.connect_timeout);
  const timeval command_timeout = ToTimeval(options_.command_timeout);
  redisOptions options = {};
  options.connect_timeout = &connect_timeout;
  options.command_timeout = &command_timeout;
  if (endpoint.host.empty()) {
    REDIS_OPTIONS_SET_UNIX(&options, endpoint.unix_path.c_str());
  } else {
    REDIS_OPTIONS_SET_TCP(&options, endpoint.host.c_str(), endpoint.port);
  }
  context_ = redisAsyncConnectWithOptions(&options);
  if (context_ == nullptr) return absl::ResourceExhaustedError("out of memory");
  if (context_->err != 0) return absl::UnavailableError(context_->errstr);
  if (endpoint.is_tls) RETURN_IF_ERROR(StartTls());
  context_->data = new Link{this};
  context_->dataCleanup = &Callbacks::DropData;
  if (redisLibuvAttach(context_, loop_.native()) != REDIS_OK) {
    return absl::InternalError("cannot watch the connection");
  }
  redisAsyncSetConnectCallback(context_, &Callbacks::OnConnect);
  redisAsyncSetDisconnectCallback(context_, &Callbacks::OnDisconnect);
  return absl::OkStatus();
}

absl::Status RedisConnection::StartTls() {
  if (tls_ == nullptr) {
    redisInitOpenSSL();
    redisSSLContextError error = REDIS_SSL_CTX_NONE;
    tls_ = redisCreateSSLContext(OrNull(options_.tls_ca), nullptr, OrNull(options_.tls_cert),
                                 OrNull(options_.tls_key), options_.endpoint.host.c_str(), &error);
    if (tls_ == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("redis.tls: ", redisSSLContextGetError(error)));
    }
  }
  if (redisInitiateSSLWithContext(&context_->c, tls_) != REDIS_OK) {
    return absl::UnavailableError(absl::StrCat("TLS: ", context_->c.errstr));
  }
  return absl::OkStatus();
}

void RedisConnection::OnLost(const std::string& why) {
  is_connected_ = false;
  is_leaving_ = false;
  is_refusing_ = false;
  while (!sent_.empty()) {
    FailLater(std::move(sent_.front()), absl::StrCat("connection lost: ", why));
    sent_.pop_front();
  }
  reconnect_timer_.Start(NextBackoff());
  SetState(false, absl::StrCat("connecting to ", options_.endpoint.ToString(), ": ", why));
}

void RedisConnection::Handshake() {
  const absl::StatusOr<std::string> password = ReadPassword(options_);
  if (!password.ok()) {
    DropContext();
    return OnLost(std::string(password.status().message()));
  }
  const Endpoint& endpoint = options_.endpoint;
  const std::string& user = options_.username.empty() ? endpoint.username : options_.username;
  std::deque<Command> steps;
  if (!user.empty()) {
    steps.push_back(Command({"AUTH", user, *password}));
  } else if (!password->empty()) {
    steps.push_back(Command({"AUTH", *password}));
  }
  if (endpoint.database != 0) {
    steps.push_back(Command({"SELECT", absl::StrCat(endpoint.database)}));
  }
  handshake_replies_ = steps.size();
  for (Command& step : steps) {
    auto done = [this](const CommandResult& result) {
      if (context_ == nullptr) return;
      if (!result.ok()) {
        DropContext();
        return OnLost(absl::StrCat("refused: ", result.message));
      }
      if (--handshake_replies_ == 0) OnHandshaken();
    };
    Write(std::make_unique<Call>(Call{std::move(step), std::move(done), false, {}}));
  }
  if (handshake_replies_ == 0) OnHandshaken();
}

void RedisConnection::OnHandshaken() {
  is_connected_ = true;
  failed_connects_ = 0;
  ResendWaiting();
  SetState(true, "");
}

void RedisConnection::Send(Command command, OnResult done) {
  CHECK(command.is_complete(), "a command is given as many arguments as it announced");
  auto call = std::make_unique<Call>(Call{std::move(command), std::move(done), false, {}});
  if (!is_connected_ && !is_leaving_) {
    return FailLater(std::move(call), absl::StrCat("no connection: ", state_.text));
  }
  if (is_leaving_ || is_refusing_ || !waiting_.empty()) {
    call->give_up_at = SystemClock().Now() + options_.retry_limit;
    waiting_.push_back(std::move(call));
    return;
  }
  Write(std::move(call));
}

void RedisConnection::Write(CallPtr call) {
  const Command& command = call->command;
  const bool has_prologue = command.is_script() && !options_.script_prologue.empty();
  int status = REDIS_ERR;
  if (call->needs_source || has_prologue) {
    const std::string wire = command.WireWithSource(options_.script_prologue);
    status = redisAsyncFormattedCommand(context_, &Callbacks::OnReply, nullptr, wire.data(),
                                        wire.size());
  } else {
    status = redisAsyncFormattedCommand(context_, &Callbacks::OnReply, nullptr,
                                        command.wire().data(), command.wire().size());
  }
  if (status != REDIS_OK) return FailLater(std::move(call), "connection lost: closing");
  sent_.push_back(std::move(call));
}

// A null reply says that the connection is being torn down.
void RedisConnection::OnReply(const redisReply* reply) {
  CHECK(!sent_.empty(), "Redis answers each command once");
  CallPtr call = std::move(sent_.front());
  sent_.pop_front();
  if (reply == nullptr) {
    is_connected_ = false;
    const char* why = context_ != nullptr && context_->err != 0 ? context_->errstr : "closed";
    call->done({.code = StoreCode::kUnavailable,
                .reply = Reply(),
                .message = absl::StrCat("connection lost: ", why)});
    return;
  }
  const Reply answer(reply);
  if (answer.is_error()) {
    if (ErrorWord(answer.text()) == "NOSCRIPT" && call->command.is_script() &&
        !call->needs_source) {
      call->needs_source = true;
      return Write(std::move(call));
    }
    if (IsTemporary(answer.text())) return OnRefusedForNow(std::move(call), answer.text());
    call->done({.code = CodeOfError(answer.text()),
                .reply = answer,
                .message = std::string(answer.text())});
    return;
  }
  failed_retries_ = 0;
  if (std::exchange(is_refusing_, false) && is_connected_) {
    const std::shared_ptr<Link> link = link_;
    SetState(true, "");
    if (link->owner == nullptr) return;
  }
  call->done({.code = StoreCode::kOk, .reply = answer, .message = ""});
}

void RedisConnection::OnRefusedForNow(CallPtr call, absl::string_view error) {
  const Instant now = SystemClock().Now();
  const bool is_first = !std::exchange(is_refusing_, true);
  if (!call->give_up_at.has_value()) call->give_up_at = now + options_.retry_limit;
  if (is_first && ErrorWord(error) == "READONLY") {
    // The server has become a replica: its name may lead to its successor by now.
    is_connected_ = false;
    is_leaving_ = true;
    redisAsyncDisconnect(context_);
  }
  const std::string text = absl::StrCat(options_.endpoint.ToString(), ": ", error);
  if (now >= *call->give_up_at) {
    FailLater(std::move(call), text);
  } else {
    waiting_.push_back(std::move(call));
  }
  if (!retry_timer_.is_running()) {
    const int doublings = std::min(failed_retries_++, 4);
    retry_timer_.Start(options_.backoff_initial * (1 << doublings));
  }
  SetState(false, text);
}

// Sends again what was refused; gives up what has waited too long.
void RedisConnection::Retry() {
  const Instant now = SystemClock().Now();
  while (!waiting_.empty() && now >= *waiting_.front()->give_up_at) {
    FailLater(std::move(waiting_.front()), absl::StrCat("given up: ", state_.text));
    waiting_.pop_front();
  }
  if (!is_connected_) {
    if (!waiting_.empty()) retry_timer_.Start(options_.backoff_initial);
    return;
  }
  if (waiting_.empty() && is_refusing_) {
    waiting_.push_back(std::make_unique<Call>(
        Call{Command({"PING"}), [](const CommandResult&) {}, false, now + options_.retry_limit}));
  }
  ResendWaiting();
}

void RedisConnection::ResendWaiting() {
  std::deque<CallPtr> calls;
  calls.swap(waiting_);
  for (CallPtr& call : calls) Write(std::move(call));
}

void RedisConnection::FailLater(CallPtr call, std::string message) {
  loop_.Post([link = link_, call = std::move(call), message = std::move(message)]() mutable {
    if (link->owner == nullptr) return;
    call->done({.code = StoreCode::kUnavailable, .reply = Reply(), .message = std::move(message)});
  });
}

void RedisConnection::SetState(bool is_ready, std::string text) {
  ConnectionState state{.is_ready = is_ready, .text = std::move(text)};
  if (state == state_) return;
  state_ = std::move(state);
  if (on_state_) on_state_(state_);
}

Duration RedisConnection::NextBackoff() {
  const int doublings = std::min(failed_connects_++, 16);
  const Duration full = std::min(options_.backoff_initial * (1 << doublings), options_.backoff_max);
  // Half of it at random, so that a fleet does not come back in step.
  static thread_local std::minstd_rand random{std::random_device{}()};
  return full / 2 + Duration(static_cast<Duration::rep>(random() % 1000) * full.count() / 2000);
}

}  // namespace spillway::buffer
