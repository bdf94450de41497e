// One connection to one Redis server: pipelined, reconnecting, on a loop.
#ifndef SPILLWAY_BUFFER_REDIS_CONNECTION_H_
#define SPILLWAY_BUFFER_REDIS_CONNECTION_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/loop.h"
#include "buffer/redis/command.h"
#include "buffer/redis/endpoint.h"
#include "buffer/redis/reply.h"
#include "buffer/redis/tls.h"
#include "buffer/redis/unasked_reply.h"

struct redisAsyncContext;
struct redisSSLContext;

namespace spillway::buffer {

// Says where to connect, later; an error is tried again with backoff.
using FoundEndpoint = absl::AnyInvocable<void(absl::StatusOr<Endpoint>)>;
using FindEndpoint = std::function<void(FoundEndpoint)>;

struct ConnectionOptions {
  Endpoint endpoint;
  // Asked for the master before every connect: a server whose ROLE is another is left again. Empty:
  // `endpoint` it is.
  FindEndpoint find_endpoint;
  std::string username;       // wins over the endpoint's
  std::string password_file;  // wins over the endpoint's password; read at every connect
  TlsFiles tls;               // for an endpoint with TLS
  Duration connect_timeout = std::chrono::seconds(5);
  Duration command_timeout = std::chrono::seconds(10);  // no byte from a server that owes a reply
  Duration long_wait = kLongWait;                       // KeepsWaiting
  Duration retry_limit = std::chrono::seconds(10);      // for LOADING, READONLY and their like
  Duration backoff_initial = std::chrono::milliseconds(50);
  Duration backoff_max = std::chrono::seconds(2);
  std::string script_prologue;  // tests: runs before every script; scripts are then sent as text
};

struct ConnectionState {
  bool is_ready = false;
  std::string text;  // while not ready: what is waited for, for a person
  bool operator==(const ConnectionState&) const = default;
};

// What became of one command. `reply` is valid during the callback.
struct CommandResult {
  StoreCode code = StoreCode::kUnavailable;
  Reply reply;
  std::string message;  // if code is not kOk
  bool ok() const { return code == StoreCode::kOk; }
};

// Connects by itself, again and again with backoff. Commands are answered in the order sent, each
// exactly once, never from inside Send, and not after the connection is destroyed (which may happen
// in a callback). Without a connection they fail at once with kUnavailable; commands in flight when
// it is lost do too, and may or may not have been executed. Commands the server refuses only for
// now (LOADING, READONLY, …) were not executed: they, and all later ones, wait and are sent again
// in their order, for at most `retry_limit`. A script the server does not know is sent with its
// text. Loop thread only.
class RedisConnection final : private ReplyExpectation {
 public:
  using OnResult = absl::AnyInvocable<void(const CommandResult&)>;
  using OnState = absl::AnyInvocable<void(const ConnectionState&)>;

  RedisConnection(Loop& loop, ConnectionOptions options, OnState on_state = {});
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  void Send(Command command, OnResult done);  // REQUIRES: command.is_complete()
  // `command` is shared with a caller who may have to send it elsewhere. `is_asking`: after ASKING,
  // for a slot that this node imports.
  void Send(std::shared_ptr<const Command> command, bool is_asking, OnResult done);
  // Lets the replies in flight come, then connects anew.
  void Leave();
  const ConnectionState& state() const { return state_; }
  // The server owes replies and has sent none for `long_wait`, or refuses for now.
  bool KeepsWaiting() const;
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  struct Call {
    std::shared_ptr<const Command> command;
    OnResult done;  // empty: of no interest, as with ASKING
    bool is_asking = false;
    bool needs_source = false;
    std::optional<Instant> give_up_at;  // once it has been refused for now
  };
  using CallPtr = std::unique_ptr<Call>;
  struct Link {  // what posted tasks and a context of hiredis hold; may outlive the connection
    RedisConnection* owner;
  };
  struct Callbacks;  // hiredis' C callbacks

  bool IsReplyExpected() const override { return !sent_.empty(); }
  static CallPtr NewCall(Command command, OnResult done);
  std::string Aim() const;  // what is being done while there is no connection
  void Connect();
  void Open();
  absl::Status OpenContext();
  void DropContext();
  std::string LossReason(const char* error);  // of the context that is being lost
  void OnLost(const std::string& why);
  void Handshake();
  void OnHandshakeReply(const CommandResult& result, bool is_role);
  void OnHandshaken();
  void Write(CallPtr call);
  bool WriteWire(const std::string& wire);
  void AwaitReply(CallPtr call);
  void OnSilence();
  void OnReply(const redisReply* reply);
  void OnRefusedForNow(CallPtr call, absl::string_view error);
  void Retry();
  void ResendWaiting();
  void FailLater(CallPtr call, std::string message);
  void SetState(bool is_ready, std::string text);
  Duration NextBackoff();

  Loop& loop_;
  const ConnectionOptions options_;
  Endpoint endpoint_;
  OnState on_state_;
  std::shared_ptr<Link> link_;
  redisAsyncContext* context_ = nullptr;
  std::optional<TlsSession> tls_;  // of the newest context
  ConnectionState state_;
  bool is_connected_ = false;     // and logged in
  bool is_leaving_ = false;       // a server that became a replica; replies in flight still come
  bool is_refusing_ = false;      // LOADING and its like
  size_t handshake_replies_ = 0;  // still expected
  int failed_connects_ = 0;
  int failed_retries_ = 0;
  std::deque<CallPtr> sent_;     // replies come in this order
  std::deque<CallPtr> waiting_;  // refused for now, and those behind them
  Instant last_reply_;           // or when the first call was sent that none has come for
  Timer reconnect_timer_;
  Timer retry_timer_;
  Timer silence_timer_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_CONNECTION_H_
