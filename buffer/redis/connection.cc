#include "buffer/redis/connection.h"

#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

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

// A reply that announces an array of more is an error: hiredis makes room for what is announced.
constexpr int64_t kMaxElements = 1 << 20;

timeval ToTimeval(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

absl::StatusOr<std::string> ReadPassword(const ConnectionOptions& options,
                                         const Endpoint& endpoint) {
  if (options.password_file.empty()) return endpoint.password;
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
    const std::string why = owner->LossReason(context->errstr);
    owner->context_ = nullptr;  // hiredis frees it
    owner->OnLost(why);
  }
  static void OnDisconnect(const redisAsyncContext* context, int) {
    RedisConnection* owner = Owner(context);
    if (owner == nullptr) return;
    owner->context_ = nullptr;
    owner->OnLost(owner->LossReason(context->err != 0 ? context->errstr : "closed"));
  }
  static void OnReply(redisAsyncContext* context, void* reply, void*) {
    RedisConnection* owner = Owner(context);
    if (owner != nullptr) owner->OnReply(static_cast<const redisReply*>(reply));
  }
};

RedisConnection::RedisConnection(Loop& loop, ConnectionOptions options, OnState on_state)
    : loop_(loop),
      options_(std::move(options)),
      endpoint_(options_.endpoint),
      on_state_(std::move(on_state)),
      link_(std::make_shared<Link>(Link{this})),
      state_{.is_ready = false, .text = Aim()},
      reconnect_timer_(loop, [this] { Connect(); }),
      retry_timer_(loop, [this] { Retry(); }),
      silence_timer_(loop, [this] { OnSilence(); }) {
  reconnect_timer_.Start(Duration::zero());
}

RedisConnection::~RedisConnection() {
  link_->owner = nullptr;
  DropContext();
}

RedisConnection::CallPtr RedisConnection::NewCall(Command command, OnResult done) {
  auto call = std::make_unique<Call>();
  call->command = std::make_shared<const Command>(std::move(command));
  call->done = std::move(done);
  return call;
}

std::string RedisConnection::Aim() const {
  const bool is_known = !endpoint_.host.empty() || !endpoint_.unix_path.empty();
  return is_known ? absl::StrCat("connecting to ", endpoint_.ToString()) : "looking for the server";
}

void RedisConnection::Connect() {
  if (!options_.find_endpoint) return Open();
  options_.find_endpoint([link = link_](absl::StatusOr<Endpoint> found) {
    RedisConnection* owner = link->owner;
    if (owner == nullptr) return;
    if (!found.ok()) return owner->OnLost(std::string(found.status().message()));
    owner->endpoint_ = *std::move(found);
    owner->Open();
  });
}

void RedisConnection::Open() {
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
  const Endpoint& endpoint = endpoint_;
  const timeval connect_timeout = ToTimeval(options_.connect_timeout);
  redisOptions options = {};
  options.connect_timeout = &connect_timeout;
  if (endpoint.host.empty()) {
    REDIS_OPTIONS_SET_UNIX(&options, endpoint.unix_path.c_str());
  } else {
    REDIS_OPTIONS_SET_TCP(&options, endpoint.host.c_str(), endpoint.port);
  }
  context_ = redisAsyncConnectWithOptions(&options);
  if (context_ == nullptr) return absl::ResourceExhaustedError("out of memory");
  if (context_->err != 0) return absl::UnavailableError(context_->errstr);
  context_->c.reader->maxelements = kMaxElements;
  RefuseUnaskedReplies(context_->c.reader, *this);
  tls_.reset();
  if (endpoint.is_tls) {
    ASSIGN_OR_RETURN(tls_, TlsSession::Start(options_.tls, endpoint.host, &context_->c));
  }
  context_->data = new Link{this};
  context_->dataCleanup = &Callbacks::DropData;
  if (redisLibuvAttach(context_, loop_.native()) != REDIS_OK) {
    return absl::InternalError("cannot watch the connection");
  }
  redisAsyncSetConnectCallback(context_, &Callbacks::OnConnect);
  redisAsyncSetDisconnectCallback(context_, &Callbacks::OnDisconnect);
  return absl::OkStatus();
}

// For a person, and TLS's own word where that is why.
std::string RedisConnection::LossReason(const char* error) {
  const std::string problem = tls_ ? tls_->Problem() : "";
  return problem.empty() ? error : problem;
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
  SetState(false, absl::StrCat(Aim(), ": ", why));
}

void RedisConnection::Handshake() {
  const absl::StatusOr<std::string> password = ReadPassword(options_, endpoint_);
  if (!password.ok()) {
    DropContext();
    return OnLost(std::string(password.status().message()));
  }
  const std::string& user = options_.username.empty() ? endpoint_.username : options_.username;
  std::deque<Command> steps;
  if (!user.empty()) {
    steps.push_back(Command({"AUTH", user, *password}));
  } else if (!password->empty()) {
    steps.push_back(Command({"AUTH", *password}));
  }
  if (endpoint_.database != 0) {
    steps.push_back(Command({"SELECT", absl::StrCat(endpoint_.database)}));
  }
  const bool must_be_master = static_cast<bool>(options_.find_endpoint);
  if (must_be_master) steps.push_back(Command({"ROLE"}));
  // With TLS a connection is none before the first answer.
  if (endpoint_.is_tls && steps.empty()) steps.push_back(Command({"PING"}));
  handshake_replies_ = steps.size();
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool is_role = must_be_master && i + 1 == steps.size();
    Write(NewCall(std::move(steps[i]), [this, is_role](const CommandResult& result) {
      OnHandshakeReply(result, is_role);
    }));
  }
  if (handshake_replies_ == 0) OnHandshaken();
}

void RedisConnection::OnHandshakeReply(const CommandResult& result, bool is_role) {
  if (context_ == nullptr) return;
  std::string problem;
  if (!result.ok()) {
    problem = absl::StrCat(result.reply.is_error() ? "refused: " : "", result.message);
  } else if (is_role && result.reply[0].text() != "master") {
    problem = absl::StrCat("its role is ", result.reply[0].text(), ", not master");
  }
  if (!problem.empty()) {
    DropContext();
    return OnLost(problem);
  }
  if (--handshake_replies_ == 0) OnHandshaken();
}

void RedisConnection::OnHandshaken() {
  is_connected_ = true;
  if (tls_) tls_->OnAccepted();
  failed_connects_ = 0;
  ResendWaiting();
  SetState(true, "");
}

void RedisConnection::Send(Command command, OnResult done) {
  Send(std::make_shared<const Command>(std::move(command)), false, std::move(done));
}

void RedisConnection::Send(std::shared_ptr<const Command> command, bool is_asking, OnResult done) {
  CHECK(command->is_complete(), "a command is given as many arguments as it announced");
  auto call = std::make_unique<Call>();
  call->command = std::move(command);
  call->done = std::move(done);
  call->is_asking = is_asking;
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

void RedisConnection::Leave() {
  if (context_ == nullptr || !is_connected_) return;
  is_connected_ = false;
  is_leaving_ = true;
  redisAsyncDisconnect(context_);
}

// ASKING holds for the one command after it: each way of sending a call again says it again.
void RedisConnection::Write(CallPtr call) {
  if (call->is_asking) {
    static const Command kAsking({"ASKING"});
    if (!WriteWire(kAsking.wire())) return FailLater(std::move(call), "connection lost: closing");
    AwaitReply(std::make_unique<Call>());
  }
  const Command& command = *call->command;
  const bool has_prologue = command.is_script() && !options_.script_prologue.empty();
  const bool is_written = call->needs_source || has_prologue
                              ? WriteWire(command.WireWithSource(options_.script_prologue))
                              : WriteWire(command.wire());
  if (!is_written) return FailLater(std::move(call), "connection lost: closing");
  AwaitReply(std::move(call));
}

bool RedisConnection::WriteWire(const std::string& wire) {
  return redisAsyncFormattedCommand(context_, &Callbacks::OnReply, nullptr, wire.data(),
                                    wire.size()) == REDIS_OK;
}

// hiredis has a limit too, but begins it again with every command that is sent.
void RedisConnection::AwaitReply(CallPtr call) {
  if (sent_.empty()) last_reply_ = SystemClock().Now();
  sent_.push_back(std::move(call));
  if (!silence_timer_.is_running()) silence_timer_.Start(options_.command_timeout);
}

void RedisConnection::OnSilence() {
  if (sent_.empty()) return;
  const Duration silence = SystemClock().Now() - last_reply_;
  if (silence < options_.command_timeout) {
    return silence_timer_.Start(options_.command_timeout - silence);
  }
  DropContext();
  OnLost("no answer");
}

bool RedisConnection::KeepsWaiting() const {
  return is_refusing_ ||
         (!sent_.empty() && SystemClock().Now() - last_reply_ >= options_.long_wait);
}

// A null reply says that the connection is being torn down.
void RedisConnection::OnReply(const redisReply* reply) {
  CHECK(!sent_.empty(), "Redis answers each command once");
  last_reply_ = SystemClock().Now();
  CallPtr call = std::move(sent_.front());
  sent_.pop_front();
  if (reply == nullptr) is_connected_ = false;
  if (!call->done) return;
  if (reply == nullptr) {
    const std::string why =
        LossReason(context_ != nullptr && context_->err != 0 ? context_->errstr : "closed");
    call->done({.code = StoreCode::kUnavailable,
                .reply = Reply(),
                .message = absl::StrCat("connection lost: ", why)});
    return;
  }
  const Reply answer(reply);
  if (answer.is_error()) {
    if (ErrorWord(answer.text()) == "NOSCRIPT" && call->command->is_script() &&
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
    Leave();
  }
  const std::string text = absl::StrCat(endpoint_.ToString(), ": ", error);
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
    waiting_.push_back(NewCall(Command({"PING"}), [](const CommandResult&) {}));
    waiting_.back()->give_up_at = now + options_.retry_limit;
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
    if (link->owner == nullptr || !call->done) return;
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
